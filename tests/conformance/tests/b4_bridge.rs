//! Chapter B4: the options of bridge networks.

use sealane_conformance::*;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Lets the rest of the LAN know the way to a network of the host, as a router would.
fn route_from_lan(world: &World, prefixes: &[&str]) {
    for prefix in prefixes {
        let via = if prefix.contains(':') {
            "fd99::1"
        } else {
            "10.99.0.1"
        };
        world
            .peer()
            .sh(&format!("ip route replace {prefix} via {via}"))
            .ok();
    }
}

/// Where a container's port 80 and its unpublished port 81 are to be found.
struct Reach {
    v4: String,
    v6: String,
}

impl Reach {
    /// A dual-stack network `net` with a container `web` that publishes 80 on 8080 and listens on
    /// 81, too; and the way there from the LAN.
    fn to_new(world: &World, options: &str) -> Self {
        world.network(&format!(
            "--ipv6 --subnet 10.46.0.0/24 --subnet fd46::/64 {options} net"
        ));
        world.serve("--network net --name web -p 8080:80");
        world.docker("exec -d web httpd -f -p 81 -h /www").ok();
        let sandbox = world.sandbox("web");
        eventually(SOON, || {
            let listening = sandbox.sh("ss -Hltn 'sport = :81'").stdout;
            (!listening.is_empty()).then_some(())
        });
        route_from_lan(world, &["10.46.0.0/24", "fd46::/64"]);
        Self {
            v4: world.address("web", "net"),
            v6: "fd46::2".into(),
        }
    }

    /// Who answers at the container's own address from the LAN: IPv4 port 80, 81, echo; IPv6 the
    /// same.
    fn seen_by_lan(&self, world: &World) -> [bool; 6] {
        let peer = world.peer();
        let page = |authority: String| peer.fetch(&authority).is_some();
        [
            page(format!("{}:80", self.v4)),
            page(format!("{}:81", self.v4)),
            peer.pings(&self.v4),
            page(format!("[{}]:80", self.v6)),
            page(format!("[{}]:81", self.v6)),
            peer.pings(&self.v6),
        ]
    }
}

/// Who answers at the published port of the host from the LAN: IPv4, IPv6.
fn published(world: &World) -> [bool; 2] {
    ["10.99.0.1:8080", "[fd99::1]:8080"].map(|authority| world.peer().fetch(authority).is_some())
}

/// The addresses with which a container comes to the LAN.
fn source_seen(world: &World, container: &str, listen: &str) -> String {
    let sandbox = world.sandbox(container);
    accept_one(world.peer(), listen, || {
        connects(&sandbox, listen);
    })
    .to_string()
}

/// The rest of the LAN, where it listens for containers.
const LISTEN6: &str = "[fd99::64]:9999";

const MODE4: &str = "-o com.docker.network.bridge.gateway_mode_ipv4";
const MODE6: &str = "-o com.docker.network.bridge.gateway_mode_ipv6";

#[test]
fn b4_6_nat_opens_published_ports_of_the_host_only() {
    with_bridge_filter_off_and_on(|world| {
        let web = Reach::to_new(world, &format!("{MODE4}=nat {MODE6}=nat"));
        assert_eq!(published(world), [true, true]);
        assert_eq!(web.seen_by_lan(world), [false; 6]);
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), "10.99.0.1");
        assert_eq!(source_seen(world, "web", LISTEN6), "fd99::1");
        assert_eq!(
            world.docker("port web").ok(),
            "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"
        );
    });
}

#[test]
fn b4_6_nat_unprotected_opens_every_port_too() {
    with_bridge_filter_off_and_on(|world| {
        let web = Reach::to_new(
            world,
            &format!("{MODE4}=nat-unprotected {MODE6}=nat-unprotected"),
        );
        assert_eq!(published(world), [true, true]);
        assert_eq!(web.seen_by_lan(world), [true; 6]);
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), "10.99.0.1");
        assert_eq!(source_seen(world, "web", LISTEN6), "fd99::1");
    });
}

#[test]
fn b4_6_routed_opens_published_ports_at_the_containers_own_address() {
    with_bridge_filter_off_and_on(|world| {
        let web = Reach::to_new(world, &format!("{MODE4}=routed {MODE6}=routed"));
        assert_eq!(published(world), [false, false]);
        assert_eq!(
            web.seen_by_lan(world),
            [true, false, true, true, false, true]
        );
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), web.v4);
        assert_eq!(source_seen(world, "web", LISTEN6), web.v6);
        assert_eq!(
            world.docker("port web").ok(),
            "80/tcp -> 0.0.0.0:\n80/tcp -> [::]:"
        );
        assert_eq!(
            world.inspect("web")["NetworkSettings"]["Ports"],
            json!({"80/tcp": [
                {"HostIp": "0.0.0.0", "HostPort": ""},
                {"HostIp": "::", "HostPort": ""},
            ]})
        );
        assert_eq!(world.docker("ps --format '{{.Ports}}'").ok(), "80/tcp");
        // The port of the host is free, and another container's.
        world.serve("--name other -p 8080:80");
        assert_eq!(published(world), [true, true]);
        // Containers of other networks come in the same way.
        let other = world.sandbox("other");
        assert!(other.fetch(&format!("{}:80", web.v4)).is_some());
        assert!(other.fetch(&format!("{}:81", web.v4)).is_none());
    });
}

/// TCP that no connection begins with: FIN, RST, SYN+ACK, and FIN+PSH+URG, a scanner's.
const STRAY: [u8; 4] = [0x01, 0x04, 0x12, 0x29];

/// Sends those from a container to the rest of the LAN, and returns what arrives there.
fn stray_packets(world: &World, reach: &Reach) -> Vec<String> {
    let pairs = [
        (format!("{}:1234", reach.v4), "10.99.0.100:4321"),
        (format!("[{}]:1234", reach.v6), "[fd99::64]:4321"),
    ];
    let arriving = Capture::start(world.peer(), "eth0", "dst port 4321 and not icmp6");
    world.sandbox("web").in_netns(|| {
        for (from, to) in &pairs {
            let from = from.parse().expect("an address and a port");
            let to: SocketAddr = to.parse().expect("an address and a port");
            for flags in STRAY {
                send_whole(to.ip(), &tcp_packet(from, to, flags));
            }
        }
    });
    arriving.stop()
}

#[test]
fn b4_6_what_belongs_to_no_connection_does_not_leave_a_translated_network() {
    with_bridge_filter_off_and_on(|world| {
        let web = Reach::to_new(world, &format!("{MODE4}=nat {MODE6}=nat"));
        assert_eq!(stray_packets(world, &web), [""; 0]);
        // Nor with an address that was chosen.
        world.docker("rm -f web").ok();
        world.docker("network rm net").ok();
        let web = Reach::to_new(
            world,
            "-o com.docker.network.host_ipv4=10.99.0.1 -o com.docker.network.host_ipv6=fd99::1",
        );
        assert_eq!(stray_packets(world, &web), [""; 0]);
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), "10.99.0.1");
        assert_eq!(source_seen(world, "web", LISTEN6), "fd99::1");
        assert_eq!(published(world), [true, true]);
        // Where addresses are kept, answers may come by another way than the questions did.
        world.docker("rm -f web").ok();
        world.docker("network rm net").ok();
        let routed = Reach::to_new(world, &format!("{MODE4}=routed {MODE6}=routed"));
        let leaving = stray_packets(world, &routed);
        assert_eq!(leaving.len(), 2 * STRAY.len(), "{leaving:#?}");
        assert!(
            leaving[0].contains(&format!("{}.1234", routed.v4)),
            "{leaving:#?}"
        );
    });
}

/// The addresses between which an answer is forged.
struct Ends {
    lan: &'static str,
    host: &'static str,
    any: &'static str,
    gateway: &'static str,
}

const V4: Ends = Ends {
    lan: "10.99.0.100:5300",
    host: "10.99.0.1",
    any: "0.0.0.0:0",
    gateway: "10.48.0.1",
};

const V6: Ends = Ends {
    lan: "[fd99::64]:5300",
    host: "fd99::1",
    any: "[::]:0",
    gateway: "fd48::1",
};

/// Sends UDP from a socket of container `asker` to the rest of the LAN, lets container `liar` answer as
/// that, and returns whether the forged answer arrived at the asker.
fn joins(world: &World, ends: &Ends) -> bool {
    let lan: SocketAddr = ends.lan.parse().expect("an address and a port");
    let host: IpAddr = ends.host.parse().expect("an address");
    let server = world
        .peer()
        .in_netns(|| UdpSocket::bind(lan))
        .expect("it is free");
    let asker = world
        .sandbox("asker")
        .in_netns(|| UdpSocket::bind(ends.any))
        .expect("a socket");
    for socket in [&server, &asker] {
        socket.set_read_timeout(Some(SOON)).expect("a socket can");
    }
    asker.send_to(b"question", lan).expect("there is a way out");
    let (_, seen) = server.recv_from(&mut [0; 16]).expect("it arrives");
    let forged = udp_packet(lan, SocketAddr::new(host, seen.port()), b"forged");
    let gateway: IpAddr = ends.gateway.parse().expect("an address");
    world
        .sandbox("liar")
        .in_netns(|| send_whole(gateway, &forged));
    std::thread::sleep(Duration::from_millis(50));
    server.send_to(b"answer", seen).expect("and goes back");
    let mut data = [0; 16];
    let (length, _) = asker.recv_from(&mut data).expect("an answer");
    &data[..length] == b"forged"
}

/// Two networks, and a container on each: one that asks, one that answers questions of others.
fn asker_and_liar(world: &World, options: &str) {
    world.network("--ipv6 --subnet 10.47.0.0/24 --subnet fd47::/64 asks");
    world.network(&format!(
        "--ipv6 --subnet 10.48.0.0/24 --subnet fd48::/64 {options} lies"
    ));
    world.idle("--network asks --name asker");
    world.idle("--network lies --name liar");
}

#[test]
fn b4_what_a_network_hands_to_the_host_comes_from_there() {
    with_bridge_filter_off_and_on(|world| {
        for options in ["", "-o overlapping=true", "--internal"] {
            asker_and_liar(world, options);
            assert!(!joins(world, &V4) && !joins(world, &V6), "{options}");
            let liar = world.sandbox("liar");
            let out = options != "--internal";
            assert_eq!(liar.pings(lan::OUTSIDE), out, "{options}");
            assert_eq!(liar.pings(lan::OUTSIDE6), out, "{options}");
            assert!(
                liar.pings("10.48.0.1") && liar.pings("fd48::1"),
                "{options}"
            );
            world.docker("rm -f asker liar").ok();
            world.docker("network rm asks lies").ok();
        }
    });
}

#[test]
fn b4_a_port_of_the_bridge_is_no_other_way_to_the_host() {
    with_bridge_filter_off_and_on(|world| {
        asker_and_liar(world, "");
        let liar = world.sandbox("liar");
        let own = liar.sh("ip -o link show eth0").ok();
        let (_, index) = own.split_once("eth0@if").expect("an end of a pair");
        let (index, _) = index.split_once(':').expect("a number");
        let port = format!("ip -o link | grep '^{index}: ' | grep -o 'ether [0-9a-f:]*'");
        let port = world.host().sh(&port).ok();
        let address = port.trim().strip_prefix("ether ").expect("an address");
        for gateway in ["10.48.0.1", "fd48::1"] {
            liar.sh(&format!(
                "ip neigh replace {gateway} lladdr {address} dev eth0"
            ))
            .ok();
        }
        assert!(
            liar.pings("10.48.0.1") && liar.pings("fd48::1"),
            "by {address}"
        );
        assert!(!joins(world, &V4) && !joins(world, &V6), "{address}");
        // A listener on the host's own loopback.
        let own = world
            .host()
            .in_netns(|| UdpSocket::bind("127.0.0.1:5353"))
            .expect("it is free");
        own.set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a socket can");
        let (from, to) = (SocketAddr::from(([10, 48, 0, 2], 5300)), own.local_addr());
        let packet = udp_packet(from, to.expect("it is bound"), b"in");
        liar.in_netns(|| send_whole("10.48.0.1".parse().expect("an address"), &packet));
        assert!(own.recv_from(&mut [0; 16]).is_err(), "loopback is reached");
    });
}

#[test]
fn b4_any_source_is_for_networks_that_want_it() {
    with_bridge_filter_off_and_on(|world| {
        for options in [
            "-o any_source=true",
            "-o any_source=true -o overlapping=true",
        ] {
            asker_and_liar(world, options);
            assert!(joins(world, &V4) && joins(world, &V6), "{options}");
            world.docker("rm -f asker liar").ok();
            world.docker("network rm asks lies").ok();
        }
    });
}

#[test]
fn b4_a_container_that_is_a_router_keeps_working() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv6 --subnet 10.48.0.0/24 --subnet fd48::/64 net");
        world.idle("--network net --name router");
        world.idle("--network net --name sibling");
        let (router, sibling) = (world.sandbox("router"), world.sandbox("sibling"));
        router
            .sh("ip address add 10.200.0.1/32 dev lo; ip address add fd20::1/128 dev lo")
            .ok();
        let host = world.host();
        let from = |to: &str, own: &str| {
            router
                .sh(&format!("ping -n -c 1 -W 1 -I {own} {to}"))
                .succeeded()
        };
        // Its siblings may know it by that address, whatever the host thinks.
        sibling
            .sh("ip route add 10.200.0.1 via 10.48.0.2; ip route add fd20::1 via fd48::2")
            .ok();
        assert!(
            from("10.48.0.3", "10.200.0.1") && from("fd48::3", "fd20::1"),
            "bridged"
        );
        assert!(!from("10.48.0.1", "10.200.0.1") && !from("fd48::1", "fd20::1"));
        host.sh("ip route add 10.200.0.0/24 via 10.48.0.2; ip route add fd20::/64 via fd48::2")
            .ok();
        assert!(from("10.48.0.1", "10.200.0.1") && from("fd48::1", "fd20::1"));
        assert!(from(lan::OUTSIDE, "10.200.0.1") && from(lan::OUTSIDE6, "fd20::1"));
    });
}

#[test]
fn b4_6_a_port_is_open_on_a_routed_network_that_has_not_the_gateway() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv6 --subnet 10.47.0.0/24 --subnet fd47::/64 a-nat");
        world.network(&format!(
            "--ipv6 --subnet 10.48.0.0/24 --subnet fd48::/64 {MODE4}=routed {MODE6}=routed b-routed"
        ));
        world.serve("--network a-nat --network b-routed --name web -p 8080:80");
        world.docker("exec -d web httpd -f -p 81 -h /www").ok();
        route_from_lan(world, &["10.48.0.0/24", "fd48::/64"]);
        let routes = world.sandbox("web").routes("route show default");
        assert!(routes[0].contains("10.47.0.1"), "{routes:?}");
        let peer = world.peer();
        for at in [
            "10.99.0.1:8080",
            "[fd99::1]:8080",
            "10.48.0.2:80",
            "[fd48::2]:80",
        ] {
            assert_eq!(peer.fetch(at).as_deref(), Some(HELLO), "{at}");
        }
        for at in ["10.48.0.2:81", "[fd48::2]:81", "10.48.0.2:8080"] {
            assert_eq!(peer.fetch(at), None, "{at} is not published");
        }
        world.sealane("publish rm web 8080").ok();
        for at in ["10.99.0.1:8080", "10.48.0.2:80", "[fd48::2]:80"] {
            assert_eq!(peer.fetch(at), None, "{at} was taken back");
        }
    });
}

#[test]
fn b4_6_each_family_has_its_own_mode() {
    with_bridge_filter_off_and_on(|world| {
        let web = Reach::to_new(world, &format!("{MODE4}=nat {MODE6}=routed"));
        assert_eq!(published(world), [true, false]);
        assert_eq!(
            web.seen_by_lan(world),
            [false, false, false, true, false, true]
        );
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), "10.99.0.1");
        assert_eq!(source_seen(world, "web", LISTEN6), web.v6);
        assert_eq!(
            world.docker("port web").ok(),
            "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:"
        );
    });
    let world = World::new();
    let web = Reach::to_new(&world, &format!("{MODE4}=routed {MODE6}=nat"));
    assert_eq!(published(&world), [false, true]);
    assert_eq!(
        web.seen_by_lan(&world),
        [true, false, true, false, false, false]
    );
    assert_eq!(
        world.docker("port web").ok(),
        "80/tcp -> 0.0.0.0:\n80/tcp -> [::]:8080"
    );
}

#[test]
fn b4_6_isolated_leaves_the_host_without_an_address() {
    with_bridge_filter_off_and_on(|world| {
        world.network(&format!(
            "--internal --ipv6 --subnet 10.46.0.0/24 --subnet fd46::/64 {MODE4}=isolated \
             {MODE6}=isolated -o com.docker.network.bridge.name=br46 net"
        ));
        world.serve("--network net --name web");
        world.idle("--network net --name sibling");
        let addresses = world.host().ip_json("address show dev br46");
        assert_eq!(addresses[0]["addr_info"], json!([]), "{addresses}");
        // No gateway is kept, so that the first address is a container's.
        assert_eq!(world.address("web", "net"), "10.46.0.1");
        let config = world.get("/networks/net")["IPAM"]["Config"].clone();
        assert_eq!(config[0].get("Gateway"), None, "{config}");
        let sibling = world.sandbox("sibling");
        assert_eq!(sibling.fetch("10.46.0.1:80").as_deref(), Some(HELLO));
        assert_eq!(sibling.fetch("[fd46::1]:80").as_deref(), Some(HELLO));
        assert!(!sibling.dig("+short web").stdout.is_empty());
        assert!(!world.host().pings("10.46.0.1"));
    });
}

#[test]
fn b4_6_bad_modes_are_refused_in_dockers_words() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    let body = |mode: &str| json!({"Name": "n", "Options": {"com.docker.network.bridge.gateway_mode_ipv4": mode}});
    let (status, answer) = world.api("POST", "/networks/create", &body("magic"));
    assert_eq!(status, 400);
    assert_eq!(
        answer["message"],
        "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: magic (unknown \
         gateway mode magic)"
    );
    let (status, answer) = world.api("POST", "/networks/create", &body("isolated"));
    assert_eq!(status, 500);
    assert_eq!(
        answer["message"],
        "gateway mode 'isolated' can only be used for an internal network"
    );
    before.returns_on(world.host());
}

#[test]
fn b4_7_b5_7_a_trusted_link_leads_to_published_ports_directly() {
    with_bridge_filter_off_and_on(|world| {
        let trusted = "-o com.docker.network.bridge.trusted_host_interfaces";
        let web = Reach::to_new(world, &format!("{trusted}=eth9:eth0"));
        assert_eq!(published(world), [true, true]);
        assert_eq!(
            web.seen_by_lan(world),
            [true, false, false, true, false, false]
        );
        world.docker("rm -f web").ok();
        world.docker("network rm net").ok();
        world
            .peer()
            .sh("ip route flush proto boot to root 10.46.0.0/24; ip -6 route del fd46::/64")
            .ok();
        // Another link is not trusted.
        let web = Reach::to_new(world, &format!("{trusted}=eth9"));
        assert_eq!(web.seen_by_lan(world), [false; 6]);
    });
}

#[test]
fn b5_7_allow_direct_routing_leads_to_published_ports_directly() {
    let world = World::with_flags(&["--allow-direct-routing"]);
    let web = Reach::to_new(&world, "");
    assert_eq!(published(&world), [true, true]);
    assert_eq!(
        web.seen_by_lan(&world),
        [true, false, false, true, false, false]
    );
}

#[test]
fn b4_9_containers_leave_with_the_chosen_address() {
    with_bridge_filter_off_and_on(|world| {
        world
            .host()
            .sh("ip address add 10.99.0.7/24 dev eth0; ip address add fd99::7/64 dev eth0 nodad")
            .ok();
        world.network(
            "--ipv6 --subnet 10.49.0.0/24 --subnet fd49::/64 \
             -o com.docker.network.host_ipv4=10.99.0.7 -o com.docker.network.host_ipv6=fd99::7 net",
        );
        world.idle("--network net --name c");
        assert_eq!(source_seen(world, "c", "10.99.0.100:9999"), "10.99.0.7");
        assert_eq!(source_seen(world, "c", LISTEN6), "fd99::7");
    });
    let world = World::new();
    let refused = world.docker("network create -o com.docker.network.host_ipv4=host n");
    refused.fails_with(
        1,
        "failed to parse com.docker.network.host_ipv4 value: host (nil ip)",
    );
}

#[test]
fn b4_2_without_masquerade_the_outside_sees_the_container() {
    with_bridge_filter_off_and_on(|world| {
        world.network(
            "--subnet 10.42.0.0/24 -o com.docker.network.bridge.enable_ip_masquerade=false net",
        );
        world.idle("--network net --name c");
        route_from_lan(world, &["10.42.0.0/24"]);
        assert_eq!(source_seen(world, "c", "10.99.0.100:9999"), "10.42.0.2");
    });
}

#[test]
fn b4_5_an_inhibited_bridge_has_no_address_and_another_machine_is_the_gateway() {
    with_bridge_filter_off_and_on(|world| {
        world.network(
            "--subnet 10.45.0.0/24 -o com.docker.network.bridge.inhibit_ipv4=true \
             -o com.docker.network.bridge.name=br45 net",
        );
        world.idle("--network net --name c");
        let addresses = world.host().ip_json("-4 address show dev br45");
        assert_eq!(addresses, json!([]), "{addresses}");
        let sandbox = world.sandbox("c");
        assert_eq!(
            sandbox.routes("route show default"),
            ["default via 10.45.0.1 dev eth0"]
        );
        // A machine on the bridge that has the gateway's address.
        world
            .host()
            .sh(
                "ip netns add router; ip link add r0 type veth peer name eth0 netns router; \
                 ip link set r0 master br45 up; ip -n router link set eth0 up; \
                 ip -n router address add 10.45.0.1/24 dev eth0",
            )
            .ok();
        eventually(SOON, || sandbox.pings("10.45.0.1").then_some(()));
        world.host().sh("ip netns del router").ok();
    });
}

#[test]
fn b4_4_ports_without_an_address_are_bound_where_the_network_says() {
    with_bridge_filter_off_and_on(|world| {
        world.network("-o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 net");
        world.serve("--network net --name web -p 8080:80");
        assert_eq!(world.docker("port web").ok(), "80/tcp -> 127.0.0.1:8080");
        assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
        assert!(world.host().fetch("10.99.0.1:8080").is_none());
    });
}

#[test]
fn b4_8_the_mtu_is_that_of_the_bridge_and_of_every_link() {
    let world = World::new();
    world.network(
        "-o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.name=br48 net",
    );
    world.idle("--network net --name c");
    assert_eq!(world.host().ip_json("link show br48")[0]["mtu"], 1400);
    let sandbox = world.sandbox("c");
    assert_eq!(sandbox.ip_json("link show eth0")[0]["mtu"], 1400);
    let ports = world.host().ip_json("link show master br48");
    assert_eq!(ports[0]["mtu"], 1400, "{ports}");
    // A packet of the size fits, a larger one does not.
    let ping = |size: u32| sandbox.sh(&format!("ping -n -c 1 -W 1 -M do -s {size} 172.18.0.1"));
    assert!(ping(1372).succeeded());
    assert!(!ping(1373).succeeded());
}

#[test]
fn b4_1_a_users_bridge_is_adopted_and_kept() {
    with_bridge_filter_off_and_on(|world| {
        let host = world.host();
        host.sh(
            "ip link add mybr type bridge; ip address add 192.0.2.1/24 dev mybr; \
                 ip link add own type veth peer name other; ip link set own master mybr up; ip link set mybr up",
        )
        .ok();
        let addresses = || {
            let shown = host.ip_json("-4 address show dev mybr");
            let list = shown[0]["addr_info"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let text = |info: &Value| format!("{}/{}", info["local"], info["prefixlen"]);
            list.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        world.wait_for_foreign_bridge("mybr");
        let before = Snapshot::take(host);
        world.network("--subnet 10.41.0.0/24 -o com.docker.network.bridge.name=mybr net");
        world.serve("--network net --name web -p 8080:80");
        assert_eq!(addresses(), "\"192.0.2.1\"/24 \"10.41.0.1\"/24");
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        let ports = host.sh("ip -o link show master mybr").ok();
        assert!(ports.contains("veth") && ports.contains("own"), "{ports}");
        assert_eq!(source_seen(world, "web", "10.99.0.100:9999"), "10.99.0.1");
        world.docker("rm -f web").ok();
        world.docker("network rm net").ok();
        assert_eq!(addresses(), "\"192.0.2.1\"/24");
        eventually_is(SOON, String::new(), || {
            before
                .without(|line| line.contains("forwarding"))
                .difference(&Snapshot::take(host).without(|line| line.contains("forwarding")))
        });

        // A network on the bridge's own subnet takes its address for the gateway.
        world.network(
            "--subnet 192.0.2.0/24 --gateway 192.0.2.1 -o com.docker.network.bridge.name=mybr net",
        );
        world.idle("--network net --name c");
        assert!(world.sandbox("c").pings("192.0.2.1"));
        world.docker("rm -f c").ok();
        world.docker("network rm net").ok();
        assert_eq!(addresses(), "\"192.0.2.1\"/24", "it was not ours to take");
    });
}

#[test]
fn b4_1_the_name_is_the_devices_and_a_link_that_is_no_bridge_is_refused() {
    let world = World::new();
    world.network("-o com.docker.network.bridge.name=br41 net");
    let link = world.host().ip_json("-d link show br41");
    assert_eq!(link[0]["linkinfo"]["info_kind"], "bridge");
    world
        .host()
        .sh("ip link add dum0 type veth peer name dum1")
        .ok();
    let before = Snapshot::take(world.host());
    let refused = world.docker("network create -o com.docker.network.bridge.name=dum0 n");
    refused.fails_with(1, "existing interface dum0 is not a bridge");
    before.returns_on(world.host());
    world.docker("network rm net").ok();
    assert!(!world.host().sh("ip link show br41").succeeded());
}

#[test]
fn b4_1_an_adopted_bridge_that_went_away_does_not_keep_the_daemon_from_starting() {
    let mut world = World::prepared(&["--live-restore"], |lab| {
        lab.host(0)
            .sh("ip link add mybr type bridge; ip link set mybr up")
            .ok();
    });
    world.network("--subnet 10.41.0.0/24 -o com.docker.network.bridge.name=mybr net");
    world.serve("--network net --name web -p 8080:80");
    world.relaunch();
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    world.kill9();
    world.host().sh("ip link del mybr").ok();
    world.launch();
    world.serve("--name other -p 8081:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8081").as_deref(), Some(HELLO));
    // Made again, it is used again.
    world
        .host()
        .sh("ip link add mybr type bridge; ip link set mybr up")
        .ok();
    world.docker("restart -t 0 web").ok();
    eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
}

#[test]
fn b4_3_siblings_are_kept_apart_but_for_published_ports() {
    with_bridge_filter_off_and_on(|world| {
        world.network(
            "--ipv6 --subnet 10.43.0.0/24 --subnet fd43::/64 \
                       -o com.docker.network.bridge.enable_icc=false net",
        );
        world.serve("--network net --name web -p 8080:80");
        world.idle("--network net --name sibling");
        let sibling = world.sandbox("sibling");
        for authority in ["10.43.0.2:80", "[fd43::2]:80"] {
            assert_eq!(sibling.fetch(authority), None, "{authority}");
        }
        assert!(!sibling.pings("10.43.0.2") && !sibling.pings("fd43::2"));
        for host in ["10.99.0.1", "[fd99::1]", "[fd43::1]"] {
            let page = sibling.fetch(&format!("{host}:8080"));
            assert_eq!(page.as_deref(), Some(HELLO), "published at {host}");
        }
        assert!(sibling.pings("10.99.0.100"), "the way out is open");
    });
}

#[test]
fn b3_15_b4_3_links_open_the_ports_of_a_container_that_is_kept_apart() {
    for on in [false, true] {
        let lab = Lab::new();
        lab.host(0).br_netfilter(on);
        let world = World::of(
            lab,
            DaemonOptions {
                flags: vec!["--icc=false".into()],
                environment: vec![(
                    "DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS".into(),
                    "1".into(),
                )],
                ..DaemonOptions::default()
            },
        );
        world.serve("--name web --expose 80 -e COLOR=blue");
        world.docker("exec -d web httpd -f -p 81 -h /www").ok();
        world.idle("--name stranger");
        world.idle("--name friend --link web:db");
        let (friend, stranger) = (world.sandbox("friend"), world.sandbox("stranger"));
        let to = |port: u16| format!("{}:{port}", world.address("web", "bridge"));
        assert_eq!(friend.fetch(&to(80)).as_deref(), Some(HELLO));
        assert_eq!(friend.fetch(&to(81)), None, "it is not exposed");
        assert_eq!(stranger.fetch(&to(80)), None, "it has no link");
        let back = format!("{}:80", world.address("friend", "bridge"));
        assert!(!connects(&world.sandbox("web"), &back));

        let address = world.address("web", "bridge");
        let environment = world.docker("exec friend env").ok();
        for variable in [
            format!("DB_PORT=tcp://{address}:80"),
            format!("DB_PORT_80_TCP=tcp://{address}:80"),
            format!("DB_PORT_80_TCP_ADDR={address}"),
            "DB_PORT_80_TCP_PORT=80".into(),
            "DB_PORT_80_TCP_PROTO=tcp".into(),
            "DB_NAME=/friend/db".into(),
            "DB_ENV_COLOR=blue".into(),
        ] {
            assert!(environment.contains(&variable), "{variable}: {environment}");
        }

        // While the target does not run its ports are free; then it has another address.
        world.docker("stop -t 0 web").ok();
        let open = world
            .host()
            .nft_json("list set inet sealane links4")
            .to_string();
        assert!(!open.contains(&address), "{open}");
    }
}

#[test]
fn b3_15_a_link_follows_its_target_to_another_address() {
    let world = World::with_flags(&["--icc=false"]);
    world.serve("--name web --expose 80");
    world.idle("--name friend --link web:db");
    let first = world.address("web", "bridge");
    let hosts = || world.docker("exec friend cat /etc/hosts").ok();
    assert!(hosts().contains(&format!("{first}\tdb")), "{}", hosts());
    // Another container takes the address while the target is away from the network.
    world.docker("network create other").ok();
    world.docker("network disconnect bridge web").ok();
    eventually_is(SOON, false, || hosts().contains(&first));
    for n in 0..2 {
        world.idle(&format!("--name more{n}"));
    }
    world.docker("network connect bridge web").ok();
    let second = world.address("web", "bridge");
    eventually_is(SOON, true, || hosts().contains(&format!("{second}\tdb")));
    let fetched = world.docker("exec friend wget -q -O - http://db/");
    assert_eq!(fetched.ok(), HELLO);
}

#[test]
fn b4_6_an_ipv4_network_that_is_routed_is_relayed_from_ipv6() {
    let world = World::new();
    world.network(&format!("--subnet 10.46.0.0/24 {MODE4}=routed net"));
    world.serve("--network net --name web -p 8080:80");
    world.serve("--network net --name any -p 80");
    // The host's IPv6 addresses are no part of the network, so that its mode is not theirs.
    assert_eq!(
        world.docker("port web").ok(),
        "80/tcp -> 0.0.0.0:\n80/tcp -> [::]:8080"
    );
    let any = world.docker("port any").ok();
    assert!(
        any.starts_with("80/tcp -> 0.0.0.0:\n80/tcp -> [::]:"),
        "{any}"
    );
    assert_eq!(published(&world), [false, true]);
}
