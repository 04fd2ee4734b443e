//! The server: the one thread, and the loop it runs.
//!
//! Whatever happens is handled to its end before the next thing, and nothing in here waits but
//! [`Poller::wait`]. Start at [`Server::run`].

use crate::client::Client;
use crate::nameserver::{Command, Shared};
use crate::poller::{EventFlags, Kind, Poller, Ready, Serial};
use crate::random::Random;
use crate::relay::{Relay, ReplyTo, Request};
use crate::timers::{Timer, Timers};
use crate::upstream::OpenSocket;
use crate::{SandboxSockets, Tools, Upstream, UpstreamConfig};
use arc_swap::ArcSwap;
use sealane_core::dns::{CacheScope, Forwarding, Outcome, Transport, View, answer};
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How many datagrams or connections are taken at one event, so that one sandbox cannot keep the
/// others waiting.
const BATCH: usize = 64;
/// How many connections one sandbox may have; the one idle for longest makes room.
const MAX_CLIENTS: usize = 64;
/// How long a listener rests when there are no descriptors left for another connection.
const REST: Duration = Duration::from_secs(1);
/// How many upstreams are asked.
const MAX_UPSTREAMS: usize = 3;
/// The largest message there is.
const MAX_MESSAGE: usize = 65_535;

/// The resolver of one sandbox.
struct Resolver {
    sandbox: SandboxId,
    sockets: SandboxSockets,
    view: Arc<ArcSwap<View>>,
    upstreams: UpstreamConfig,
}

/// The loop's own state; nobody else sees it.
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

    /// Serves until it is told to stop.
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
            Timer::Asker(serial) => self.relay.asker_due(serial),
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
            Command::Viewed(sandbox) => self.relay.renew_sockets(&sandbox),
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
        self.relay.forget_sandbox(sandbox);
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
            // Looked at now and not earlier: who changed a zone or a view and then asks, sees it.
            let (view, zones) = (resolver.view.load(), self.shared.zones.load());
            let query = &self.buffer[..length];
            match answer(query, Transport::Udp, &view, &zones, self.random.seed()) {
                Outcome::Reply(reply) => send_datagram(resolver, &reply, client),
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

    fn accept(&mut self, serial: Serial) {
        for _ in 0..BATCH {
            let Some(resolver) = self.resolvers.get(&serial) else {
                return;
            };
            match resolver.sockets.tcp.accept() {
                Ok((stream, _)) => self.welcome(stream, serial),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return self.rest(serial, &error),
            }
        }
    }

    /// Leaves the connections that cannot be taken where they are, for a while.
    fn rest(&mut self, serial: Serial, error: &io::Error) {
        tracing::warn!(%error, "a resolver takes no connections for a second");
        self.watch_listener(serial, EventFlags::empty());
        self.timers
            .set(Instant::now() + REST, Timer::Listener(serial));
    }

    fn welcome(&mut self, stream: std::net::TcpStream, resolver: Serial) {
        let of_sandbox = || {
            self.clients
                .iter()
                .filter(|(_, client)| client.resolver == resolver)
        };
        if of_sandbox().count() >= MAX_CLIENTS {
            let oldest = of_sandbox().min_by_key(|(_, client)| client.last_active());
            if let Some(oldest) = oldest.map(|(serial, _)| *serial) {
                self.clients.remove(&oldest);
            }
        }
        let serial = self.poller.serial();
        let client = Client::accept(stream, resolver, Instant::now())
            .and_then(|client| client.register(serial, &self.poller).map(|()| client));
        match client {
            Ok(client) => {
                self.timers.set(client.deadline(), Timer::Client(serial));
                self.clients.insert(serial, client);
            }
            Err(error) => tracing::debug!(%error, "a connection cannot be taken"),
        }
    }

    fn watch_listener(&mut self, serial: Serial, interest: EventFlags) {
        let Some(resolver) = self.resolvers.get(&serial) else {
            return;
        };
        let listener = &resolver.sockets.tcp;
        if let Err(error) = self
            .poller
            .modify(listener, Kind::Listener, serial, interest)
        {
            tracing::error!(%error, "a resolver takes no more connections");
        }
    }

    fn check_idle(&mut self, serial: Serial) {
        let now = Instant::now();
        let Some(client) = self.clients.get(&serial) else {
            return;
        };
        if client.is_idle(now) {
            self.clients.remove(&serial);
        } else {
            // A deadline in the past is that of a client whose query is still being relayed.
            let again = client.deadline().max(now + REST);
            self.timers.set(again, Timer::Client(serial));
        }
    }

    fn serve_client(&mut self, serial: Serial, flags: EventFlags) {
        let Some(client) = self.clients.get_mut(&serial) else {
            return;
        };
        let served = match client.progress(flags, &mut self.buffer, Instant::now()) {
            Ok(queries) => queries
                .iter()
                .try_for_each(|query| self.serve_query(serial, query)),
            Err(error) => Err(error),
        };
        self.keep_or_close(serial, served);
    }

    fn serve_query(&mut self, serial: Serial, query: &[u8]) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&serial) else {
            return Ok(());
        };
        let Some(resolver) = self.resolvers.get(&client.resolver) else {
            return Ok(());
        };
        let (view, zones) = (resolver.view.load(), self.shared.zones.load());
        match answer(query, Transport::Tcp, &view, &zones, self.random.seed()) {
            Outcome::Reply(reply) => client.reply(&reply, Instant::now()),
            Outcome::Drop => Ok(()),
            Outcome::Forward(query) => {
                client.relaying();
                let request = resolver.request(ReplyTo::Stream(serial), query, &view, &self.host);
                let (poller, timers) = (&mut self.poller, &mut self.timers);
                let mut tools = Tools {
                    poller,
                    timers,
                    now: Instant::now(),
                };
                self.relay.submit(request, &mut tools);
                Ok(())
            }
        }
    }

    fn keep_or_close(&mut self, serial: Serial, served: io::Result<()>) {
        let Some(client) = self.clients.get_mut(&serial) else {
            return;
        };
        match served.and_then(|()| client.watch_on(serial, &self.poller)) {
            Ok(true) => {}
            Ok(false) => drop(self.clients.remove(&serial)),
            Err(error) => {
                tracing::debug!(%error, "a client's connection is closed");
                self.clients.remove(&serial);
            }
        }
    }

    /// Sends what the relay has for clients.
    fn deliver(&mut self) {
        while let Some((reply_to, reply)) = self.relay.take_delivery() {
            match reply_to {
                ReplyTo::Datagram(serial, client) => {
                    if let Some(resolver) = self.resolvers.get(&serial) {
                        send_datagram(resolver, &reply, client);
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

impl Resolver {
    fn request<'a>(
        &self,
        reply_to: ReplyTo,
        query: sealane_core::dns::Query<'a>,
        view: &View,
        host: &[Upstream],
    ) -> Request<'a> {
        let (all, scope) = match &self.upstreams {
            UpstreamConfig::Host => (host, CacheScope::Host),
            UpstreamConfig::Own(own) => (&own[..], CacheScope::Sandbox(self.sandbox)),
        };
        let allowed = |upstream: &&Upstream| match view.forwarding {
            Forwarding::Anywhere => true,
            Forwarding::FromSandboxOnly => !upstream.from_host,
        };
        let upstreams = all
            .iter()
            .take(MAX_UPSTREAMS)
            .filter(allowed)
            .copied()
            .collect();
        Request {
            sandbox: self.sandbox,
            reply_to,
            query,
            upstreams,
            scope,
        }
    }
}

/// A reply that cannot be sent is lost, as datagrams are: the client asks again.
fn send_datagram(resolver: &Resolver, reply: &[u8], client: std::net::SocketAddr) {
    if let Err(error) = resolver.sockets.udp.send_to(reply, client) {
        tracing::debug!(%client, %error, "a reply cannot be sent");
    }
}
