//! What is remembered, for how long, and for whom. Messages are made and read by hickory-proto.

use super::*;
use crate::dns::some_instant;
use crate::model::derive_id;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn query(text: &str, id: u16, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(name(text), RecordType::A));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload).set_dnssec_ok(payload == 4096);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

fn reply(text: &str, ttls: &[u32]) -> Message {
    let mut message = Message::response(9, OpCode::Query);
    message.add_query(Question::query(name(text), RecordType::A));
    for ttl in ttls {
        let address = RData::A(A([192, 0, 2, 1].into()));
        message.add_answer(Record::from_rdata(name("other.test."), *ttl, address));
    }
    message
}

fn denial(soa: Option<(u32, u32)>) -> Message {
    let mut message = reply("x.test.", &[]);
    message.metadata.response_code = ResponseCode::NXDomain;
    if let Some((ttl, minimum)) = soa {
        let soa = SOA::new(name("ns.test."), name("me.test."), 1, 2, 3, 4, minimum);
        message.add_authority(Record::from_rdata(name("test."), ttl, RData::SOA(soa)));
    }
    message
}

struct Tried {
    cache: Cache,
    start: Instant,
}

fn cache() -> Tried {
    Tried {
        cache: Cache::new(100_000),
        start: some_instant(),
    }
}

impl Tried {
    fn insert(&mut self, message: &Message) {
        let bytes = message.to_vec().unwrap();
        let query = query(&message.queries[0].name().to_string(), 1, None);
        let key = CacheKey::new(CacheScope::Host, &Query::parse(&query).unwrap()).unwrap();
        self.cache
            .insert(key, &Reply::parse(&bytes).unwrap(), self.start);
    }

    fn get_from(&self, scope: CacheScope, query: &[u8], seconds: u64) -> Option<Message> {
        let query = Query::parse(query).unwrap();
        let key = CacheKey::new(scope, &query).unwrap();
        let now = self.start + Duration::from_secs(seconds);
        let reply = self.cache.get(&key, &query, Transport::Udp, now)?;
        Some(Message::from_vec(&reply).unwrap())
    }

    fn get(&self, query: &[u8], seconds: u64) -> Option<Message> {
        self.get_from(CacheScope::Host, query, seconds)
    }

    /// For how many seconds a reply is remembered.
    fn remembers(message: &Message) -> u64 {
        let mut tried = cache();
        tried.insert(message);
        let query = query(&message.queries[0].name().to_string(), 1, None);
        (0..100_000)
            .find(|seconds| tried.get(&query, *seconds).is_none())
            .unwrap()
    }
}

#[test]
fn a_reply_comes_back_with_its_ttls_counted_down() {
    let mut tried = cache();
    tried.insert(&reply("a.test.", &[60, 90]));
    let reply = tried.get(&query("A.Test.", 77, None), 25).unwrap();
    assert_eq!(
        reply
            .answers
            .iter()
            .map(|record| record.ttl)
            .collect::<Vec<_>>(),
        [35, 65]
    );
    assert_eq!(reply.metadata.id, 77);
    assert_eq!(reply.queries[0].name().to_string(), "A.Test.");
    assert!(tried.get(&query("b.test.", 77, None), 25).is_none());
}

#[test]
fn a_reply_is_remembered_for_its_shortest_ttl() {
    assert_eq!(Tried::remembers(&reply("a.test.", &[60, 90, 7])), 7);
    assert_eq!(Tried::remembers(&reply("a.test.", &[60, 0])), 0);
    assert_eq!(Tried::remembers(&reply("a.test.", &[u32::MAX - 1])), 86_400);
}

#[test]
fn a_denial_is_remembered_as_its_zone_says_but_not_long() {
    assert_eq!(Tried::remembers(&denial(Some((60, 20)))), 20);
    assert_eq!(Tried::remembers(&denial(Some((20, 60)))), 20);
    assert_eq!(Tried::remembers(&denial(Some((9000, 9000)))), 300);
    assert_eq!(Tried::remembers(&denial(None)), 0);
}

#[test]
fn failures_and_halves_are_not_remembered() {
    let mut failure = reply("a.test.", &[60]);
    failure.metadata.response_code = ResponseCode::ServFail;
    assert_eq!(Tried::remembers(&failure), 0);
    let mut half = reply("a.test.", &[60]);
    half.metadata.truncation = true;
    assert_eq!(Tried::remembers(&half), 0);
}

#[test]
fn edns_is_between_neighbours() {
    let mut tried = cache();
    let mut message = reply("a.test.", &[60]);
    message.set_edns(Edns::new());
    tried.insert(&message);
    assert!(
        tried
            .get(&query("a.test.", 1, None), 0)
            .unwrap()
            .edns
            .is_none()
    );
    let with = tried.get(&query("a.test.", 1, Some(1232)), 0).unwrap();
    assert_eq!(with.edns.unwrap().max_payload(), 1232);
    let secure = query("a.test.", 1, Some(4096));
    assert!(tried.get(&secure, 0).is_none(), "asked with DO, it was not");
}

#[test]
fn a_long_reply_is_cut_for_a_client_that_takes_less() {
    let mut tried = cache();
    tried.insert(&reply("a.test.", &[60; 40]));
    let short = tried.get(&query("a.test.", 1, None), 0).unwrap();
    assert!(short.metadata.truncation && short.answers.is_empty());
    let whole = tried.get(&query("a.test.", 1, Some(1232)), 0).unwrap();
    assert_eq!(whole.answers.len(), 40);
}

#[test]
fn what_a_sandbox_was_told_is_for_it_alone() {
    let mut tried = cache();
    let own = CacheScope::Sandbox(derive_id(&[b"own"]));
    let bytes = reply("a.test.", &[60]).to_vec().unwrap();
    let asked = query("a.test.", 1, None);
    let key = CacheKey::new(own, &Query::parse(&asked).unwrap()).unwrap();
    tried
        .cache
        .insert(key, &Reply::parse(&bytes).unwrap(), tried.start);
    assert!(tried.get_from(own, &asked, 0).is_some());
    assert!(tried.get(&asked, 0).is_none());
    let other = CacheScope::Sandbox(derive_id(&[b"other"]));
    assert!(tried.get_from(other, &asked, 0).is_none());
    tried.cache.forget(other);
    assert!(tried.get_from(own, &asked, 0).is_some());
    tried.cache.forget(own);
    assert!(tried.get_from(own, &asked, 0).is_none());
    assert_eq!(tried.cache.bytes(), 0);
}

#[test]
fn a_full_cache_forgets_what_ends_soonest() {
    let mut tried = cache();
    for i in 0..2_000 {
        tried.insert(&reply(&format!("n{i}.test."), &[100 + i]));
        assert!(tried.cache.bytes() <= 100_000);
    }
    assert!(tried.get(&query("n0.test.", 1, None), 0).is_none());
    assert!(tried.get(&query("n1999.test.", 1, None), 0).is_some());
    assert_eq!(tried.cache.entries.len(), tried.cache.by_end.len());
}

#[test]
fn a_query_that_wants_no_recursion_is_not_answered_from_memory() {
    let mut tried = cache();
    tried.insert(&reply("a.test.", &[60]));
    let mut asked = query("a.test.", 1, None);
    assert!(tried.get(&asked, 1).is_some());
    asked[2] &= !1;
    assert!(tried.get(&asked, 1).is_none());
    let key = CacheKey::new(CacheScope::Host, &Query::parse(&asked).unwrap()).unwrap();
    let bytes = reply("a.test.", &[60]).to_vec().unwrap();
    tried
        .cache
        .insert(key, &Reply::parse(&bytes).unwrap(), tried.start);
    assert!(tried.get(&asked, 1).is_none(), "nor remembered");
}

proptest! {
    #[test]
    fn any_reply_can_be_offered(
        cut: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut message = denial(Some((60, 20)));
        message.set_edns(Edns::new());
        let mut bytes = message.to_vec().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 3);
        let asked = query("x.test.", 1, Some(1232));
        let asked = Query::parse(&asked).unwrap();
        let mut tried = cache();
        if let Ok(reply) = Reply::parse(&bytes) && reply.answers(asked.question()) {
            let key = CacheKey::new(CacheScope::Host, &asked).unwrap();
            tried.cache.insert(key.clone(), &reply, tried.start);
            let again = tried.cache.get(&key, &asked, Transport::Udp, tried.start);
            prop_assert!(again.is_none_or(|reply| reply[..2] == [0, 1]));
        }
    }
}
