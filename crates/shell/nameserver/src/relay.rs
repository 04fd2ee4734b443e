//! The relay: asks upstreams for what nobody here knows, and hands back what they say.
//!
//! A query under way is a ticket; its [`Race`] says whom to ask when. Start at [`Relay::submit`];
//! what comes of it is in [`Relay::take_delivery`], now or later.

use crate::Tools;
use crate::asker::{Place, Sent, with_id};
use crate::askers::{Askers, Heard};
use crate::poller::Serial;
use crate::timers::Timer;
use crate::upstream::{OpenSocket, Upstream};
use sealane_core::dns::{
    Cache, CacheKey, CacheScope, Health, Next, Query, Race, Reply, Transport, Verdict, refusal,
    server_failure,
};
use sealane_core::model::SandboxId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

/// How many queries of one sandbox may be under way,
const MAX_PER_SANDBOX: usize = 1_024;
/// and of all sandboxes together.
const MAX_TOTAL: usize = 16_384;
/// How many bytes of replies are remembered, for all sandboxes together.
const CACHE_BYTES: usize = 4 << 20;

const CODE_SERVER_FAILURE: u8 = 2;
const CODE_REFUSED: u8 = 5;

/// Where a reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    /// By the UDP socket of this resolver, to this address.
    Datagram(Serial, SocketAddr),
    /// By this connection.
    Stream(Serial),
}

/// A query to relay.
pub(crate) struct Request<'a> {
    pub(crate) sandbox: SandboxId,
    pub(crate) reply_to: ReplyTo,
    pub(crate) query: Query<'a>,
    /// Whom it may be asked of, in order.
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) scope: CacheScope,
}

/// A query under way.
struct Ticket {
    sandbox: SandboxId,
    reply_to: ReplyTo,
    query: Vec<u8>,
    question: Vec<u8>,
    key: Option<CacheKey>,
    upstreams: Vec<Upstream>,
    race: Race,
    held: Option<Vec<u8>>,
    timer: Option<Instant>,
}

/// Everything that is asked, and what was heard.
pub(crate) struct Relay {
    askers: Askers,
    cache: Cache,
    tickets: HashMap<Serial, Ticket>,
    under_way: HashMap<SandboxId, usize>,
    health: HashMap<Place, Health>,
    deliveries: Vec<(ReplyTo, Vec<u8>)>,
}

impl ReplyTo {
    fn transport(self) -> Transport {
        match self {
            Self::Datagram(..) => Transport::Udp,
            Self::Stream(_) => Transport::Tcp,
        }
    }
}

impl Relay {
    pub(crate) fn new(open: OpenSocket) -> Self {
        Self {
            askers: Askers::new(open),
            cache: Cache::new(CACHE_BYTES),
            tickets: HashMap::new(),
            under_way: HashMap::new(),
            health: HashMap::new(),
            deliveries: vec![],
        }
    }

    /// Replies from memory, or asks. Every request is delivered once, sooner or later, unless its
    /// sandbox is forgotten before.
    pub(crate) fn submit(&mut self, request: Request<'_>, tools: &mut Tools<'_>) {
        if let Some(reply) = self.reply_without_asking(&request, tools.now) {
            self.deliveries.push((request.reply_to, reply));
            return;
        }
        *self.under_way.entry(request.sandbox).or_default() += 1;
        let ticket = self.ticket(request);
        self.probe(&ticket, tools);
        let serial = tools.poller.serial();
        self.tickets.insert(serial, ticket);
        self.run(serial, tools);
        self.judge_heard(tools);
    }

    /// A reply that can be sent now.
    pub(crate) fn take_delivery(&mut self) -> Option<(ReplyTo, Vec<u8>)> {
        self.deliveries.pop()
    }

    /// Looks at a race again because its time has come.
    pub(crate) fn race_due(&mut self, serial: Serial, tools: &mut Tools<'_>) {
        self.run(serial, tools);
        self.judge_heard(tools);
    }

    /// Closes a socket that has had its time.
    pub(crate) fn asker_due(&mut self, serial: Serial) {
        self.askers.asker_due(serial);
    }

    /// Something happened on a UDP socket.
    pub(crate) fn asker_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &mut Tools<'_>) {
        self.askers.asker_ready(serial, buffer);
        self.judge_heard(tools);
    }

    /// Something happened on a TCP connection.
    pub(crate) fn line_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &mut Tools<'_>) {
        self.askers.line_ready(serial, buffer, tools);
        self.judge_heard(tools);
    }

    /// Forgets a sandbox and closes the sockets in its namespace.
    pub(crate) fn forget_sandbox(&mut self, sandbox: &SandboxId) {
        let askers = &mut self.askers;
        self.tickets.retain(|serial, ticket| {
            let stays = ticket.sandbox != *sandbox;
            if !stays {
                askers.drop_lines(*serial);
            }
            stays
        });
        self.askers.forget_sandbox(sandbox);
        self.under_way.remove(sandbox);
        self.forget_upstreams(CacheScope::Sandbox(*sandbox));
    }

    /// Uses new sockets for a sandbox from now on: its addresses and routes may be others.
    pub(crate) fn renew_sockets(&mut self, sandbox: &SandboxId) {
        self.askers.renew(sandbox);
    }

    /// Forgets what is known of and from upstreams that are no longer asked.
    pub(crate) fn forget_upstreams(&mut self, scope: CacheScope) {
        self.cache.forget(scope);
        let sandbox = match scope {
            CacheScope::Host => None,
            CacheScope::Sandbox(sandbox) => Some(sandbox),
        };
        self.health.retain(|place, _| place.sandbox != sandbox);
    }

    fn reply_without_asking(&self, request: &Request<'_>, now: Instant) -> Option<Vec<u8>> {
        let Request {
            sandbox,
            reply_to,
            query,
            upstreams,
            scope,
        } = request;
        if upstreams.is_empty() {
            return Some(server_failure(query));
        }
        let key = CacheKey::new(*scope, query);
        let transport = reply_to.transport();
        let known = key.and_then(|key| self.cache.get(&key, query, transport, now));
        let under_way = self.under_way.get(sandbox).copied().unwrap_or(0);
        let full = under_way >= MAX_PER_SANDBOX || self.tickets.len() >= MAX_TOTAL;
        known.or_else(|| full.then(|| refusal(query)))
    }

    fn ticket(&self, request: Request<'_>) -> Ticket {
        let Request {
            sandbox,
            reply_to,
            query,
            upstreams,
            scope,
        } = request;
        let health = |upstream: &Upstream| self.health.get(&Place::new(sandbox, *upstream));
        let suspect = |upstream| health(upstream).is_some_and(Health::is_suspect);
        let race = Race::new(upstreams.iter().map(suspect).enumerate());
        Ticket {
            sandbox,
            reply_to,
            query: query.bytes().to_vec(),
            question: query.question().to_vec(),
            key: CacheKey::new(scope, &query),
            upstreams,
            race,
            held: None,
            timer: None,
        }
    }

    /// Asks suspects beside the others, to see whether they are back.
    fn probe(&mut self, ticket: &Ticket, tools: &mut Tools<'_>) {
        for upstream in &ticket.upstreams {
            let place = Place::new(ticket.sandbox, *upstream);
            let due = |health: &mut Health| health.is_probe_due(tools.now);
            if self.health.get_mut(&place).is_some_and(due) {
                // No race has this number, so a reply says only that the upstream is there.
                let race = tools.poller.serial();
                let sent = Sent {
                    ticket: race,
                    upstream: 0,
                    question: ticket.question.clone(),
                };
                let asked = self
                    .askers
                    .ask(place, Transport::Udp, &ticket.query, sent, tools);
                if let Err(error) = asked {
                    tracing::debug!(upstream = %upstream.address, %error, "still unreachable");
                }
            }
        }
    }

    /// Lets a race go on until it waits or is over.
    fn run(&mut self, serial: Serial, tools: &mut Tools<'_>) {
        while let Some(ticket) = self.tickets.get_mut(&serial) {
            match ticket.race.next(tools.now) {
                Next::Ask(upstream) => self.ask(serial, upstream, tools),
                Next::Wait(until) => return ticket.wake_at(until, serial, tools),
                Next::Deliver => {
                    let held = ticket.held.take();
                    self.finish(serial, held, tools);
                }
                Next::GiveUp => self.finish(serial, None, tools),
            }
        }
    }

    fn ask(&mut self, serial: Serial, upstream: usize, tools: &mut Tools<'_>) {
        let Some(ticket) = self.tickets.get_mut(&serial) else {
            return;
        };
        let place = Place::new(ticket.sandbox, ticket.upstreams[upstream]);
        let sent = Sent {
            ticket: serial,
            upstream,
            question: ticket.question.clone(),
        };
        let transport = ticket.reply_to.transport();
        if let Err(error) = self
            .askers
            .ask(place, transport, &ticket.query, sent, tools)
        {
            tracing::debug!(upstream = %place.upstream.address, %error, "cannot be asked");
            self.health
                .entry(place)
                .or_default()
                .was_unreachable(tools.now);
            ticket.race.failed(upstream);
        }
    }

    /// Judges all that was heard, which may lead to more being asked and heard.
    fn judge_heard(&mut self, tools: &mut Tools<'_>) {
        while let Some(Heard { place, sent, reply }) = self.askers.take_heard() {
            let health = self.health.entry(place).or_default();
            match &reply {
                Ok(_) => health.answered(),
                Err(_) => health.was_unreachable(tools.now),
            }
            match reply {
                Ok(reply) => self.judge(&sent, reply, tools),
                Err(error) => {
                    tracing::debug!(upstream = %place.upstream.address, %error, "did not answer");
                    self.failed(&sent);
                }
            }
            self.run(sent.ticket, tools);
        }
    }

    /// Judges a reply to what was asked.
    fn judge(&mut self, sent: &Sent, bytes: Vec<u8>, tools: &mut Tools<'_>) {
        let Some(ticket) = self.tickets.get_mut(&sent.ticket) else {
            return;
        };
        let Ok(reply) = Reply::parse(&bytes) else {
            return self.failed(sent);
        };
        if matches!(reply.code(), CODE_SERVER_FAILURE | CODE_REFUSED) {
            return self.failed(sent);
        }
        match ticket
            .race
            .answered(sent.upstream, reply.is_negative(), tools.now)
        {
            Verdict::Deliver => self.finish(sent.ticket, Some(bytes), tools),
            Verdict::Hold => {
                ticket.held.get_or_insert(bytes);
            }
        }
    }

    fn failed(&mut self, sent: &Sent) {
        if let Some(ticket) = self.tickets.get_mut(&sent.ticket) {
            ticket.race.failed(sent.upstream);
        }
    }

    /// Ends a race with a reply, or with the word that there is none.
    fn finish(&mut self, serial: Serial, reply: Option<Vec<u8>>, tools: &mut Tools<'_>) {
        let Some(ticket) = self.tickets.remove(&serial) else {
            return;
        };
        if let Some(timer) = ticket.timer {
            tools.timers.unset(timer, Timer::Race(serial));
        }
        self.askers.drop_lines(serial);
        if let Some(under_way) = self.under_way.get_mut(&ticket.sandbox) {
            *under_way = under_way.saturating_sub(1);
        }
        for silent in ticket.race.silent(tools.now) {
            let place = Place::new(ticket.sandbox, ticket.upstreams[silent]);
            self.health.entry(place).or_default().was_silent(tools.now);
        }
        let Ok(query) = Query::parse(&ticket.query) else {
            return;
        };
        let reply = match reply {
            Some(reply) => {
                if let (Some(key), Ok(reply)) = (ticket.key, Reply::parse(&reply)) {
                    self.cache.insert(key, &reply, tools.now);
                }
                with_id(&reply, query.id())
            }
            None => server_failure(&query),
        };
        self.deliveries.push((ticket.reply_to, reply));
    }
}

impl Ticket {
    fn wake_at(&mut self, until: Instant, serial: Serial, tools: &mut Tools<'_>) {
        if let Some(old) = self.timer.replace(until) {
            tools.timers.unset(old, Timer::Race(serial));
        }
        tools.timers.set(until, Timer::Race(serial));
    }
}
