//! The table of the host: the chains that packets come to, what in them is the host's own, and
//! where the rules of each driver stand.
//!
//! What a rule decides per network, endpoint or port stands in a set or map; the rules never grow.
//! The bridge's rules are in `drivers/bridge/firewall`. Start at [`host_table_of`].

use super::set::FOREIGN;
use super::user::ACCEPTED;
use crate::drivers::{self, HostChain, HostRules};
use crate::model::{InterfaceName, IpFamily, Policy};
use crate::nft::{
    Chain, ChainKind, DataType, Datum, Family, Field, Hook, HookPoint, Match, Rule, Set, Table,
    Verdict,
};

/// The name of the host table, of family inet.
pub const TABLE: &str = crate::plan::HOST_TABLE;

/// The table of a host whose operator decided nothing of the firewall.
pub fn host_table() -> Table {
    host_table_of(&Policy::default())
}

/// The table of the host. It is the same for every set of networks.
pub fn host_table_of(policy: &Policy) -> Table {
    let brought: Vec<HostRules> = drivers::all()
        .map(|driver| driver.host_rules(policy))
        .collect();
    let mut sets = vec![foreign()];
    let mut chains = Vec::new();
    for rules in &brought {
        sets.extend(rules.sets.iter().cloned());
        chains.extend(rules.chains.iter().cloned());
    }
    let of_drivers = |chain: HostChain| -> Vec<Rule> {
        let all = brought.iter().flat_map(|rules| &rules.rules);
        let here = all.filter(|(place, _)| *place == chain);
        here.map(|(_, rule)| rule.clone()).collect()
    };
    let left_alone: Vec<Rule> = left_alone(policy).collect();
    chains.extend(CHAINS.map(|(chain, name, kind, point, priority)| {
        let (before, after) = own(chain);
        let rules = [left_alone.clone(), before, of_drivers(chain), after];
        Chain {
            hook: Some(Hook {
                kind,
                point,
                priority,
            }),
            ..Chain::new(name, rules.concat())
        }
    }));
    Table {
        family: Family::Inet,
        name: TABLE.into(),
        owned: policy.owned_table,
        sets,
        chains,
    }
}

/// The chains that packets come to: their names, and where the kernel enters them.
const CHAINS: [(HostChain, &str, ChainKind, HookPoint, i32); 6] = {
    use ChainKind::{Filter, Nat};
    use HookPoint as Point;
    [
        (HostChain::Guard, "guard", Filter, Point::Prerouting, -300),
        (
            HostChain::Prerouting,
            "prerouting",
            Nat,
            Point::Prerouting,
            -100,
        ),
        (HostChain::Output, "output", Nat, Point::Output, -100),
        (HostChain::Forward, "forward", Filter, Point::Forward, 0),
        (
            HostChain::Postrouting,
            "postrouting",
            Nat,
            Point::Postrouting,
            100,
        ),
        (HostChain::Last, "last", Filter, Point::Postrouting, 300),
    ]
};

/// What of a chain is the host's own: before the rules of drivers, and after them.
fn own(chain: HostChain) -> (Vec<Rule>, Vec<Rule>) {
    match chain {
        HostChain::Guard => (vec![], guard()),
        HostChain::Forward => (always_forwarded(), not_of_drivers()),
        HostChain::Prerouting | HostChain::Output | HostChain::Postrouting | HostChain::Last => {
            (vec![], vec![])
        }
    }
}

/// 127.0.0.0/8 stays on the host although bridges route it (`route_localnet`): neither what is for
/// it comes from outside, nor what says that it is from there.
fn guard() -> Vec<Rule> {
    [Field::Ip4Destination, Field::Ip4Source]
        .map(|field| {
            let from_outside = Match::IsNot(
                Field::InputInterface,
                Datum::Interface(InterfaceName::loopback()),
            );
            Rule::new(
                "127.0.0.0/8 never comes from outside",
                vec![from_outside, Match::loopback(field)],
                Verdict::Drop,
            )
        })
        .into()
}

fn always_forwarded() -> Vec<Rule> {
    vec![
        Rule::new(
            "what was once allowed",
            vec![Match::Established],
            Verdict::Accept,
        ),
        Rule::new(
            "what a rule of the user's accepts",
            vec![Match::Marked(ACCEPTED)],
            Verdict::Accept,
        ),
    ]
}

/// What no driver has decided about.
fn not_of_drivers() -> Vec<Rule> {
    vec![
        Rule::new(
            "of another daemon's network, which decides",
            vec![Match::ByOurLink],
            Verdict::Accept,
        ),
        Rule::new(
            "into another daemon's network, which decides",
            vec![Match::ToOurLink],
            Verdict::Accept,
        ),
        Rule::look_up(
            "between links that are not ours",
            &[Field::NfProto],
            FOREIGN,
        ),
    ]
}

fn foreign() -> Set {
    Set {
        name: FOREIGN.into(),
        key: vec![DataType::NfProto],
        data: vec![DataType::Verdict],
        interval: false,
    }
}

/// Packets of a family that is not ours to filter or translate leave a chain at once.
fn left_alone(policy: &Policy) -> impl Iterator<Item = Rule> + use<> {
    let policy = *policy;
    let families = IpFamily::BOTH.into_iter();
    let unmanaged = families.filter(move |family| policy.unmanaged(*family));
    unmanaged.map(|family| {
        let family = Match::Is(Field::NfProto, Datum::NfProto(family));
        Rule::new("not ours", vec![family], Verdict::Return)
    })
}
