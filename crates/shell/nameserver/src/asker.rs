//! Askers and lines: single sockets to an upstream, and the replies expected on them.

use crate::framed::Framed;
use crate::poller::Serial;
use crate::random::Random;
use crate::upstream::Upstream;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use sealane_core::dns::{Letters, Query, Reply, outgoing};
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, UdpSocket};
use std::time::Instant;

/// How many datagrams that are no replies to what was asked are read before the socket is given up:
/// an attacker that knows its port by then must not try all ids.
const MAX_STRAYS: u8 = 16;

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
    /// The question as it was written, which the reply must repeat.
    pub(crate) question: Vec<u8>,
    /// How it was written.
    pub(crate) letters: Letters,
    /// How often it was given up before, because of too many strays.
    pub(crate) sieges: u8,
}

/// What a datagram is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The reply to this query.
    Reply(Sent),
    /// The same in other letters than those that were sent.
    Folded(Sent),
    /// Neither.
    Stray,
    /// One stray too many.
    Siege,
}

/// A UDP socket for one query at a time, connected to the upstream: only it can reply, and we hear
/// of its absence. Connecting it anew gives it another source port, which is part of what a forger
/// must guess, and the source address that is right by then.
pub(crate) struct Asker {
    pub(crate) place: Place,
    /// For whom it asks.
    pub(crate) owner: SandboxId,
    pub(crate) socket: UdpSocket,
    pending: HashMap<u16, Sent>,
    strays: u8,
    /// When what is pending has failed, or it was left idle.
    pub(crate) until: Instant,
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
    pub(crate) fn new(socket: OwnedFd, place: Place, owner: SandboxId, now: Instant) -> Self {
        Self {
            place,
            owner,
            socket: UdpSocket::from(socket),
            pending: HashMap::new(),
            strays: 0,
            until: now,
        }
    }

    /// Takes another source port to ask this upstream from, chosen by the kernel at random.
    pub(crate) fn connect(&mut self, place: Place, owner: SandboxId) -> io::Result<()> {
        (self.place, self.owner, self.strays) = (place, owner, 0);
        Ok(rustix::net::connect(&self.socket, &place.upstream.address)?)
    }

    /// Gives its source port back, so that no datagram reaches it. `false` says that it cannot be used
    /// again: something came for the old port, and is still to be read.
    pub(crate) fn disconnect(&mut self) -> bool {
        let disconnected = rustix::net::connect_unspec(&self.socket).is_ok();
        let is_empty = |error: io::Error| error.kind() == ErrorKind::WouldBlock;
        disconnected && self.socket.recv(&mut [0]).is_err_and(is_empty)
    }

    /// Whether no reply is expected on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends a query under a new id.
    pub(crate) fn ask(
        &mut self,
        query: &Query<'_>,
        sent: Sent,
        random: &mut Random,
    ) -> io::Result<()> {
        let mut id = random.id();
        while self.pending.contains_key(&id) {
            id = random.id();
        }
        self.socket.send(&outgoing(query, id, &sent.question))?;
        self.pending.insert(id, sent);
        Ok(())
    }

    /// Sends once more what was sent for a race: the same datagram, so that there is not more to
    /// guess right.
    pub(crate) fn remind(&self, query: &Query<'_>, ticket: Serial) -> io::Result<()> {
        let mut pending = self.pending.iter();
        let Some((id, sent)) = pending.find(|(_, sent)| sent.ticket == ticket) else {
            return Ok(());
        };
        self.socket.send(&outgoing(query, *id, &sent.question))?;
        Ok(())
    }

    /// Takes the query that this is the reply to. Forgeries and strays leave everything as it is.
    pub(crate) fn take(&mut self, datagram: &[u8]) -> Taken {
        let reply = Reply::parse(datagram).ok();
        let asked = reply.and_then(|reply| {
            let sent = self.pending.get(&reply.id())?;
            let letters = sent.letters == Letters::Mixed && !reply.repeats(&sent.question);
            reply
                .answers(&sent.question)
                .then_some((reply.id(), letters))
        });
        let taken = asked.and_then(|(id, folded)| Some((self.pending.remove(&id)?, folded)));
        match taken {
            Some((sent, false)) => Taken::Reply(sent),
            Some((sent, true)) => Taken::Folded(sent),
            None => {
                self.strays += 1;
                match self.strays {
                    MAX_STRAYS => Taken::Siege,
                    _ => Taken::Stray,
                }
            }
        }
    }

    /// The queries that will have no reply on this socket.
    pub(crate) fn abandon(self) -> impl Iterator<Item = Sent> {
        self.pending.into_values()
    }
}

impl Line {
    /// Begins to connect; the query is sent when it is.
    pub(crate) fn connect(
        socket: OwnedFd,
        place: Place,
        query: &Query<'_>,
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
        framed.send(&outgoing(query, id, &sent.question))?;
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
