//! All sockets to upstreams: opened where they must be, changed often, closed when idle.
//!
//! What is heard on them waits in [`Askers::take_heard`].

use crate::asker::{Asker, Line, Place, Sent};
use crate::poller::{EventFlags, Kind, Serial};
use crate::random::Random;
use crate::timers::Timer;
use crate::upstream::OpenSocket;
use crate::{SocketKind, Tools, open_socket};
use rustix::fd::OwnedFd;
use sealane_core::dns::{Reply, Transport};
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// When a socket is closed: the last query on it has failed by then.
const LIFETIME: Duration = Duration::from_millis(14_500);
/// How many replies are read at one event.
const BATCH: usize = 64;

/// What became of a query that was sent.
pub(crate) struct Heard {
    pub(crate) place: Place,
    pub(crate) sent: Sent,
    /// The reply, which is one to what was asked; or why there will be none.
    pub(crate) reply: io::Result<Vec<u8>>,
}

/// The sockets to upstreams.
pub(crate) struct Askers {
    open: OpenSocket,
    random: Random,
    askers: HashMap<Serial, Asker>,
    /// The asker that is used for new queries, by where it leads.
    current: HashMap<Place, Serial>,
    lines: HashMap<Serial, Line>,
    heard: Vec<Heard>,
}

impl Askers {
    pub(crate) fn new(open: OpenSocket) -> Self {
        Self {
            open,
            random: Random::new(),
            askers: HashMap::new(),
            current: HashMap::new(),
            lines: HashMap::new(),
            heard: vec![],
        }
    }

    /// Sends a query to an upstream.
    pub(crate) fn ask(
        &mut self,
        place: Place,
        transport: Transport,
        query: &[u8],
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<()> {
        match transport {
            Transport::Udp => self.ask_datagram(place, query, sent, tools),
            Transport::Tcp => self.ask_line(place, query, sent, tools),
        }
    }

    /// What was heard since the last time, the latest last.
    pub(crate) fn take_heard(&mut self) -> Option<Heard> {
        self.heard.pop()
    }

    /// Reads the replies on a UDP socket.
    pub(crate) fn asker_ready(&mut self, serial: Serial, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Some(asker) = self.askers.get_mut(&serial) else {
                return;
            };
            match asker.socket.recv(buffer) {
                Ok(length) => self.hear(serial, &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.break_asker(serial, &error),
            }
        }
    }

    /// Sends the query or reads the reply on a TCP connection.
    pub(crate) fn line_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &Tools<'_>) {
        let Some(line) = self.lines.get_mut(&serial) else {
            return;
        };
        let progress = line
            .framed
            .flush()
            .and_then(|()| line.framed.receive(buffer));
        let ended = line.framed.has_ended();
        let reply = match progress.map(|messages| messages.into_iter().next()) {
            Ok(Some(message)) => {
                let fits = Reply::parse(&message).is_ok_and(|reply| line.expects(&reply));
                if fits {
                    Ok(message)
                } else {
                    Err(ErrorKind::InvalidData.into())
                }
            }
            Ok(None) if ended => Err(ErrorKind::UnexpectedEof.into()),
            Ok(None) => {
                let more = if line.framed.has_unsent() {
                    EventFlags::OUT
                } else {
                    EventFlags::IN
                };
                let stream = line.framed.stream();
                match tools.poller.modify(stream, Kind::Line, serial, more) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        if let Some(Line { place, sent, .. }) = self.lines.remove(&serial) {
            self.heard.push(Heard { place, sent, reply });
        }
    }

    /// Closes a socket that has had its time.
    pub(crate) fn asker_due(&mut self, serial: Serial) {
        self.askers.remove(&serial);
        self.current.retain(|_, current| *current != serial);
    }

    /// Closes the connections of a race that is over.
    pub(crate) fn drop_lines(&mut self, ticket: Serial) {
        self.lines.retain(|_, line| line.sent.ticket != ticket);
    }

    /// Closes the sockets in a sandbox's namespace.
    pub(crate) fn forget_sandbox(&mut self, sandbox: &SandboxId) {
        self.renew(sandbox);
        self.askers
            .retain(|_, asker| asker.place.sandbox != Some(*sandbox));
        self.lines
            .retain(|_, line| line.place.sandbox != Some(*sandbox));
    }

    /// Uses new sockets for a sandbox from now on: its addresses and routes may be others.
    pub(crate) fn renew(&mut self, sandbox: &SandboxId) {
        self.current
            .retain(|place, _| place.sandbox != Some(*sandbox));
    }

    fn ask_datagram(
        &mut self,
        place: Place,
        query: &[u8],
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<()> {
        let serial = self.asker(place, tools)?;
        let Some(asker) = self.askers.get_mut(&serial) else {
            return Ok(());
        };
        let Err(error) = asker.ask(query, sent.clone(), &mut self.random) else {
            return Ok(());
        };
        // The kernel may mean what was sent before, so a new socket has to say it again.
        self.break_asker(serial, &error);
        let serial = self.asker(place, tools)?;
        let Some(asker) = self.askers.get_mut(&serial) else {
            return Ok(());
        };
        asker.ask(query, sent, &mut self.random)
    }

    /// A socket to ask this upstream with.
    fn asker(&mut self, place: Place, tools: &mut Tools<'_>) -> io::Result<Serial> {
        let askers = &self.askers;
        let usable = |serial: &&Serial| {
            askers
                .get(serial)
                .is_some_and(|asker| asker.is_usable(tools.now))
        };
        if let Some(serial) = self.current.get(&place).filter(usable) {
            return Ok(*serial);
        }
        let asker = Asker::connect(self.socket(place, Transport::Udp)?, place, tools.now)?;
        let serial = tools.poller.serial();
        tools
            .poller
            .add(&asker.socket, Kind::Asker, serial, EventFlags::IN)?;
        tools.timers.set(tools.now + LIFETIME, Timer::Asker(serial));
        self.askers.insert(serial, asker);
        if let Some(old) = self.current.insert(place, serial) {
            self.close_if_idle(old);
        }
        Ok(serial)
    }

    fn ask_line(
        &mut self,
        place: Place,
        query: &[u8],
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<()> {
        let socket = self.socket(place, Transport::Tcp)?;
        let line = Line::connect(socket, place, query, sent, self.random.id())?;
        let serial = tools.poller.serial();
        tools
            .poller
            .add(line.framed.stream(), Kind::Line, serial, EventFlags::OUT)?;
        self.lines.insert(serial, line);
        Ok(())
    }

    fn socket(&self, place: Place, transport: Transport) -> io::Result<OwnedFd> {
        let stream = transport == Transport::Tcp;
        let kind = SocketKind {
            ipv6: place.upstream.address.is_ipv6(),
            stream,
        };
        match place.sandbox {
            Some(sandbox) => (self.open)(&sandbox, kind),
            None => open_socket(kind),
        }
    }

    fn hear(&mut self, serial: Serial, bytes: &[u8]) {
        let Some(asker) = self.askers.get_mut(&serial) else {
            return;
        };
        let Ok(reply) = Reply::parse(bytes) else {
            return;
        };
        let Some(sent) = asker.take(&reply) else {
            return;
        };
        let place = asker.place;
        self.heard.push(Heard {
            place,
            sent,
            reply: Ok(bytes.to_vec()),
        });
        if self.current.get(&place) != Some(&serial) {
            self.close_if_idle(serial);
        }
    }

    fn break_asker(&mut self, serial: Serial, error: &io::Error) {
        let Some(asker) = self.askers.remove(&serial) else {
            return;
        };
        self.current.retain(|_, current| *current != serial);
        let place = asker.place;
        let failed = |sent| Heard {
            place,
            sent,
            reply: Err(error.kind().into()),
        };
        self.heard.extend(asker.abandon().map(failed));
    }

    fn close_if_idle(&mut self, serial: Serial) {
        if self.askers.get(&serial).is_some_and(Asker::is_idle) {
            self.askers.remove(&serial);
        }
    }
}
