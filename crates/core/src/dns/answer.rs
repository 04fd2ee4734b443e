//! Answers: from the bytes of a query to the bytes of a reply, or to the word that another server
//! must be asked.

use super::draft::{Code, Draft, bare};
use super::query::{is_query, opcode};
use super::reverse::Reverse;
use super::view::Below;
use super::{EndpointNames, Query, Service, View, Zones};
use std::sync::Arc;

/// How long a client may remember an answer of ours, in seconds: as long as with Docker.
const TTL: u32 = 600;

const MAX_TCP: usize = 65_535;
/// The most that UDP over IPv4 carries.
const MAX_UDP: usize = 65_507;

const OPCODE_QUERY: u8 = 0;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;
const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
/// Transfers of a zone, in part and as a whole.
const TYPE_IXFR: u16 = 251;
const TYPE_AXFR: u16 = 252;
const TYPE_ANY: u16 = 255;

/// How a query came, and so how long its reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// It is not known here: it must be relayed.
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
        return Outcome::Reply(bare(bytes, Code::NotImplemented));
    }
    let Ok(query) = Query::parse(bytes) else {
        return Outcome::Reply(bare(bytes, Code::FormatError));
    };
    match Asked::new(&query, transport, view, zones, seed).answer() {
        Some(draft) => Outcome::Reply(draft.finish()),
        None => Outcome::Forward(query),
    }
}

/// The reply that says the resolver will not relay this query now.
pub fn refusal(query: &Query<'_>) -> Vec<u8> {
    Draft::new(query, Code::Refused, query.udp_payload()).finish()
}

/// The reply that says no server that was asked gave an answer.
pub fn server_failure(query: &Query<'_>) -> Vec<u8> {
    Draft::new(query, Code::ServerFailure, query.udp_payload()).finish()
}

/// A question, with all that its answer depends on.
struct Asked<'a> {
    query: &'a Query<'a>,
    largest: usize,
    view: &'a View,
    zones: &'a Zones,
    seed: u64,
}

impl<'a> Asked<'a> {
    fn new(
        query: &'a Query<'a>,
        transport: Transport,
        view: &'a View,
        zones: &'a Zones,
        seed: u64,
    ) -> Self {
        let largest = match transport {
            Transport::Udp => query.udp_payload().min(MAX_UDP),
            Transport::Tcp => MAX_TCP,
        };
        Self {
            query,
            largest,
            view,
            zones,
            seed,
        }
    }

    /// The reply, or `None` if it is not known here.
    ///
    /// What is ours is answered whatever type and class is asked for, so that neither the question
    /// leaves nor a server outside says that the name does not exist: a cache on the way would
    /// believe that of all types (RFC 8020).
    fn answer(&self) -> Option<Draft> {
        if self.query.edns().is_some_and(|edns| edns.version != 0) {
            return Some(self.draft(Code::BadVersion));
        }
        let name = self.query.name()?;
        if let Some(reverse) = Reverse::parse(&name) {
            return self.reverse(&reverse);
        }
        match self.view.find(self.zones, &name) {
            Some(endpoints) => Some(self.records_of(endpoints)),
            None => self.below(&name).or_else(|| self.comes_again()),
        }
    }

    fn draft(&self, code: Code) -> Draft {
        Draft::new(self.query, code, self.largest)
    }

    /// Whether records of this type are wanted.
    fn wants(&self, kind: u16) -> bool {
        matches!(self.query.class(), CLASS_IN | CLASS_ANY)
            && (self.query.kind() == kind || self.query.kind() == TYPE_ANY)
    }

    /// What is known of a name of ours: its addresses. Of every other type there is nothing.
    fn records_of(&self, endpoints: &[Arc<EndpointNames>]) -> Draft {
        if matches!(self.query.kind(), TYPE_AXFR | TYPE_IXFR) {
            return self.draft(Code::Refused);
        }
        let mut draft = self.draft(Code::NoError);
        let v4 = endpoints.iter().filter_map(|e| Some(e.ipv4?.octets()));
        self.add_addresses(&mut draft, TYPE_A, v4.collect());
        let v6 = endpoints.iter().filter_map(|e| Some(e.ipv6?.octets()));
        self.add_addresses(&mut draft, TYPE_AAAA, v6.collect());
        draft
    }

    fn add_addresses<const N: usize>(&self, draft: &mut Draft, kind: u16, all: Vec<[u8; N]>) {
        let mut addresses = all;
        if !self.wants(kind) {
            return;
        }
        shuffle(&mut addresses, self.seed);
        for address in &addresses {
            draft.answer(kind, TTL, &[address]);
        }
    }

    /// A single label that no container here has, when the client will come again with a search domain
    /// appended.
    fn comes_again(&self) -> Option<Draft> {
        let addresses = matches!(self.query.kind(), TYPE_A | TYPE_AAAA);
        let comes_again = self.view.ndots_set && self.query.is_single_label() && addresses;
        comes_again.then(|| self.draft(Code::NoError))
    }

    /// An address of ours has a name or none, one that could be ours does not exist.
    fn reverse(&self, reverse: &Reverse) -> Option<Draft> {
        let address = reverse.address();
        let found = address.and_then(|address| self.view.endpoint_at(self.zones, &address));
        let Some((network, endpoint)) = found else {
            let exists = address.is_none() && !reverse.is_below;
            let code = if exists {
                Code::NoError
            } else {
                Code::NoSuchName
            };
            return self.view.owns(&reverse.net).then(|| self.draft(code));
        };
        if reverse.is_below {
            return Some(self.draft(Code::NoSuchName));
        }
        let mut draft = self.draft(Code::NoError);
        if let Some(name) = network.name_of(endpoint).filter(|_| self.wants(TYPE_PTR)) {
            draft.answer(TYPE_PTR, TTL, &[&name]);
        }
        Some(draft)
    }

    /// A service below a name of ours; that there is none, if no server outside could know one there.
    fn below(&self, name: &str) -> Option<Draft> {
        let services = self.services(name).filter(|_| self.wants(TYPE_SRV));
        services.or_else(|| match self.view.below(self.zones, name)? {
            Below::Exists => Some(self.draft(Code::NoError)),
            Below::Nothing => Some(self.draft(Code::NoSuchName)),
        })
    }

    fn services(&self, name: &str) -> Option<Draft> {
        let (port_name, rest) = name.split_once('.')?;
        let (protocol, host) = rest.split_once('.')?;
        let asked = |service: &&Service| {
            service.port_name.eq_ignore_ascii_case(port_name)
                && service.protocol.eq_ignore_ascii_case(protocol)
        };
        let endpoints = self.view.find(self.zones, host)?;
        let mut found: Vec<_> = (endpoints.iter())
            .flat_map(|e| {
                let ports = e.services.iter().filter(asked).map(|service| service.port);
                ports.filter_map(move |port| Some((e, port, e.first_name()?)))
            })
            .collect();
        shuffle(&mut found, self.seed);
        if found.is_empty() {
            return None;
        }
        let mut draft = self.draft(Code::NoError);
        for (_, port, target) in &found {
            let no_preference = [0; 4]; // priority and weight
            draft.answer(
                TYPE_SRV,
                TTL,
                &[&no_preference, &port.to_be_bytes(), target],
            );
        }
        for (endpoint, _, target) in &found {
            if let Some(address) = endpoint.ipv4 {
                draft.additional(target, TYPE_A, TTL, &[&address.octets()]);
            }
        }
        Some(draft)
    }
}

/// Fisher and Yates' shuffle, with Knuth's generator (MMIX) for its choices.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (seed >> 33) as usize % (last + 1));
    }
}

#[cfg(test)]
mod tests;
