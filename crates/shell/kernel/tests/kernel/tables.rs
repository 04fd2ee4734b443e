//! Tables of nftables: how they read, and how one takes the place of another.

use crate::support::*;
use sealane_core::model::{IpFamily, Protocol};
use sealane_core::nft::*;
use sealane_core::plan::{Change, Key, Netns, Object};
use sealane_core::scopes;
use sealane_kernel::Kernel;
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;

fn key(table: &Table) -> Key {
    Key::Table(Netns::Host, table.name.clone())
}

fn put(kernel: &Kernel, table: &Table) {
    make(kernel, vec![(key(table), Object::Table(table.clone()))]);
}

fn differs(kernel: &Kernel, table: &Table) -> bool {
    !differing(kernel, &[(key(table), Object::Table(table.clone()))]).is_empty()
}

/// What `nft` lists, without what is for our own use.
fn listed(table: &Table) -> String {
    let family = table.family.to_string();
    let text = run("nft", &["list", "table", &family, &table.name]);
    let (before, _) = text
        .split_once("\tchain fingerprint {")
        .expect("a fingerprint");
    let ours = |line: &&str| !line.contains("comment \"yours: ");
    let lines: Vec<&str> = before.lines().filter(ours).chain(["}"]).collect();
    sorted(&lines.join("\n"))
}

/// How a table renders, in a form to compare.
fn rendered(table: &Table) -> String {
    sorted(&table.to_string())
}

/// A listing with its sets and chains in order of name: what was there before stays in front.
fn sorted(listing: &str) -> String {
    let (head, body) = listing.split_once('\n').unwrap();
    let mut blocks: Vec<String> = body.split("\n\t}\n").map(squeezed).collect();
    blocks.sort();
    format!("{head}\n{}", blocks.join("\n"))
}

fn rule(matches: Vec<Match>, statements: Vec<Statement>, comment: &str) -> Rule {
    Rule {
        matches,
        statements,
        comment: comment.into(),
    }
}

fn set(name: &str, key: &[DataType], data: &[DataType], interval: bool) -> Set {
    Set {
        name: name.into(),
        key: key.to_vec(),
        data: data.to_vec(),
        interval,
    }
}

fn chain(name: &str, hook: Option<Hook>, rules: Vec<Rule>) -> Chain {
    Chain {
        name: name.into(),
        hook,
        rules,
        user: false,
    }
}

fn hook(kind: ChainKind, point: HookPoint, priority: i32) -> Option<Hook> {
    Some(Hook {
        kind,
        point,
        priority,
    })
}

fn is(field: Field, datum: Datum) -> Match {
    Match::Is(field, datum)
}

/// Sets of every type that a field can have.
fn sets() -> Vec<Set> {
    use DataType::{Interface, Ipv4, Ipv6, NfProto, Port, Protocol, Verdict};
    vec![
        set("v4", &[Ipv4], &[], false),
        set("v6", &[Ipv6], &[], false),
        set("protocols", &[Protocol], &[], false),
        set("ports", &[Port], &[], false),
        set("links", &[Interface], &[], false),
        set("families", &[NfProto], &[Verdict], false),
        set("pairs", &[Interface, Interface], &[Verdict], false),
        set("ranges", &[Port], &[], true),
        set("hash4", &[Protocol, Ipv4, Port], &[Ipv4, Port], false),
        set("hash6", &[Protocol, Ipv6, Port], &[Ipv6, Port], false),
        set("range4", &[Protocol, Port], &[Ipv4], true),
        set("range6", &[Protocol, Port], &[Ipv6], true),
        set("self4", &[Ipv4, Ipv4], &[], false),
        set("self6", &[Ipv6, Ipv6], &[], false),
    ]
}

/// Every match.
fn matches() -> Vec<Match> {
    use Field::*;
    let prefix = |text: &str| text.parse().unwrap();
    vec![
        is(NfProto, Datum::NfProto(IpFamily::V6)),
        Match::IsNot(NfProto, Datum::NfProto(IpFamily::V4)),
        is(L4Proto, Datum::Protocol(Protocol::Tcp)),
        Match::IsNot(L4Proto, Datum::Protocol(Protocol::Udp)),
        is(InputInterface, Datum::Interface(name("eth0"))),
        Match::IsNot(OutputInterface, Datum::Interface(name("br-0123456789ab"))),
        is(Ip4Source, Datum::Ipv4([10, 0, 0, 1].into())),
        Match::IsNot(Ip4Destination, Datum::Ipv4([10, 0, 0, 1].into())),
        is(Ip6Source, Datum::Ipv6("fd00::1".parse().unwrap())),
        is(Ip6Destination, Datum::Ipv6("fd00::1".parse().unwrap())),
        is(SourcePort, Datum::Port(53)),
        is(DestinationPort, Datum::Port(53)),
        Match::Within(Ip4Source, prefix("10.0.0.0/8")),
        Match::Within(Ip4Destination, prefix("10.1.128.0/17")),
        Match::NotWithin(Ip4Destination, prefix("10.0.0.0/30")),
        Match::Within(Ip6Source, prefix("fe80::/10")),
        Match::Within(Ip6Destination, prefix("::1/128")),
        Match::NotWithin(Ip6Destination, prefix("fd00::/64")),
        Match::InSet(vec![Ip4Source], "v4".into()),
        Match::NotInSet(vec![Ip6Destination], "v6".into()),
        Match::InSet(vec![L4Proto], "protocols".into()),
        Match::InSet(vec![DestinationPort], "ports".into()),
        Match::NotInSet(vec![SourcePort], "ranges".into()),
        Match::InSet(vec![InputInterface], "links".into()),
        Match::InSet(vec![Ip4Source, Ip4Destination], "self4".into()),
        Match::NotInSet(vec![Ip6Source, Ip6Destination], "self6".into()),
        Match::Established,
        Match::Invalid,
        Match::Translated,
        Match::ToHost,
    ]
}

/// Every verdict, and every map of verdicts.
fn verdicts() -> Vec<Rule> {
    use Field::{InputInterface, NfProto, OutputInterface};
    let plain = || "plain".to_string();
    let verdicts = [
        Verdict::Accept,
        Verdict::Drop,
        Verdict::Return,
        Verdict::Jump(plain()),
        Verdict::Goto(plain()),
    ];
    let mut statements: Vec<Statement> = verdicts.map(Statement::Verdict).into();
    statements.push(Statement::VerdictMap(vec![NfProto], "families".into()));
    statements.push(Statement::VerdictMap(
        vec![InputInterface, OutputInterface],
        "pairs".into(),
    ));
    statements
        .into_iter()
        .map(|statement| rule(vec![], vec![statement], ""))
        .collect()
}

fn translations() -> Vec<Rule> {
    use Field::{DestinationPort, Ip4Destination, Ip6Destination, L4Proto};
    let dnat = |family, fields: &[Field], map: &str, port| {
        let map = map.into();
        let translate = Statement::DnatMap {
            family,
            fields: fields.to_vec(),
            map,
            port,
        };
        rule(vec![Match::ToHost], vec![translate], "published")
    };
    vec![
        dnat(
            IpFamily::V4,
            &[L4Proto, Ip4Destination, DestinationPort],
            "hash4",
            true,
        ),
        dnat(
            IpFamily::V6,
            &[L4Proto, Ip6Destination, DestinationPort],
            "hash6",
            true,
        ),
        dnat(IpFamily::V4, &[L4Proto, DestinationPort], "range4", false),
        dnat(IpFamily::V6, &[L4Proto, DestinationPort], "range6", false),
    ]
}

fn rewrites() -> Vec<Rule> {
    let set_port = |protocol, field, port| {
        let matches = vec![
            is(Field::L4Proto, Datum::Protocol(protocol)),
            is(field, Datum::Port(53)),
        ];
        rule(
            matches,
            vec![Statement::SetPort(field, port), Statement::NoTrack],
            "",
        )
    };
    vec![
        set_port(Protocol::Udp, Field::DestinationPort, 5353),
        set_port(Protocol::Tcp, Field::SourcePort, 5354),
    ]
}

/// A table in which everything occurs that can.
fn everything() -> Table {
    let accept = || vec![Statement::Verdict(Verdict::Accept)];
    let mut rules: Vec<Rule> = matches()
        .into_iter()
        .map(|one| rule(vec![one], accept(), ""))
        .collect();
    rules.push(rule(
        vec![
            is(Field::Ip4Source, Datum::Ipv4([10, 0, 0, 1].into())),
            is(Field::L4Proto, Datum::Protocol(Protocol::Tcp)),
            is(Field::DestinationPort, Datum::Port(80)),
        ],
        vec![Statement::Counter, Statement::Verdict(Verdict::Drop)],
        "several things",
    ));
    rules.extend(verdicts());
    let masquerade = rule(
        vec![is(Field::NfProto, Datum::NfProto(IpFamily::V6))],
        vec![Statement::Masquerade],
        "to the outside",
    );
    let counted = rule(vec![], vec![Statement::Counter], "");
    Table {
        family: Family::Inet,
        name: "sealane".into(),
        owned: false,
        sets: sets(),
        chains: vec![
            Chain {
                user: true,
                ..chain("sealane-user-forward", None, vec![])
            },
            chain("plain", None, vec![counted]),
            chain(
                "raw",
                hook(ChainKind::Filter, HookPoint::Output, -300),
                rewrites(),
            ),
            chain("in", hook(ChainKind::Filter, HookPoint::Input, 5), vec![]),
            chain(
                "nat",
                hook(ChainKind::Nat, HookPoint::Prerouting, -100),
                translations(),
            ),
            chain(
                "nat-out",
                hook(ChainKind::Nat, HookPoint::Output, -100),
                translations(),
            ),
            chain(
                "out",
                hook(ChainKind::Nat, HookPoint::Postrouting, 100),
                vec![masquerade],
            ),
            chain(
                "forward",
                hook(ChainKind::Filter, HookPoint::Forward, 0),
                rules,
            ),
        ],
    }
}

/// A table with a set, a user's chain and a rule that jumps to it.
fn small(comment: &str) -> Table {
    let user = "sealane-user-forward";
    let jump = Statement::Verdict(Verdict::Jump(user.into()));
    let lookup = Statement::VerdictMap(vec![Field::InputInterface], "gates".into());
    let rules = vec![
        rule(vec![], vec![jump], comment),
        rule(vec![], vec![lookup], "by link"),
    ];
    Table {
        family: Family::Inet,
        name: "sealane".into(),
        owned: false,
        sets: vec![
            set("gates", &[DataType::Interface], &[DataType::Verdict], false),
            set("bridges", &[DataType::Interface], &[], false),
        ],
        chains: vec![
            Chain {
                user: true,
                ..chain(user, None, vec![])
            },
            chain("closed", None, vec![]),
            chain(
                "forward",
                hook(ChainKind::Filter, HookPoint::Forward, 0),
                rules,
            ),
        ],
    }
}

fn gate(link: &str, verdict: Verdict) -> (Key, Object) {
    let key = Key::Element("gates".into(), vec![Datum::Interface(name(link))]);
    (key, Object::Element(Data::Verdict(verdict)))
}

#[test]
fn nft_lists_a_table_as_it_renders() {
    private(|kernel| {
        let mut tables = vec![everything()];
        // The same in a table of one family.
        let mut resolver = everything();
        resolver.family = Family::Ip;
        resolver.sets.clear();
        resolver.chains = vec![chain(
            "raw",
            hook(ChainKind::Filter, HookPoint::Output, -300),
            rewrites(),
        )];
        tables.push(resolver);
        for table in tables {
            put(kernel, &table);
            assert_eq!(listed(&table), rendered(&table));
            assert!(!differs(kernel, &table));
        }
    });
}

#[test]
fn nft_lists_the_host_table_as_it_renders() {
    private(|kernel| {
        let table = scopes::host_table();
        put(kernel, &table);
        assert_eq!(listed(&table), rendered(&table));
        assert!(!differs(kernel, &table));
    });
}

#[test]
fn a_table_in_a_sandbox_is_there_and_not_in_the_host() {
    private(|kernel| {
        let table = scopes::resolver_table(4053, 4054);
        let key = Key::Table(inside("web"), table.name.clone());
        make(
            kernel,
            vec![
                (Key::Namespace(sandbox("web")), Object::Present),
                (key.clone(), Object::Table(table.clone())),
            ],
        );
        let list = ["nft", "list", "table", "ip", &table.name];
        let text = run_in(kernel, &sandbox("web"), &list);
        assert!(
            text.contains("udp dport 53 udp dport set 4053 notrack"),
            "{text}"
        );
        assert_eq!(run("nft", &["list", "tables"]), "");
        let wanted = Object::Table(table);
        assert!(kernel.differing(&[(&key, &wanted)]).unwrap().is_empty());
        kernel
            .write(&[Change::Delete(key.clone(), wanted)])
            .unwrap();
        assert!(kernel.observe(&[&key]).unwrap().is_empty());
    });
}

#[test]
fn a_table_takes_the_place_of_another() {
    private(|kernel| {
        put(kernel, &small("before"));
        assert!(differs(kernel, &everything()));
        put(kernel, &everything());
        assert_eq!(listed(&everything()), rendered(&everything()));
        put(kernel, &small("after"));
        assert_eq!(listed(&small("after")), rendered(&small("after")));
        assert!(!differs(kernel, &small("after")));
        assert!(differs(kernel, &small("before")));
    });
}

#[test]
fn the_users_rules_and_our_elements_survive_a_new_table() {
    private(|kernel| {
        put(kernel, &small("before"));
        let mut elements = vec![gate("eth0", Verdict::Drop)];
        elements.push(gate("eth1", Verdict::Goto("sealane-user-forward".into())));
        make(kernel, elements.clone());
        let rule = "add rule inet sealane sealane-user-forward tcp dport 25 drop";
        run("nft", &rule.split(' ').collect::<Vec<_>>());
        put(kernel, &small("after"));
        let text = run("nft", &["list", "table", "inet", "sealane"]);
        assert!(text.contains("tcp dport 25 drop"), "{text}");
        assert!(
            text.contains("comment \"after\"") && !text.contains("before"),
            "{text}"
        );
        assert!(differing(kernel, &elements).is_empty(), "{text}");
        assert!(!differs(kernel, &small("after")));
        // Not even a version that does not know the chain takes it away.
        let mut without = small("without");
        without.chains.remove(0);
        without.chains[1].rules.remove(0);
        put(kernel, &without);
        let text = run("nft", &["list", "table", "inet", "sealane"]);
        assert!(text.contains("tcp dport 25 drop"), "{text}");
    });
}

#[test]
fn elements_that_lead_to_a_chain_go_with_it() {
    private(|kernel| {
        put(kernel, &small("before"));
        let elements = vec![
            gate("eth0", Verdict::Jump("closed".into())),
            gate("eth1", Verdict::Drop),
        ];
        make(kernel, elements.clone());
        let mut without = small("after");
        without.chains.retain(|chain| chain.name != "closed");
        put(kernel, &without);
        assert_eq!(differing(kernel, &elements), [elements[0].0.clone()]);
        assert_eq!(
            listed(&without)
                .matches("elements = { \"eth1\" : drop }")
                .count(),
            1
        );
    });
}

#[test]
fn what_others_did_to_a_table_is_seen_and_mended() {
    private(|kernel| {
        let table = small("ours");
        let interferences = [
            "flush chain inet sealane forward",
            "insert rule inet sealane forward accept",
            "delete table inet sealane",
            "flush ruleset",
            "flush table inet sealane",
            "delete set inet sealane bridges",
        ];
        for interference in interferences {
            put(kernel, &table);
            assert!(!differs(kernel, &table));
            run("nft", &interference.split(' ').collect::<Vec<_>>());
            assert!(differs(kernel, &table), "{interference}");
            put(kernel, &table);
            assert_eq!(listed(&table), rendered(&table), "{interference}");
        }
        let rule = "add rule inet sealane sealane-user-forward accept";
        run("nft", &rule.split(' ').collect::<Vec<_>>());
        assert!(!differs(kernel, &table), "the user may");
    });
}

#[test]
fn a_transaction_is_carried_out_whole_or_not_at_all() {
    private(|kernel| {
        put(kernel, &small("ours"));
        let missing = "nowhere".to_string();
        let changes = creations(vec![
            gate("eth0", Verdict::Drop),
            gate("eth1", Verdict::Jump(missing)),
            gate("eth2", Verdict::Drop),
        ]);
        let refused = kernel.write(&changes).unwrap_err();
        assert_eq!((refused.index, &refused.key), (1, changes[1].key()));
        assert!(!run("nft", &["list", "table", "inet", "sealane"]).contains("elements"));
        // Removals go on without it.
        let refused = kernel.write_all(&changes);
        assert_eq!(refused.len(), 1);
        assert_eq!(&refused[0].key, changes[1].key());
        let text = run("nft", &["list", "table", "inet", "sealane"]);
        assert!(
            text.contains("\"eth0\" : drop") && text.contains("\"eth2\" : drop"),
            "{text}"
        );
    });
}

#[test]
fn a_port_can_be_set_only_where_the_checksum_is_known() {
    private(|kernel| {
        let mut table = small("ours");
        let set = Statement::SetPort(Field::DestinationPort, 5);
        table.chains[2].rules.push(rule(vec![], vec![set], "blind"));
        let change = Change::Create(key(&table), Object::Table(table));
        let why = kernel.write(&[change]).unwrap_err().source.to_string();
        assert!(why.contains("chain forward, rule \"blind\""), "{why}");
    });
}

#[test]
fn a_table_and_its_elements_are_made_and_removed_in_one_transaction() {
    private(|kernel| {
        let table = small("ours");
        let objects = vec![
            (key(&table), Object::Table(table.clone())),
            gate("eth0", Verdict::Drop),
        ];
        make(kernel, objects.clone());
        let owned = kernel.owned().unwrap();
        assert_eq!(
            owned,
            [(key(&table), Object::Present), gate("eth0", Verdict::Drop),]
        );
        for _ in 0..2 {
            assert!(kernel.write_all(&removals(objects.clone())).is_empty());
            assert_eq!(run("nft", &["list", "tables"]), "");
        }
        // As the sweep found it.
        make(kernel, objects);
        kernel.write(&removals(owned)).unwrap();
        assert_eq!(run("nft", &["list", "tables"]), "");
    });
}
