//! The real kernel, in namespaces of their own, seen by witnesses that are not ours: `ip`, `nft`,
//! `iptables`, `conntrack` and real packets.

#![expect(
    clippy::unwrap_used,
    reason = "whatever a test needs and lacks is its failure"
)]

mod addresses;
mod effects;
mod elements;
mod faults;
mod links;
mod namespaces;
mod passages;
mod refusals;
mod routes;
mod support;
mod surroundings;
mod tables;
mod translation;
mod tunnels;
mod uppers;
mod watching;
