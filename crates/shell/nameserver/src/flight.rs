//! Flights: questions that are under way, and who waits for the answers.

use crate::asker::Place;
use crate::poller::Serial;
use crate::relay::ReplyTo;
use crate::resolver::Candidate;
use crate::timers::{Timer, Timers};
use sealane_core::dns::{CacheKey, Race, Transport};
use sealane_core::model::SandboxId;
use std::time::Instant;

/// A question that is being asked, for all who ask the same at the time: with one answer expected
/// instead of many, many forged ones are no more likely to be right (RFC 5452, 4.3).
pub(crate) struct Flight {
    /// The sandbox that asked first.
    pub(crate) owner: SandboxId,
    /// Its query.
    pub(crate) query: Vec<u8>,
    pub(crate) transport: Transport,
    /// What makes it the same question; `None` if its reply is of no use to another client.
    pub(crate) key: Option<CacheKey>,
    /// Whether its reply may be remembered: those who are asked are still those to ask.
    pub(crate) is_current: bool,
    pub(crate) upstreams: Vec<Candidate>,
    pub(crate) race: Race,
    /// What was answered, by whom.
    pub(crate) replies: Vec<(usize, Vec<u8>)>,
    /// The sockets by which upstreams were asked.
    pub(crate) sockets: Vec<(usize, Serial)>,
    pub(crate) timer: Option<Instant>,
    pub(crate) waiters: Vec<Waiter>,
}

/// Who waits for the answer.
pub(crate) struct Waiter {
    pub(crate) sandbox: SandboxId,
    pub(crate) reply_to: ReplyTo,
    pub(crate) query: Vec<u8>,
}

impl Flight {
    /// Where an upstream of its is asked.
    pub(crate) fn place(&self, upstream: usize) -> Option<Place> {
        let candidate = self.upstreams.get(upstream)?;
        Some(Place::new(self.owner, candidate.upstream))
    }

    /// Under what others find it.
    pub(crate) fn shared_key(&self) -> Option<(CacheKey, Transport)> {
        Some((self.key.clone()?, self.transport))
    }

    /// Has it looked at again then.
    pub(crate) fn wake_at(&mut self, until: Instant, serial: Serial, timers: &mut Timers) {
        self.unset_timer(serial, timers);
        self.timer = Some(until);
        timers.set(until, Timer::Race(serial));
    }

    /// Has it not looked at again.
    pub(crate) fn unset_timer(&mut self, serial: Serial, timers: &mut Timers) {
        if let Some(old) = self.timer.take() {
            timers.unset(old, Timer::Race(serial));
        }
    }
}
