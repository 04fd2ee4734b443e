//! Chapter B7: the resolver at 127.0.0.11.

use sealane_conformance::*;
use std::collections::BTreeSet;

/// The addresses or names of a short answer, in no order.
fn set(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// The status in the header of dig's full answer.
fn status(outcome: &Outcome) -> String {
    let after = outcome.stdout.split("status: ").nth(1).unwrap_or_default();
    after.split(',').next().unwrap_or_default().to_owned()
}

#[test]
fn b7_1_containers_have_several_names() {
    let world = World::new();
    world.network("--ipv6 --subnet 10.71.0.0/24 --subnet fd71::/64 net.one");
    let id = world.idle("--network net.one --network-alias nick --network-alias db.local --hostname box --name the.server");
    world.idle("--network net.one --name client");
    let address = world.address("the.server", "net.one");
    let sandbox = world.sandbox("client");
    for name in [
        "the.server",
        "nick",
        "db.local",
        "box",
        &id[..12],
        "the.server.net.one",
        "nick.net.one",
        "The.SERVER",
        "NICK",
    ] {
        assert_eq!(
            sandbox.dig(&format!("+short {name}")).ok(),
            address,
            "{name}"
        );
    }
    let six =
        world.inspect("the.server")["NetworkSettings"]["Networks"]["net.one"]["GlobalIPv6Address"]
            .clone();
    assert_eq!(
        sandbox.dig("+short AAAA nick").ok(),
        six.as_str().expect("an address")
    );
    for asked in [address.as_str(), six.as_str().expect("an address")] {
        assert_eq!(
            sandbox.dig(&format!("+short -x {asked}")).ok(),
            "the.server.net.one.",
            "{asked}"
        );
    }
    world.docker("rename the.server renamed").ok();
    assert_eq!(sandbox.dig("+short renamed").ok(), address);
    world.docker("stop -t 0 renamed").ok();
    assert_eq!(sandbox.dig("+short +time=1 renamed").stdout, "");
}

#[test]
fn b7_2_every_type_of_question_has_its_answer() {
    let world = World::new();
    let _upstream = name_server(world.peer(), lan::PEER);
    world.network("--subnet 10.72.0.0/24 net1");
    world.idle("--network net1 --name web --network-alias many");
    world.idle("--network net1 --name web2 --network-alias many");
    world.idle("--network net1 --name web3 --network-alias many");
    let sandbox = world.sandbox("web");
    let full = sandbox.dig("web2").ok();
    let address = world.address("web2", "net1");
    let record = full
        .lines()
        .find(|line| line.ends_with(&address))
        .expect("an answer");
    let fields: Vec<&str> = record.split_whitespace().collect();
    assert_eq!(fields[..4], ["web2.", "600", "IN", "A"]);
    assert!(full.contains("flags: qr") && full.contains(" ra"), "{full}");
    for kind in ["AAAA", "MX"] {
        let empty = sandbox.dig(&format!("{kind} web2"));
        assert_eq!(status(&empty), "NOERROR", "{empty}");
        assert!(
            empty.stdout.contains("ANSWER: 0"),
            "{kind} is known to be empty, and not forwarded: {empty}"
        );
    }
    assert_eq!(
        sandbox.dig("+short TXT note.test").ok(),
        "\"hello\"",
        "other questions are forwarded"
    );
    assert_eq!(sandbox.dig("+short www.up.test").ok(), "192.0.2.1");
    let nowhere = sandbox.dig("SRV _http._tcp.nowhere.test");
    assert_eq!(status(&nowhere), "NXDOMAIN", "{nowhere}");

    let all: BTreeSet<String> = ["web", "web2", "web3"]
        .iter()
        .map(|name| world.address(name, "net1"))
        .collect();
    let orders: BTreeSet<String> = (0..30).map(|_| sandbox.dig("+short many").ok()).collect();
    assert!(orders.iter().all(|order| set(order) == all), "{orders:?}");
    assert!(orders.len() > 1, "the order changes");
}

#[test]
fn b7_3_long_answers_come_over_tcp() {
    let world = World::new();
    let _upstream = name_server(world.peer(), lan::PEER);
    world.network("net1");
    world.idle("--network net1 --name web");
    let sandbox = world.sandbox("web");
    assert_eq!(
        sandbox.dig("+tcp +short web").ok(),
        world.address("web", "net1")
    );
    let cut = sandbox.dig("+noedns +ignore TXT text.test").ok();
    assert!(cut.contains("flags: qr") && cut.contains(" tc "), "{cut}");
    for options in ["+noedns", "+bufsize=1232", "+tcp"] {
        let whole = sandbox.dig(&format!("{options} +short TXT text.test")).ok();
        assert_eq!(whole.lines().count(), 12, "{options}: {whole}");
    }
    assert_eq!(
        sandbox.dig("+noedns +bufsize=4096 +short www.up.test").ok(),
        "192.0.2.1"
    );
}

#[test]
fn b7_3_port_53_of_a_container_is_free_for_its_own_server() {
    let world = World::new();
    world.import("tools.tar", "tools");
    world.network("net1");
    world.run(
        "--network net1 --name dns tools dnsmasq --no-daemon --no-resolv --no-hosts --user=root \
         --pid-file= --address=/own.test/192.0.2.9",
    );
    world.idle("--network net1 --name client");
    let client = world.sandbox("client");
    let server = world.address("dns", "net1");
    let ask = |options: &str| {
        client
            .sh(&format!(
                "dig @{server} +time=1 +tries=1 +short {options} own.test"
            ))
            .stdout
    };
    eventually_is(SOON, "192.0.2.9\n".to_owned(), || ask(""));
    assert_eq!(ask("+tcp"), "192.0.2.9\n");
    // And its own lookups still go to the network's resolver.
    assert_eq!(
        world.sandbox("dns").dig("+short client").ok(),
        world.address("client", "net1")
    );
    assert_eq!(
        world
            .sandbox("dns")
            .sh("dig @127.0.0.1 +short own.test")
            .ok(),
        "192.0.2.9"
    );
}

#[test]
fn b7_4_questions_go_to_the_upstreams_in_turn() {
    let world = World::prepared(&[], |lab| {
        for address in ["10.99.0.101", "10.99.0.102", "10.99.0.103"] {
            lab.peer()
                .sh(&format!("ip address add {address}/24 dev eth0"))
                .ok();
        }
    });
    world.network("net1");
    let peer = world.peer();
    let third = Upstream::start(peer, "10.99.0.103", Manner::Address(103));
    let mut number = 0;
    let mut ask = |first: Manner, second: Manner| {
        number += 1;
        let one = Upstream::start(peer, "10.99.0.101", first);
        let two = Upstream::start(peer, "10.99.0.102", second);
        let name = format!("c{number}");
        world.idle(&format!(
            "--network net1 --name {name} --dns 10.99.0.101 --dns 10.99.0.102 --dns 10.99.0.103"
        ));
        let outcome = world.sandbox(&name).dig(&format!("n{number}.example"));
        drop((one, two));
        let found = outcome
            .stdout
            .lines()
            .find(|line| line.contains("\tA\t") || line.contains(" A "));
        let address = found
            .filter(|line| !line.starts_with(';'))
            .and_then(|line| line.split_whitespace().last());
        (status(&outcome), address.unwrap_or_default().to_owned())
    };
    let found = |last: u8| ("NOERROR".to_owned(), format!("192.0.2.{last}"));
    assert_eq!(ask(Manner::Address(101), Manner::Address(102)), found(101));
    assert_eq!(
        ask(Manner::Code(2), Manner::Address(102)),
        found(102),
        "SERVFAIL: the next"
    );
    assert_eq!(
        ask(Manner::Code(5), Manner::Code(2)),
        found(103),
        "REFUSED: the next"
    );
    assert_eq!(
        ask(Manner::Silent, Manner::Address(102)),
        found(102),
        "silence: the next"
    );
    assert_eq!(
        ask(Manner::Code(3), Manner::Address(102)).0,
        "NXDOMAIN",
        "an answer like any other"
    );
    assert!(third.queries() >= 1);
}

#[test]
fn b7_4_answers_are_kept_for_their_time() {
    let world = World::new();
    let upstream = name_server(world.peer(), lan::PEER);
    world.network("net1");
    world.idle("--network net1 --name c");
    let sandbox = world.sandbox("c");
    for _ in 0..5 {
        assert_eq!(sandbox.dig("+short kept.up.test").ok(), "192.0.2.1");
    }
    // The letters of a question are large and small by chance.
    let log = upstream.output().to_ascii_lowercase();
    let asked = log
        .lines()
        .filter(|line| line.contains("query[") && line.contains("kept.up.test"));
    assert_eq!(asked.count(), 1, "{log}");
    drop(upstream);
    let none = Upstream::start(world.peer(), lan::PEER, Manner::Missing);
    assert_eq!(status(&sandbox.dig("missing.example")), "NXDOMAIN");
    let asked = none.queries();
    for _ in 0..5 {
        assert_eq!(status(&sandbox.dig("missing.example")), "NXDOMAIN");
    }
    assert_eq!(
        none.queries(),
        asked,
        "that there is none is remembered too"
    );
}

#[test]
fn b7_4_b7_12_the_hosts_servers_are_followed_live_and_asked_where_they_are() {
    let world = World::new();
    world.network("net1");
    world.idle("--network net1 --name c");
    let sandbox = world.sandbox("c");
    let _upstream = name_server(world.peer(), lan::PEER);
    assert_eq!(sandbox.dig("+short www.up.test").ok(), "192.0.2.1");
    // A server on the host's own loopback cannot be reached from the sandbox: the host asks it.
    let local = Upstream::start(world.host(), "127.0.0.53", Manner::Address(53));
    world
        .host()
        .write("/run/lab/resolv.conf", "nameserver 127.0.0.53\n");
    eventually_is(SOON, "192.0.2.53\n".to_owned(), || {
        sandbox.dig("+short +time=1 other.example").stdout
    });
    assert!(local.queries() > 0);
}

#[test]
fn b7_5_an_internal_network_asks_nobody() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Address(1));
    world.network("--internal in");
    world.idle("--network in --name a");
    world.idle("--network in --name b");
    let sandbox = world.sandbox("a");
    assert_eq!(sandbox.dig("+short b").ok(), world.address("b", "in"));
    let outside = sandbox.dig("+time=1 www.example");
    assert_ne!(status(&outside), "NOERROR", "{outside}");
    assert_eq!(upstream.queries(), 0);
}

#[test]
fn b7_6_single_labels_stay_here_when_ndots_is_set() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Address(1));
    world.network("net1");
    world.idle("--network net1 --name dots --dns-option ndots:2");
    world.idle("--network net1 --name plain");
    let sandbox = world.sandbox("dots");
    assert_eq!(sandbox.dig("+short +time=1 single").stdout, "");
    assert_eq!(upstream.queries(), 0);
    assert_eq!(sandbox.dig("+short two.labels").ok(), "192.0.2.1");
    assert_eq!(
        world.sandbox("plain").dig("+short single").ok(),
        "192.0.2.1"
    );
}

#[test]
fn b7_7_servers_search_and_options_can_be_given() {
    let world = World::with_flags(&[
        "--dns",
        "192.0.2.20",
        "--dns-search",
        "daemon.test",
        "--dns-opt",
        "attempts:1",
    ]);
    world.network("net1");
    let resolv = |flags: &str| {
        world
            .docker(&format!("run --rm {flags} img cat /etc/resolv.conf"))
            .ok()
    };
    let has = |text: &str, line: &str| {
        assert!(
            text.lines().any(|found| found == line),
            "{line:?} is not in {text}"
        )
    };

    let own = resolv(
        "--network net1 --dns 192.0.2.10 --dns 192.0.2.11 --dns-search own.test --dns-option timeout:7",
    );
    has(&own, "nameserver 127.0.0.11");
    has(&own, "search own.test");
    has(&own, "# ExtServers: [192.0.2.10 192.0.2.11]");
    let options = own
        .lines()
        .find(|line| line.starts_with("options"))
        .unwrap_or_default();
    assert!(
        options.contains("timeout:7") && options.contains("ndots:0"),
        "{own}"
    );

    let inherited = resolv("--network net1");
    has(&inherited, "search daemon.test");
    has(&inherited, "# ExtServers: [192.0.2.20]");
    assert!(inherited.contains("attempts:1"), "{inherited}");

    let plain = resolv("--dns 192.0.2.10");
    has(&plain, "nameserver 192.0.2.10");
    has(&plain, "search daemon.test");
    assert!(!plain.contains("127.0.0.11"), "{plain}");

    let fresh = World::new();
    fresh.network("net1");
    let text = fresh
        .docker("run --rm --network net1 img cat /etc/resolv.conf")
        .ok();
    has(
        &text,
        "# Based on host file: '/etc/resolv.conf' (internal resolver)",
    );
    assert!(
        text.contains("# ExtServers: [") && text.contains("10.99.0.100"),
        "{text}"
    );
}

#[test]
fn b7_11_host_gateway_is_an_address_of_the_host() {
    let world = World::new();
    let hosts = world
        .docker("run --rm --add-host me:host-gateway img cat /etc/hosts")
        .ok();
    assert!(
        hosts.lines().any(|line| line == "172.17.0.1\tme"),
        "{hosts}"
    );
    world.network("net1");
    let from = accept_one(world.host(), "172.17.0.1:9999", || {
        world
            .docker(
                "run --rm --network net1 --add-host me:host-gateway img nc -w 2 me 9999 </dev/null",
            )
            .ok();
    });
    assert!(from.to_string().starts_with("172.18."), "{from}");
    let other = World::with_flags(&["--host-gateway-ip", "192.0.2.99"]);
    let hosts = other
        .docker("run --rm --add-host me:host-gateway img cat /etc/hosts")
        .ok();
    assert!(
        hosts.lines().any(|line| line == "192.0.2.99\tme"),
        "{hosts}"
    );
}
