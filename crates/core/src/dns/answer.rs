//! Answers: from the bytes of a query to the bytes of a reply, or to the word that somebody else
//! must be asked.

use super::query::{is_query, opcode};
use super::wire::{self, Malformed};
use super::{EndpointNames, Query, View, Zones};
use hickory_proto::op::{Edns as EdnsRecord, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable, BinEncoder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// How long a client may remember an answer of ours, in seconds: as long as with Docker.
const TTL: u32 = 600;
/// What we take over UDP ourselves: what fits a packet everywhere.
const OWN_UDP_PAYLOAD: u16 = 1232;

const CLASS_IN: u16 = 1;
const MAX_TCP: usize = 65_535;
/// The most that UDP over IPv4 carries.
const MAX_UDP: usize = 65_507;
const OPCODE_QUERY: u8 = 0;

/// How a query came, and so how long its reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram: what is longer is truncated, and says so.
    Udp,
    /// A stream.
    Tcp,
}

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// This is the reply.
    Reply(Vec<u8>),
    /// Nobody here knows: it must be relayed.
    Forward(Query<'a>),
    /// It deserves no reply.
    Drop,
}

/// Answers a query out of what a sandbox sees of the zones. `seed` decides the order of several
/// addresses; give another one each time.
pub fn answer<'a>(
    bytes: &'a [u8],
    transport: Transport,
    view: &View,
    zones: &Zones,
    seed: u64,
) -> Outcome<'a> {
    if !is_query(bytes) {
        return Outcome::Drop;
    }
    if opcode(bytes) != OPCODE_QUERY {
        return Outcome::Reply(bare(bytes, ResponseCode::NotImp));
    }
    match Query::parse(bytes) {
        Ok(query) => answer_query(query, transport, view, zones, seed),
        Err(Malformed::Short | Malformed::Name | Malformed::Questions) => {
            Outcome::Reply(bare(bytes, ResponseCode::FormErr))
        }
    }
}

/// The reply that says the resolver will not relay this query now.
pub fn refusal(query: &Query<'_>) -> Vec<u8> {
    Draft::new(query, ResponseCode::Refused).encode(MAX_UDP)
}

/// The reply that says nobody asked gave an answer.
pub fn server_failure(query: &Query<'_>) -> Vec<u8> {
    Draft::new(query, ResponseCode::ServFail).encode(MAX_UDP)
}

fn answer_query<'a>(
    query: Query<'a>,
    transport: Transport,
    view: &View,
    zones: &Zones,
    seed: u64,
) -> Outcome<'a> {
    let largest = match transport {
        Transport::Udp => query.udp_payload().min(MAX_UDP),
        Transport::Tcp => MAX_TCP,
    };
    if query.edns().is_some_and(|edns| edns.version != 0) {
        return Outcome::Reply(Draft::new(&query, ResponseCode::BADVERS).encode(largest));
    }
    let Some(name) = query.name().filter(|_| query.class() == CLASS_IN) else {
        return Outcome::Forward(query);
    };
    match Draft::answering(&query, &name, view, zones, seed) {
        Some(draft) => Outcome::Reply(draft.encode(largest)),
        None => Outcome::Forward(query),
    }
}

/// A reply in the making.
struct Draft(Message);

impl Draft {
    fn new(query: &Query<'_>, code: ResponseCode) -> Self {
        let mut message = Message::response(query.id(), OpCode::Query);
        message.metadata.recursion_desired = query.recursion_desired();
        message.metadata.checking_disabled = query.checking_disabled();
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        Self(message)
    }

    /// The reply to what somebody here knows, `None` for what must be relayed.
    fn answering(
        query: &Query<'_>,
        name: &str,
        view: &View,
        zones: &Zones,
        seed: u64,
    ) -> Option<Self> {
        None
    }

    fn encode(self, largest: usize) -> Vec<u8> {
        vec![]
    }
}

/// A header without anything after it, for a message that could not be read further.
fn bare(bytes: &[u8], code: ResponseCode) -> Vec<u8> {
    let operation_and_rd = bytes[2] & 0x79;
    let mut reply = vec![
        bytes[0],
        bytes[1],
        0x80 | operation_and_rd,
        0x80 | code.low(),
    ];
    reply.resize(wire::HEADER, 0);
    reply
}
