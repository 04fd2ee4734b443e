//! C-21: the same subnet on two networks.

use sealane_conformance::*;

/// Two networks with one subnet, a web server with the same address on each, published as 8080 and
/// 8081.
fn two_networks(world: &World) {
    world.network("--subnet 10.21.0.0/24 plain");
    world.network("--subnet 10.21.0.0/24 -o overlapping=true over");
    for (network, port) in [("plain", 8080), ("over", 8081)] {
        world.serve(&format!(
            "--network {network} --name {network}-web -p {port}:80"
        ));
        assert_eq!(
            world.address(&format!("{network}-web"), network),
            "10.21.0.2"
        );
        // So that it shows which of the two answers.
        world
            .docker(&format!(
                "exec {network}-web sh -c 'mkdir -p /tmp/w; echo {network} > /tmp/w/index.html; \
                 httpd -p 81 -h /tmp/w'"
            ))
            .ok();
    }
}

#[test]
fn c_21_two_networks_with_one_subnet_publish_and_have_a_way_out() {
    with_bridge_filter_off_and_on(|world| {
        two_networks(world);
        for port in [8080, 8081] {
            for authority in [format!("10.99.0.1:{port}"), format!("[fd99::1]:{port}")] {
                assert_eq!(
                    world.peer().fetch(&authority).as_deref(),
                    Some(HELLO),
                    "{authority}"
                );
            }
            let own = format!("127.0.0.1:{port}");
            assert_eq!(world.host().fetch(&own).as_deref(), Some(HELLO), "{own}");
        }
        for name in ["plain-web", "over-web"] {
            let sandbox = world.sandbox(name);
            assert!(sandbox.pings(lan::PEER), "{name}");
            assert!(sandbox.pings("10.21.0.1"), "{name}: its gateway");
            let source = accept_one(world.peer(), "10.99.0.100:9999", || {
                connects(&sandbox, "10.99.0.100:9999");
            });
            assert_eq!(source.to_string(), "10.99.0.1", "{name}");
        }
    });
}

#[test]
fn c_21_each_port_leads_to_its_own_container() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--subnet 10.21.0.0/24 plain");
        world.network("--subnet 10.21.0.0/24 -o overlapping=true over");
        world.network("--subnet 10.21.0.0/24 -o overlapping=true third");
        for (network, port) in [("plain", 8080), ("over", 8081), ("third", 8082)] {
            world.run(&format!(
                "--network {network} --name {network}-web -p {port}:81 img sh -c \
                 'mkdir /tmp/w; echo {network} > /tmp/w/index.html; httpd -f -p 81 -h /tmp/w'"
            ));
        }
        for (network, port) in [("plain", 8080), ("over", 8081), ("third", 8082)] {
            let from_lan = || world.peer().fetch(&format!("10.99.0.1:{port}"));
            eventually_is(SOON, Some(network.to_owned()), from_lan);
            let own = world.sandbox(&format!("{network}-web"));
            let hairpin = own.fetch(&format!("10.99.0.1:{port}"));
            assert_eq!(hairpin.as_deref(), Some(network), "to itself");
            // A container of another network, and one of a network with the same subnet.
            for client in ["plain-web", "over-web", "third-web"] {
                let page = world.sandbox(client).fetch(&format!("10.99.0.1:{port}"));
                assert_eq!(page.as_deref(), Some(network), "from {client}");
            }
        }
        // Siblings know each other by their own addresses and names.
        world.idle("--network over --name sibling");
        let sibling = world.sandbox("sibling");
        assert_eq!(sibling.fetch("10.21.0.2:81").as_deref(), Some("over"));
        assert_eq!(sibling.dig("+short over-web").ok(), "10.21.0.2");
        let inside = world.sandbox("over-web").capture("eth0", "icmp");
        assert!(sibling.pings("10.21.0.2"));
        let seen = inside.stop().join("\n");
        assert!(seen.contains("10.21.0.3 > 10.21.0.2"), "{seen}");
        assert!(!seen.contains("198.18."), "{seen}");
    });
}

#[test]
fn c_21_it_outlives_the_daemon_and_leaves_nothing() {
    let mut world = World::with_flags(&["--live-restore"]);
    let before = Snapshot::take(world.host());
    two_networks(&world);
    world.relaunch();
    for port in [8080, 8081] {
        let authority = format!("10.99.0.1:{port}");
        assert_eq!(
            world.peer().fetch(&authority).as_deref(),
            Some(HELLO),
            "{authority}"
        );
    }
    // The first network goes, the second stays as it was.
    world.docker("rm -f plain-web").ok();
    world.docker("network rm plain").ok();
    assert_eq!(world.peer().fetch("10.99.0.1:8081").as_deref(), Some(HELLO));
    world.docker("rm -f over-web").ok();
    world.docker("network rm over").ok();
    before.returns_on(world.host());
}

#[test]
fn c_21_without_the_option_dockers_refusal_stays() {
    let world = World::new();
    world.network("--subnet 10.21.0.0/24 -o overlapping=true over");
    let refused = "invalid pool request: Pool overlaps with other one on this address space";
    world
        .docker("network create --subnet 10.21.0.0/25 n")
        .fails_with(1, refused);
    world
        .docker("network create --subnet 10.21.0.0/25 -o overlapping=false n")
        .fails_with(1, refused);
    world
        .docker("network create -o overlapping=maybe n")
        .fails_with(1, "failed to parse overlapping value: maybe");
}
