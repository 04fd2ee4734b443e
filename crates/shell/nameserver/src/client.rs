//! Clients: the TCP connections from within sandboxes.

use crate::framed::Framed;
use crate::poller::{EventFlags, Kind, Poller, Serial};
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a connection may do nothing whole: bytes that drip do not count.
const IDLE: Duration = Duration::from_secs(10);
/// The same before its first query.
const SILENT: Duration = Duration::from_secs(3);

/// A client's connection.
pub(crate) struct Client {
    framed: Framed,
    /// The resolver it talks to.
    pub(crate) resolver: Serial,
    /// Queries that are being relayed.
    relayed: usize,
    active: Instant,
    /// Whether it has asked anything yet.
    has_asked: bool,
    interest: EventFlags,
}

impl Client {
    /// Takes over a new connection.
    pub(crate) fn accept(stream: TcpStream, resolver: Serial, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Replies are whole when they are sent; holding them back gains nothing.
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream);
        Ok(Self {
            framed,
            resolver,
            relayed: 0,
            active: now,
            has_asked: false,
            interest: EventFlags::IN,
        })
    }

    /// Has the poller watch it.
    pub(crate) fn register(&self, serial: Serial, poller: &Poller) -> io::Result<()> {
        poller.add(self.framed.stream(), Kind::Client, serial, self.interest)
    }

    /// Sends what waits and reads what came; returns the queries that are now whole.
    pub(crate) fn progress(
        &mut self,
        flags: EventFlags,
        buffer: &mut [u8],
        now: Instant,
    ) -> io::Result<Vec<Vec<u8>>> {
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.framed.flush()?;
        if !flags.contains(EventFlags::IN) {
            return Ok(vec![]);
        }
        let queries = self.framed.receive(buffer)?;
        if !queries.is_empty() {
            self.active = now;
            self.has_asked = true;
        }
        Ok(queries)
    }

    /// Sends a reply.
    pub(crate) fn reply(&mut self, reply: &[u8], now: Instant) -> io::Result<()> {
        self.active = now;
        self.framed.send(reply)
    }

    /// A query of its is being relayed.
    pub(crate) fn relaying(&mut self) {
        self.relayed += 1;
    }

    /// The reply to a relayed query has come.
    pub(crate) fn relayed(&mut self) {
        self.relayed = self.relayed.saturating_sub(1);
    }

    /// When it has been idle for too long, if nothing happens before.
    pub(crate) fn deadline(&self) -> Instant {
        self.active + if self.has_asked { IDLE } else { SILENT }
    }

    /// Whether it has been idle for too long. A client whose query is being relayed is not idle.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.relayed == 0 && now >= self.deadline()
    }

    /// Whether it has not asked anything yet.
    pub(crate) fn is_silent(&self) -> bool {
        !self.has_asked
    }

    /// What it is worth when room has to be made: a connection that waits for a reply more than one
    /// that has asked, that more than one that has said nothing; among equals, the one that was
    /// active last.
    pub(crate) fn worth(&self) -> (bool, bool, Instant) {
        (self.relayed > 0, self.has_asked, self.active)
    }

    /// Has the poller watch for what can happen next. `false` says that nothing can: the client
    /// has ended and has all its replies.
    pub(crate) fn watch_on(&mut self, serial: Serial, poller: &Poller) -> io::Result<bool> {
        let ended = self.framed.has_ended();
        if ended && self.relayed == 0 && !self.framed.has_unsent() {
            return Ok(false);
        }
        let reading = if ended {
            EventFlags::empty()
        } else {
            EventFlags::IN
        };
        let writing = if self.framed.has_unsent() {
            EventFlags::OUT
        } else {
            EventFlags::empty()
        };
        if self.interest != reading | writing {
            self.interest = reading | writing;
            poller.modify(self.framed.stream(), Kind::Client, serial, self.interest)?;
        }
        Ok(true)
    }
}
