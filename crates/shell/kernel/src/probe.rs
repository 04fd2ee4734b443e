//! Which features the kernel has, found by trying: in a network namespace of its own
//! that is gone when this returns.

use crate::ack::errno;
use crate::channel::Channel;
use crate::message::{Message, NFTABLES};
use crate::netns::{leave, on_thread};
use crate::nft::table;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use rustix::thread::UnshareFlags;
use sealane_core::nft::{
    Chain, ChainKind, DataType, Family, Hook, HookPoint, Match, Rule, Set, Statement, Table,
    Verdict,
};
use std::io;
use std::sync::OnceLock;

/// Something that networks are built of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Bridges.
    Bridge,
    /// Veth pairs.
    Veth,
    /// Sets, maps and verdict maps of nftables.
    NftSets,
    /// Connection tracking in rules of nftables.
    Conntrack,
    /// Address translation by nftables.
    Nat,
    /// Macvlan links.
    Macvlan,
    /// Ipvlan links.
    Ipvlan,
    /// 802.1q links.
    Vlan,
    /// VXLAN links.
    Vxlan,
    /// WireGuard links.
    Wireguard,
}

/// Tries each feature; true where the kernel has it.
///
/// On a kernel with modules this may load those that are there and not loaded yet, as making such
/// an object would.
pub fn features() -> io::Result<Vec<(Feature, bool)>> {
    on_thread(|| {
        leave(UnshareFlags::NEWNET)?;
        let channel = Channel::here()?;
        let mut found = Vec::new();
        for (feature, kind) in KINDS {
            found.push((feature, has_kind(&channel, kind())?));
        }
        for (feature, table) in [
            (Feature::NftSets, sets_table()),
            (Feature::Conntrack, conntrack_table()),
            (Feature::Nat, nat_table()),
        ] {
            found.push((feature, takes(&channel, &table)?));
        }
        found.sort_by_key(|(feature, _)| *feature);
        Ok(found)
    })
}

/// Whether a table can be owned, and stay when its owner is gone (Linux 6.9). Tried once.
pub fn owns_tables() -> io::Result<bool> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(*found);
    }
    let found = on_thread(|| {
        leave(UnshareFlags::NEWNET)?;
        let table = Table {
            owned: true,
            ..table_of("owned", vec![])
        };
        takes(&Channel::here()?, &table)
    })?;
    Ok(*FOUND.get_or_init(|| found))
}

const KINDS: [(Feature, fn() -> InfoKind); 7] = [
    (Feature::Bridge, || InfoKind::Bridge),
    (Feature::Veth, || InfoKind::Veth),
    (Feature::Macvlan, || InfoKind::MacVlan),
    (Feature::Ipvlan, || InfoKind::IpVlan),
    (Feature::Vlan, || InfoKind::Vlan),
    (Feature::Vxlan, || InfoKind::Vxlan),
    (Feature::Wireguard, || InfoKind::Wireguard),
];

/// A kernel that does not know the kind says so before it minds that the rest is not told.
fn has_kind(channel: &Channel, kind: InfoKind) -> io::Result<bool> {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]));
    let message = RouteNetlinkMessage::NewLink(message);
    let request = Message::route(message, NLM_F_CREATE | NLM_F_EXCL);
    let answers = channel.route().exchange(&[request])?;
    let refusal = answers.into_iter().find_map(|answer| answer.refusal);
    Ok(refusal.is_none_or(|error| errno(&error) != Some(libc::EOPNOTSUPP)))
}

/// Whether the kernel takes a table as a whole.
fn takes(channel: &Channel, table: &Table) -> io::Result<bool> {
    let messages = table::create(table)?;
    Ok(match channel.netfilter().commit(NFTABLES, &messages) {
        Ok(refusals) => refusals.is_empty(),
        Err(_) => false,
    })
}

fn sets_table() -> Table {
    let set = |name: &str, data: &[DataType]| Set {
        name: name.into(),
        key: vec![DataType::Protocol, DataType::Port],
        data: data.to_vec(),
        interval: false,
    };
    Table {
        sets: vec![
            set("set", &[]),
            set("map", &[DataType::Ipv4, DataType::Port]),
            set("verdicts", &[DataType::Verdict]),
        ],
        ..table_of("sets", vec![])
    }
}

fn conntrack_table() -> Table {
    let rule = Rule {
        matches: vec![Match::Established],
        statements: vec![Statement::Verdict(Verdict::Accept)],
        comment: String::new(),
    };
    let chain = chain(ChainKind::Filter, HookPoint::Forward, 0, vec![rule]);
    table_of("conntrack", vec![chain])
}

fn nat_table() -> Table {
    let rule = Rule {
        matches: vec![Match::ToHost],
        statements: vec![Statement::Masquerade],
        comment: String::new(),
    };
    let rules = vec![rule];
    let masquerade = chain(ChainKind::Nat, HookPoint::Postrouting, 100, rules);
    table_of("nat", vec![masquerade])
}

fn table_of(name: &str, chains: Vec<Chain>) -> Table {
    Table {
        family: Family::Inet,
        name: name.into(),
        owned: false,
        sets: vec![],
        chains,
    }
}

fn chain(kind: ChainKind, point: HookPoint, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain {
        name: "chain".into(),
        hook: Some(Hook {
            kind,
            point,
            priority,
        }),
        rules,
        user: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_network_needs_is_found() {
        let found = features().expect("run as root");
        for needed in [
            Feature::Bridge,
            Feature::Veth,
            Feature::NftSets,
            Feature::Conntrack,
            Feature::Nat,
        ] {
            assert!(found.contains(&(needed, true)), "{needed:?}: {found:?}");
        }
        assert_eq!(found.len(), 10);
    }
}
