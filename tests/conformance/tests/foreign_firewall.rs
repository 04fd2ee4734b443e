//! Firewalls of others are met, not overwritten.

use sealane_conformance::*;

/// A policy as ufw leaves it: what is forwarded is dropped unless somebody accepts it.
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
        .find(|line| line.contains("table inet sealane"))
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
