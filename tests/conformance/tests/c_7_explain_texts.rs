//! What `sealane explain` says where it is asked most (C-7), word by word.

use sealane_conformance::*;

/// Whom the host asks for names.
const LAN_SERVER: &str = "10.99.0.100";
const BRIDGE: &str = "-o com.docker.network.bridge.name=";

/// What is printed, and whether the exit code says that the packet passes.
#[track_caller]
fn explained(world: &World, from: &str, to: &str, passes: bool, text: &str) {
    let outcome = world.sealane(&format!("explain --from {from} --to {to}"));
    assert_eq!(outcome.stdout.trim_end(), text, "--from {from} --to {to}");
    assert_eq!(outcome.code, i32::from(!passes), "{outcome}");
}

/// The same for programs.
#[track_caller]
fn report(world: &World, from: &str, to: &str) -> Value {
    let outcome = world.sealane(&format!("explain --from {from} --to {to} --format json"));
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
}

fn web_and_db() -> World {
    let world = World::new();
    world.network(&format!("--subnet 10.1.0.0/24 {BRIDGE}br-front front"));
    world.network(&format!("--subnet 10.2.0.0/24 {BRIDGE}br-back back"));
    world.serve("--name web --network front -p 127.0.0.1:8080:80");
    world.serve("--name db --network back");
    world
}

#[test]
fn c_7_a_container_on_another_network_is_isolated() {
    let world = web_and_db();
    explained(
        &world,
        "web",
        "db:80",
        false,
        "  \
  name        web: web does not know the name \"db\": web and db have no network in common; \"db\" is 10.2.0.2: container db

10.1.0.2 -> 10.2.0.2:80/tcp: dropped
  route       web: 10.2.0.2 is reached by the default route: via 10.1.0.1 on eth0, br-front (network front)
  route       host: 10.2.0.2 is reached by br-back (network back)
  firewall    host: dropped: networks front and back are isolated from each other, but for published ports
              chain forward: meta nfproto . oifname @published goto published-only comment \"into a network by its published ports\"
                @published has ipv4 . \"br-back\"
              chain published-only: drop comment \"nothing else enters a network\"

dropped: networks front and back are isolated from each other, but for published ports",
    );
    assert_eq!(world.sandbox("web").fetch("10.2.0.2:80"), None);
    // The rules are named as nft names them.
    let listed = world.host().sh("nft list table inet sealane").ok();
    for words in [
        "meta nfproto . oifname @published goto published-only comment \"into a network by its published ports\"",
        "ipv4 . \"br-back\"",
        "drop comment \"nothing else enters a network\"",
    ] {
        assert!(listed.contains(words), "{words} in {listed}");
    }
}

#[test]
fn c_7_a_port_on_loopback_is_for_the_host_alone() {
    let world = web_and_db();
    explained(
        &world,
        "lan",
        "10.99.0.1:8080",
        false,
        "\
10.99.0.100 -> 10.99.0.1:8080/tcp: nothing listens
  delivery    host: nothing listens on the host on 10.99.0.1:8080/tcp; web publishes it as 127.0.0.1:8080 only

nothing listens: nothing listens on the host on 10.99.0.1:8080/tcp; web publishes it as 127.0.0.1:8080 only",
    );
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    explained(
        &world,
        "host",
        "127.0.0.1:8080",
        true,
        "\
127.0.0.1 -> 127.0.0.1:8080/tcp: passes
  translation host: a published port: it goes on to 10.1.0.2:80
              chain output: fib daddr type local jump publish comment \"published ports, from the host itself\"
              chain publish: dnat ip to meta l4proto . ip daddr . th dport map @publish-address4 comment \"published on one address\"
                @publish-address4 has tcp . 127.0.0.1 . 8080 : 10.1.0.2 . 80
  route       host: 10.1.0.2 is reached by br-front (network front)
  masquerade  host: it leaves with the host's source 10.1.0.1
              chain postrouting: ip saddr 127.0.0.0/8 oifname @bridges masquerade comment \"the host's loopback to a published port\"
                @bridges has \"br-front\"
  delivery    web: something listens on 10.1.0.2:80/tcp

passes: web receives it at 10.1.0.2:80, as from 10.1.0.1",
    );
    assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
}

#[test]
fn c_7_an_internal_network_has_no_way_out() {
    let world = World::new();
    world.network("--subnet 10.3.0.0/24 --internal closed");
    world.idle("--name vault --network closed");
    explained(
        &world,
        "vault",
        "198.51.100.7:443",
        false,
        "\
vault -> 198.51.100.7:443/tcp: no route

no route: network closed, its only one, is internal: vault has no route to 198.51.100.7",
    );
}

#[test]
fn c_7_icc_false_hides_neighbors() {
    with_bridge_filter_off_and_on(|world| {
        let options = format!("{BRIDGE}br-quiet -o com.docker.network.bridge.enable_icc=false");
        world.network(&format!("--subnet 10.4.0.0/24 {options} quiet"));
        world.serve("--name a --network quiet");
        world.serve("--name b --network quiet -p 8080:80");
        let report = self::report(world, "a", "b:80");
        assert_eq!(report["verdict"], "dropped", "{report:#}");
        let reason = report["reason"].as_str().unwrap_or_default();
        let why = "network quiet has icc=false: its containers see only each other's published \
                   ports";
        assert!(reason.starts_with(why), "{reason}");
        assert!(
            reason.ends_with("port 80 of b is published as port 8080 of the host"),
            "{reason}"
        );
        let a = world.sandbox("a");
        assert_eq!(a.fetch("10.4.0.3:80"), None);
        let report = self::report(world, "a", "host:8080");
        assert_eq!(report["verdict"], "passes", "{report:#}");
        assert_eq!(a.fetch("10.4.0.1:8080").as_deref(), Some(HELLO));
    });
}

#[test]
fn c_7_a_name_nobody_has_and_a_port_nobody_listens_on() {
    let world = web_and_db();
    explained(
        &world,
        "web",
        "nobody:80",
        false,
        "  \
  name        web: \"nobody\" has no address: nobody knows the name

no such name: the name \"nobody\" stands for no address",
    );
    explained(
        &world,
        "web",
        "web:81",
        false,
        "  \
  name        web: \"web\" is 10.1.0.2: web on network front

10.1.0.2 -> 10.1.0.2:81/tcp: nothing listens
  delivery    web: nothing listens in web on 10.1.0.2:81/tcp

nothing listens: nothing listens in web on 10.1.0.2:81/tcp",
    );
}

#[test]
fn c_7_a_name_of_the_world_outside_is_asked_for() {
    let world = web_and_db();
    let _server = name_server(world.peer(), LAN_SERVER);
    let report = self::report(&world, "web", "up.test:80");
    assert_eq!(
        report["names"][0]["text"],
        "\"up.test\" is 192.0.2.1: servers outside say so"
    );
    assert_eq!(report["verdict"], "passes", "{report:#}");
    let dug = world.sandbox("web").dig("+short up.test").ok();
    assert_eq!(dug, "192.0.2.1");
}

#[test]
fn c_7_rules_of_the_users_own_are_told() {
    let world = web_and_db();
    let host = world.host();
    let rule = "nft add rule inet sealane-user sealane-user-forward ip daddr 198.51.100.7 drop";
    host.sh(rule).ok();
    let report = self::report(&world, "web", "198.51.100.7:80");
    assert_eq!(report["verdict"], "depends", "{report:#}");
    let hops = report["paths"][0]["hops"].as_array().expect("hops");
    let told = |hop: &&Value| hop["kind"] == "foreign";
    let text = hops.iter().find(told).map(|hop| hop["text"].clone());
    let wanted = "chain inet sealane-user sealane-user-forward has rules of your own (1)";
    assert_eq!(text, Some(wanted.into()), "{report:#}");
}

#[test]
fn c_7_a_firewall_that_drops_by_policy_is_told() {
    let world = World::prepared(&[], |lab| {
        lab.host(0).sh("iptables -P FORWARD DROP").ok();
    });
    world.network(&format!("--subnet 10.1.0.0/24 {BRIDGE}br-front front"));
    world.serve("--name web --network front -p 8080:80");
    let text = |report: &Value| {
        let hops = report["paths"][0]["hops"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let told = hops.into_iter().find(|hop| hop["kind"] == "foreign");
        told.map(|hop| hop["text"].as_str().unwrap_or_default().to_owned())
    };
    let passes = report(&world, "lan", "10.99.0.1:8080");
    assert_eq!(passes["verdict"], "passes", "{passes:#}");
    let wanted = "chain ip filter FORWARD, not ours, drops by policy; our jump in it lets it pass";
    assert_eq!(text(&passes).as_deref(), Some(wanted));
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    // Another one, that we have no way past.
    let theirs =
        "add chain inet theirs through { type filter hook forward priority 5; policy drop; }";
    let host = world.host();
    host.sh(&format!("nft add table inet theirs && nft '{theirs}'"))
        .ok();
    let depends = report(&world, "lan", "10.99.0.1:8080");
    assert_eq!(depends["verdict"], "depends", "{depends:#}");
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
}

#[test]
fn c_7_a_question_that_cannot_be_read_is_refused() {
    let world = World::new();
    for (arguments, text) in [
        (
            "--from host --to 10.0.0.1:0",
            "\"0\" is not a port; write a number from 1 to 65535",
        ),
        (
            "--from host --to 10.0.0.1/udp",
            "udp needs a port; write NAME:PORT/udp",
        ),
        ("--from nobody --to host", "No such container: nobody"),
    ] {
        let outcome = world.sealane(&format!("explain {arguments}"));
        assert_eq!(outcome.code, 1, "{outcome}");
        assert!(outcome.stderr.contains(text), "{outcome}");
    }
}
