//! What arrives by a bridge, before the kernel knows its connection.

use crate::drivers::bridge::table::{ALIASED, HANDED_OVER, SOURCES, UNTRACKED, set};
use crate::nft::{Chain, Field, Match, Rule, Statement, Verdict};

/// Has the sources looked at of what most networks hand to the host.
pub(super) fn from_a_network() -> Rule {
    let bridge = Match::InSet(vec![Field::InputInterface], set::SOURCED.into());
    let sources = Verdict::Jump(SOURCES.into());
    Rule::new("from a network", vec![bridge], sources)
}

/// Leads what other bridges bring to the chain for it.
pub(super) fn by_a_bridge() -> Rule {
    Rule::look_up(
        "from a bridge of another kind",
        &[Field::InputInterface],
        set::ARRIVING,
    )
}

/// Those chains.
pub(super) fn arriving_chains() -> [Chain; 4] {
    [untracked(), sources(), handed_over(), aliased()]
}

/// Of a crowd's bridges the first one tracks, and decides.
fn untracked() -> Chain {
    let rule = Rule {
        matches: vec![],
        statements: vec![Statement::NoTrack],
        comment: "seen again on the first bridge of its network".into(),
    };
    Chain::new(UNTRACKED, [rule])
}

/// Nothing that a network hands to the host says that it comes from elsewhere: it could take part
/// in connections that others have there. What is for many belongs to no connection.
fn sources() -> Chain {
    let multicast4 = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 3);
    let multicast6 = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::from_bits(0xff << 120), 8);
    let for_many =
        |field, net| Rule::new("for many", vec![Match::Within(field, net)], Verdict::Return);
    let elsewhere = |source, set: &str| {
        let own = Match::InSet(vec![Field::InputInterface, source], set.into());
        let comment = "what a container on it has on another network";
        Rule::new(comment, vec![own], Verdict::Return)
    };
    Chain::new(
        SOURCES,
        [
            Rule::new(
                "from where an answer would go",
                vec![Match::FromItsRoute],
                Verdict::Return,
            ),
            for_many(Field::Ip4Destination, multicast4.into()),
            for_many(Field::Ip6Destination, multicast6.into()),
            elsewhere(Field::Ip4Source, set::ELSEWHERE4),
            elsewhere(Field::Ip6Source, set::ELSEWHERE6),
            Rule::new("from elsewhere, as it says", vec![], Verdict::Drop),
        ],
    )
}

/// With br_netfilter, what stays within a bridge is seen here, too, and is none of the host's. It is
/// most of what is seen, so that this rule comes first, and asks for as little as it can.
pub(super) fn stays_on_its_bridge() -> Rule {
    let mut matches = vec![Match::ByNetworkBridge];
    matches.extend(for_another_one());
    Rule::new("stays on its bridge", matches, Verdict::Accept)
}

/// Not for the bridge itself; nor for a port, whose frames it takes for its own.
fn for_another_one() -> [Match; 3] {
    let towards = vec![Field::EtherDestination];
    [
        Match::ForOne,
        Match::NotForPort,
        Match::NotInSet(towards, set::HANDED.into()),
    ]
}

/// The same of bridges whose endpoints have aliases.
fn handed_over() -> Chain {
    Chain::new(
        HANDED_OVER,
        [
            Rule::new(
                "for another one on the bridge",
                for_another_one().into(),
                Verdict::Return,
            ),
            Rule::new("for the host", vec![], Verdict::Goto(SOURCES.into())),
        ],
    )
}

/// Endpoints whose address may be another network's, too, get one that is theirs alone before the
/// kernel tracks or routes anything; among siblings they keep their own.
fn aliased() -> Chain {
    let [source, destination] = [Field::Ip4Source, Field::Ip4Destination];
    let sibling = Match::InSet(
        vec![Field::InputInterface, destination],
        set::OVERLAPPING4.into(),
    );
    let sourced = Match::InSet(vec![Field::InputInterface], set::SOURCED_ALIASES.into());
    // Multicast and broadcast stay on the bridge.
    let many = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 3).into();
    let rules = [
        Rule::new(
            "between siblings of one subnet",
            vec![sibling],
            Verdict::Return,
        ),
        Rule {
            matches: vec![Match::NotWithin(destination, many)],
            statements: vec![Statement::SetAddress {
                to: source,
                fields: vec![Field::InputInterface, source],
                map: set::ALIAS4.into(),
            }],
            comment: "from a subnet that another network may have".into(),
        },
        Rule::new(
            "as of others",
            vec![sourced],
            Verdict::Goto(HANDED_OVER.into()),
        ),
    ];
    Chain::new(ALIASED, rules)
}
