//! Answers: from the bytes of a query to the bytes of a reply, or to the word that somebody else
//! must be asked.

use super::draft::{Code, Draft, bare, encode_name};
use super::query::{is_query, opcode};
use super::{EndpointNames, Query, Service, View, Zones};
use std::net::IpAddr;

/// How long a client may remember an answer of ours, in seconds: as long as with Docker.
const TTL: u32 = 600;

const MAX_TCP: usize = 65_535;
/// The most that UDP over IPv4 carries.
const MAX_UDP: usize = 65_507;

const OPCODE_QUERY: u8 = 0;
const CLASS_IN: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_MX: u16 = 15;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;

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

/// The reply that says nobody who was asked gave an answer.
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

    /// The reply, or `None` if nobody here knows.
    fn answer(&self) -> Option<Draft> {
        if self.query.edns().is_some_and(|edns| edns.version != 0) {
            return Some(self.draft(Code::BadVersion));
        }
        if self.query.class() != CLASS_IN {
            return None;
        }
        let name = self.query.name()?;
        match self.query.kind() {
            TYPE_A => self.addresses(&name, |endpoint| endpoint.ipv4.map(|v4| v4.octets())),
            TYPE_AAAA => self.addresses(&name, |endpoint| endpoint.ipv6.map(|v6| v6.octets())),
            // Empty, so that mail goes to the address of the name itself (RFC 5321, 5.1).
            TYPE_MX => self
                .view
                .find(self.zones, &name)
                .map(|_| self.draft(Code::NoError)),
            TYPE_PTR => self.pointer(&name),
            TYPE_SRV => self.services(&name),
            _ => None,
        }
    }

    fn draft(&self, code: Code) -> Draft {
        Draft::new(self.query, code, self.largest)
    }

    fn addresses<const N: usize>(
        &self,
        name: &str,
        octets: impl Fn(&EndpointNames) -> Option<[u8; N]>,
    ) -> Option<Draft> {
        let Some(endpoints) = self.view.find(self.zones, name) else {
            // The client will come again with a search domain appended.
            let comes_again = self.view.ndots_set && self.query.is_single_label();
            return comes_again.then(|| self.draft(Code::NoError));
        };
        let mut addresses: Vec<_> = endpoints.iter().filter_map(|e| octets(e)).collect();
        shuffle(&mut addresses, self.seed);
        let mut draft = self.draft(Code::NoError);
        for address in &addresses {
            draft.answer(self.query.kind(), TTL, &[address]);
        }
        Some(draft)
    }

    fn pointer(&self, name: &str) -> Option<Draft> {
        let host = self.view.name_of(self.zones, &reversed(name)?)?;
        let mut draft = self.draft(Code::NoError);
        draft.answer(TYPE_PTR, TTL, &[&encode_name(&host)?]);
        Some(draft)
    }

    fn services(&self, name: &str) -> Option<Draft> {
        let [port_name, protocol, host] = exactly(name.splitn(3, '.'))?;
        let asked = |service: &&Service| {
            service.port_name.eq_ignore_ascii_case(port_name)
                && service.protocol.eq_ignore_ascii_case(protocol)
        };
        let endpoints = self.view.find(self.zones, host)?;
        let mut found: Vec<_> = (endpoints.iter())
            .flat_map(|e| {
                e.services
                    .iter()
                    .filter(asked)
                    .map(move |service| (e, service.port))
            })
            .collect();
        shuffle(&mut found, self.seed);
        if found.is_empty() {
            return None;
        }
        let mut draft = self.draft(Code::NoError);
        let target = |endpoint: &EndpointNames| encode_name(endpoint.names.first()?);
        let found: Vec<_> = found
            .into_iter()
            .filter_map(|(e, p)| Some((e, p, target(e)?)))
            .collect();
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

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets = octets.rsplit('.').map(|octet| octet.parse::<u8>().ok());
        return Some(exactly::<u8, 4>(octets.collect::<Option<Vec<_>>>()?)?.into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?.rsplit('.');
    let digit = |text: &str| {
        u8::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 1)
    };
    let digits: [u8; 32] = exactly(digits.map(digit).collect::<Option<Vec<_>>>()?)?;
    Some(std::array::from_fn::<u8, 16, _>(|i| digits[2 * i] << 4 | digits[2 * i + 1]).into())
}

/// The items as an array, if there are exactly as many.
fn exactly<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Option<[T; N]> {
    items.into_iter().collect::<Vec<_>>().try_into().ok()
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
