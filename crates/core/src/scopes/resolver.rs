//! The table in a sandbox that leads its DNS queries to the resolver.
//!
//! The resolver listens on 127.0.0.11, but not on port 53: that port stays free for DNS servers
//! that run in the container. Queries to port 53 are rewritten on their way out, and answers on
//! their way back; without connection tracking, which costs more than the rest of the query.

use crate::model::Protocol;
use crate::nft::{
    Chain, ChainKind, Datum, Family, Field, Hook, HookPoint, Match, Rule, Statement, Table,
};
use std::net::Ipv4Addr;

/// Where containers find their resolver.
pub const RESOLVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The name of the table in the sandbox, of family ip.
pub const RESOLVER_TABLE: &str = "sealane-dns";

/// The table for a resolver that listens on the given ports.
pub fn resolver_table(udp: u16, tcp: u16) -> Table {
    let mut rules = Vec::new();
    for (protocol, port) in [(Protocol::Udp, udp), (Protocol::Tcp, tcp)] {
        rules.push(rewrite(
            protocol,
            Field::Ip4Destination,
            Field::DestinationPort,
            53,
            port,
        ));
        rules.push(rewrite(
            protocol,
            Field::Ip4Source,
            Field::SourcePort,
            port,
            53,
        ));
    }
    let hook = Hook {
        kind: ChainKind::Filter,
        point: HookPoint::Output,
        priority: -300,
    };
    Table {
        family: Family::Ip,
        name: RESOLVER_TABLE.into(),
        owned: false,
        sets: vec![],
        chains: vec![Chain {
            name: "output".into(),
            hook: Some(hook),
            rules,
            user: false,
        }],
    }
}

fn rewrite(protocol: Protocol, address: Field, port: Field, from: u16, to: u16) -> Rule {
    Rule {
        matches: vec![
            Match::Is(address, Datum::Ipv4(RESOLVER_ADDRESS)),
            Match::Is(Field::L4Proto, Datum::Protocol(protocol)),
            Match::Is(port, Datum::Port(from)),
        ],
        statements: vec![Statement::SetPort(port, to), Statement::NoTrack],
        comment: "to the resolver and back".into(),
    }
}
