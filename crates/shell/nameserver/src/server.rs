//! The server: the one thread, and the loop it runs.
//!
//! Whatever happens is handled to its end before the next thing, and nothing in here waits but
//! [`Poller::wait`]. Start at [`Server::run`].

use crate::client::Client;
use crate::nameserver::{Command, Shared};
use crate::poller::{EventFlags, Kind, Poller, Ready, Serial};
use crate::random::Random;
use crate::relay::{Relay, ReplyTo};
use crate::resolver::Resolver;
use crate::timers::{Timer, Timers};
use crate::upstream::OpenSocket;
use crate::{SandboxSockets, Tools, Upstream, UpstreamConfig};
use sealane_core::dns::{CacheScope, Outcome, Transport, answer};
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Instant;

mod streams;

/// How many datagrams or connections are taken at one event, so that one sandbox cannot keep the
/// others waiting.
const BATCH: usize = 64;
/// The largest message there is.
const MAX_MESSAGE: usize = 65_535;

/// The loop's own state; no other thread sees it.
pub(crate) struct Server {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    poller: Poller,
    timers: Timers,
    relay: Relay,
    resolvers: HashMap<Serial, Resolver>,
    by_sandbox: HashMap<SandboxId, Serial>,
    clients: HashMap<Serial, Client>,
    host: Vec<Upstream>,
    random: Random,
    buffer: Vec<u8>,
    stopped: bool,
}

impl Server {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: Receiver<Command>,
        open: OpenSocket,
    ) -> io::Result<Self> {
        let mut poller = Poller::new()?;
        let serial = poller.serial();
        poller.add(&shared.wake, Kind::Wake, serial, EventFlags::IN)?;
        Ok(Self {
            shared,
            commands,
            poller,
            timers: Timers::default(),
            relay: Relay::new(open),
            resolvers: HashMap::new(),
            by_sandbox: HashMap::new(),
            clients: HashMap::new(),
            host: vec![],
            random: Random::new(),
            buffer: vec![0; MAX_MESSAGE],
            stopped: false,
        })
    }

    /// Serves until it is stopped.
    pub(crate) fn run(mut self) {
        let mut ready = vec![];
        while !self.stopped {
            let limit = self.timers.until_next(Instant::now());
            if let Err(error) = self.poller.wait(limit, &mut ready) {
                tracing::error!(%error, "the name server cannot wait for queries and ends");
                return;
            }
            for event in ready.drain(..) {
                self.guarded(|server| server.handle(event));
            }
            while let Some(timer) = self.timers.take_due(Instant::now()) {
                self.guarded(|server| server.fire(timer));
            }
        }
    }

    /// Whatever goes wrong with one event, the next one is handled.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("the name server dropped an event; please report the panic above");
        }
        self.deliver();
    }

    fn handle(&mut self, event: Ready) {
        let Ready {
            kind,
            serial,
            flags,
        } = event;
        match kind {
            Kind::Wake => self.obey(),
            Kind::Datagrams => self.read_datagrams(serial),
            Kind::Listener => self.accept(serial),
            Kind::Client => self.serve_client(serial, flags),
            Kind::Asker => self.with_relay(|relay, buffer, tools| {
                relay.asker_ready(serial, buffer, tools);
            }),
            Kind::Line => self.with_relay(|relay, buffer, tools| {
                relay.line_ready(serial, buffer, tools);
            }),
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Race(serial) => self.with_relay(|relay, _, tools| relay.race_due(serial, tools)),
            Timer::Asker(serial) => {
                self.with_relay(|relay, _, tools| relay.asker_due(serial, tools));
            }
            Timer::Client(serial) => self.check_idle(serial),
            Timer::Listener(serial) => self.watch_listener(serial, EventFlags::IN),
        }
    }

    fn with_relay(&mut self, work: impl FnOnce(&mut Relay, &mut [u8], &mut Tools<'_>)) {
        let now = Instant::now();
        let mut tools = Tools {
            poller: &mut self.poller,
            timers: &mut self.timers,
            now,
        };
        work(&mut self.relay, &mut self.buffer, &mut tools);
    }

    /// Does what the handle told. Each command is guarded by itself: the next one is not announced
    /// again.
    fn obey(&mut self) {
        self.shared.clear_wake();
        while let Ok(command) = self.commands.try_recv() {
            self.guarded(|server| server.execute(command));
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Add {
                sandbox,
                sockets,
                view,
                upstreams,
            } => {
                self.remove(&sandbox);
                self.add(Resolver {
                    sandbox,
                    sockets,
                    view,
                    upstreams,
                });
            }
            Command::Upstreams(sandbox, upstreams) => self.set_upstreams(&sandbox, upstreams),
            Command::Remove(sandbox) => self.remove(&sandbox),
            Command::Host(upstreams) => self.set_host(upstreams),
            Command::Stop => self.stopped = true,
            #[cfg(test)]
            Command::Panic => panic!("asked for by a test"),
        }
    }

    fn add(&mut self, resolver: Resolver) {
        let serial = self.poller.serial();
        let SandboxSockets { udp, tcp } = &resolver.sockets;
        let watched = (self
            .poller
            .add(udp, Kind::Datagrams, serial, EventFlags::IN))
        .and_then(|()| self.poller.add(tcp, Kind::Listener, serial, EventFlags::IN));
        if let Err(error) = watched {
            let sandbox = resolver.sandbox.short(12);
            tracing::error!(sandbox, %error, "a sandbox has no resolver: too many sockets");
            return;
        }
        self.by_sandbox.insert(resolver.sandbox, serial);
        self.resolvers.insert(serial, resolver);
    }

    fn remove(&mut self, sandbox: &SandboxId) {
        let Some(serial) = self.by_sandbox.remove(sandbox) else {
            return;
        };
        self.resolvers.remove(&serial);
        self.clients.retain(|_, client| client.resolver != serial);
        self.with_relay(|relay, _, tools| relay.forget_sandbox(sandbox, tools));
    }

    fn set_upstreams(&mut self, sandbox: &SandboxId, upstreams: UpstreamConfig) {
        let serial = self.by_sandbox.get(sandbox);
        let Some(resolver) = serial.and_then(|serial| self.resolvers.get_mut(serial)) else {
            return;
        };
        if resolver.upstreams != upstreams {
            resolver.upstreams = upstreams;
            self.relay.forget_upstreams(CacheScope::Sandbox(*sandbox));
        }
    }

    fn set_host(&mut self, upstreams: Vec<Upstream>) {
        if self.host != upstreams {
            self.host = upstreams;
            self.relay.forget_upstreams(CacheScope::Host);
        }
    }

    fn read_datagrams(&mut self, serial: Serial) {
        let Some(resolver) = self.resolvers.get(&serial) else {
            return;
        };
        for _ in 0..BATCH {
            let (length, client) = match resolver.sockets.udp.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "a datagram cannot be received");
                    return;
                }
            };
            self.shared.queries.fetch_add(1, Ordering::Relaxed);
            // Looked at now and not earlier: who changed a zone or a view and then asks, sees it.
            let (view, zones) = (resolver.view.load(), self.shared.zones.load());
            let query = &self.buffer[..length];
            match answer(query, Transport::Udp, &view, &zones, self.random.seed()) {
                Outcome::Reply(reply) => resolver.send_datagram(&reply, client),
                Outcome::Drop => {}
                Outcome::Forward(query) => {
                    let reply_to = ReplyTo::Datagram(serial, client);
                    let request = resolver.request(reply_to, query, &view, &self.host);
                    let (poller, timers) = (&mut self.poller, &mut self.timers);
                    let mut tools = Tools {
                        poller,
                        timers,
                        now: Instant::now(),
                    };
                    self.relay.submit(request, &mut tools);
                }
            }
        }
    }

    /// Sends what the relay has for clients.
    fn deliver(&mut self) {
        while let Some((reply_to, reply)) = self.relay.take_delivery() {
            match reply_to {
                ReplyTo::Datagram(serial, client) => {
                    if let Some(resolver) = self.resolvers.get(&serial) {
                        resolver.send_datagram(&reply, client);
                    }
                }
                ReplyTo::Stream(serial) => {
                    let Some(client) = self.clients.get_mut(&serial) else {
                        continue;
                    };
                    client.relayed();
                    let sent = client.reply(&reply, Instant::now());
                    self.keep_or_close(serial, sent);
                }
            }
        }
    }
}
