//! Sockets of published ports in the keeping of the service manager: while the daemon is restarted
//! no other process can take a port.
//!
//! systemd keeps what it is sent with `FDSTORE=1` and passes it to the next start of the service
//! (`FileDescriptorStoreMax=` in the unit). Where they are not kept, the ports are bound again.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use sealane_core::model::{PortMapping, Protocol};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How every name begins.
const PREFIX: &str = "port-";
/// How long the manager may take to read a message, or to let go of sockets.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where sockets are kept. Clones are the same depot; the default one keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Depot(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Where the service manager listens.
    manager: Option<UnixDatagram>,
    /// What it kept from the last daemon and was not asked for yet.
    kept: Mutex<BTreeMap<String, OwnedFd>>,
}

impl Depot {
    /// A depot at the service manager that listens at `address`, the value of `NOTIFY_SOCKET`.
    /// `kept` is what it passed, by name.
    pub fn open(address: &OsStr, kept: Vec<(String, OwnedFd)>) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
        };
        let manager = UnixDatagram::unbound()?;
        manager.connect_addr(&address)?;
        manager.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(Arc::new(Inner {
            manager: Some(manager),
            kept: Mutex::new(kept.into_iter().collect()),
        })))
    }

    /// Whether a descriptor of this name was kept by a depot.
    pub fn is_kept(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// Gives back what no port was adopted from: ports of what ended meanwhile.
    pub fn forget_rest(&self) {
        let rest = std::mem::take(&mut *self.kept());
        self.remove(rest.keys().map(String::as_str));
    }

    /// Has the sockets of mappings kept.
    pub(crate) fn keep<'a>(
        &self,
        sockets: impl IntoIterator<Item = (&'a PortMapping, &'a Arc<OwnedFd>)>,
    ) {
        let Some(manager) = &self.0.manager else {
            return;
        };
        for (mapping, socket) in sockets {
            // Without FDPOLL=0, a socket that does not listen would be taken for a dead one.
            let text = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={}\n", name(mapping));
            if let Err(error) = tell(manager, &text, Some(socket.as_fd())) {
                tracing::warn!(%error, "published ports are not held while the daemon restarts");
                return;
            }
        }
    }

    /// The socket that was kept for a mapping.
    pub(crate) fn take(&self, mapping: &PortMapping) -> Option<OwnedFd> {
        self.kept().remove(&name(mapping))
    }

    /// Has the sockets of mappings closed, and waits until they are.
    pub(crate) fn forget<'a>(&self, mappings: impl IntoIterator<Item = &'a PortMapping>) {
        if self.0.manager.is_none() {
            return;
        }
        let names: Vec<String> = mappings.into_iter().map(name).collect();
        self.remove(names.iter().map(String::as_str));
    }

    fn remove<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let Some(manager) = &self.0.manager else {
            return;
        };
        let mut sent = false;
        for name in names {
            let text = format!("FDSTOREREMOVE=1\nFDNAME={name}\n");
            if let Err(error) = tell(manager, &text, None) {
                tracing::warn!(%error, name, "the service manager still holds a port");
                return;
            }
            sent = true;
        }
        if sent && let Err(error) = barrier(manager) {
            tracing::warn!(%error, "the service manager may still hold ports");
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, OwnedFd>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the socket of a mapping is called. Colons are not allowed there.
fn name(mapping: &PortMapping) -> String {
    let protocol = match mapping.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    let address = mapping.host_ip.map_or("any".into(), |ip| ip.to_string());
    let address = address.replace(':', "_");
    format!("{PREFIX}{protocol}-{}-{address}", mapping.host_port)
}

/// Sends a message, with a descriptor or none.
fn tell(manager: &UnixDatagram, text: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let parts = [IoSlice::new(text.as_bytes())];
    sendmsg(manager, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits until the manager has done what was asked of it: then it closes the pipe that it is sent.
fn barrier(manager: &UnixDatagram) -> io::Result<()> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    tell(manager, "BARRIER=1", Some(theirs.as_fd()))?;
    drop(theirs);
    let timeout = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    let mut waiting = [PollFd::new(&ours, PollFlags::IN)];
    match poll(&mut waiting, Some(&timeout))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_bound_and_has_no_colon() {
        let mapping = |ip: Option<&str>| PortMapping {
            protocol: Protocol::Tcp,
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            host_port: 8080,
            container_port: 80,
        };
        assert_eq!(name(&mapping(None)), "port-tcp-8080-any");
        assert_eq!(name(&mapping(Some("::1"))), "port-tcp-8080-__1");
        assert!(Depot::is_kept(&name(&mapping(Some("10.0.0.1")))));
        assert!(!Depot::is_kept("sealane.socket"));
    }

    #[test]
    fn nobody_listens_at_first() {
        let folder = std::env::temp_dir().join("sealane-no-such-socket");
        assert!(Depot::open(folder.as_os_str(), Vec::new()).is_err());
        Depot::default().forget_rest();
    }
}
