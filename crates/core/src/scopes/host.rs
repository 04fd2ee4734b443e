//! The host's scope: one table with static chains, and forwarding.
//!
//! What a rule decides per network, endpoint or port stands in a set or map; the rules never grow.

use super::user::{ACCEPTED, USER_TABLE, user_table};
use super::{
    ALIASED, APART, HANDED_OVER, PUBLISHED_DIRECT, PUBLISHED_ONLY, ROUTED, SOURCES, UNTRACKED, set,
};
use crate::drivers::bridge::{publish_chain, publish_sets};
use crate::model::{Facts, InterfaceName, IpFamily, PerFamily, Policy};
use crate::nft::{
    ADVERTISEMENT, Chain, ChainKind, Data, DataType, Datum, Family, Field, Hook, HookPoint, Match,
    Rule, SOLICITATION, Set, Statement, Table, Verdict,
};
use crate::plan::{Key, Netns, Object, Plan};

/// The name of the host table, of family inet.
pub const TABLE: &str = crate::plan::HOST_TABLE;

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

/// The table of a host whose operator decided nothing of the firewall.
pub fn host_table() -> Table {
    host_table_of(&Policy::default())
}

/// The table of the host. It is the same for every set of networks.
pub fn host_table_of(policy: &Policy) -> Table {
    let mut chains = entrances(policy);
    chains.push(publish_chain());
    chains.extend([
        untracked(),
        sources(),
        handed_over(),
        aliased(),
        guard(),
        prerouting(),
        output(),
        forward(),
        postrouting(),
        last(),
    ]);
    for chain in chains.iter_mut().filter(|chain| chain.hook.is_some()) {
        chain.rules.splice(0..0, left_alone(policy));
    }
    Table {
        family: Family::Inet,
        name: TABLE.into(),
        owned: policy.owned_table,
        sets: sets(),
        chains,
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
        plain(set::ARRIVING, &[Interface], &[Verdict]),
        plain(set::HANDED, &[Interface, Mac], &[]),
        plain(set::ELSEWHERE4, &[Interface, Ipv4], &[]),
        plain(set::ELSEWHERE6, &[Interface, Ipv6], &[]),
        plain(set::SIBLINGS, &[Interface, Interface], &[]),
        plain(set::WITHIN, &[Interface, Interface], &[Verdict]),
        plain(set::LEAVING, &[Interface], &[Verdict]),
        plain(set::ENTERING, &[NfProto, Interface], &[Verdict]),
        plain(set::FOREIGN, &[NfProto], &[Verdict]),
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

/// The chains that decide who enters a network, one for each way a network can be entered.
fn entrances(policy: &Policy) -> Vec<Chain> {
    use Field::{InputInterface, OutputInterface};
    let published = || rule("a published port", vec![Match::Translated], Verdict::Accept);
    let marked = || {
        let mark = policy.accept_mark.into_iter();
        let comment = "a mark that the operator lets in";
        mark.map(|mark| rule(comment, vec![Match::Marked(mark)], Verdict::Accept))
    };
    let nothing = || rule("nothing else enters a network", vec![], Verdict::Drop);
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
        rule(
            "errors and echo",
            vec![Match::Icmp(family)],
            Verdict::Accept,
        )
    };
    let direct = |comment| {
        let direct = Verdict::Goto(PUBLISHED_DIRECT.into());
        move |matches| rule(comment, matches, direct)
    };
    vec![
        plain_chain(
            PUBLISHED_DIRECT,
            [published()]
                .into_iter()
                .chain(marked())
                .chain(open_ports())
                .chain([nothing()]),
        ),
        plain_chain(
            PUBLISHED_ONLY,
            [published()].into_iter().chain(marked()).chain([
                direct("directly from a link that is trusted")(vec![trusted]),
                nothing(),
            ]),
        ),
        plain_chain(
            ROUTED,
            [
                icmp(IpFamily::V4),
                icmp(IpFamily::V6),
                direct("a published port")(vec![]),
            ],
        ),
        plain_chain(
            APART,
            neighbors()
                .into_iter()
                .chain([rule("a port of a link", vec![linked], Verdict::Accept)])
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
        rule("who has which address", vec![discovery], Verdict::Accept)
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
        rule("a published port, directly", vec![open], Verdict::Accept)
    })
}

fn plain_chain(name: &str, rules: impl IntoIterator<Item = Rule>) -> Chain {
    Chain {
        name: name.into(),
        hook: None,
        rules: rules.into_iter().collect(),
        user: false,
    }
}

/// 127.0.0.0/8 stays on the host although bridges route it (`route_localnet`): neither what is for
/// it comes from outside, nor what says that it is from there.
fn guard() -> Chain {
    base(
        "guard",
        ChainKind::Filter,
        HookPoint::Prerouting,
        -300,
        vec![
            not_loopback(Field::Ip4Destination),
            not_loopback(Field::Ip4Source),
            lookup(
                "from a bridge of ours",
                &[Field::InputInterface],
                set::ARRIVING,
            ),
        ],
    )
}

/// No packet that another link brings has an address of loopback.
fn not_loopback(field: Field) -> Rule {
    rule(
        "127.0.0.0/8 never comes from outside",
        vec![
            Match::IsNot(Field::InputInterface, Datum::Interface(lo())),
            Match::Within(field, loopback()),
        ],
        Verdict::Drop,
    )
}

/// Of a crowd's bridges the first one tracks, and decides.
fn untracked() -> Chain {
    let rule = Rule {
        matches: vec![],
        statements: vec![Statement::NoTrack],
        comment: "seen again on the first bridge of its network".into(),
    };
    plain_chain(UNTRACKED, [rule])
}

/// Nothing that a network hands to the host says that it comes from elsewhere: it could take part
/// in connections that others have there. What is for many belongs to no connection.
fn sources() -> Chain {
    let multicast4 = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 3);
    let multicast6 = ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::from_bits(0xff << 120), 8);
    let for_many = |field, net| rule("for many", vec![Match::Within(field, net)], Verdict::Return);
    let elsewhere = |source, set: &str| {
        let own = Match::InSet(vec![Field::InputInterface, source], set.into());
        let comment = "what a container on it has on another network";
        rule(comment, vec![own], Verdict::Return)
    };
    plain_chain(
        SOURCES,
        [
            rule(
                "from where an answer would go",
                vec![Match::FromItsRoute],
                Verdict::Return,
            ),
            for_many(Field::Ip4Destination, multicast4.into()),
            for_many(Field::Ip6Destination, multicast6.into()),
            elsewhere(Field::Ip4Source, set::ELSEWHERE4),
            elsewhere(Field::Ip6Source, set::ELSEWHERE6),
            rule("from elsewhere, as it says", vec![], Verdict::Drop),
        ],
    )
}

/// With br_netfilter, what stays within a bridge is seen here, too, and is none of the host's.
fn handed_over() -> Chain {
    let towards = vec![Field::InputInterface, Field::EtherDestination];
    plain_chain(
        HANDED_OVER,
        [
            rule(
                "for another one on the bridge",
                vec![Match::ForOne, Match::NotInSet(towards, set::HANDED.into())],
                Verdict::Return,
            ),
            rule("for the host", vec![], Verdict::Goto(SOURCES.into())),
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
    // Multicast and broadcast stay on the bridge.
    let many = ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(224, 0, 0, 0), 3).into();
    let rules = [
        rule(
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
        rule("as of others", vec![], Verdict::Goto(HANDED_OVER.into())),
    ];
    plain_chain(ALIASED, rules)
}

/// After all translation: what the host calls an endpoint becomes its own address again.
fn last() -> Chain {
    let destination = Field::Ip4Destination;
    base(
        "last",
        ChainKind::Filter,
        HookPoint::Postrouting,
        300,
        vec![Rule {
            matches: vec![Match::InSet(
                vec![Field::OutputInterface],
                set::OVERLAPPING.into(),
            )],
            statements: vec![Statement::SetAddress {
                to: destination,
                fields: vec![Field::OutputInterface, destination],
                map: set::REAL4.into(),
            }],
            comment: "into a subnet that another network may have".into(),
        }],
    )
}

fn prerouting() -> Chain {
    base(
        "prerouting",
        ChainKind::Nat,
        HookPoint::Prerouting,
        -100,
        vec![rule(
            "published ports",
            vec![Match::ToHost],
            Verdict::Jump("publish".into()),
        )],
    )
}

fn output() -> Chain {
    base(
        "output",
        ChainKind::Nat,
        HookPoint::Output,
        -100,
        vec![rule(
            "published ports, from the host itself",
            vec![Match::ToHost],
            Verdict::Jump("publish".into()),
        )],
    )
}

fn forward() -> Chain {
    use Field::{InputInterface, NfProto, OutputInterface};
    base(
        "forward",
        ChainKind::Filter,
        HookPoint::Forward,
        0,
        vec![
            rule(
                "what was once allowed",
                vec![Match::Established],
                Verdict::Accept,
            ),
            rule(
                "what a rule of the user's accepts",
                vec![Match::Marked(ACCEPTED)],
                Verdict::Accept,
            ),
            lookup(
                "within one network",
                &[InputInterface, OutputInterface],
                set::WITHIN,
            ),
            rule(
                "of no connection: it would leave with the container's own address",
                vec![
                    Match::Invalid,
                    Match::InSet(vec![NfProto, InputInterface], set::TRANSLATED.into()),
                ],
                Verdict::Drop,
            ),
            taken_back(Field::Ip4Source, set::CLOSED4),
            taken_back(Field::Ip6Source, set::CLOSED6),
            lookup("out of a network", &[InputInterface], set::LEAVING),
            lookup("into a network", &[NfProto, OutputInterface], set::ENTERING),
            rule(
                "out of a network to anywhere else",
                vec![Match::InSet(vec![InputInterface], set::BRIDGES.into())],
                Verdict::Accept,
            ),
            rule(
                "of another daemon's network, which decides",
                vec![Match::ByOurLink],
                Verdict::Accept,
            ),
            rule(
                "into another daemon's network, which decides",
                vec![Match::ToOurLink],
                Verdict::Accept,
            ),
            lookup("between links that are not ours", &[NfProto], set::FOREIGN),
        ],
    )
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

fn postrouting() -> Chain {
    use Field::{InputInterface, Ip4Destination, Ip4Source, Ip6Destination, Ip6Source};
    use Field::{NfProto, OutputInterface};
    let in_set = |fields: &[Field], name: &str| Match::InSet(fields.to_vec(), name.into());
    let siblings = || in_set(&[InputInterface, OutputInterface], set::SIBLINGS);
    let family = |family| Match::Is(NfProto, Datum::NfProto(family));
    base(
        "postrouting",
        ChainKind::Nat,
        HookPoint::Postrouting,
        100,
        vec![
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
            rule("within one network", vec![siblings()], Verdict::Return),
            masquerade(
                "the host's loopback to a published port",
                vec![
                    Match::Within(Ip4Source, loopback()),
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
            rule(
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
        ],
    )
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

fn rule(comment: &str, matches: Vec<Match>, verdict: Verdict) -> Rule {
    Rule {
        matches,
        statements: vec![Statement::Verdict(verdict)],
        comment: comment.into(),
    }
}

/// What a map says of the fields.
fn lookup(comment: &str, fields: &[Field], map: &str) -> Rule {
    Rule {
        matches: vec![],
        statements: vec![Statement::VerdictMap(fields.to_vec(), map.into())],
        comment: comment.into(),
    }
}

/// Packets of a family that is not ours to filter or translate leave a chain at once.
fn left_alone(policy: &Policy) -> impl Iterator<Item = Rule> + use<> {
    let policy = *policy;
    let families = IpFamily::BOTH.into_iter();
    let unmanaged = families.filter(move |family| policy.unmanaged(*family));
    unmanaged.map(|family| {
        let family = Match::Is(Field::NfProto, Datum::NfProto(family));
        rule("not ours", vec![family], Verdict::Return)
    })
}

/// A chain that packets come to.
fn base(name: &str, kind: ChainKind, point: HookPoint, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain {
        name: name.into(),
        hook: Some(Hook {
            kind,
            point,
            priority,
        }),
        rules,
        user: false,
    }
}

/// What stays on a host (RFC 1122, 3.2.1.3).
fn loopback() -> ipnet::IpNet {
    ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).into()
}

fn lo() -> InterfaceName {
    InterfaceName::loopback()
}
