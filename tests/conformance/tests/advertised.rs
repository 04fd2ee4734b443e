//! A host whose IPv6 default route comes from a router keeps it when its networks need forwarding.

use sealane_conformance::*;
use std::net::{Ipv6Addr, SocketAddrV6};

const ICMPV6: u32 = 58;

/// Makes the peer advertise itself on the LAN as a router, for so many seconds (RFC 4861, 4.2).
fn advertise(lab: &Lab, lifetime: u16) {
    let peer = lab.peer();
    // A duplicate address is looked for, which takes a second, before there is one to send from.
    eventually(SOON, || {
        let own = peer
            .sh("ip -6 address show dev eth0 scope link -tentative")
            .ok();
        own.contains("fe80").then_some(())
    });
    let link = peer.ip_json("link show eth0")[0]["ifindex"].as_u64();
    let link = link.and_then(|index| u32::try_from(index).ok());
    let everybody = "ff02::1".parse().expect("an address");
    let to = SocketAddrV6::new(everybody, 0, 0, link.expect("a number"));
    // Type, code and checksum; hop limit and flags; lifetime; two times that are left open.
    let mut packet = vec![134, 0, 0, 0, 64, 0];
    packet.extend(lifetime.to_be_bytes());
    packet.extend([0; 8]);
    // A prefix for addresses of the hosts' own making: 2001:db8:99::/64, on the link.
    packet.extend([3, 4, 64, 0xc0]);
    packet.extend([0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0]);
    packet.extend(
        "2001:db8:99::"
            .parse::<Ipv6Addr>()
            .expect("an address")
            .octets(),
    );
    peer.in_netns(|| send_to_neighbors(ICMPV6, to, &packet));
}

/// The default route that the router gave.
fn given_route(host: &Host) -> Option<String> {
    let routes = host.sh("ip -6 route show default proto ra").ok();
    (!routes.is_empty()).then_some(routes)
}

fn setting(host: &Host, path: &str) -> String {
    host.sh(&format!("cat /proc/sys/net/ipv6/conf/{path}")).ok()
}

/// A host without a default route but the one its router gives it.
fn host_of_a_router() -> Lab {
    let lab = Lab::new();
    let host = lab.host(0);
    host.sh("ip -6 route del default").ok();
    host.sysctl("ipv6/conf/eth0/accept_ra", "1");
    advertise(&lab, 1800);
    eventually(SOON, || given_route(host));
    lab
}

#[test]
fn a_route_that_a_router_gave_is_kept_while_packets_are_forwarded() {
    let lab = host_of_a_router();
    assert_eq!(setting(lab.host(0), "all/forwarding"), "0");
    let world = World::of(lab, DaemonOptions::default());
    let host = world.host();
    let plan = world
        .sealane("plan network-create --ipv6 --subnet fd80::/64 blue")
        .ok();
    let place = |text: &str| {
        plan.find(text)
            .unwrap_or_else(|| panic!("{text} is not in {plan}"))
    };
    let order = place("ipv6/conf/eth0/accept_ra") < place("ipv6/conf/all/forwarding");
    assert!(order, "the precaution comes first: {plan}");

    world.network("--ipv6 --subnet fd80::/64 blue");
    world.idle("--network blue --name c");
    assert_eq!(setting(host, "all/forwarding"), "1");
    assert_eq!(setting(host, "eth0/accept_ra"), "2");
    assert!(given_route(host).is_some(), "it has not lost it");
    assert!(world.sandbox("c").pings(lan::OUTSIDE6), "and it leads out");
    // A later advertisement is heard: this one ends the route, the next one gives it again.
    advertise(world.lab(), 0);
    eventually(SOON, || given_route(host).is_none().then_some(()));
    advertise(world.lab(), 1800);
    eventually(SOON, || given_route(host));
    assert_eq!(
        setting(host, "default/accept_ra"),
        "1",
        "our own links listen to nobody"
    );
    assert_ne!(setting(host, "docker0/accept_ra"), "2");
}

#[test]
fn a_purge_gives_the_settings_back() {
    let lab = host_of_a_router();
    let host = lab.host(0).clone();
    host.sysctl("ipv4/ip_forward", "0");
    let mut world = World::of(lab, DaemonOptions::default());
    world.network("--ipv6 --subnet fd80::/64 blue");
    assert_eq!(setting(&host, "eth0/accept_ra"), "2");
    world.relaunch();
    assert_eq!(
        setting(&host, "eth0/accept_ra"),
        "2",
        "the second start is no first"
    );
    world.stop();
    let purge = format!(
        "{} purge -f --cgroup-parent /sealane-lab-{}",
        binary().display(),
        world.lab().id()
    );
    host.sh(&purge).ok();
    assert_eq!(setting(&host, "eth0/accept_ra"), "1");
    assert_eq!(setting(&host, "all/forwarding"), "0");
    assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward").ok(), "0");
    assert!(given_route(&host).is_some());
}

#[test]
fn a_host_that_forwarded_before_is_left_as_it_is() {
    let lab = Lab::new();
    lab.host(0).sysctl("ipv6/conf/all/forwarding", "1");
    lab.host(0).sysctl("ipv6/conf/eth0/accept_ra", "1");
    let mut world = World::of(lab, DaemonOptions::default());
    world.network("--ipv6 --subnet fd80::/64 blue");
    assert_eq!(setting(world.host(), "eth0/accept_ra"), "1");
    world.stop();
    let purge = format!(
        "{} purge -f --cgroup-parent /sealane-lab-{}",
        binary().display(),
        world.lab().id()
    );
    world.host().sh(&purge).ok();
    assert_eq!(setting(world.host(), "all/forwarding"), "1");
}
