//! Who enters a network: a chain for each way it can be entered, to which the maps lead.

use crate::drivers::bridge::table::{APART, PUBLISHED_DIRECT, PUBLISHED_ONLY, ROUTED, set};
use crate::model::{IpFamily, Policy};
use crate::nft::{ADVERTISEMENT, Chain, Field, Match, Rule, SOLICITATION, Verdict};

/// The chains that decide who enters a network, one for each way a network can be entered.
pub(super) fn entrances(policy: &Policy) -> Vec<Chain> {
    use Field::{InputInterface, OutputInterface};
    let published = || Rule::new("a published port", vec![Match::Translated], Verdict::Accept);
    let marked = || {
        let mark = policy.accept_mark.into_iter();
        let comment = "a mark that the operator lets in";
        mark.map(|mark| Rule::new(comment, vec![Match::Marked(mark)], Verdict::Accept))
    };
    let nothing = || Rule::new("nothing else enters a network", vec![], Verdict::Drop);
    let trusted = Match::InSet(vec![InputInterface, OutputInterface], set::TRUSTED.into());
    let linked = Match::InSet(
        vec![
            Field::Ip4Source,
            Field::Ip4Destination,
            Field::L4Proto,
            Field::DestinationPort,
        ],
        set::LINKS4.into(),
    );
    let icmp = |family| {
        let icmp = vec![Match::Icmp(family)];
        Rule::new("errors and echo", icmp, Verdict::Accept)
    };
    let direct = |comment| {
        let direct = Verdict::Goto(PUBLISHED_DIRECT.into());
        move |matches| Rule::new(comment, matches, direct)
    };
    vec![
        Chain::new(
            PUBLISHED_DIRECT,
            [published()]
                .into_iter()
                .chain(marked())
                .chain(open_ports())
                .chain([nothing()]),
        ),
        Chain::new(
            PUBLISHED_ONLY,
            [published()].into_iter().chain(marked()).chain([
                direct("directly from a link that is trusted")(vec![trusted]),
                nothing(),
            ]),
        ),
        Chain::new(
            ROUTED,
            [
                icmp(IpFamily::V4),
                icmp(IpFamily::V6),
                direct("a published port")(vec![]),
            ],
        ),
        Chain::new(
            APART,
            neighbors()
                .into_iter()
                .chain([Rule::new("a port of a link", vec![linked], Verdict::Accept)])
                .chain([published()])
                .chain(marked())
                .chain([nothing()]),
        ),
    ]
}

/// Who may answer has to find whom: what ARP is for IPv4, which no filter of IP sees (RFC 4861).
fn neighbors() -> [Rule; 2] {
    [SOLICITATION, ADVERTISEMENT].map(|number| {
        let discovery = Match::Icmp6Type(number);
        Rule::new("who has which address", vec![discovery], Verdict::Accept)
    })
}

/// A published port, at the container's own address.
fn open_ports() -> [Rule; 2] {
    [
        (Field::Ip4Destination, set::OPEN4),
        (Field::Ip6Destination, set::OPEN6),
    ]
    .map(|(destination, open)| {
        let port = [
            Field::OutputInterface,
            destination,
            Field::L4Proto,
            Field::DestinationPort,
        ];
        let open = Match::InSet(port.to_vec(), open.into());
        Rule::new("a published port, directly", vec![open], Verdict::Accept)
    })
}
