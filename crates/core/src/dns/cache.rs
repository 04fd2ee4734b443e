//! The cache: replies of upstreams, for as long as they say they hold.
//!
//! What one sandbox's own upstreams said is answered to that sandbox alone: the servers are its own
//! choice, so they could put words into the mouths of others'.

use super::Transport;
use super::query::Query;
use super::relayed::{address_to, fit, speak_edns, without_edns};
use super::wire::{self, Reply, TYPE_OPT, TYPE_SOA};
use crate::model::SandboxId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// However long a reply says it holds, it is asked for again after a day,
const MAX_TTL: u32 = 86_400;
/// and what did not exist, after five minutes: people create what they miss.
const MAX_NEGATIVE_TTL: u32 = 300;
/// About what the maps need for an entry beside its bytes.
const OVERHEAD: usize = 160;

const TYPE_TSIG: u16 = 250;
const CODE_NO_ERROR: u8 = 0;
const CODE_NO_SUCH_NAME: u8 = 3;

/// Who may get a cached reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheScope {
    /// All sandboxes whose upstreams are the host's.
    Host,
    /// This sandbox, whose upstreams are its own.
    Sandbox(SandboxId),
}

/// What a reply depends on. Queries of one key are one question, whichever client asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey {
    scope: CacheScope,
    /// Name, type and class, in lower case.
    question: Vec<u8>,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// A reply to a query that is not to be pursued says what a server has at hand: it is not
    /// remembered.
    recursion_desired: bool,
}

/// Replies, bounded in bytes. When it is full, those that end soonest go first.
#[derive(Debug)]
pub struct Cache {
    entries: BTreeMap<CacheKey, Entry>,
    by_end: BTreeMap<(Instant, u64), CacheKey>,
    bytes: usize,
    capacity: usize,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry {
    /// The reply without its EDNS record, which is a matter between neighbours.
    reply: Vec<u8>,
    since: Instant,
    end: Instant,
    serial: u64,
}

impl CacheKey {
    /// The key of a query; `None` if its reply is of no use to another client.
    pub fn new(scope: CacheScope, query: &Query<'_>) -> Option<Self> {
        query.is_plain().then(|| Self {
            scope,
            question: lower_question(query.question()),
            dnssec_ok: query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: query.checking_disabled(),
            recursion_desired: query.recursion_desired(),
        })
    }

    /// The clients it may be given to.
    pub fn scope(&self) -> CacheScope {
        self.scope
    }
}

impl Cache {
    /// An empty cache of this many bytes at most.
    pub fn new(capacity: usize) -> Self {
        let (entries, by_end) = (BTreeMap::new(), BTreeMap::new());
        Self {
            entries,
            by_end,
            bytes: 0,
            capacity,
            next_serial: 0,
        }
    }

    /// The reply to a query, its TTLs counted down, as long as the client takes.
    pub fn get(
        &self,
        key: &CacheKey,
        query: &Query<'_>,
        transport: Transport,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let entry = self.entries.get(key).filter(|entry| now < entry.end)?;
        let age = now.saturating_duration_since(entry.since).as_secs();
        let mut reply = entry.reply.clone();
        count_down(&mut reply, u32::try_from(age).unwrap_or(u32::MAX))?;
        speak_edns(&mut reply, query);
        address_to(&mut reply, query);
        Some(fit(reply, query, transport))
    }

    /// Remembers a reply, if it may be and says for how long.
    pub fn insert(&mut self, key: CacheKey, reply: &Reply<'_>, now: Instant) {
        let rememberable = rememberable(reply).filter(|_| key.recursion_desired);
        let Some((reply, ttl)) = rememberable else {
            return;
        };
        let size = reply.len() + 2 * key.question.len() + OVERHEAD;
        if size > self.capacity / 8 {
            return;
        }
        self.remove(&key);
        self.drop_expired(now);
        while self.bytes + size > self.capacity && self.drop_soonest() {}
        self.next_serial += 1;
        let end = now + Duration::from_secs(ttl.into());
        self.by_end.insert((end, self.next_serial), key.clone());
        self.entries.insert(
            key,
            Entry {
                reply,
                since: now,
                end,
                serial: self.next_serial,
            },
        );
        self.bytes += size;
    }

    /// Forgets what was said within this scope, because those who said it are no longer asked.
    pub fn forget(&mut self, scope: CacheScope) {
        let keys: Vec<_> = self
            .entries
            .keys()
            .filter(|key| key.scope == scope)
            .cloned()
            .collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    /// How many bytes it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_end.remove(&(entry.end, entry.serial));
            self.bytes -= entry.reply.len() + 2 * key.question.len() + OVERHEAD;
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        while self
            .by_end
            .first_key_value()
            .is_some_and(|((end, _), _)| *end <= now)
        {
            self.drop_soonest();
        }
    }

    /// Whether there was anything to drop.
    fn drop_soonest(&mut self) -> bool {
        let Some(key) = self.by_end.first_key_value().map(|(_, key)| key.clone()) else {
            return false;
        };
        self.remove(&key);
        true
    }
}

/// The question with its name in lower case. Type and class are kept: their bytes may be letters.
fn lower_question(question: &[u8]) -> Vec<u8> {
    let mut lower = question.to_vec();
    let name = question.len().saturating_sub(4);
    lower[..name].make_ascii_lowercase();
    lower
}

/// The reply without its EDNS record, and for how many seconds it holds; `None` if it must not be
/// remembered.
fn rememberable(reply: &Reply<'_>) -> Option<(Vec<u8>, u32)> {
    let usable = matches!(reply.code(), CODE_NO_ERROR | CODE_NO_SUCH_NAME) && !reply.is_truncated();
    let (mut ttl, mut signed, mut zone_told) = (u32::MAX, false, false);
    let bytes = reply.bytes();
    wire::records(bytes, |section, record| match record.kind {
        TYPE_OPT => {}
        TYPE_TSIG => signed = true,
        TYPE_SOA if section == 2 => {
            let data = &bytes[record.data];
            let minimum = data
                .last_chunk()
                .map_or(0, |minimum| u32::from_be_bytes(*minimum));
            ttl = ttl.min(record.ttl).min(minimum);
            zone_told = true;
        }
        _ => ttl = ttl.min(record.ttl),
    })
    .ok()?;
    let most = if reply.is_negative() {
        MAX_NEGATIVE_TTL
    } else {
        MAX_TTL
    };
    // Only its zone can say for how long a name does not exist.
    let told = zone_told || !reply.is_negative();
    let ttl = Some(ttl.min(most)).filter(|ttl| told && *ttl > 0)?;
    let (kept, _) = without_edns(bytes).filter(|_| usable && !signed)?;
    Some((kept, ttl))
}

fn count_down(reply: &mut [u8], seconds: u32) -> Option<()> {
    let mut places = vec![];
    wire::records(reply, |_, record| places.push((record.ttl_at, record.ttl))).ok()?;
    for (at, ttl) in places {
        reply[at..at + 4].copy_from_slice(&ttl.saturating_sub(seconds).to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests;
