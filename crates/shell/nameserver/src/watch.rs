//! The host's resolv.conf, followed as it changes.
//!
//! It is rarely a plain file that is written in place: it may be replaced by a rename, or be a
//! symbolic link, even one to where there is nothing yet. So the folders are watched, those of the
//! file and of all links on the way to it.

use crate::NameserverError;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use sealane_core::dns::ResolvConf;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

/// How long it must be quiet before the file is read: it is often written in several steps.
const QUIET: Duration = Duration::from_millis(50);
/// How many symbolic links are followed, as the kernel does.
const MAX_LINKS: usize = 40;

/// Ends the watching when it is dropped.
#[derive(Debug)]
pub struct HostWatch {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `changed` with the content of the file now and whenever it has become another, in a
/// thread of its own. While it cannot be read, nothing is called.
pub fn watch_host(
    path: &Path,
    changed: impl FnMut(ResolvConf) + Send + 'static,
) -> Result<HostWatch, NameserverError> {
    let failed = |source| NameserverError::Watch {
        path: path.into(),
        source,
    };
    let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let stop = Arc::new(stop);
    let follower = Follower::new(path.into(), stop.clone()).map_err(failed)?;
    let thread = thread::Builder::new().name("resolv.conf".into());
    let thread = thread
        .spawn(move || follower.run(changed))
        .map_err(failed)?;
    Ok(HostWatch {
        stop,
        thread: Some(thread),
    })
}

impl Drop for HostWatch {
    fn drop(&mut self) {
        // An eventfd at zero always takes a one.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        // The last owner may be `changed` itself, which cannot wait for its own end.
        let ended = self
            .thread
            .take()
            .filter(|thread| !own(thread))
            .map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("following the host's resolv.conf ended by a panic");
        }
    }
}

struct Follower {
    path: PathBuf,
    stop: Arc<OwnedFd>,
    watch: OwnedFd,
}

impl Follower {
    fn new(path: PathBuf, stop: Arc<OwnedFd>) -> io::Result<Self> {
        let watch = watch(&path)?;
        Ok(Self { path, stop, watch })
    }

    fn run(mut self, mut changed: impl FnMut(ResolvConf)) {
        let mut known = None;
        loop {
            let text = fs::read(&self.path).ok();
            if text.is_some() && text != known {
                let conf = String::from_utf8_lossy(text.as_deref().unwrap_or_default());
                changed(ResolvConf::parse(&conf));
                known = text;
            }
            match self.wait() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "the file is not followed any longer");
                    return;
                }
            }
        }
    }

    /// Waits for a change and the quiet after it; `false` if it is over.
    fn wait(&mut self) -> io::Result<bool> {
        let mut limit = None;
        loop {
            let [stop, watch] = self.poll(limit)?;
            if stop {
                return Ok(false);
            }
            if !watch {
                break;
            }
            drain(&self.watch)?;
            limit = Some(QUIET);
        }
        // A link may lead elsewhere now, or a folder have been made.
        // The file may be another one now, and so may be the way to it.
        self.watch = watch(&self.path)?;
        Ok(true)
    }

    /// Which of the two has something to say.
    fn poll(&self, limit: Option<Duration>) -> io::Result<[bool; 2]> {
        let mut fds = [&*self.stop, &self.watch].map(|fd| PollFd::new(fd, PollFlags::IN));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) => Ok([!fds[0].revents().is_empty(), !fds[1].revents().is_empty()]),
            Err(Errno::INTR) => Ok([false, true]),
            Err(error) => Err(error.into()),
        }
    }
}

/// The folders in which a change may give the path another content: that of each link on the way
/// to the file, or the nearest one above that exists.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        folders.extend(
            folder
                .ancestors()
                .find(|folder| folder.is_dir())
                .map(Path::to_owned),
        );
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => break,
        }
    }
    folders
}

fn watch(path: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    for folder in folders(path) {
        add(&watch, &folder, changes)?;
    }
    // A file that is bound there from elsewhere is written without its folder hearing of it.
    add(
        &watch,
        path,
        WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF,
    )?;
    Ok(watch)
}

/// Watches what is there; what is not will be noticed by its folder.
fn add(watch: &OwnedFd, path: &Path, changes: WatchFlags) -> io::Result<()> {
    match inotify::add_watch(watch, path, changes) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes all events; which they were does not matter, because the file is read again anyway.
fn drain(watch: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(watch, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
