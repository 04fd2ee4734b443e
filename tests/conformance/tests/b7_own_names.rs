//! Chapter B7: names and addresses of containers are never asked of a server outside.

use sealane_conformance::*;

/// The status and the number of answers that dig saw.
fn seen(outcome: &Outcome) -> (String, String) {
    let after = |mark: &str| {
        let rest = outcome.stdout.split(mark).nth(1).unwrap_or_default();
        rest.split(',').next().unwrap_or_default().to_owned()
    };
    (after("status: "), after("ANSWER: "))
}

fn is(status: &str, answers: u8) -> (String, String) {
    (status.to_owned(), answers.to_string())
}

#[test]
fn b7_2_no_question_about_a_container_leaves() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Missing);
    world.network("--ipv6 --subnet 10.73.0.0/24 --subnet fd73::/64 net1");
    world.idle("--network net1 --name web --network-alias alias --hostname box");
    world.idle("--network net1 --name client");
    let client = world.sandbox("client");
    let kinds = [
        "TXT",
        "HTTPS",
        "SVCB",
        "SOA",
        "NS",
        "MX",
        "SRV",
        "CNAME",
        "CAA",
        "DS",
        "DNSKEY",
        "PTR",
        "NAPTR",
        "TYPE64999",
    ];
    for name in ["web", "alias", "box", "WEB.net1"] {
        for kind in kinds {
            let outcome = client.dig(&format!("{kind} {name}"));
            assert_eq!(seen(&outcome), is("NOERROR", 0), "{kind} {name}: {outcome}");
        }
    }
    let any = client.dig("ANY web");
    assert_eq!(seen(&any), is("NOERROR", 2), "both addresses: {any}");
    let tcp = client.dig("+tcp TXT web");
    assert_eq!(seen(&tcp), is("NOERROR", 0), "{tcp}");
    for below in [
        "SRV _http._tcp.web",
        "TXT _x.web",
        "TLSA _443._tcp.web.net1",
    ] {
        let outcome = client.dig(below);
        assert_eq!(seen(&outcome), is("NXDOMAIN", 0), "{outcome}");
    }
    // The client of the image, which asks for both families and no EDNS.
    let busybox = world.docker("exec client nslookup -type=txt web 127.0.0.11");
    assert!(!busybox.stdout.contains("NXDOMAIN"), "{busybox}");
    assert_eq!(upstream.queries(), 0, "nothing was asked outside");

    let outside = client.dig("TXT nobody.example");
    assert_eq!(seen(&outside).0, "NXDOMAIN");
    assert!(upstream.queries() > 0, "but what is not ours is");
}

#[test]
fn b7_1_addresses_of_our_networks_are_not_asked_outside() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Missing);
    world.network("--ipv6 --subnet 10.74.0.0/24 --subnet fd74::/64 net1");
    world.idle("--network net1 --name web --ip 10.74.0.9 --ip6 fd74::9");
    world.idle("--network net1 --name client");
    // A container of the default bridge too has no name, and an address that is ours.
    world.docker("network connect bridge client").ok();
    let client = world.sandbox("client");
    let default = world.address("client", "bridge");
    for named in ["10.74.0.9", "fd74::9"] {
        assert_eq!(client.dig(&format!("+short -x {named}")).ok(), "web.net1.");
    }
    for unknown in ["10.74.0.200", "10.74.0.1", "fd74::200", &default] {
        let outcome = client.dig(&format!("-x {unknown}"));
        assert_eq!(seen(&outcome), is("NXDOMAIN", 0), "{unknown}: {outcome}");
    }
    let service = client.dig("PTR b._dns-sd._udp.0.0.74.10.in-addr.arpa");
    assert_eq!(seen(&service), is("NXDOMAIN", 0), "{service}");
    let kind = client.dig("SOA 9.0.74.10.in-addr.arpa");
    assert_eq!(seen(&kind), is("NOERROR", 0), "{kind}");
    assert_eq!(upstream.queries(), 0, "nothing was asked outside");

    client.dig("-x 198.51.100.9");
    assert!(upstream.queries() > 0, "but what is not ours is");
}

#[test]
fn b7_1_names_too_long_for_a_message_hide_no_address() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Missing);
    let long = "n".repeat(64);
    world.network(&format!("--subnet 10.75.0.0/24 {long}"));
    world.network("--subnet 10.76.0.0/24 short");
    let id = world.idle(&format!("--network {long} --ip 10.75.0.9 --name web"));
    world.idle(&format!("--network short --ip 10.76.0.9 --name c{long}"));
    world.idle(&format!("--network {long} --name client"));
    world.docker("network connect short client").ok();
    let client = world.sandbox("client");
    let name_of = |address: &str| client.dig(&format!("+short -x {address}")).ok();
    assert_eq!(name_of("10.75.0.9"), "web.", "without its network");
    let other = name_of("10.76.0.9");
    assert!(
        other.len() == "0123456789ab.short.".len() && other.ends_with(".short."),
        "its short id: {other}"
    );
    assert_eq!(client.dig("+short web").ok(), "10.75.0.9");
    assert_eq!(
        client.dig(&format!("+short {}", &id[..12])).ok(),
        "10.75.0.9"
    );
    assert_eq!(upstream.queries(), 0, "nothing was asked outside");
}
