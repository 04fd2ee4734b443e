//! Firewalls of others are met, not overwritten.

use sealane_conformance::*;
use std::net::UdpSocket;

/// A policy as ufw leaves it: what is forwarded is dropped unless a rule accepts it.
fn drop_forwarded(host: &Host) {
    for tables in ["iptables", "ip6tables"] {
        host.sh(&format!("{tables} -P FORWARD DROP && {tables} -N ufw-user-forward && {tables} -A FORWARD -j ufw-user-forward")).ok();
    }
}

#[test]
fn a_forward_policy_that_drops_is_met() {
    for on in [false, true] {
        let world = World::prepared(&[], |lab| {
            lab.host(0).br_netfilter(on);
            drop_forwarded(lab.host(0));
        });
        world.network("--ipv6 --subnet 10.72.0.0/24 --subnet fd72::/64 net1");
        world.serve("--network net1 --name web -p 8080:80");
        world.idle("--network net1 --name sibling");
        world.serve("--name other");
        let sibling = world.sandbox("sibling");
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(world.peer().fetch("[fd99::1]:8080").as_deref(), Some(HELLO));
        assert!(sibling.pings(lan::OUTSIDE) && sibling.pings(lan::OUTSIDE6));
        assert!(sibling.pings(&world.address("web", "net1")));
        assert!(
            !sibling.pings(&world.address("other", "bridge")),
            "still isolated"
        );
        let rules = world.host().sh("iptables -S FORWARD").ok();
        assert!(
            rules.starts_with("-P FORWARD DROP"),
            "the policy is theirs: {rules}"
        );
        let ours: Vec<&str> = rules
            .lines()
            .filter(|line| line.contains("SEALANE"))
            .collect();
        assert_eq!(ours, ["-A FORWARD -j SEALANE-FORWARD"], "{rules}");
        assert_eq!(rules.lines().nth(1), Some(ours[0]), "at the head: {rules}");
        // What is not ours is still dropped.
        world.host().sh("ip netns add router; ip link add behind type veth peer name front netns router; \
            ip address add 10.73.0.1/24 dev behind; ip link set behind up; ip netns exec router ip address add 10.73.0.2/24 dev front; \
            ip netns exec router ip link set front up; ip netns exec router ip route add default via 10.73.0.1").ok();
        world
            .peer()
            .sh("ip route add 10.73.0.0/24 via 10.99.0.1")
            .ok();
        let through = world
            .host()
            .sh("ip netns exec router ping -c 1 -W 1 10.99.0.100");
        assert!(!through.succeeded(), "two foreign interfaces: {through}");
        world.docker("rm -f web sibling other").ok();
        world.docker("network rm net1").ok();
        let rules = world.host().sh("iptables -S FORWARD").ok();
        assert!(rules.contains("-A FORWARD -j ufw-user-forward"), "{rules}");
    }
}

#[test]
fn with_the_integration_off_the_answer_warns() {
    let world = World::prepared(&["--firewall-integration=off"], |lab| {
        drop_forwarded(lab.host(0))
    });
    let (status, answer) = world.api("POST", "/networks/create", &json!({"Name": "net1"}));
    assert_eq!(status, 201);
    let warning = answer["Warning"].as_str().expect("a text");
    assert!(warning.to_lowercase().contains("forward"), "{answer}");
    let rules = world.host().sh("iptables -S FORWARD").ok();
    assert!(!rules.contains("ACCEPT"), "{rules}");
}

#[test]
fn forwarding_that_we_switched_on_is_only_for_us() {
    for foreign in [false, true] {
        let flags: &[&str] = if foreign {
            &["--ip-forward-no-drop"]
        } else {
            &[]
        };
        let world = World::prepared(flags, |lab| {
            let host = lab.host(0);
            host.sysctl("ipv4/ip_forward", "0");
            host.sh("ip netns add office; ip link add behind type veth peer name front netns office; \
                ip address add 10.73.0.1/24 dev behind; ip link set behind up; ip netns exec office ip address add 10.73.0.2/24 dev front; \
                ip netns exec office ip link set front up; ip netns exec office ip route add default via 10.73.0.1").ok();
            lab.peer()
                .sh("ip route add 10.73.0.0/24 via 10.99.0.1")
                .ok();
        });
        let through = world
            .host()
            .sh("ip netns exec office ping -c 1 -W 1 10.99.0.100");
        assert_eq!(through.succeeded(), foreign, "{through}");
        world.idle("--name c");
        assert!(world.sandbox("c").pings(lan::OUTSIDE));
    }
}

#[test]
fn a_users_own_chains_are_never_flushed() {
    let mut world = World::new();
    let rules = world.host().sh("nft list ruleset").ok();
    let chain = rules
        .lines()
        .find(|line| line.contains("chain sealane-user-") && line.contains("forward"));
    let name = chain
        .and_then(|line| line.split_whitespace().nth(1))
        .expect("a user's chain")
        .to_owned();
    let table = rules
        .lines()
        .find(|line| line.contains("table inet sealane-user"))
        .expect("our table");
    let table = table.split_whitespace().nth(2).expect("a name").to_owned();
    world.serve("--name web -p 8080:80");
    world
        .host()
        .sh(&format!(
            "nft add rule inet {table} {name} ip saddr 10.99.0.100 counter drop"
        ))
        .ok();
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    world.network("another");
    world.relaunch();
    assert_eq!(
        world.peer().fetch("10.99.0.1:8080"),
        None,
        "the user's rule is kept"
    );
    world
        .host()
        .sh(&format!("nft flush chain inet {table} {name}"))
        .ok();
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

/// Packets that no filter of ours lets pass, sent all the time, and how many arrived.
struct Probes {
    sent: u32,
    pairs: Vec<(UdpSocket, UdpSocket)>,
}

impl Probes {
    /// From container `spy`: to the loopback of the host, and to container `web` of another
    /// network.
    fn new(world: &World) -> Self {
        let spy = world.sandbox("spy");
        spy.sh(
            "sysctl -q net.ipv4.conf.eth0.route_localnet=1; ip address del 127.0.0.1/8 dev lo; \
            ip route add 127.0.0.1/32 via 10.82.0.1 dev eth0 src 10.82.0.2",
        )
        .ok();
        let host = world.host().in_netns(|| UdpSocket::bind("127.0.0.1:9999"));
        let web = world
            .sandbox("web")
            .in_netns(|| ["10.81.0.2:9999", "[fd81::2]:9999"].map(UdpSocket::bind));
        let pairs = [host].into_iter().chain(web).map(|receiver| {
            let receiver = receiver.expect("the port is free");
            let to = receiver.local_addr().expect("a bound socket");
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let sender = spy.in_netns(|| UdpSocket::bind(any)).expect("a socket");
            sender.connect(to).expect("there is a route");
            receiver.set_nonblocking(true).expect("a socket can be");
            (sender, receiver)
        });
        let pairs = pairs.collect();
        Self { sent: 0, pairs }
    }

    /// Sends one of each, and returns how many have arrived meanwhile.
    fn round(&mut self) -> u32 {
        self.sent += 1;
        let mut arrived = 0;
        for (sender, receiver) in &self.pairs {
            // What a filter or the other end refuses comes back as an error here.
            let _refused = sender.send(b"probe");
            let mut data = [0; 8];
            while receiver.recv(&mut data).is_ok() {
                arrived += 1;
            }
        }
        arrived
    }
}

/// Flushes the ruleset again and again, every two seconds, and returns how many probes were sent
/// and how many arrived.
fn flushed_again_and_again(world: &World) -> (u32, u32) {
    let mut probes = Probes::new(world);
    let script = "for i in 1 2 3 4 5 6 7 8; do nft flush ruleset; sleep 2; done";
    let mut flushing = world.host().spawn(script);
    let mut arrived = 0;
    while flushing.runs() {
        arrived += probes.round();
        std::thread::sleep(Duration::from_millis(4));
    }
    (probes.sent, arrived + probes.round())
}

fn with_two_networks(flags: &[&str], filter: bool) -> World {
    let world = World::prepared(flags, |lab| lab.host(0).br_netfilter(filter));
    world.network("--ipv6 --subnet 10.81.0.0/24 --subnet fd81::/64 net1");
    world.network("--ipv6 --subnet 10.82.0.0/24 --subnet fd82::/64 net2");
    world.idle("--network net1 --name web -p 8080:80");
    world.idle("--network net2 --name spy");
    world
}

#[test]
fn a_flush_takes_nothing_of_a_firewall_that_is_owned() {
    for on in [false, true] {
        let world = with_two_networks(&[], on);
        let talk = Conversation::start(&world.sandbox("web"), 80, world.peer(), "10.99.0.1:8080");
        let (sent, arrived) = flushed_again_and_again(&world);
        assert!(sent > 500, "br_netfilter {on}: {sent} were sent");
        assert_eq!(arrived, 0, "br_netfilter {on}: of {sent}");
        let rounds = talk.rounds();
        talk.finish().expect("the connection goes on");
        assert!(rounds > 100, "{rounds}");
        let refused = world.host().sh("nft delete table inet sealane");
        assert!(refused.stderr.contains("not permitted"), "{refused}");
        let shown = world.host().sh("nft list table inet sealane").ok();
        assert!(shown.contains("tcp . 8080 : 10.81.0.2 . 80"), "{shown}");
    }
}

#[test]
fn a_firewall_that_is_shared_is_back_at_once_every_time() {
    for on in [false, true] {
        let world = with_two_networks(&["--firewall-table=shared"], on);
        let (sent, arrived) = flushed_again_and_again(&world);
        assert!(sent > 500, "br_netfilter {on}: {sent} were sent");
        eprintln!("br_netfilter {on}: {arrived} of three times {sent}");
        // A second of a minute on an idle host; half of the time it was before. Here other tests
        // run beside, so a twentieth is let pass.
        assert!(arrived < 3 * sent / 20, "{arrived} of three times {sent}");
        let talk = Conversation::start(&world.sandbox("web"), 80, world.peer(), "10.99.0.1:8080");
        assert!(eventually(SOON, || (talk.rounds() > 10).then_some(true)));
        talk.finish().expect("a published port leads there");
    }
}

#[test]
fn a_firewall_changes_its_owner_and_no_connection_ends() {
    let mut world = with_two_networks(&["--firewall-table=shared"], false);
    let delete = |world: &World| world.host().sh("nft --check delete table inet sealane");
    assert!(delete(&world).succeeded(), "everybody may change it");
    let talk = Conversation::start(&world.sandbox("web"), 80, world.peer(), "10.99.0.1:8080");
    // One that is shared becomes one that is owned.
    world.set_flags(&["--firewall-table=owned"]);
    world.relaunch();
    assert!(!delete(&world).succeeded(), "it is owned");
    // Its owner dies and leaves it; the next takes it over.
    world.kill9();
    assert!(delete(&world).succeeded(), "its owner is gone");
    world.launch();
    assert!(!delete(&world).succeeded(), "the new daemon's");
    world
        .docker("run -d --name late --network net2 -p 8081:80 img sleep 1000")
        .ok();
    // Its ownership is given up for work by hand, and taken back.
    world.sealane("repair pause").ok();
    assert!(delete(&world).succeeded(), "repair is paused");
    world.sealane("repair resume").ok();
    assert!(!delete(&world).succeeded(), "and resumed");
    let before = talk.rounds();
    eventually(SOON, || (talk.rounds() > before + 10).then_some(()));
    talk.finish().expect("the connection goes on");
}

#[test]
fn a_rule_of_the_users_lets_pass_what_would_be_dropped() {
    let world = with_two_networks(&[], false);
    let spy = world.sandbox("spy");
    assert!(!spy.pings("10.81.0.2") && !spy.pings("fd81::2"));
    let add = |verdict: &str| {
        let rule = "nft add rule inet sealane-user sealane-user-forward";
        world
            .host()
            .sh(&format!("{rule} iifname br-* oifname br-* {verdict}"))
            .ok();
    };
    // An accept ends the user's own chain, and ours still has its say.
    add("accept");
    assert!(!spy.pings("10.81.0.2"));
    world
        .host()
        .sh("nft flush chain inet sealane-user sealane-user-forward")
        .ok();
    add("goto sealane-user-accept");
    assert!(spy.pings("10.81.0.2") && spy.pings("fd81::2"));
    world
        .host()
        .sh("nft flush chain inet sealane-user sealane-user-forward")
        .ok();
    add("drop");
    assert!(!spy.pings("10.81.0.2"));
}
