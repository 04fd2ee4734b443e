//! Streams: TCP connections, each carried on by another one to the container.

use super::token::Token;
use super::{Ending, Origin, Shared};
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How many streams there can be; the files of all others are needed elsewhere, too.
const STREAMS: usize = 4096;
/// After how long a silent peer is asked whether it is still there, and how often then.
const SILENCE: Duration = Duration::from_secs(60);
const ASKING: Duration = Duration::from_secs(15);

/// All streams under way.
pub(super) struct Streams {
    shared: Arc<Shared>,
    streams: HashMap<u64, Stream>,
    next: u64,
}

struct Stream {
    origin: Origin,
    peer: End,
    container: End,
    /// Whether the container has not yet answered.
    connecting: bool,
}

/// One of the two connections of a stream.
struct End {
    socket: OwnedFd,
    token: Token,
    /// What is asked of the kernel; nothing means that it is not asked at all.
    watched: EventFlags,
    /// What came from the other end and could not be sent yet.
    unsent: Vec<u8>,
    /// Whether nothing more will come from it.
    ended: bool,
    /// Whether the end was passed on to it.
    told: bool,
}

impl Streams {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            streams: HashMap::new(),
            next: 0,
        }
    }

    /// Carries on a connection that a peer has made.
    pub(super) fn begin(&mut self, origin: Origin, peer: OwnedFd, target: SocketAddr) {
        if self.streams.len() >= STREAMS {
            tracing::warn!("a connection to a published port is turned away: too many relayed");
            reset(&peer);
            return;
        }
        let Ok(container) = connect(target) else {
            reset(&peer);
            return;
        };
        for socket in [&peer, &container] {
            // It is slower without, or lasts longer than its peer.
            let _refused = tune(socket);
        }
        let number = self.next;
        self.next += 1;
        let mut stream = Stream {
            origin,
            peer: End::new(peer, Token::Peer(number)),
            container: End::new(container, Token::Container(number)),
            connecting: true,
        };
        match stream.watch(&self.shared) {
            Ok(()) => {
                self.streams.insert(number, stream);
            }
            Err(_) => stream.reset(),
        }
    }

    /// Something happened at the peer's end.
    pub(super) fn peer_ready(&mut self, number: u64, flags: EventFlags, buffer: &mut [u8]) {
        self.ready(number, buffer, |stream, buffer| {
            let Stream {
                peer, container, ..
            } = stream;
            peer.carry(container, flags, buffer)
        });
    }

    /// Something happened at the container's end.
    pub(super) fn container_ready(&mut self, number: u64, flags: EventFlags, buffer: &mut [u8]) {
        self.ready(number, buffer, |stream, buffer| {
            if stream.connecting {
                sockopt::socket_error(&stream.container.socket)??;
                stream.connecting = false;
                return Ok(());
            }
            let Stream {
                peer, container, ..
            } = stream;
            container.carry(peer, flags, buffer)
        });
    }

    /// Ends these streams.
    pub(super) fn end(&mut self, endings: &[Ending]) {
        let ended = |_: &u64, stream: &mut Stream| {
            let mut endings = endings.iter();
            endings.any(|ending| ending.concerns(&stream.origin))
        };
        for (_, stream) in self.streams.extract_if(ended) {
            stream.reset();
        }
    }

    fn ready(
        &mut self,
        number: u64,
        buffer: &mut [u8],
        act: impl FnOnce(&mut Stream, &mut [u8]) -> Result<(), Errno>,
    ) {
        // The other end may have ended the stream after this event.
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let result = act(stream, buffer).and_then(|()| stream.watch(&self.shared));
        let done = stream.peer.told && stream.container.told;
        if (result.is_err() || done)
            && let Some(stream) = self.streams.remove(&number)
            && result.is_err()
        {
            stream.reset();
        }
    }
}

impl Stream {
    /// Asks the kernel for what can be done next, at both ends.
    fn watch(&mut self, shared: &Shared) -> Result<(), Errno> {
        let Self {
            peer,
            container,
            connecting,
            ..
        } = self;
        let mut peer_wants = peer.wants(container);
        let mut container_wants = container.wants(peer);
        if *connecting {
            (peer_wants, container_wants) = (EventFlags::empty(), EventFlags::OUT);
        }
        peer.watch(shared, peer_wants)?;
        container.watch(shared, container_wants)
    }

    /// Closes both ends so that they notice.
    fn reset(self) {
        reset(&self.peer.socket);
        reset(&self.container.socket);
    }
}

impl End {
    fn new(socket: OwnedFd, token: Token) -> Self {
        let watched = EventFlags::empty();
        Self {
            socket,
            token,
            watched,
            unsent: Vec::new(),
            ended: false,
            told: false,
        }
    }

    /// What to wait for: nothing is read from here as long as the other end has not sent all.
    fn wants(&self, other: &Self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, !self.ended && other.unsent.is_empty());
        flags.set(EventFlags::OUT, !self.unsent.is_empty());
        flags
    }

    /// Nothing to wait for is not watched at all: the kernel would still report a connection that
    /// is closed both ways, again and again.
    fn watch(&mut self, shared: &Shared, wants: EventFlags) -> Result<(), Errno> {
        if wants == self.watched {
            return Ok(());
        }
        let data = self.token.data();
        match (self.watched.is_empty(), wants.is_empty()) {
            (true, _) => epoll::add(&shared.epoll, &self.socket, data, wants)?,
            (false, true) => epoll::delete(&shared.epoll, &self.socket)?,
            (false, false) => epoll::modify(&shared.epoll, &self.socket, data, wants)?,
        }
        self.watched = wants;
        Ok(())
    }

    /// Does what an event at this end allows: sends what waits for it, and passes on what came.
    fn carry(
        &mut self,
        other: &mut Self,
        flags: EventFlags,
        buffer: &mut [u8],
    ) -> Result<(), Errno> {
        let closed = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if closed || flags.contains(EventFlags::OUT) {
            self.flush()?;
            self.tell_end_of(other)?;
        }
        if (closed || flags.contains(EventFlags::IN)) && !self.ended && other.unsent.is_empty() {
            match net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((_, 0)) => self.ended = true,
                Ok((_, length)) => other.send(&buffer[..length])?,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            other.tell_end_of(self)?;
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let sent = self.try_send(bytes)?;
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Errno> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let sent = self.try_send(&self.unsent)?;
        if sent == self.unsent.len() {
            // An idle stream holds no memory.
            self.unsent = Vec::new();
        } else {
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    fn try_send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            other => other,
        }
    }

    /// Passes on that the other end has ended, once everything from it has been sent.
    fn tell_end_of(&mut self, other: &Self) -> Result<(), Errno> {
        if other.ended && self.unsent.is_empty() && !self.told {
            net::shutdown(&self.socket, Shutdown::Write)?;
            self.told = true;
        }
        Ok(())
    }
}

fn connect(target: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    match net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Has a connection send at once, and notice a peer that vanished.
fn tune(socket: &OwnedFd) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_tcp_keepidle(socket, SILENCE)?;
    sockopt::set_tcp_keepintvl(socket, ASKING)?;
    sockopt::set_socket_keepalive(socket, true)
}

/// Makes closing a connection say that it broke.
fn reset(socket: &OwnedFd) {
    // Without it, the connection ends as if all had been said.
    let _refused = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
