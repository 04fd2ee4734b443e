//! The cache: replies of upstreams, for as long as they say they hold.
//!
//! What one sandbox's own upstreams said is told to that sandbox alone: the servers are its own
//! choice, so they could put words into the mouths of others'.

use super::Transport;
use super::query::Query;
use super::wire::{self, HEADER, Reply, TYPE_OPT, TYPE_SOA};
use crate::model::SandboxId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// However long a reply says it holds, it is asked for again after a day,
const MAX_TTL: u32 = 86_400;
/// and what did not exist, after five minutes: people create what they miss.
const MAX_NEGATIVE_TTL: u32 = 300;
/// About what the maps need for an entry beside its bytes.
const OVERHEAD: usize = 160;
/// The size of UDP replies we would take, repeated where a client speaks EDNS.
const UDP_PAYLOAD: u16 = 1232;

const TYPE_TSIG: u16 = 250;
const CODE_NO_ERROR: u8 = 0;
const CODE_NO_SUCH_NAME: u8 = 3;

/// Who may be told a cached reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheScope {
    /// All sandboxes whose upstreams are the host's.
    Host,
    /// This sandbox, whose upstreams are its own.
    Sandbox(SandboxId),
}

/// What a reply depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey {
    scope: CacheScope,
    /// Name, type and class, in lower case.
    question: Vec<u8>,
    dnssec_ok: bool,
    checking_disabled: bool,
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
    /// The key of a query; `None` if its reply may not come from the cache.
    pub fn new(scope: CacheScope, query: &Query<'_>) -> Option<Self> {
        query.recursion_desired().then(|| Self {
            scope,
            question: lower_question(query.question()),
            dnssec_ok: query.edns().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: query.checking_disabled(),
        })
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
        address_to(&mut reply, query);
        if transport == Transport::Udp && reply.len() > query.udp_payload() {
            return Some(truncated(&reply, query));
        }
        Some(reply)
    }

    /// Remembers a reply, if it may be and says for how long.
    pub fn insert(&mut self, key: CacheKey, reply: &Reply<'_>, now: Instant) {
        let Some((reply, ttl)) = rememberable(reply) else {
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
    let bytes = reply.bytes();
    let (mut ttl, mut end, mut opt) = (u32::MAX, HEADER, None);
    let (mut signed, mut zone_told) = (false, false);
    wire::records(bytes, |section, record| {
        end = record.data.end;
        match record.kind {
            TYPE_OPT => opt = Some(record.start..record.data.end),
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
        }
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
    // An EDNS record is last, or the reply is too unusual to be taken apart.
    let opt_is_last = opt.as_ref().is_none_or(|opt| opt.end == end);
    if !usable || signed || !opt_is_last {
        return None;
    }
    let mut kept = bytes[..opt.as_ref().map_or(end, |opt| opt.start)].to_vec();
    if opt.is_some() {
        let additional = wire::count(&kept, 3) - 1;
        kept[10..HEADER].copy_from_slice(&additional.to_be_bytes());
    }
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

/// Makes the reply one to this query: its id, its spelling, and EDNS if the client speaks it.
fn address_to(reply: &mut Vec<u8>, query: &Query<'_>) {
    reply[..2].copy_from_slice(&query.id().to_be_bytes());
    let end = HEADER + query.question().len();
    reply[HEADER..end].copy_from_slice(query.question());
    if let Some(edns) = query.edns() {
        reply.push(0); // the root
        reply.extend_from_slice(&TYPE_OPT.to_be_bytes());
        reply.extend_from_slice(&UDP_PAYLOAD.to_be_bytes());
        reply.extend_from_slice(&[0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        let additional = wire::count(reply, 3) + 1;
        reply[10..HEADER].copy_from_slice(&additional.to_be_bytes());
    }
}

/// The reply without its records, which says that there are more.
fn truncated(reply: &[u8], query: &Query<'_>) -> Vec<u8> {
    let mut short = reply[..HEADER + query.question().len()].to_vec();
    short[2] |= 0x02;
    short[6..HEADER].fill(0);
    short
}

#[cfg(test)]
mod tests;
