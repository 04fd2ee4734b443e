//! Calls that last one process each, with a daemon and without: `sealane sandbox`, `sealane network`.

use sealane_conformance::*;
use std::collections::BTreeSet;
use std::fs;

/// As many as there are to be at once.
const CROWD: u32 = 100;
const FAULT: &str = "/run/fault";

/// Runs the product on a host, in a process of its own.
fn sealane(host: &Host, arguments: &str) -> Outcome {
    host.sh(&format!("{} {arguments}", binary().display()))
}

/// Makes namespaces as an operator does: `n1`, `n2`, …
fn make_namespaces(host: &Host, count: u32) {
    let script =
        format!("for i in $(seq {count}); do ip netns add n$i; ip -n n$i link set lo up; done");
    host.sh(&script).ok();
}

/// A script that makes a call for each namespace, all at once, and prints what failed.
fn at_once(count: u32, arguments: &str) -> String {
    format!(
        "for i in $(seq {count}); do ({} {arguments} >/run/out.$i 2>&1 || echo \"$i: $(</run/out.$i)\") & done; wait",
        binary().display()
    )
}

/// The IPv4 address in a namespace, as the kernel tells it.
fn address(host: &Host, namespace: &str) -> Option<String> {
    let shown = host.ip_json(&format!("-n {namespace} address show"));
    let links = shown.as_array().expect("a list");
    let addresses = links.iter().flat_map(|link| {
        let all = link["addr_info"].as_array().cloned();
        all.unwrap_or_default()
    });
    let mut global = addresses.filter(|one| one["scope"] == "global" && one["family"] == "inet");
    global.next()?["local"].as_str().map(str::to_owned)
}

/// The addresses in all namespaces, of which no two are the same.
#[track_caller]
fn unique_addresses(host: &Host, count: u32) -> Vec<String> {
    let found = (1..=count).map(|i| address(host, &format!("n{i}")));
    let all: Vec<String> = found.map(|one| one.expect("it has an address")).collect();
    let unique: BTreeSet<&String> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "{all:?}");
    all
}

fn pings(host: &Host, namespace: &str, to: &str) -> bool {
    let script = format!("ip netns exec {namespace} ping -c1 -W2 {to}");
    host.sh(&script).succeeded()
}

/// Makes the network `blue`, and a sandbox on it that comes and goes: folders stay.
fn make_network(host: &Host) {
    sealane(host, "network create --subnet 10.9.0.0/24 blue").ok();
    sealane(host, "sandbox create --netns n1 --network blue s1").ok();
    sealane(host, "sandbox rm s1").ok();
}

/// The names of the links in a namespace.
fn links(host: &Host, namespace: &str) -> Vec<String> {
    let shown = host.ip_json(&format!("-n {namespace} link"));
    let links = shown.as_array().into_iter().flatten();
    let names = links.filter_map(|link| link["ifname"].as_str().map(str::to_owned));
    names.collect()
}

fn listed(host: &Host) -> Vec<String> {
    let answer = sealane(host, "sandbox ls --format json").json();
    let all = answer["sandboxes"].as_array().expect("a list");
    let names = all.iter().filter_map(|one| one["name"].as_str());
    names.map(str::to_owned).collect()
}

const CREATE: &str = "sandbox create --netns n$i --network blue s$i";

#[test]
fn a_hundred_calls_at_once_lose_nothing() {
    let lab = Lab::new();
    let host = lab.host(0);
    make_namespaces(host, CROWD);
    make_network(host);
    let before = Snapshot::take(host);
    assert_eq!(host.sh(&at_once(CROWD, CREATE)).ok(), "");
    let addresses = unique_addresses(host, CROWD);
    assert!(pings(host, "n1", &addresses[CROWD as usize - 1]));
    assert!(pings(host, "n100", &addresses[0]));
    assert_eq!(listed(host).len(), CROWD as usize);
    let refused = sealane(host, "network rm blue");
    refused.fails_with(1, "has active endpoints");

    assert_eq!(host.sh(&at_once(CROWD, "sandbox rm s$i")).ok(), "");
    assert_eq!(listed(host), [""; 0]);
    assert_eq!(links(host, "n1"), ["lo"]);
    assert_eq!(links(host, "n100"), ["lo"]);
    before.returns_on(host);
    sealane(host, "network rm blue").ok();
    let bridges = host.ip_json("link show type bridge");
    assert_eq!(bridges, json!([]));
}

#[test]
fn a_hundred_calls_at_once_lose_nothing_while_a_daemon_comes_and_is_killed() {
    let mut world = World::new();
    make_namespaces(world.host(), CROWD);
    world.network("--subnet 10.9.0.0/24 blue");
    let mut calls = world
        .host()
        .spawn(&(at_once(CROWD, CREATE) + "; echo over"));
    world.kill9();
    world.launch();
    world.kill9();
    world.launch();
    assert_eq!(calls.finish().trim(), "over", "{}", world.log());
    let host = world.host();
    let addresses = unique_addresses(host, CROWD);
    assert!(pings(host, "n1", &addresses[CROWD as usize - 1]));

    // Docker's words for them, in the daemon that has the root now.
    let network = world.get("/networks/blue");
    let containers = network["Containers"].as_object().expect("endpoints");
    let shown: BTreeSet<&str> = containers
        .values()
        .filter_map(|one| one["Name"].as_str())
        .collect();
    assert_eq!(shown.len(), CROWD as usize, "{network}");
    let refused = world.docker("network rm blue");
    refused.fails_with(1, "has active endpoints");
    let explained = world.sealane(&format!("explain --from s1 --to {}", addresses[1]));
    assert!(explained.stdout.contains("s2"), "{explained:?}");

    // It serves names, which a call alone cannot.
    let asked = "ip netns exec n1 dig +short +tries=1 @127.0.0.11 s2";
    eventually(SOON, || {
        (host.sh(asked).stdout.trim() == addresses[1]).then_some(())
    });

    assert_eq!(host.sh(&at_once(CROWD, "sandbox rm s$i")).ok(), "");
    assert_eq!(links(host, "n1"), ["lo"]);
    world.docker("network rm blue").ok();
}

#[test]
fn a_call_that_dies_before_any_write_leaves_nothing_half_made() {
    let lab = Lab::new();
    let host = lab.host(0);
    make_namespaces(host, 1);
    make_network(host);
    let create = "sandbox create --netns n1 --network blue -p 8080:80 s1";
    let without = Snapshot::take(host);
    sealane(host, create).ok();
    let with = Snapshot::take(host);
    for (call, first) in [("sandbox rm s1", &with), (create, &without)] {
        let mut points = 0;
        loop {
            prepare(host, first == &with, create);
            points += 1;
            host.write(FAULT, &points.to_string());
            let script = format!("SEALANE_FAULT_FILE={FAULT} {} {call}", binary().display());
            let done = host.sh(&script).succeeded();
            host.sh(&format!("rm {FAULT}")).ok();
            if done {
                break;
            }
            let log = fs::read_to_string(host.path(format!("{FAULT}.log"))).unwrap_or_default();
            let point = log.lines().last().unwrap_or_default().to_owned();
            // The next call finds out, and mends it.
            let there = listed(host) == ["s1"];
            let wanted = if there { &with } else { &without };
            let difference = wanted.difference(&Snapshot::take(host));
            assert_eq!(difference, "", "{call} died before {point}; there: {there}");
            let inside = links(host, "n1").len();
            assert_eq!(
                inside,
                if there { 2 } else { 1 },
                "{call} died before {point}"
            );
        }
        assert!(points > 5, "{call} is more than a few writes");
    }
}

/// Brings the host to where the sandbox is there, or not.
fn prepare(host: &Host, there: bool, create: &str) {
    host.sh(&format!("rm -f {FAULT} {FAULT}.log")).ok();
    let now = listed(host) == ["s1"];
    match (now, there) {
        (true, false) => drop(sealane(host, "sandbox rm s1").ok()),
        (false, true) => drop(sealane(host, create).ok()),
        (true, true) | (false, false) => {}
    }
}

#[test]
fn what_is_left_of_a_namespace_that_is_gone_is_swept() {
    let lab = Lab::new();
    let host = lab.host(0);
    make_namespaces(host, 1);
    make_network(host);
    let before = Snapshot::take(host);
    host.sh("ip netns add n2").ok();
    for number in [1, 2] {
        let create = format!("sandbox create --netns n{number} --network blue -p 80 s{number}");
        sealane(host, &create).ok();
    }
    host.sh("ip netns del n2").ok();
    assert_eq!(listed(host), ["s1"]);
    sealane(host, "sandbox rm s1").ok();
    before.returns_on(host);
    sealane(host, "sandbox create --netns n2 --network blue s2").fails_with(1, "ip netns add");
    let own = "sandbox create --netns /proc/self/ns/net --network blue s2";
    sealane(host, own).fails_with(1, "of the host");
}

#[test]
fn a_published_port_leads_into_a_namespace_and_nothing_of_ours_is_lost_on_it() {
    let lab = Lab::new();
    let host = lab.host(0);
    make_namespaces(host, 2);
    sealane(host, "network create --subnet 10.9.0.0/24 blue").ok();
    sealane(
        host,
        "sandbox create --netns n1 --network blue -p 8080:80 s1",
    )
    .ok();
    let taken = sealane(
        host,
        "sandbox create --netns n2 --network blue -p 8080:80 s2",
    );
    taken.fails_with(1, "port is already allocated");
    let _server = host.spawn("mkdir -p /run/www; echo here >/run/www/index.html; ip netns exec n1 busybox httpd -f -p 80 -h /run/www");
    let fetched = eventually(SOON, || lab.peer().fetch("10.99.0.1:8080"));
    assert_eq!(fetched.trim(), "here");
    // A daemon takes it over, holds the port, and still leads there.
    let daemon = Daemon::start(host, &[]);
    let fetched = eventually(SOON, || lab.peer().fetch("10.99.0.1:8080"));
    assert_eq!(fetched.trim(), "here");
    assert!(is_held(host), "{}", daemon.log());
    sealane(host, "sandbox rm s1").ok();
    assert_eq!(links(host, "n1"), ["lo"]);
    assert_eq!(lab.peer().fetch("10.99.0.1:8080"), None);
}

/// Whether other programs are kept from the port.
fn is_held(host: &Host) -> bool {
    let bind = || std::net::TcpListener::bind("0.0.0.0:8080").is_err();
    host.in_netns(bind)
}

#[test]
fn purge_takes_everything_out_of_given_namespaces() {
    let lab = Lab::new();
    let host = lab.host(0);
    make_namespaces(host, 1);
    sealane(host, "network create --subnet 10.9.0.0/24 blue").ok();
    sealane(host, "sandbox create --netns n1 --network blue s1").ok();
    assert_eq!(links(host, "n1").len(), 2);
    sealane(host, "purge -f").ok();
    assert_eq!(links(host, "n1"), ["lo"]);
    assert_eq!(host.sh("ls /run/sealane 2>/dev/null").stdout, "");
}
