//! The relay: what the kernel does not translate, carried by one thread for all ports.
//!
//! Opens its connections from the namespace it was started in. Start at [`Relay`], which the rest
//! of the crate holds; the thread itself is in `event_loop`.

mod datagrams;
mod event_loop;
mod streams;
mod token;

use crate::PortError;
use event_loop::EventLoop;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use sealane_core::model::{Protocol, SandboxId};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use token::Token;

/// Which published port something came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) owner: SandboxId,
    pub(crate) protocol: Protocol,
    pub(crate) host_port: u16,
}

/// What is to end: all of an owner's, or what came in by one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Owner(SandboxId),
    Port(Origin),
}

impl Ending {
    /// Whether something that came in there is to end.
    fn concerns(&self, origin: &Origin) -> bool {
        match self {
            Self::Owner(owner) => *owner == origin.owner,
            Self::Port(port) => port == origin,
        }
    }
}

/// Where an open port leads to.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) origin: Origin,
    pub(crate) ipv4: Option<SocketAddrV4>,
    pub(crate) ipv6: Option<SocketAddrV6>,
}

impl Route {
    /// The container's address for a peer: of the peer's family if there is one.
    fn target(&self, peer: IpAddr) -> Option<SocketAddr> {
        let v4 = self.ipv4.map(SocketAddr::V4);
        let v6 = self.ipv6.map(SocketAddr::V6);
        if peer.to_canonical().is_ipv4() {
            v4.or(v6)
        } else {
            v6.or(v4)
        }
    }
}

/// The hand of the relay thread that [`crate::Ports`] holds. The thread ends with it.
#[derive(Debug)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self, PortError> {
        let refused = |source| PortError::Relay {
            what: "start",
            source,
        };
        let shared = Arc::new(Shared::new().map_err(refused)?);
        let event_loop = EventLoop::new(shared.clone());
        let builder = thread::Builder::new().name("relay".into());
        let thread = builder.spawn(move || event_loop.run()).map_err(refused)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Serves a port, or leads one elsewhere that is served already.
    pub(crate) fn add(&self, socket: &Arc<OwnedFd>, route: Route) -> Result<(), PortError> {
        if route.origin.protocol == Protocol::Sctp {
            return Ok(()); // only the kernel carries it
        }
        let port = Port {
            socket: socket.clone(),
            route,
        };
        let known = self
            .shared
            .ports()
            .insert(socket.as_raw_fd(), port)
            .is_some();
        if known {
            return Ok(());
        }
        self.shared
            .watch(
                socket,
                Token::Port(socket.as_raw_fd()),
                epoll::EventFlags::IN,
            )
            .map_err(|source| {
                self.shared.ports().remove(&socket.as_raw_fd());
                PortError::Relay {
                    what: "take a port",
                    source: source.into(),
                }
            })
    }

    /// Serves a port no longer. When this returns, the thread does not hold its socket.
    pub(crate) fn remove(&self, socket: &Arc<OwnedFd>) {
        let mut ports = self.shared.ports();
        if ports.remove(&socket.as_raw_fd()).is_some() {
            self.shared.forget(socket);
        }
    }

    /// Ends what is under way for an owner, soon.
    pub(crate) fn end(&self, owner: &SandboxId) {
        self.shared.ended().push(Ending::Owner(*owner));
        self.shared.wake();
    }

    /// Ends what came in by these ports, soon.
    pub(crate) fn end_ports(&self, ports: impl IntoIterator<Item = Origin>) {
        self.shared
            .ended()
            .extend(ports.into_iter().map(Ending::Port));
        self.shared.wake();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the relay of published ports had panicked");
        }
    }
}

/// A port that is served. Its socket is held under the lock only, so that the one that removes the
/// port closes it.
#[derive(Debug)]
struct Port {
    socket: Arc<OwnedFd>,
    route: Route,
}

/// What the thread and the hand have in common.
#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    waker: OwnedFd,
    ports: Mutex<HashMap<RawFd, Port>>,
    ended: Mutex<Vec<Ending>>,
    stop: AtomicBool,
}

impl Shared {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &waker, Token::Waker.data(), epoll::EventFlags::IN)?;
        let (ports, ended) = (Mutex::default(), Mutex::default());
        Ok(Self {
            epoll,
            waker,
            ports,
            ended,
            stop: AtomicBool::new(false),
        })
    }

    fn ports(&self) -> MutexGuard<'_, HashMap<RawFd, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Ending>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the thread look at `ended` and `stop`.
    fn wake(&self) {
        // The counter can be full only if the thread has yet to wake up.
        match rustix::io::write(&self.waker, &1u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => tracing::error!(%error, "cannot wake the relay of published ports"),
        }
    }

    fn watch(&self, socket: &OwnedFd, token: Token, flags: epoll::EventFlags) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, token.data(), flags)
    }

    fn forget(&self, socket: &OwnedFd) {
        // It is watched, or it never was: in either case it is not afterwards.
        match epoll::delete(&self.epoll, socket) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::error!(%error, "cannot stop watching a socket of a port"),
        }
    }
}
