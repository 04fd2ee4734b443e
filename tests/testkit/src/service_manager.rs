//! A stand-in for systemd, as far as a service can tell: it hears notifications, keeps the
//! descriptors that it is sent, and passes them to the next start.

use crate::host::Host;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// Where it listens, as the host sees it.
pub(crate) const ADDRESS: &str = "/run/lab/manager";
/// How often the listener looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_MESSAGE: usize = 4096;

/// A service manager on a host. Clones are the same one.
#[derive(Clone, Debug)]
pub struct ServiceManager(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    kept: Vec<(String, OwnedFd)>,
    heard: Vec<String>,
}

impl ServiceManager {
    /// Listens on a host.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        let path = host.path(ADDRESS);
        // Another one may have been there before.
        drop(fs::remove_file(&path));
        let socket = UnixDatagram::bind(path).expect("a path in a tmpfs");
        socket.set_read_timeout(Some(PAUSE)).expect("a timeout");
        let state = Arc::new(Mutex::default());
        let listened = Arc::downgrade(&state);
        thread::spawn(move || listen(&socket, &listened));
        Self(state)
    }

    /// The names of the descriptors that it keeps, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .state()
            .kept
            .iter()
            .map(|kept| kept.0.clone())
            .collect();
        names.sort();
        names
    }

    /// The lines that it has heard.
    pub fn heard(&self) -> Vec<String> {
        self.state().heard.clone()
    }

    /// Copies of what it keeps, for a start.
    pub(crate) fn passed(&self) -> Vec<(String, OwnedFd)> {
        let state = self.state();
        let kept = state.kept.iter();
        kept.map(|(name, fd)| {
            (
                name.clone(),
                fcntl_dupfd_cloexec(fd, 0).expect("one is left"),
            )
        })
        .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(socket: &UnixDatagram, state: &Weak<Mutex<State>>) {
    loop {
        let received = receive(socket);
        let Some(state) = state.upgrade() else { return };
        if let Some((text, descriptors)) = received {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.take(&text, descriptors);
        }
    }
}

fn receive(socket: &UnixDatagram) -> Option<(String, Vec<OwnedFd>)> {
    let mut text = [0; LONGEST_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    assert!(
        !received.flags.contains(ReturnFlags::CTRUNC),
        "too many descriptors"
    );
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    let text = String::from_utf8_lossy(&text[..received.bytes]).into_owned();
    Some((text, descriptors))
}

impl State {
    fn take(&mut self, text: &str, descriptors: Vec<OwnedFd>) {
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
        let name = name.unwrap_or("stored");
        if text.contains("FDSTOREREMOVE=1") {
            self.kept.retain(|kept| kept.0 != name);
        } else if text.contains("FDSTORE=1") {
            let kept = descriptors.into_iter().map(|fd| (name.to_owned(), fd));
            self.kept.extend(kept);
        }
        // Everything else that came along is closed: a barrier waits for that.
        self.heard.extend(text.lines().map(str::to_owned));
    }
}
