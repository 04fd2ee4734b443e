//! Row C-22: more endpoints on a network than one bridge has ports.

use sealane_conformance::*;
use std::collections::BTreeMap;

/// The number of containers on each bridge of the host.
fn crowds(world: &World) -> BTreeMap<String, usize> {
    let links = world.host().ip_json("link show type veth");
    let mut crowds = BTreeMap::new();
    for link in links.as_array().into_iter().flatten() {
        let name = link["ifname"].as_str().unwrap_or_default();
        if let Some(master) = link["master"].as_str().filter(|_| name.starts_with("veth")) {
            *crowds.entry(master.to_owned()).or_default() += 1;
        }
    }
    crowds
}

#[test]
fn c_22_a_full_bridge_is_joined_by_another() {
    with_bridge_filter_off_and_on(|world| {
        let before = Snapshot::take(world.host());
        let asked = "cat /proc/sys/net/bridge/bridge-nf-call-iptables";
        let filtered = world.host().sh(asked).ok() == "1";
        let id = world
            .network("--subnet 10.22.0.0/24 --ipv6 --subnet fd22::/64 -o ports_per_bridge=2 crowd");
        for index in 0..5 {
            world.serve(&format!(
                "--network crowd --name c{index} -p {}:80",
                8080 + index
            ));
        }
        let first = format!("br-{}", &id[..12]);
        let further: Vec<String> = [1, 2].map(|n| format!("bx{n}-{}", &id[..9])).into();
        let expected =
            BTreeMap::from([(first, 2), (further[0].clone(), 2), (further[1].clone(), 1)]);
        assert_eq!(crowds(world), expected);
        for from in 0..5 {
            let sandbox = world.sandbox(&format!("c{from}"));
            for to in (0..5).filter(|to| *to != from) {
                for address in [format!("10.22.0.{}", to + 2), format!("fd22::{}", to + 2)] {
                    assert!(sandbox.pings(&address), "c{from} to {address}");
                }
            }
            assert!(sandbox.pings("10.22.0.1") && sandbox.pings("10.99.0.100"));
            assert_eq!(sandbox.dig("+short c4").ok(), "10.22.0.6");
            // A sibling's published port, and one's own, by the host.
            for port in [8080, 8084] {
                // A bridge that filters leads translated packets back by the port they came by.
                if filtered && from == 4 && port == 8084 {
                    continue;
                }
                let page = sandbox.fetch(&format!("10.99.0.1:{port}"));
                assert_eq!(page.as_deref(), Some(HELLO), "c{from} by {port}");
            }
        }
        assert_eq!(world.peer().fetch("10.99.0.1:8084").as_deref(), Some(HELLO));

        world
            .sealane("network update crowd --icc=false --mtu 1400")
            .ok();
        for (from, to) in [
            ("c0", "10.22.0.3"),
            ("c0", "10.22.0.4"),
            ("c2", "10.22.0.5"),
            ("c4", "10.22.0.2"),
        ] {
            assert!(!world.sandbox(from).pings(to), "{from} to {to} without icc");
        }
        assert!(world.sandbox("c4").pings("10.22.0.1"));
        world.sealane("network update crowd --icc").ok();
        let links = world
            .host()
            .ip_json(&format!("link show master {}", further[0]));
        assert!(
            links
                .as_array()
                .into_iter()
                .flatten()
                .all(|link| link["mtu"] == 1400),
            "{links}"
        );

        // Places that are free again are taken first; the network goes as a whole.
        world.docker("rm -f c0").ok();
        world.idle("--network crowd --name c5");
        assert_eq!(crowds(world), expected);
        for index in 1..6 {
            world.docker(&format!("rm -f c{index}")).ok();
        }
        world.docker("network rm crowd").ok();
        before.returns_on(world.host());
    });
}

#[test]
fn c_22_further_bridges_survive_the_daemon_and_come_back() {
    let mut world = World::new();
    let id = world.network("--subnet 10.22.0.0/24 -o ports_per_bridge=1 crowd");
    for index in 0..3 {
        world.idle(&format!("--network crowd --name c{index}"));
    }
    let before = crowds(&world);
    assert_eq!(before.len(), 3);
    world.relaunch();
    assert_eq!(crowds(&world), before);
    assert!(world.sandbox("c2").pings("10.22.0.2"));
    world
        .host()
        .sh(&format!("ip link delete bx1-{}", &id[..9]))
        .ok();
    eventually(SOON * 2, || {
        world.sandbox("c1").pings("10.22.0.2").then_some(())
    });
    world
        .host()
        .sh(&format!("ip link delete vu2-{}", &id[..9]))
        .ok();
    eventually(SOON * 2, || {
        world.sandbox("c2").pings("10.22.0.2").then_some(())
    });
    let bad = world.docker("network create -o ports_per_bridge=2000 bad");
    bad.fails_with(1, "ports_per_bridge must be in the range 1 to 960");
}
