//! The relay thread: waits for sockets and hands each event to the streams or datagrams.

use super::datagrams::Datagrams;
use super::streams::Streams;
use super::token::Token;
use super::{Route, Shared};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, sockopt};
use sealane_core::model::Protocol;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The largest datagram; streams are carried in pieces of this size.
const BUFFER: usize = 64 << 10;
const EVENTS: usize = 256;
/// How many peers of one port are served before the others have their turn.
const TURN: usize = 64;

/// Everything that the thread owns.
pub(super) struct EventLoop {
    shared: Arc<Shared>,
    streams: Streams,
    datagrams: Datagrams,
    buffer: Vec<u8>,
    /// An open file to give up when there can be no more, so that a peer can be turned away
    /// instead of being announced for ever.
    spare: Option<File>,
}

/// What came of one attempt to take in a peer.
enum Accepted {
    Peer(OwnedFd, SocketAddr, Route),
    /// Something went wrong with this one; there may be more.
    Lost,
    /// No more files can be opened.
    NoRoom,
    Nobody,
}

impl EventLoop {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let streams = Streams::new(shared.clone());
        let datagrams = Datagrams::new(shared.clone());
        Self {
            shared,
            streams,
            datagrams,
            buffer: vec![0; BUFFER],
            spare: spare(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let patience = self.datagrams.next_expiry().map(until);
            match epoll::wait(
                &self.shared.epoll,
                rustix::buffer::spare_capacity(&mut events),
                patience.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "the relay of published ports cannot go on");
                    return;
                }
            }
            for event in events.drain(..) {
                self.handle(Token::read(event.data), event.flags);
            }
            self.datagrams.expire(Instant::now());
        }
    }

    fn handle(&mut self, token: Token, flags: epoll::EventFlags) {
        match token {
            Token::Waker => self.attend(),
            Token::Port(socket) => self.serve(socket),
            Token::Peer(stream) => self.streams.peer_ready(stream, flags, &mut self.buffer),
            Token::Container(stream) => {
                self.streams
                    .container_ready(stream, flags, &mut self.buffer);
            }
            Token::Session(session) => self.datagrams.answer(session, &mut self.buffer),
        }
    }

    /// Looks after what the hand of the relay has left.
    fn attend(&mut self) {
        let mut count = [0; 8];
        // Woken without a count is only woken.
        let _count = rustix::io::read(&self.shared.waker, &mut count);
        let ended = std::mem::take(&mut *self.shared.ended());
        if !ended.is_empty() {
            self.streams.end(&ended);
            self.datagrams.end(&ended);
        }
    }

    fn serve(&mut self, socket: RawFd) {
        let protocol = self
            .shared
            .ports()
            .get(&socket)
            .map(|port| port.route.origin.protocol);
        match protocol {
            Some(Protocol::Tcp) => self.accept(socket),
            Some(Protocol::Udp) => self.datagrams.forward(socket, TURN, &mut self.buffer),
            // A port that was removed after the event is not served any more.
            Some(Protocol::Sctp) | None => {}
        }
    }

    fn accept(&mut self, socket: RawFd) {
        for _ in 0..TURN {
            match self.next_peer(socket) {
                Accepted::Peer(peer, address, route) => {
                    if let Some(target) = route.target(address.ip()) {
                        self.streams.begin(route.origin, peer, target);
                    }
                }
                Accepted::Lost => {}
                Accepted::NoRoom => {
                    self.turn_away(socket);
                    return;
                }
                Accepted::Nobody => return,
            }
        }
    }

    fn next_peer(&self, socket: RawFd) -> Accepted {
        let ports = self.shared.ports();
        let Some(port) = ports.get(&socket) else {
            return Accepted::Nobody;
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match acceptfrom_with(&port.socket, flags) {
            Ok((peer, address)) => match address.map(SocketAddr::try_from) {
                Some(Ok(address)) => {
                    let_port_be_bound(&peer);
                    Accepted::Peer(peer, address, port.route.clone())
                }
                Some(Err(_)) | None => Accepted::Lost,
            },
            Err(Errno::AGAIN) => Accepted::Nobody,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Accepted::NoRoom,
            // Linux reports here what happened to the connection meanwhile.
            Err(_) => Accepted::Lost,
        }
    }

    fn turn_away(&mut self, socket: RawFd) {
        tracing::warn!("too many open files; a connection to a published port is turned away");
        self.spare = None;
        drop(self.next_peer(socket));
        self.spare = spare();
    }
}

/// Once it is closed, the kernel remembers a connection for a minute. It has this from the
/// listener, which is strict, and would keep all others from the port for as long.
fn let_port_be_bound(connection: &OwnedFd) {
    if let Err(error) = sockopt::set_socket_reuseaddr(connection, true) {
        tracing::debug!(%error, "a port may be taken for a minute after its release");
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

fn until(moment: Instant) -> Timespec {
    // A little later, so that whatever is due then has come due.
    let wait = moment.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    Timespec {
        tv_sec: wait.as_secs() as i64,
        tv_nsec: wait.subsec_nanos().into(),
    }
}
