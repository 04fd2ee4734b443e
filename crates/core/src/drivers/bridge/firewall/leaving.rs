//! What leaves a network, or enters one, as its sources and destinations are seen there.

use crate::drivers::bridge::table::set;
use crate::model::{ALIASES, IpFamily};
use crate::nft::{Datum, Field, Match, Rule, Statement, Verdict};

/// Where sources are translated.
pub(super) fn sources_translated() -> [Rule; 11] {
    use Field::{InputInterface, Ip4Destination, Ip4Source, Ip6Destination, Ip6Source};
    use Field::{NfProto, OutputInterface};
    let in_set = |fields: &[Field], name: &str| Match::InSet(fields.to_vec(), name.into());
    let siblings = || in_set(&[InputInterface, OutputInterface], set::SIBLINGS);
    let family = |family| Match::Is(NfProto, Datum::NfProto(family));
    [
        masquerade(
            "an endpoint to itself",
            vec![in_set(&[Ip4Source, Ip4Destination], set::SELF4)],
        ),
        masquerade(
            "an endpoint to itself",
            vec![in_set(&[Ip6Source, Ip6Destination], set::SELF6)],
        ),
        masquerade(
            "a sibling by a published port",
            vec![siblings(), Match::Translated],
        ),
        Rule::new("within one network", vec![siblings()], Verdict::Return),
        masquerade(
            "the host's loopback to a published port",
            vec![
                Match::loopback(Ip4Source),
                in_set(&[OutputInterface], set::BRIDGES),
            ],
        ),
        masquerade(
            "into a subnet that another network may have: the source may be one of its own",
            vec![
                family(IpFamily::V4),
                in_set(&[InputInterface], set::BRIDGES),
                in_set(&[OutputInterface], set::OVERLAPPING),
            ],
        ),
        Rule::new(
            "from one network to a published port of another: the source is kept",
            vec![
                in_set(&[InputInterface], set::BRIDGES),
                in_set(&[OutputInterface], set::BRIDGES),
            ],
            Verdict::Return,
        ),
        snat(IpFamily::V4, set::SNAT4),
        snat(IpFamily::V6, set::SNAT6),
        masquerade(
            "to the outside",
            vec![
                family(IpFamily::V4),
                in_set(&[InputInterface], set::MASQUERADE4),
            ],
        ),
        masquerade(
            "to the outside",
            vec![
                family(IpFamily::V6),
                in_set(&[InputInterface], set::MASQUERADE6),
            ],
        ),
    ]
}

/// After all translation: what the host calls an endpoint becomes its own address again.
pub(super) fn into_overlapping() -> Rule {
    let destination = Field::Ip4Destination;
    Rule {
        // First what costs least: hardly a packet is for such an address.
        matches: vec![
            Match::Within(destination, ALIASES.into()),
            Match::InSet(vec![Field::OutputInterface], set::OVERLAPPING.into()),
        ],
        statements: vec![Statement::SetAddress {
            to: destination,
            fields: vec![Field::OutputInterface, destination],
            map: set::REAL4.into(),
        }],
        comment: "into a subnet that another network may have".into(),
    }
}

/// To the outside with the address that was chosen for the network.
fn snat(family: IpFamily, map: &str) -> Rule {
    Rule {
        matches: vec![],
        statements: vec![Statement::SnatMap {
            family,
            fields: vec![Field::InputInterface],
            map: map.into(),
        }],
        comment: "to the outside, with a chosen address".into(),
    }
}

fn masquerade(comment: &str, matches: Vec<Match>) -> Rule {
    Rule {
        matches,
        statements: vec![Statement::Masquerade],
        comment: comment.into(),
    }
}
