//! Askers and lines: single sockets to an upstream, and the replies expected on them.

use crate::framed::Framed;
use crate::poller::Serial;
use crate::random::Random;
use crate::upstream::Upstream;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use sealane_core::dns::Reply;
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long a socket is used for new queries. Another socket has another source port, which is
/// part of what a forger must guess, and the source address that is right by then.
const IN_USE: Duration = Duration::from_secs(10);
/// How many queries go out by one socket,
const MAX_ASKED: u32 = 1_024;
/// and how many of them may be without reply, so that a free id is found quickly.
const MAX_PENDING: usize = 1_024;

/// An upstream, and from where it is asked: `None` is the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) sandbox: Option<SandboxId>,
    pub(crate) upstream: Upstream,
}

/// A query that was sent: what its reply is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The race it is part of.
    pub(crate) ticket: Serial,
    /// The upstream's place in that race.
    pub(crate) upstream: usize,
    /// The question, which the reply must repeat.
    pub(crate) question: Vec<u8>,
}

/// A UDP socket, connected to one upstream: only it can reply, and we hear of its absence.
pub(crate) struct Asker {
    pub(crate) place: Place,
    pub(crate) socket: UdpSocket,
    pending: HashMap<u16, Sent>,
    asked: u32,
    since: Instant,
}

/// A TCP connection to an upstream, for one query.
pub(crate) struct Line {
    pub(crate) place: Place,
    pub(crate) framed: Framed,
    pub(crate) sent: Sent,
    id: u16,
}

impl Place {
    /// How a sandbox reaches an upstream.
    pub(crate) fn new(sandbox: SandboxId, upstream: Upstream) -> Self {
        Self {
            sandbox: (!upstream.from_host).then_some(sandbox),
            upstream,
        }
    }
}

impl Asker {
    /// `socket` is a new one, in the right namespace.
    pub(crate) fn connect(socket: OwnedFd, place: Place, now: Instant) -> io::Result<Self> {
        rustix::net::connect(&socket, &place.upstream.address)?;
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self {
            place,
            socket,
            pending: HashMap::new(),
            asked: 0,
            since: now,
        })
    }

    /// Whether it may be used for another query.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        now < self.since + IN_USE && self.asked < MAX_ASKED && self.pending.len() < MAX_PENDING
    }

    /// Whether no reply is expected on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends a query under a new id.
    pub(crate) fn ask(&mut self, query: &[u8], sent: Sent, random: &mut Random) -> io::Result<()> {
        let mut id = random.id();
        while self.pending.contains_key(&id) {
            id = random.id();
        }
        self.socket.send(&with_id(query, id))?;
        self.asked += 1;
        self.pending.insert(id, sent);
        Ok(())
    }

    /// Takes the query that this is the reply to. Forgeries and strays leave everything as it is.
    pub(crate) fn take(&mut self, reply: &Reply<'_>) -> Option<Sent> {
        self.pending
            .get(&reply.id())
            .filter(|sent| reply.answers(&sent.question))?;
        self.pending.remove(&reply.id())
    }

    /// The queries that will have no reply because the socket failed.
    pub(crate) fn abandon(self) -> impl Iterator<Item = Sent> {
        self.pending.into_values()
    }
}

impl Line {
    /// Begins to connect; the query is sent when it is.
    pub(crate) fn connect(
        socket: OwnedFd,
        place: Place,
        query: &[u8],
        sent: Sent,
        id: u16,
    ) -> io::Result<Self> {
        match rustix::net::connect(&socket, &place.upstream.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        let mut framed = Framed::new(stream);
        framed.send(&with_id(query, id))?;
        Ok(Self {
            place,
            framed,
            sent,
            id,
        })
    }

    /// Whether this is the reply to what was asked.
    pub(crate) fn expects(&self, reply: &Reply<'_>) -> bool {
        reply.id() == self.id && reply.answers(&self.sent.question)
    }
}

/// The message under another id. `message` must have a header.
pub(crate) fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut message = message.to_vec();
    message[..2].copy_from_slice(&id.to_be_bytes());
    message
}
