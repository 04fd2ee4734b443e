//! The bridge's rules in the host's table. They never grow: what they decide per network, endpoint or
//! port stands in the sets of [`table`](super::table).
//!
//! What most networks want stands in sets, and not as verdicts that lead to a chain: with each of those
//! that is added the kernel walks all elements of the table's maps, to see that no chain leads back to
//! itself.

mod arriving;
mod entering;
mod leaving;

use super::publish::{publish_chain, publish_sets};
use super::table::{PUBLISHED_ONLY, set};
use crate::drivers::{HostChain, HostRules};
use crate::model::Policy;
use crate::nft::{DataType, Field, Match, Rule, Set, Statement, Verdict};
use arriving::{arriving_chains, by_a_bridge, from_a_network, stays_on_its_bridge};
use entering::entrances;
use leaving::{into_overlapping, sources_translated};

/// Returns what the bridge driver brings to the host's table.
pub(super) fn host_rules(policy: &Policy) -> HostRules {
    let mut chains = entrances(policy);
    chains.push(publish_chain());
    chains.extend(arriving_chains());
    let published = |comment: &str| {
        let publish = Verdict::Jump("publish".into());
        Rule::new(comment, vec![Match::ToHost], publish)
    };
    let one = [
        (HostChain::Guard, stays_on_its_bridge()),
        (HostChain::Guard, from_a_network()),
        (HostChain::Guard, by_a_bridge()),
        (HostChain::Prerouting, published("published ports")),
        (
            HostChain::Output,
            published("published ports, from the host itself"),
        ),
        (HostChain::Last, into_overlapping()),
    ];
    let mut rules = Vec::from(one);
    rules.extend(forward().map(|rule| (HostChain::Forward, rule)));
    rules.extend(sources_translated().map(|rule| (HostChain::Postrouting, rule)));
    HostRules {
        sets: sets(),
        chains,
        rules,
    }
}

/// Who may pass through the host.
fn forward() -> [Rule; 8] {
    use Field::{InputInterface, NfProto, OutputInterface};
    [
        Rule::look_up(
            "within one network",
            &[InputInterface, OutputInterface],
            set::WITHIN,
        ),
        Rule::new(
            "of no connection: it would leave with the container's own address",
            vec![
                Match::Invalid,
                Match::InSet(vec![NfProto, InputInterface], set::TRANSLATED.into()),
            ],
            Verdict::Drop,
        ),
        taken_back(Field::Ip4Source, set::CLOSED4),
        taken_back(Field::Ip6Source, set::CLOSED6),
        Rule::look_up("out of a network", &[InputInterface], set::LEAVING),
        Rule::look_up("into a network", &[NfProto, OutputInterface], set::ENTERING),
        Rule::new(
            "into a network by its published ports",
            vec![Match::InSet(
                vec![NfProto, OutputInterface],
                set::PUBLISHED.into(),
            )],
            Verdict::Goto(PUBLISHED_ONLY.into()),
        ),
        Rule::new(
            "out of a network to anywhere else",
            vec![Match::InSet(vec![InputInterface], set::BRIDGES.into())],
            Verdict::Accept,
        ),
    ]
}

/// What a container goes on to say to whom its port was taken back from would make a connection of
/// its own, outwards, and the old one would live on in it.
fn taken_back(source: Field, closed: &str) -> Rule {
    let port = vec![source, Field::L4Proto, Field::SourcePort];
    Rule {
        matches: vec![Match::InSet(port, closed.into()), Match::NotOpening],
        statements: vec![Statement::Reset],
        comment: "of a connection to a port that was taken back".into(),
    }
}

fn sets() -> Vec<Set> {
    use DataType::{Interface, Ipv4, Ipv6, Mac, NfProto, Port, Protocol, Verdict};
    let plain = |name: &str, key: &[DataType], data: &[DataType]| Set {
        name: name.into(),
        key: key.to_vec(),
        data: data.to_vec(),
        interval: false,
    };
    let mut sets = vec![
        plain(set::BRIDGES, &[Interface], &[]),
        plain(set::SOURCED, &[Interface], &[]),
        plain(set::SOURCED_ALIASES, &[Interface], &[]),
        plain(set::ARRIVING, &[Interface], &[Verdict]),
        plain(set::HANDED, &[Mac], &[]),
        plain(set::ELSEWHERE4, &[Interface, Ipv4], &[]),
        plain(set::ELSEWHERE6, &[Interface, Ipv6], &[]),
        plain(set::SIBLINGS, &[Interface, Interface], &[]),
        plain(set::WITHIN, &[Interface, Interface], &[Verdict]),
        plain(set::LEAVING, &[Interface], &[Verdict]),
        plain(set::PUBLISHED, &[NfProto, Interface], &[]),
        plain(set::ENTERING, &[NfProto, Interface], &[Verdict]),
        plain(set::TRANSLATED, &[NfProto, Interface], &[]),
        plain(set::MASQUERADE4, &[Interface], &[]),
        plain(set::MASQUERADE6, &[Interface], &[]),
        plain(set::SNAT4, &[Interface], &[Ipv4]),
        plain(set::SNAT6, &[Interface], &[Ipv6]),
        plain(set::TRUSTED, &[Interface, Interface], &[]),
        plain(set::OPEN4, &[Interface, Ipv4, Protocol, Port], &[]),
        plain(set::OPEN6, &[Interface, Ipv6, Protocol, Port], &[]),
        plain(set::CLOSED4, &[Ipv4, Protocol, Port], &[]),
        plain(set::CLOSED6, &[Ipv6, Protocol, Port], &[]),
        plain(set::LINKS4, &[Ipv4, Ipv4, Protocol, Port], &[]),
        plain(set::OVERLAPPING, &[Interface], &[]),
        plain(set::OVERLAPPING4, &[Interface, Ipv4], &[]),
        plain(set::ALIAS4, &[Interface, Ipv4], &[Ipv4]),
        plain(set::REAL4, &[Interface, Ipv4], &[Ipv4]),
        plain(set::SELF4, &[Ipv4, Ipv4], &[]),
        plain(set::SELF6, &[Ipv6, Ipv6], &[]),
    ];
    sets.extend(publish_sets());
    sets
}
