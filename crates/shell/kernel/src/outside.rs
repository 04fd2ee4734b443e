//! The readers of what the kernel sends, by themselves: for the fuzz targets, and nothing else.
//!
//! Each function takes a datagram, reads every message in it by every reader there is for its kind,
//! checks what has to hold of anything that was read, and returns what was made of it.

use crate::ack;
use crate::nft::decode::{self, Element};
use crate::nft::set::key_bytes;
use crate::read::{address, counters, link, listening, owned, parse, passage};
use crate::socket::{Reply, split};
use crate::watch;
use crate::write::conntrack;
use netlink_packet_route::RouteNetlinkMessage;
use sealane_core::model::IpFamily;
use sealane_core::nft::Datum;
use std::fmt::Debug;

/// What nft calls the keys of our sets, alone and side by side.
const KEYS: [u32; 8] = [
    7,
    8,
    12,
    13,
    41,
    12 << 6 | 13,
    12 << 12 | 7 << 6 | 13,
    2 << 12 | 12 << 6 | 13,
];

/// Our chain in a table of iptables.
const CHAIN: &str = "SEALANE-FORWARD";

/// Links, addresses, neighbors and routes.
pub fn route(datagram: &[u8]) -> String {
    let mut found = String::new();
    for reply in split(datagram) {
        note(&mut found, &watch::notice(&reply, Default::default()));
        note(&mut found, &link::from_reply(&reply));
        note(&mut found, &link::kind_of(&reply.payload));
        match parse(&reply) {
            Ok(message) => by_kind(&mut found, &message),
            Err(error) => note(&mut found, &error),
        }
    }
    found
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel has more kinds of messages than we read"
)]
fn by_kind(found: &mut String, message: &RouteNetlinkMessage) {
    match message {
        RouteNetlinkMessage::NewLink(message) => note(found, &counters::counters(message)),
        RouteNetlinkMessage::NewAddress(message) => note(found, &address::address(message)),
        RouteNetlinkMessage::NewRoute(message) => {
            note(found, &address::destination(message));
            for family in IpFamily::BOTH {
                note(found, &address::route(message, family));
            }
        }
        _ => {}
    }
}

/// Tables of nftables: ours, and those of others.
pub fn netfilter(datagram: &[u8]) -> String {
    let mut found = String::new();
    for Reply { payload, .. } in split(datagram) {
        note(&mut found, &decode::chain(&payload));
        let rule = decode::rule(&payload);
        note(
            &mut found,
            &rule.as_ref().map(|rule| passage::meaning(rule, CHAIN)),
        );
        note(&mut found, &rule);
        let elements = decode::elements(&payload);
        elements.iter().for_each(keys_stay_as_they_are);
        if let Some(set) = decode::set(&payload) {
            note(&mut found, &owned::read_elements(set.shape, &elements));
            note(&mut found, &set);
        }
        note(&mut found, &elements);
        intervals_have_a_length(&elements);
    }
    found
}

/// What was read of a key, written and read again, is the same.
fn keys_stay_as_they_are(element: &Element) {
    for types in KEYS {
        let Some(read) = decode::key(types, element) else {
            continue;
        };
        let (key, end) = key_bytes(&read);
        let written = Element {
            key,
            key_end: Some(end).filter(|end| !end.is_empty()),
            ..element.clone()
        };
        assert_eq!(decode::key(types, &written), Some(read), "key {types:#x}");
    }
}

fn intervals_have_a_length(elements: &[Element]) {
    for (key, _) in decode::lone_intervals(elements) {
        if let [Datum::Ports(first, last)] = key[..] {
            assert!(first <= last, "an interval from {first} to {last}");
        }
    }
}

/// Tracked connections.
pub fn connections(datagram: &[u8]) -> String {
    let mut found = String::new();
    for reply in split(datagram) {
        note(&mut found, &conntrack::meaning(&reply.payload));
    }
    found
}

/// Sockets that receive, and answers to requests.
pub fn answers(datagram: &[u8]) -> String {
    let mut found = String::new();
    for reply in split(datagram) {
        note(&mut found, &listening::read(&reply.payload));
        for flags in [0, 0x200, 0x300] {
            note(&mut found, &ack::decode(flags, &reply.payload));
        }
    }
    found
}

fn note(found: &mut String, value: &impl Debug) {
    found.push_str(&format!("{value:?};"));
}
