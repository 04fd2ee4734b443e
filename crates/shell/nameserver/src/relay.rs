//! The relay: asks upstreams for what is not known here, and hands back what they say.
//!
//! A question under way is a [`Flight`], for all who ask it; its race says whom to ask when. Start
//! at [`Relay::submit`]; what comes of it is in [`Relay::take_delivery`], now or later.

mod hearing;

use crate::Tools;
use crate::asker::{Place, Sent};
use crate::askers::Askers;
use crate::flight::{Flight, Waiter};
use crate::poller::Serial;
use crate::resolver::Candidate;
use crate::upstream::OpenSocket;
use sealane_core::dns::{
    Cache, CacheKey, CacheScope, Entrant, Health, Letters, Next, Query, Race, Reply, Spelling,
    Transport, incoming, refusal, server_failure,
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
    pub(crate) upstreams: Vec<Candidate>,
    pub(crate) scope: CacheScope,
}

/// What is known of an upstream.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    health: Health,
    spelling: Spelling,
}

/// Everything that is asked, and what was heard.
pub(crate) struct Relay {
    askers: Askers,
    cache: Cache,
    flights: HashMap<Serial, Flight>,
    by_question: HashMap<(CacheKey, Transport), Serial>,
    /// How many queries wait, by sandbox and in all.
    under_way: HashMap<SandboxId, usize>,
    waiting: usize,
    standings: HashMap<Place, Standing>,
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
            flights: HashMap::new(),
            by_question: HashMap::new(),
            under_way: HashMap::new(),
            waiting: 0,
            standings: HashMap::new(),
            deliveries: vec![],
        }
    }

    /// Replies from memory, or asks, unless the same is being asked already. Every request is
    /// delivered once, sooner or later, unless its sandbox is forgotten before.
    pub(crate) fn submit(&mut self, request: Request<'_>, tools: &mut Tools<'_>) {
        let key = CacheKey::new(request.scope, &request.query);
        if let Some(reply) = self.reply_without_asking(&request, key.as_ref(), tools.now) {
            self.deliveries.push((request.reply_to, reply));
            return;
        }
        *self.under_way.entry(request.sandbox).or_default() += 1;
        self.waiting += 1;
        let waiter = Waiter {
            sandbox: request.sandbox,
            reply_to: request.reply_to,
            query: request.query.bytes().to_vec(),
        };
        let shared = key.clone().map(|key| (key, request.reply_to.transport()));
        let same = shared.as_ref().and_then(|key| self.by_question.get(key));
        if let Some(flight) = same.and_then(|serial| self.flights.get_mut(serial)) {
            flight.waiters.push(waiter);
            return;
        }
        let flight = self.flight(request, key, waiter);
        self.probe(&flight, tools);
        let serial = tools.poller.serial();
        if let Some(shared) = shared {
            self.by_question.insert(shared, serial);
        }
        self.flights.insert(serial, flight);
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

    /// Looks after a socket whose time may have come.
    pub(crate) fn asker_due(&mut self, serial: Serial, tools: &mut Tools<'_>) {
        self.askers.asker_due(serial, tools);
    }

    /// Something happened on a UDP socket.
    pub(crate) fn asker_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &mut Tools<'_>) {
        self.askers.asker_ready(serial, buffer, tools);
        self.judge_heard(tools);
    }

    /// Something happened on a TCP connection.
    pub(crate) fn line_ready(&mut self, serial: Serial, buffer: &mut [u8], tools: &mut Tools<'_>) {
        self.askers.line_ready(serial, buffer, tools);
        self.judge_heard(tools);
    }

    /// Forgets a sandbox and closes the sockets in its namespace. What others wait for goes on.
    pub(crate) fn forget_sandbox(&mut self, sandbox: &SandboxId, tools: &mut Tools<'_>) {
        for flight in self.flights.values_mut() {
            flight.waiters.retain(|waiter| waiter.sandbox != *sandbox);
        }
        let unwanted: Vec<Serial> = (self.flights.iter())
            .filter(|(_, flight)| flight.waiters.is_empty())
            .map(|(serial, _)| *serial)
            .collect();
        for serial in unwanted {
            self.finish(serial, None, tools);
        }
        self.askers.forget_sandbox(sandbox);
        let gone = self.under_way.remove(sandbox).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(gone);
        self.forget_upstreams(CacheScope::Sandbox(*sandbox));
    }

    /// Forgets what is known of and from upstreams that are no longer asked.
    pub(crate) fn forget_upstreams(&mut self, scope: CacheScope) {
        self.cache.forget(scope);
        self.by_question.retain(|(key, _), _| key.scope() != scope);
        for flight in self.flights.values_mut() {
            flight.is_current &= flight.key.as_ref().is_none_or(|key| key.scope() != scope);
        }
        let sandbox = match scope {
            CacheScope::Host => None,
            CacheScope::Sandbox(sandbox) => Some(sandbox),
        };
        self.standings.retain(|place, _| place.sandbox != sandbox);
    }

    fn reply_without_asking(
        &self,
        request: &Request<'_>,
        key: Option<&CacheKey>,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let Request {
            sandbox,
            reply_to,
            query,
            upstreams,
            scope: _,
        } = request;
        if upstreams.is_empty() {
            return Some(server_failure(query));
        }
        let transport = reply_to.transport();
        let known = key.and_then(|key| self.cache.get(key, query, transport, now));
        let under_way = self.under_way.get(sandbox).copied().unwrap_or(0);
        let full = under_way >= MAX_PER_SANDBOX || self.waiting >= MAX_TOTAL;
        known.or_else(|| full.then(|| refusal(query)))
    }

    fn flight(&self, request: Request<'_>, key: Option<CacheKey>, waiter: Waiter) -> Flight {
        let Request {
            sandbox,
            reply_to,
            query,
            upstreams,
            scope: _,
        } = request;
        let entrant = |(upstream, candidate): (usize, &Candidate)| {
            let standing = self.standings.get(&Place::new(sandbox, candidate.upstream));
            Entrant {
                upstream,
                group: candidate.group,
                suspect: standing.is_some_and(|standing| standing.health.is_suspect()),
            }
        };
        Flight {
            owner: sandbox,
            query: query.bytes().to_vec(),
            transport: reply_to.transport(),
            key,
            is_current: true,
            race: Race::new(upstreams.iter().enumerate().map(entrant)),
            upstreams,
            replies: vec![],
            sockets: vec![],
            timer: None,
            waiters: vec![waiter],
        }
    }

    /// Asks suspects beside the others, to see whether they are back.
    fn probe(&mut self, flight: &Flight, tools: &mut Tools<'_>) {
        let Ok(query) = Query::parse(&flight.query) else {
            return;
        };
        for place in (0..flight.upstreams.len()).filter_map(|upstream| flight.place(upstream)) {
            let due = |standing: &mut Standing| standing.health.is_probe_due(tools.now);
            if self.standings.get_mut(&place).is_some_and(due) {
                // No race has this number, so a reply says only that the upstream is there.
                let sent = Sent {
                    ticket: tools.poller.serial(),
                    upstream: 0,
                    question: query.question().to_vec(),
                    letters: Letters::Kept,
                    sieges: 0,
                };
                let by = (flight.owner, place);
                let asked = self.askers.ask(by, Transport::Udp, &query, sent, tools);
                if let Err(error) = asked {
                    tracing::debug!(upstream = %place.upstream.address, %error, "still unreachable");
                }
            }
        }
    }

    /// Lets a race go on until it waits or is over.
    fn run(&mut self, serial: Serial, tools: &mut Tools<'_>) {
        while let Some(flight) = self.flights.get_mut(&serial) {
            match flight.race.next(tools.now) {
                Next::Ask(upstream) => self.ask(serial, upstream, None, 0, tools),
                Next::Remind(upstream) => self.remind(serial, upstream, tools),
                Next::Wait(until) => return flight.wake_at(until, serial, tools.timers),
                Next::Deliver(upstream) => self.finish(serial, Some(upstream), tools),
                Next::GiveUp => self.finish(serial, None, tools),
            }
        }
    }

    /// Asks an upstream, in these letters if it is not for the first time.
    fn ask(
        &mut self,
        serial: Serial,
        upstream: usize,
        letters: Option<Letters>,
        sieges: u8,
        tools: &mut Tools<'_>,
    ) {
        let Some(flight) = self.flights.get_mut(&serial) else {
            return;
        };
        let (Some(place), Ok(query)) = (flight.place(upstream), Query::parse(&flight.query)) else {
            return flight.race.failed(upstream);
        };
        let standing = self.standings.entry(place).or_default();
        let letters = match flight.transport {
            Transport::Udp if query.is_plain() => {
                letters.unwrap_or_else(|| standing.spelling.letters(tools.now))
            }
            Transport::Udp | Transport::Tcp => Letters::Kept,
        };
        let sent = Sent {
            ticket: serial,
            upstream,
            question: letters.write(&query, &self.askers.coins()),
            letters,
            sieges,
        };
        let by = (flight.owner, place);
        match self.askers.ask(by, flight.transport, &query, sent, tools) {
            Ok(socket) => flight.sockets.push((upstream, socket)),
            Err(error) => {
                tracing::debug!(upstream = %place.upstream.address, %error, "cannot be asked");
                standing.health.was_unreachable(tools.now);
                flight.race.failed(upstream);
            }
        }
    }

    /// Asks an upstream again that has not answered. One that may not know mixed letters is asked
    /// in small ones.
    fn remind(&mut self, serial: Serial, upstream: usize, tools: &mut Tools<'_>) {
        let Some(flight) = self.flights.get(&serial) else {
            return;
        };
        let standing = flight.place(upstream).and_then(|p| self.standings.get(&p));
        let spelling = standing
            .map(|standing| standing.spelling)
            .unwrap_or_default();
        let doubtful = spelling.doubts(spelling.letters(tools.now));
        match (flight.transport, Query::parse(&flight.query)) {
            (Transport::Udp, Ok(query)) if !doubtful => {
                let mut sockets = flight.sockets.iter().filter(|(to, _)| *to == upstream);
                if let Some((_, socket)) = sockets.next_back() {
                    self.askers.remind(*socket, &query, serial);
                }
            }
            (Transport::Udp, _) => {
                self.ask(serial, upstream, Some(Letters::SmallAfterDenial), 0, tools);
            }
            // The kernel does so by itself.
            (Transport::Tcp, _) => {}
        }
    }

    /// Ends a race with what an upstream said, or with the word that there is nothing.
    fn finish(&mut self, serial: Serial, upstream: Option<usize>, tools: &mut Tools<'_>) {
        let Some(mut flight) = self.flights.remove(&serial) else {
            return;
        };
        flight.unset_timer(serial, tools.timers);
        self.askers.drop_lines(serial);
        if let Some(key) = flight.shared_key()
            && self.by_question.get(&key) == Some(&serial)
        {
            self.by_question.remove(&key);
        }
        for silent in flight.race.silent(tools.now) {
            if let Some(place) = flight.place(silent) {
                let standing = self.standings.entry(place).or_default();
                standing.health.was_silent(tools.now);
            }
        }
        let mut replies = flight.replies.iter();
        let chosen = replies.find(|(from, _)| Some(*from) == upstream);
        let reply = chosen.and_then(|(_, bytes)| Reply::parse(bytes).ok());
        let is_final = upstream.is_some_and(|upstream| flight.race.is_final(upstream));
        if let (Some(key), Some(reply)) = (&flight.key, &reply)
            && flight.is_current
            && is_final
        {
            self.cache.insert(key.clone(), reply, tools.now);
        }
        for waiter in &flight.waiters {
            self.answer(waiter, reply.as_ref());
        }
    }

    /// Gives a waiter the reply, or the word that there is none.
    fn answer(&mut self, waiter: &Waiter, reply: Option<&Reply<'_>>) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Some(under_way) = self.under_way.get_mut(&waiter.sandbox) {
            *under_way = under_way.saturating_sub(1);
        }
        let Ok(query) = Query::parse(&waiter.query) else {
            return;
        };
        let bytes = match reply {
            Some(reply) => incoming(reply, &query, waiter.reply_to.transport()),
            None => server_failure(&query),
        };
        self.deliveries.push((waiter.reply_to, bytes));
    }
}
