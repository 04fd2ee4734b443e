//! The host's scope: its table, the user's, and forwarding.

use super::user::{USER_TABLE, user_table};
use super::{TABLE, host_table_of, set};
use crate::model::{Facts, InterfaceName, IpFamily, PerFamily};
use crate::nft::{Data, Datum, Verdict};
use crate::plan::{Key, Netns, Object, Plan};

/// The settings that make the host forward.
const FORWARDING: PerFamily<[&str; 2]> = PerFamily {
    v4: ["ipv4/ip_forward", "ipv4/conf/default/forwarding"],
    v6: ["ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"],
};

/// Returns the kernel objects of the host itself.
///
/// `forward` names the families that some network needs forwarding for.
pub fn plan_host(facts: &Facts, forward: PerFamily<bool>) -> Plan {
    let mut plan = Plan::default();
    plan.add(
        Key::Table(Netns::Host, TABLE.into()),
        Object::Table(host_table_of(&facts.policy)),
    );
    plan.add(
        Key::Table(Netns::Host, USER_TABLE.into()),
        Object::Table(user_table()),
    );
    let forward = PerFamily {
        v6: forward.v6 && facts.ipv6,
        ..forward
    };
    if forward.v6 && !facts.ipv6_forwarding {
        for link in &facts.advertised {
            plan.add(accept_advertisements(link), Object::Setting("2".into()));
        }
    }
    for family in IpFamily::BOTH.into_iter().filter(|family| forward[*family]) {
        for path in FORWARDING[family] {
            plan.add(
                Key::Setting(Netns::Host, path.into()),
                Object::Setting("1".into()),
            );
        }
        if !facts.forwarded(family) && !facts.unmanaged(family) {
            // We switched it on for ourselves, so nothing else may be routed by it.
            plan.add(
                Key::Element(set::FOREIGN.into(), vec![Datum::NfProto(family)]),
                Object::Element(Data::Verdict(Verdict::Drop)),
            );
            plan_within_foreign_bridges(facts, &mut plan);
        }
    }
    plan
}

/// What stays within a bridge is not forwarded, but with br_netfilter it looks as if it were.
fn plan_within_foreign_bridges(facts: &Facts, plan: &mut Plan) {
    for bridge in facts
        .foreign_bridges
        .iter()
        .filter(|_| facts.bridge_netfilter)
    {
        let both = vec![
            Datum::Interface(bridge.clone()),
            Datum::Interface(bridge.clone()),
        ];
        let key = Key::Element(set::WITHIN.into(), both);
        plan.add(key, Object::Element(Data::Verdict(Verdict::Accept)));
    }
}

/// Returns the settings of the host as they were before us, from the facts of that time.
pub fn plan_before_us(first: &Facts) -> Plan {
    let mut plan = Plan::default();
    let mut set = |key, value: &str| plan.add(key, Object::Setting(value.into()));
    if !first.ipv4_forwarding {
        set(Key::Setting(Netns::Host, "ipv4/ip_forward".into()), "0");
    }
    if first.ipv6 && !first.ipv6_forwarding {
        set(
            Key::Setting(Netns::Host, "ipv6/conf/all/forwarding".into()),
            "0",
        );
        for link in &first.advertised {
            set(accept_advertisements(link), "1");
        }
    }
    plan
}

/// A host that forwards is a router, and by default (1) a router takes no routes from others; 2 is
/// to take them all the same.
fn accept_advertisements(link: &InterfaceName) -> Key {
    Key::Setting(Netns::Host, format!("ipv6/conf/{link}/accept_ra"))
}
