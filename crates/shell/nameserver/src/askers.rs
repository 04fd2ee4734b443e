//! All sockets to upstreams: opened where they must be, each used for one query at a time.
//!
//! A socket that has its reply is put by and takes another port for the next query: opening one in
//! a sandbox's namespace costs a thread. What is heard waits in [`Askers::take_heard`].

use crate::asker::{Asker, Line, Place, Sent, Taken};
use crate::poller::{EventFlags, Kind, Serial};
use crate::random::Random;
use crate::timers::Timer;
use crate::upstream::OpenSocket;
use crate::{SocketKind, Tools, open_socket};
use rustix::fd::OwnedFd;
use rustix::process::{Resource, getrlimit};
use sealane_core::dns::{Query, Reply, Transport};
use sealane_core::model::{IpFamily, SandboxId};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// When a query has failed for good: a late reply still says that the upstream is there.
const LIFETIME: Duration = Duration::from_secs(5);
/// How long a socket is put by.
const PUT_BY: Duration = Duration::from_secs(10);
/// How many sockets of one kind are put by, on the host and in a sandbox.
const MAX_IDLE: (usize, usize) = (64, 4);
/// From how many ports one sandbox asks one upstream at a time. Further queries share them: who
/// asks for so much at once makes forging easier only for itself.
const MAX_BUSY: usize = 256;
/// The part of the descriptors a process may have that is for asking by UDP.
const SHARE: u64 = 4;
/// How many replies are read at one event.
const BATCH: usize = 64;

/// What became of a query that was sent.
pub(crate) struct Heard {
    pub(crate) place: Place,
    pub(crate) sent: Sent,
    pub(crate) said: Said,
}

/// What was heard on a socket to an upstream.
pub(crate) enum Said {
    /// The reply to what was asked.
    Reply(Vec<u8>),
    /// The reply in other letters than those that were sent.
    Folded,
    /// Too much else: an attacker knows the port, and it is given up.
    Besieged,
    /// There will be no reply.
    Nothing(io::Error),
}

/// Where sockets of one kind are: in a sandbox's namespace, or on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Home {
    sandbox: Option<SandboxId>,
    family: IpFamily,
}

/// The sockets to upstreams.
pub(crate) struct Askers {
    open: OpenSocket,
    random: Random,
    askers: HashMap<Serial, Asker>,
    /// Those that are put by.
    idle: HashMap<Home, Vec<Serial>>,
    /// Those that wait for a reply, by who asks whom.
    busy: HashMap<(SandboxId, Place), Vec<Serial>>,
    most: usize,
    lines: HashMap<Serial, Line>,
    heard: Vec<Heard>,
}

impl Home {
    fn of(place: Place) -> Self {
        Self {
            sandbox: place.sandbox,
            family: place.upstream.family(),
        }
    }

    fn most_idle(self) -> usize {
        match self.sandbox {
            None => MAX_IDLE.0,
            Some(_) => MAX_IDLE.1,
        }
    }
}

impl Askers {
    pub(crate) fn new(open: OpenSocket) -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self {
            open,
            random: Random::new(),
            askers: HashMap::new(),
            idle: HashMap::new(),
            busy: HashMap::new(),
            most: usize::try_from(files / SHARE).unwrap_or(usize::MAX),
            lines: HashMap::new(),
            heard: vec![],
        }
    }

    /// Random numbers that decide about letters.
    pub(crate) fn coins(&mut self) -> [u8; 32] {
        self.random.bytes()
    }

    /// Sends a query to an upstream, for a sandbox, and says by which socket.
    pub(crate) fn ask(
        &mut self,
        (owner, place): (SandboxId, Place),
        transport: Transport,
        query: &Query<'_>,
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<Serial> {
        match transport {
            Transport::Udp => self.ask_datagram((owner, place), query, sent, tools),
            Transport::Tcp => self.ask_line(place, query, sent, tools),
        }
    }

    /// Sends once more what was sent by this socket for a race.
    pub(crate) fn remind(&self, socket: Serial, query: &Query<'_>, ticket: Serial) {
        let reminded = self.askers.get(&socket).map(|a| a.remind(query, ticket));
        if let Some(Err(error)) = reminded {
            tracing::debug!(%error, "a query cannot be sent again");
        }
    }

    /// What was heard since the last time, the latest last.
    pub(crate) fn take_heard(&mut self) -> Option<Heard> {
        self.heard.pop()
    }

    /// Reads the replies on a UDP socket.
    pub(crate) fn asker_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &Tools<'_>) {
        for _ in 0..BATCH {
            let Some(asker) = self.askers.get_mut(&serial).filter(|a| !a.is_idle()) else {
                return;
            };
            match asker.socket.recv(buffer) {
                Ok(length) => self.hear(serial, &buffer[..length], tools),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    return self.break_asker(serial, || Said::Nothing(error.kind().into()));
                }
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
            let said = reply.map_or_else(Said::Nothing, Said::Reply);
            self.heard.push(Heard { place, sent, said });
        }
    }

    /// Looks after a socket whose time may have come: one that was put by for long is closed, one
    /// that waits in vain is free again.
    pub(crate) fn asker_due(&mut self, serial: Serial, tools: &mut Tools<'_>) {
        let Some(asker) = self.askers.get(&serial) else {
            return;
        };
        if tools.now < asker.until {
            tools.timers.set(asker.until, Timer::Asker(serial));
        } else {
            self.close(serial);
        }
    }

    /// Closes the connections of a race that is over.
    pub(crate) fn drop_lines(&mut self, ticket: Serial) {
        self.lines.retain(|_, line| line.sent.ticket != ticket);
    }

    /// Closes the sockets in a sandbox's namespace.
    pub(crate) fn forget_sandbox(&mut self, sandbox: &SandboxId) {
        let inside = |asker: &Asker| asker.place.sandbox == Some(*sandbox);
        self.askers.retain(|_, asker| !inside(asker));
        self.idle.retain(|home, _| home.sandbox != Some(*sandbox));
        self.busy
            .retain(|(_, place), _| place.sandbox != Some(*sandbox));
        self.lines
            .retain(|_, line| line.place.sandbox != Some(*sandbox));
    }

    fn ask_datagram(
        &mut self,
        by: (SandboxId, Place),
        query: &Query<'_>,
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<Serial> {
        let serial = self.asker(by, tools)?;
        let Some(asker) = self.askers.get_mut(&serial) else {
            return Err(ErrorKind::NotFound.into());
        };
        asker.until = tools.now + LIFETIME;
        if let Err(error) = asker.ask(query, sent, &mut self.random) {
            self.break_asker(serial, || Said::Nothing(error.kind().into()));
            return Err(error);
        }
        Ok(serial)
    }

    /// A socket to ask an upstream with: a fresh port, or if there are too many, one of the own.
    fn asker(&mut self, by: (SandboxId, Place), tools: &mut Tools<'_>) -> io::Result<Serial> {
        let busy = self.busy.get(&by).map_or(0, Vec::len);
        let full = busy >= MAX_BUSY || self.askers.len() >= self.most;
        let fresh = match full && busy > 0 {
            true => Err(ErrorKind::QuotaExceeded.into()),
            false => self.fresh_asker(by, tools),
        };
        match fresh {
            Ok(serial) => {
                self.busy.entry(by).or_default().push(serial);
                Ok(serial)
            }
            Err(error) => {
                let own = self
                    .busy
                    .get(&by)
                    .filter(|own| !own.is_empty())
                    .ok_or(error)?;
                Ok(own[usize::from(self.random.id()) % own.len()])
            }
        }
    }

    fn fresh_asker(
        &mut self,
        (owner, place): (SandboxId, Place),
        tools: &mut Tools<'_>,
    ) -> io::Result<Serial> {
        let idle = self.idle.get_mut(&Home::of(place)).and_then(Vec::pop);
        let serial = match idle.filter(|serial| self.askers.contains_key(serial)) {
            Some(serial) => serial,
            None => self.open_asker((owner, place), tools)?,
        };
        let connected = match self.askers.get_mut(&serial) {
            Some(asker) => asker.connect(place, owner),
            None => Err(ErrorKind::NotFound.into()),
        };
        if connected.is_err() {
            self.askers.remove(&serial);
        }
        connected.map(|()| serial)
    }

    fn open_asker(
        &mut self,
        (owner, place): (SandboxId, Place),
        tools: &mut Tools<'_>,
    ) -> io::Result<Serial> {
        let socket = self.socket(place, Transport::Udp)?;
        let asker = Asker::new(socket, place, owner, tools.now);
        asker.socket.set_nonblocking(true)?;
        let serial = tools.poller.serial();
        tools
            .poller
            .add(&asker.socket, Kind::Asker, serial, EventFlags::IN)?;
        tools.timers.set(tools.now + LIFETIME, Timer::Asker(serial));
        self.askers.insert(serial, asker);
        Ok(serial)
    }

    fn ask_line(
        &mut self,
        place: Place,
        query: &Query<'_>,
        sent: Sent,
        tools: &mut Tools<'_>,
    ) -> io::Result<Serial> {
        let socket = self.socket(place, Transport::Tcp)?;
        let line = Line::connect(socket, place, query, sent, self.random.id())?;
        let serial = tools.poller.serial();
        tools
            .poller
            .add(line.framed.stream(), Kind::Line, serial, EventFlags::OUT)?;
        self.lines.insert(serial, line);
        Ok(serial)
    }

    fn socket(&self, place: Place, transport: Transport) -> io::Result<OwnedFd> {
        let stream = transport == Transport::Tcp;
        let kind = SocketKind {
            family: place.upstream.family(),
            stream,
        };
        match place.sandbox {
            Some(sandbox) => (self.open)(&sandbox, kind),
            None => open_socket(kind),
        }
    }

    fn hear(&mut self, serial: Serial, bytes: &[u8], tools: &Tools<'_>) {
        let Some(asker) = self.askers.get_mut(&serial) else {
            return;
        };
        let (sent, said) = match asker.take(bytes) {
            Taken::Stray => return,
            Taken::Siege => return self.break_asker(serial, || Said::Besieged),
            Taken::Reply(sent) => (sent, Said::Reply(bytes.to_vec())),
            Taken::Folded(sent) => (sent, Said::Folded),
        };
        let place = asker.place;
        if asker.is_idle() {
            asker.until = tools.now + PUT_BY;
            self.put_by(serial);
        }
        self.heard.push(Heard { place, sent, said });
    }

    /// Gives up the port of a socket that nothing is expected on, and keeps the socket.
    fn put_by(&mut self, serial: Serial) {
        self.no_longer_busy(serial);
        let Some(asker) = self.askers.get_mut(&serial) else {
            return;
        };
        let home = Home::of(asker.place);
        let idle = self.idle.entry(home).or_default();
        if idle.len() < home.most_idle() && asker.disconnect() {
            idle.push(serial);
        } else {
            self.askers.remove(&serial);
        }
    }

    fn no_longer_busy(&mut self, serial: Serial) {
        let Some(asker) = self.askers.get(&serial) else {
            return;
        };
        let by = (asker.owner, asker.place);
        if let Some(busy) = self.busy.get_mut(&by) {
            if let Some(at) = busy.iter().position(|other| *other == serial) {
                busy.swap_remove(at);
            }
            if busy.is_empty() {
                self.busy.remove(&by);
            }
        }
    }

    fn close(&mut self, serial: Serial) {
        self.no_longer_busy(serial);
        if let Some(asker) = self.askers.remove(&serial) {
            let home = Home::of(asker.place);
            if let Some(idle) = self.idle.get_mut(&home) {
                idle.retain(|other| *other != serial);
                if idle.is_empty() {
                    self.idle.remove(&home);
                }
            }
        }
    }

    /// Closes a socket before its queries were answered.
    fn break_asker(&mut self, serial: Serial, said: impl Fn() -> Said) {
        self.no_longer_busy(serial);
        let Some(asker) = self.askers.remove(&serial) else {
            return;
        };
        let place = asker.place;
        let broken = |sent| Heard {
            place,
            sent,
            said: said(),
        };
        self.heard.extend(asker.abandon().map(broken));
    }
}
