//! Chapters B4 and B6: the default bridge as the daemon's flags have it, families as options, and
//! the flags about forwarding and the firewall.

use sealane_conformance::*;

/// The addresses of a link of the host, without its link-local ones.
fn addresses(world: &World, link: &str) -> Vec<String> {
    let shown = world
        .host()
        .ip_json(&format!("address show dev {link} scope global"));
    let list = shown[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    // An address of another scope is there as an empty entry.
    list.iter()
        .filter_map(|info| Some(format!("{}/{}", info["local"].as_str()?, info["prefixlen"])))
        .collect()
}

fn default_routes(world: &World, container: &str, family: &str) -> Vec<String> {
    world
        .sandbox(container)
        .routes(&format!("{family} route show default"))
}

#[test]
fn b4_13_bip_fixed_cidr_and_default_gateway() {
    let world = World::with_flags(&[
        "--bip=10.50.0.1/24",
        "--fixed-cidr=10.50.0.128/25",
        "--default-gateway=10.50.0.254",
    ]);
    assert_eq!(addresses(&world, "docker0"), ["10.50.0.1/24"]);
    world.idle("--name c");
    assert_eq!(world.address("c", "bridge"), "10.50.0.128");
    assert_eq!(
        default_routes(&world, "c", ""),
        ["default via 10.50.0.254 dev eth0"]
    );
    let config = world.get("/networks/bridge")["IPAM"]["Config"][0].clone();
    assert_eq!(config["Gateway"], "10.50.0.1", "{config}");
    assert_eq!(config["IPRange"], "10.50.0.128/25");
    assert_eq!(
        config["AuxiliaryAddresses"],
        json!({"DefaultGatewayIPv4": "10.50.0.254"})
    );
}

#[test]
fn b4_13_fixed_cidr_alone_is_the_subnet() {
    let world = World::with_flags(&["--fixed-cidr=10.51.0.0/24"]);
    assert_eq!(addresses(&world, "docker0"), ["10.51.0.1/24"]);
    world.idle("--name c");
    assert_eq!(world.address("c", "bridge"), "10.51.0.2");
}

#[test]
fn b4_13_ipv6_by_bip6_or_fixed_cidr_v6() {
    let world = World::with_flags(&[
        "--ipv6",
        "--bip6=fd50::1/64",
        "--fixed-cidr-v6=fd50::80/121",
        "--default-gateway-v6=fd50::ff",
    ]);
    assert!(addresses(&world, "docker0").contains(&"fd50::1/64".to_owned()));
    world.idle("--name c");
    let shown = world.inspect("c")["NetworkSettings"]["Networks"]["bridge"].clone();
    assert_eq!(shown["GlobalIPv6Address"], "fd50::80", "{shown}");
    assert!(default_routes(&world, "c", "-6")[0].starts_with("default via fd50::ff dev eth0"));

    let world = World::with_flags(&["--ipv6", "--fixed-cidr-v6=fd51::/64"]);
    assert!(addresses(&world, "docker0").contains(&"fd51::1/64".to_owned()));
    world.idle("--name c");
    assert!(world.sandbox("c").pings("fd51::1"));
    assert!(world.sandbox("c").pings(lan::PEER6), "with a way out");
}

#[test]
fn b4_13_the_mtu_changes_with_the_flag_although_the_bridge_exists() {
    let mut world = World::with_flags(&["--mtu=1400"]);
    let mtu = |world: &World| world.host().ip_json("link show docker0")[0]["mtu"].clone();
    assert_eq!(mtu(&world), 1400);
    world.stop();
    world.set_flags(&["--mtu=1300"]);
    world.launch();
    assert_eq!(mtu(&world), 1300);
    world.idle("--name c");
    assert_eq!(world.sandbox("c").ip_json("link show eth0")[0]["mtu"], 1300);
    // It is the default bridge's; a network has its own option.
    world.network("net");
    world.idle("--network net --name other");
    assert_eq!(
        world.sandbox("other").ip_json("link show eth0")[0]["mtu"],
        1500
    );
}

#[test]
fn b4_13_ip_and_ip_masq_and_icc() {
    for on in [false, true] {
        let lab = Lab::new();
        lab.host(0).br_netfilter(on);
        let flags = ["--ip=127.0.0.1", "--ip-masq=false", "--icc=false"];
        let world = World::of(
            lab,
            DaemonOptions {
                flags: flags.map(str::to_owned).into(),
                ..DaemonOptions::default()
            },
        );
        world.serve("--name web -p 8080:80");
        assert_eq!(world.docker("port web").ok(), "80/tcp -> 127.0.0.1:8080");
        assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
        world.idle("--name sibling");
        let web = world.address("web", "bridge");
        assert_eq!(world.sandbox("sibling").fetch(&format!("{web}:80")), None);
        world
            .peer()
            .sh("ip route add 172.17.0.0/16 via 10.99.0.1")
            .ok();
        let sandbox = world.sandbox("web");
        let source = accept_one(world.peer(), "10.99.0.100:9999", || {
            connects(&sandbox, "10.99.0.100:9999");
        });
        assert_eq!(source.to_string(), web, "nothing is masqueraded");
        // Other networks are not concerned.
        world.network("net");
        world.serve("--network net --name other -p 8081:80");
        assert_eq!(world.peer().fetch("10.99.0.1:8081").as_deref(), Some(HELLO));
    }
}

#[test]
fn b4_13_no_default_bridge() {
    let world = World::with_flags(&["--bridge=none"]);
    let names = world.docker("network ls --format '{{.Name}}'").ok();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "none"]);
    assert!(!world.host().sh("ip link show docker0").succeeded());
    world.idle("--name c");
    assert_eq!(world.sandbox("c").interfaces(), ["lo"]);
    world.network("net");
    world.serve("--network net --name web -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

#[test]
fn b4_13_a_bridge_of_the_users_is_the_default_bridge() {
    let mut world = World::prepared(&["--bridge=mybr"], |lab| {
        lab.host(0)
            .sh(
                "ip link add mybr type bridge; ip address add 10.52.0.9/24 dev mybr; \
                 ip link set mybr up",
            )
            .ok();
    });
    world.serve("--name web -p 8080:80");
    assert_eq!(
        default_routes(&world, "web", ""),
        ["default via 10.52.0.9 dev eth0"]
    );
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    assert!(!world.host().sh("ip link show docker0").succeeded());
    world.docker("rm -f web").ok();
    world.stop();
    assert_eq!(addresses(&world, "mybr"), ["10.52.0.9/24"]);

    world.set_flags(&["--bridge=nosuch"]);
    let refused = world.try_launch().expect_err("there is no such bridge");
    assert!(
        refused.contains("bridge device with non default name nosuch must be created manually"),
        "{refused}"
    );
}

#[test]
fn b4_11_a_network_without_ipv4() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv4=false --ipv6 --subnet fd11::/64 net");
        world.serve("--network net --name web -p 8080:80");
        world.idle("--network net --name sibling");
        let sandbox = world.sandbox("sibling");
        assert_eq!(
            sandbox.ip_json("-4 address show dev eth0"),
            json!([]),
            "no IPv4 address"
        );
        assert_eq!(sandbox.dig("+short aaaa web").ok(), "fd11::2");
        let resolver = world.docker("exec sibling cat /etc/resolv.conf").ok();
        assert!(resolver.contains("nameserver 127.0.0.11"), "{resolver}");
        assert_eq!(sandbox.fetch("[fd11::2]:80").as_deref(), Some(HELLO));
        assert_eq!(world.docker("port web").ok(), "80/tcp -> [::]:8080");
        assert_eq!(world.peer().fetch("[fd99::1]:8080").as_deref(), Some(HELLO));
        let both_off = world.docker("network create --ipv4=false n");
        both_off.fails_with(1, "IPv4 or IPv6 must be enabled");
    });
}

#[test]
fn b4_12_families_are_options_with_defaults_and_flags_win() {
    let world = World::with_flags(&[
        "--default-network-opt=bridge=com.docker.network.enable_ipv6=true",
        "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
    ]);
    let families = |name: &str| {
        let shown = world.get(&format!("/networks/{name}"));
        (shown["EnableIPv4"].clone(), shown["EnableIPv6"].clone())
    };
    world.network("default-applies");
    assert_eq!(families("default-applies"), (json!(true), json!(true)));
    world.network("--ipv6=false flag-wins");
    assert_eq!(families("flag-wins"), (json!(true), json!(false)));
    world.network("-o com.docker.network.enable_ipv4=false option-wins");
    assert_eq!(families("option-wins"), (json!(false), json!(true)));
    world.idle("--network option-wins --name c");
    let sandbox = world.sandbox("c");
    assert_eq!(sandbox.ip_json("-4 address show dev eth0"), json!([]));
    assert_eq!(sandbox.ip_json("link show eth0")[0]["mtu"], 1400);
    world
        .docker("network create -o com.docker.network.enable_ipv4=maybe n")
        .fails_with(
            1,
            "failed to parse com.docker.network.enable_ipv4 value: maybe",
        );
}

#[test]
fn b6_7_forwarding_is_left_alone_where_asked() {
    let off = |lab: &Lab| lab.host(0).sysctl("ipv4/ip_forward", "0");
    let world = World::prepared(&["--ip-forward=false"], off);
    world.idle("--name c");
    assert_eq!(world.host().sh("sysctl -n net.ipv4.ip_forward").ok(), "0");
    assert!(!world.sandbox("c").pings(lan::PEER));

    // Switched on for us, forwarding is for us only, unless others are let.
    for (flags, others) in [(&[][..], false), (&["--ip-forward-no-drop"][..], true)] {
        let world = World::prepared(flags, off);
        world
            .host()
            .sh(
                "ip netns add far; ip link add near type veth peer name eth0 netns far; \
                 ip address add 198.51.100.1/24 dev near; ip link set near up; \
                 ip -n far address add 198.51.100.2/24 dev eth0; ip -n far link set eth0 up; \
                 ip -n far route add default via 198.51.100.1",
            )
            .ok();
        world
            .peer()
            .sh("ip route add 198.51.100.0/24 via 10.99.0.1")
            .ok();
        assert_eq!(world.peer().pings("198.51.100.2"), others, "{flags:?}");
        world.host().sh("ip netns del far").ok();
    }
}

#[test]
fn b6_7_a_mark_opens_networks() {
    for on in [false, true] {
        let lab = Lab::new();
        lab.host(0).br_netfilter(on);
        let world = World::of(
            lab,
            DaemonOptions {
                flags: vec!["--bridge-accept-fwmark=0x1/0xff".into()],
                ..DaemonOptions::default()
            },
        );
        world.serve("--name web");
        world.network("--internal closed");
        world.serve("--network closed --name shut");
        let (web, shut) = (
            world.address("web", "bridge"),
            world.address("shut", "closed"),
        );
        world
            .peer()
            .sh("ip route add 172.16.0.0/12 via 10.99.0.1")
            .ok();
        assert_eq!(world.peer().fetch(&format!("{web}:80")), None);
        let mark = |value: &str| {
            world
                .host()
                .sh(&format!(
                    "nft 'add table inet user; flush table inet user; \
                     add chain inet user tag {{ type filter hook prerouting priority mangle; }}; \
                     add rule inet user tag iifname eth0 tcp dport 80 meta mark set {value}'"
                ))
                .ok()
        };
        mark("0x302");
        assert_eq!(world.peer().fetch(&format!("{web}:80")), None);
        mark("0x301");
        assert_eq!(
            world.peer().fetch(&format!("{web}:80")).as_deref(),
            Some(HELLO)
        );
        assert_eq!(
            world.peer().fetch(&format!("{shut}:80")),
            None,
            "internal stays so"
        );
    }
    let lab = Lab::new();
    let refused = lab.host(0).sh(&format!(
        "{} daemon --bridge-accept-fwmark=red --validate",
        binary().display()
    ));
    assert!(!refused.succeeded(), "{refused}");
}

#[test]
fn b6_7_without_iptables_ports_are_relayed_and_nothing_else_is_done() {
    for on in [false, true] {
        let lab = Lab::new();
        lab.host(0).br_netfilter(on);
        let world = World::of(
            lab,
            DaemonOptions {
                flags: vec!["--iptables=false".into()],
                ..DaemonOptions::default()
            },
        );
        world.network("--ipv6 --subnet 10.67.0.0/24 --subnet fd67::/64 net");
        world.serve("--network net --name web -p 8080:80");
        world
            .peer()
            .sh("ip route add 10.67.0.0/24 via 10.99.0.1; ip route add fd67::/64 via fd99::1")
            .ok();
        let peer = world.peer();
        assert_eq!(peer.fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(peer.fetch("[fd99::1]:8080").as_deref(), Some(HELLO));
        // IPv4 is not filtered and not translated; IPv6 is still.
        assert_eq!(peer.fetch("10.67.0.2:80").as_deref(), Some(HELLO));
        assert_eq!(peer.fetch("[fd67::2]:80"), None);
        let sandbox = world.sandbox("web");
        for (listen, source) in [
            ("10.99.0.100:9999", "10.67.0.2"),
            ("[fd99::64]:9999", "fd99::1"),
        ] {
            let seen = accept_one(peer, listen, || {
                connects(&sandbox, listen);
            });
            assert_eq!(seen.to_string(), source);
        }
        assert_eq!(
            world
                .host()
                .sh("sysctl -n net.ipv4.conf.docker0.route_localnet")
                .ok(),
            "0",
            "without a guard, 127.0.0.0/8 is not routed"
        );
    }
}
