//! Macvlan: containers with hardware addresses of their own on the wire of a link of the host.

use sealane_conformance::*;

/// A network on the wire of `eth0`, with room for containers that no other host on the LAN has.
const WIRE: &str = "-d macvlan --subnet 10.99.0.0/24 --ip-range 10.99.0.64/27 -o parent=eth0";

fn link(world: &World, container: &str) -> Value {
    world.sandbox(container).ip_json("-details link show eth0")[0].clone()
}

fn link_names(world: &World) -> Vec<String> {
    let links = world.host().ip_json("link");
    let names = links.as_array().into_iter().flatten();
    names
        .filter_map(|link| link["ifname"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a29_b9_3_another_host_of_the_lan_sees_the_containers_own_address() {
    let world = World::new();
    world.network(&format!("{WIRE} --gateway 10.99.0.100 wire"));
    world.idle("--name c --network wire");
    let own = link(&world, "c");
    assert_eq!(own["linkinfo"]["info_kind"], "macvlan");
    assert_eq!(own["linkinfo"]["info_data"]["mode"], "bridge");
    assert_eq!(world.address("c", "wire"), "10.99.0.64");

    let capture = Capture::start(world.peer(), "eth0", "icmp");
    assert!(world.peer().pings("10.99.0.64"));
    let neighbor = world.peer().ip_json("neigh show 10.99.0.64");
    assert_eq!(neighbor[0]["lladdr"], own["address"]);
    let packets = capture.stop().join("\n");
    let mac = own["address"].as_str().expect("a MAC address");
    assert!(packets.contains(mac), "{packets}");
    assert_ne!(
        own["address"],
        world.host().ip_json("link show eth0")[0]["address"]
    );
    // Nothing translates: outside it is seen with its own address.
    let seen = accept_one(world.peer(), &format!("{}:7001", lan::OUTSIDE), || {
        connects(&world.sandbox("c"), &format!("{}:7001", lan::OUTSIDE));
    });
    assert_eq!(seen.to_string(), "10.99.0.64");
}

#[test]
fn b9_3_modes_part_and_join_containers_on_one_parent() {
    for (mode, reached) in [("bridge", true), ("private", false), ("vepa", false)] {
        let world = World::new();
        world.network(&format!("{WIRE} -o macvlan_mode={mode} wire"));
        world.idle("--name a --network wire");
        world.idle("--name b --network wire");
        assert_eq!(link(&world, "a")["linkinfo"]["info_data"]["mode"], mode);
        let other = world.address("b", "wire");
        assert_eq!(world.sandbox("a").pings(&other), reached, "{mode}");
        assert!(world.peer().pings(&other), "{mode}");
    }
}

#[test]
fn b9_3_passthru_has_the_parent_to_itself() {
    let world = World::new();
    let host = world.host();
    host.sh("ip link add extra type veth peer name other && ip link set extra up && ip link set other up && ip address add 10.77.0.1/24 dev other")
        .ok();
    let before = host.ip_json("link show extra")[0]["address"].clone();
    let id = world.network(
        "-d macvlan --subnet 10.77.0.0/24 --ip-range 10.77.0.64/27 -o parent=extra -o macvlan_mode=passthru alone",
    );
    world
        .docker("network create -d macvlan --subnet 10.78.0.0/24 -o parent=extra second")
        .fails_with(
            1,
            &format!(
                "macvlan network {id} is already using parent interface extra in mode passthru"
            ),
        );
    world.idle("--name c --network alone");
    assert_eq!(
        link(&world, "c")["linkinfo"]["info_data"]["mode"],
        "passthru"
    );
    assert!(host.pings("10.77.0.64"));
    // At once, and with the same address: what a stopped container had is free.
    world.docker("restart -t 0 c").ok();
    assert!(host.pings("10.77.0.64"));
    world.docker("rm -f c").ok();
    world.docker("network rm alone").ok();
    assert_eq!(host.ip_json("link show extra")[0]["address"], before);

    world.network("-d macvlan --subnet 10.77.0.0/24 -o parent=extra first");
    let first = world.docker("network inspect -f '{{.Id}}' first").ok();
    world
        .docker("network create -d macvlan --subnet 10.78.0.0/24 -o parent=extra -o macvlan_mode=passthru late")
        .fails_with(
            1,
            &format!(
                "cannot use mode passthru, macvlan network {first} is already using parent interface extra"
            ),
        );
}

#[test]
fn b3_9_a_new_address_is_announced_to_the_lan() {
    let world = World::new();
    world.network(&format!("{WIRE} --ipv6 --subnet fd99::/64 wire"));
    let told = Capture::start(world.peer(), "eth0", "arp or icmp6");
    world.idle("--name c --network wire --ip6 fd99::c");
    let announced = |text: &str| {
        let packets = told.packets();
        packets.iter().filter(|line| line.contains(text)).count() >= 3
    };
    eventually(SOON, || {
        announced("who-has 10.99.0.64 tell 10.99.0.64").then_some(())
    });
    eventually(SOON, || announced("tgt is fd99::c").then_some(()));
}

#[test]
fn b9_8_there_is_one_host_and_one_null_network() {
    let world = World::new();
    for driver in ["host", "null"] {
        let answer = refused(
            &world,
            "POST",
            "/networks/create",
            &json!({"Name": "second", "Driver": driver}),
        );
        let text = format!("only one instance of \"{driver}\" network is allowed");
        assert_eq!(answer, (403, text));
    }
}

#[test]
fn b9_4_several_networks_share_a_parent_that_stays() {
    let world = World::new();
    let before = link_names(&world);
    world.network("-d macvlan --subnet 10.98.1.0/24 -o parent=eth0 one");
    world.network("-d macvlan --subnet 10.98.2.0/24 -o parent=eth0 two");
    world.idle("--name a --network one");
    world.idle("--name b --network two");
    world.docker("network connect two a").ok();
    let second = world.address("b", "two");
    assert!(world.sandbox("a").pings(&second));
    world.docker("network disconnect two a").ok();
    assert_eq!(world.sandbox("a").interfaces(), ["lo", "eth0"]);
    world.docker("rm -f a b").ok();
    world.docker("network rm one two").ok();
    assert_eq!(link_names(&world), before);
}

#[test]
fn b9_6_there_is_no_gateway_unless_the_user_names_one() {
    let world = World::new();
    // By the API: the CLI sends subnets in an order of its own.
    let subnets =
        json!([{"Subnet": "10.98.1.0/24"}, {"Subnet": "10.98.2.0/24"}, {"Subnet": "fd98::/64"}]);
    create_network(
        &world,
        "bare",
        json!({"Driver": "macvlan", "EnableIPv6": true, "Options": {"parent": "eth0"},
            "IPAM": {"Config": subnets}}),
    );
    world.idle("--name c --network bare");
    assert_eq!(
        world.sandbox("c").routes("route"),
        ["10.98.1.0/24 dev eth0 scope link src 10.98.1.1"]
    );
    assert!(
        world
            .sandbox("c")
            .sh("ip -6 route show default")
            .ok()
            .is_empty()
    );
    assert_eq!(world.get("/networks/bare")["IPAM"]["Config"], subnets);
    world.idle("--name second --network bare --ip 10.98.2.9");
    assert!(
        world
            .sandbox("second")
            .routes("route")
            .contains(&"10.98.2.0/24 dev eth0 scope link src 10.98.2.9".into())
    );

    world.network(
        "-d macvlan --subnet 10.97.1.0/24 --gateway 10.97.1.254 --subnet 10.97.2.0/24 --gateway 10.97.2.254 -o parent=eth0 led",
    );
    world.idle("--name d --network led --ip 10.97.2.7");
    assert!(
        world
            .sandbox("d")
            .routes("route")
            .contains(&"default via 10.97.2.254 dev eth0".into())
    );
}

#[test]
fn b9_6_ipv6_works_on_the_wire() {
    let world = World::new();
    world.network(&format!(
        "{WIRE} --ipv6 --subnet fd99::/64 --ip-range fd99::100/120 --gateway fd99::64 wire"
    ));
    world.idle("--name c --network wire");
    let address = world.inspect("c")["NetworkSettings"]["Networks"]["wire"]["GlobalIPv6Address"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(world.peer().pings(&address), "{address}");
    assert!(world.sandbox("c").pings(lan::OUTSIDE6));
}

#[test]
fn b9_7_ports_are_not_published_and_the_user_is_told() {
    let world = World::new();
    world.network(&format!("{WIRE} wire"));
    let (status, created) = world.api(
        "POST",
        "/containers/create?name=c",
        &json!({"Image": "img", "Cmd": ["httpd", "-f", "-h", "/www"], "HostConfig": {
            "NetworkMode": "wire", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}),
    );
    assert_eq!(status, 201);
    let warnings = created["Warnings"].to_string();
    assert!(
        warnings.contains("macvlan driver does not support port mappings"),
        "{created}"
    );
    world.docker("start c").ok();
    assert!(
        world
            .log()
            .contains("macvlan driver does not support port mappings")
    );
    assert_eq!(world.docker("port c").ok(), "");
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    // It is on the LAN itself.
    eventually(SOON, || world.peer().fetch("10.99.0.64"));
    let links = link_names(&world);
    assert!(!links.iter().any(|name| name == "docker_gwbridge"));
}

#[test]
fn b9_1_a_parent_that_cannot_be_is_refused_and_nothing_is_left() {
    let world = World::new();
    let host = world.host();
    host.sh("ip link add busy type veth peer name busy1 && ip link add br9 type bridge && ip link set busy master br9")
        .ok();
    world.wait_for_foreign_bridge("br9");
    let before = Snapshot::take(host);
    let refused = [
        (
            "parent=lo",
            "loopback interface is not a valid macvlan parent link",
        ),
        (
            "parent=nosuch",
            "invalid subinterface vlan name nosuch, example formatting is eth0.10",
        ),
        (
            "parent=nosuch.10",
            "-o parent interface was not found on the host: nosuch",
        ),
        (
            "parent=eth0.5000",
            "vlan id must be between 1-4094, received: 5000",
        ),
        (
            "parent=eth0.0",
            "vlan id must be between 1-4094, received: 0",
        ),
        (
            "parent=eth0.x",
            "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
        ),
        (
            "parent=a.b.c",
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received a.b.c",
        ),
        (
            "macvlan_mode=bogus",
            "requested macvlan mode 'bogus' is not valid, 'bridge' mode is the macvlan driver default",
        ),
    ];
    for (option, text) in refused {
        let (key, value) = option.split_once('=').expect("an option");
        let (status, answer) = world.api(
            "POST",
            "/networks/create",
            &json!({"Name": "bad", "Driver": "macvlan", "Options": {key: value}}),
        );
        assert_eq!((status, &answer["message"]), (500, &json!(text)));
    }
    world
        .docker("network inspect bad")
        .fails_with(1, "not found");

    world.network("-d macvlan --subnet 10.98.1.0/24 -o parent=busy taken");
    world
        .docker("run -d --name c --network taken img sleep 1000")
        .fails_with(125, "failed to create the macvlan port");
    world.docker("rm c").ok();
    world.docker("network rm taken").ok();
    before.returns_on(host);
}

#[test]
fn b9_1_a_parent_that_vanishes_is_told_and_its_return_heals() {
    let world = World::new();
    let host = world.host();
    let make = "ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up && ip address add 10.98.1.200/24 dev up1";
    host.sh(make).ok();
    world.network("-d macvlan --subnet 10.98.1.0/24 -o parent=up0 wire");
    world.idle("--name c --network wire");
    world.idle("--name bridged");
    assert!(host.pings("10.98.1.1"));
    host.sh("ip link delete up0").ok();
    eventually(SOON, || {
        world
            .log()
            .contains("is gone with its parent up0")
            .then_some(())
    });
    world
        .docker("run -d --name d --network wire img sleep 1000")
        .fails_with(
            125,
            "the requested parent interface up0 was not found on the Docker host",
        );
    // The rest of the host goes on, and is still repaired.
    host.sh("nft flush ruleset").ok();
    eventually(SOON, || {
        host.sh("nft list table inet sealane")
            .succeeded()
            .then_some(())
    });
    world.docker("stop -t 0 c").ok();
    world
        .docker("start c")
        .fails_with(1, "the requested parent interface up0 was not found");

    world.idle("--name e");
    host.sh(make).ok();
    world.docker("start c").ok();
    assert!(host.pings("10.98.1.1"));
    // In a container that goes on running the link comes back by itself.
    host.sh("ip link delete up0").ok();
    eventually(SOON, || {
        (world.sandbox("c").interfaces() == ["lo"]).then_some(())
    });
    host.sh(make).ok();
    eventually(SOON, || host.pings("10.98.1.1").then_some(()));
}

#[test]
fn b9_1_a_restart_of_the_daemon_keeps_the_wire() {
    let mut world = World::new();
    world.network(&format!("{WIRE} wire"));
    world.idle("--name c --network wire");
    world.kill9();
    assert!(world.peer().pings("10.99.0.64"));
    world.launch();
    assert!(world.peer().pings("10.99.0.64"));
    world.docker("rm -f c").ok();
    world.docker("network rm wire").ok();
}

#[test]
fn b9_6_the_wire_and_a_bridge_share_a_container() {
    let world = World::new();
    world.network(&format!("{WIRE} --gateway 10.99.0.100 wire"));
    world.network("blue");
    world.serve("--name web --network blue");
    world.idle("--name c --network wire --network-alias inside");
    world.docker("network connect --gw-priority 5 blue c").ok();
    let bridge = world
        .docker("network inspect -f '{{(index .IPAM.Config 0).Gateway}}' blue")
        .ok();
    assert_eq!(
        world.sandbox("c").routes("route show default"),
        [format!("default via {bridge} dev eth1")]
    );
    world.docker("network disconnect blue c").ok();
    assert_eq!(
        world.sandbox("c").routes("route show default"),
        ["default via 10.99.0.100 dev eth0"]
    );
    world.docker("network connect blue c").ok();
    world.idle("--name d --network wire");
    assert_eq!(
        world.sandbox("d").dig("+short inside").ok(),
        world.address("c", "wire")
    );
    assert_eq!(
        world.sandbox("c").dig("+short web").ok(),
        world.address("web", "blue")
    );
}

#[test]
fn b9_3_inspect_shows_the_options_and_the_members() {
    let world = World::new();
    world.network(&format!("{WIRE} -o macvlan_mode=vepa wire"));
    let id = world.idle("--name c --network wire --mac-address 02:42:ac:11:00:99");
    let shown = world.get("/networks/wire");
    assert_eq!(shown["Driver"], "macvlan");
    assert_eq!(
        shown["Options"],
        json!({"parent": "eth0", "macvlan_mode": "vepa"})
    );
    let member = &shown["Containers"][&id];
    assert_eq!(member["MacAddress"], "02:42:ac:11:00:99");
    assert_eq!(link(&world, "c")["address"], "02:42:ac:11:00:99");
    assert_eq!(member["IPv4Address"], "10.99.0.64/24");
    let listed = world
        .docker("network ls --filter driver=macvlan --format '{{.Name}} {{.Driver}}'")
        .ok();
    assert_eq!(listed, "wire macvlan");
}

#[test]
fn c_10_the_host_and_its_containers_reach_each_other_where_it_is_asked_for() {
    let mut world = World::new();
    let host = world.host().clone();
    let before = Snapshot::take(&host);
    let mac = host.ip_json("link show eth0")[0]["address"].clone();
    world.network(&format!("{WIRE} plain"));
    world.idle("--name apart --network plain");
    assert!(!host.pings("10.99.0.64"), "the kernel keeps them apart");
    world.docker("rm -f apart").ok();
    world.docker("network rm plain").ok();

    let arp = Capture::start(world.peer(), "eth0", "arp");
    world.network(&format!(
        "{WIRE} --gateway 10.99.0.100 --ipv6 --subnet fd99::/64 -o host_access=true wire"
    ));
    world.serve("--name c --network wire --ip6 fd99::c");
    world.idle("--name d --network wire --ip6 fd99::d");
    let both_ways = |world: &World| {
        for (container, address, address6) in [
            ("c", "10.99.0.64", "fd99::c"),
            ("d", "10.99.0.65", "fd99::d"),
        ] {
            assert!(host.pings(address6), "from the host to {container}, IPv6");
            assert!(
                world.sandbox(container).pings(lan::HOST6),
                "from {container} to the host, IPv6"
            );
            assert!(host.pings(address), "from the host to {container}");
            assert!(
                world.sandbox(container).pings(lan::HOST),
                "from {container} to the host"
            );
            assert!(world.peer().pings(address));
        }
        assert_eq!(host.fetch("10.99.0.64").as_deref(), Some(HELLO));
    };
    both_ways(&world);
    // To the LAN the host stays where it was: a question gets one answer.
    world.peer().sh("ip neigh flush all").ok();
    assert!(world.peer().pings(lan::HOST));
    assert_eq!(
        world.peer().ip_json(&format!("neigh show {}", lan::HOST))[0]["lladdr"],
        mac
    );
    let mac = mac.as_str().expect("a MAC address");
    let told = arp.stop();
    let of_host =
        |line: &&String| line.contains("10.99.0.1 is-at") || line.contains("tell 10.99.0.1,");
    assert!(told.iter().any(|line| of_host(&line)), "{told:#?}");
    let others = told
        .iter()
        .filter(of_host)
        .filter(|line| !line.contains(mac));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());

    world.kill9();
    host.sh("ip -o link show type macvlan | cut -d: -f2 | cut -d@ -f1 | xargs -n1 ip link delete")
        .ok();
    world.launch();
    both_ways(&world);
    // While the daemon runs, whether or not the host filters what bridges carry.
    for filtered in [false, true] {
        host.br_netfilter(filtered);
        host.sh(
            "ip -o link show type macvlan | cut -d: -f2 | cut -d@ -f1 | xargs -n1 ip link delete",
        )
        .ok();
        eventually(SOON, || host.pings("10.99.0.64").then_some(()));
    }
    world.docker("rm -f c d").ok();
    assert_eq!(host.sh("ip route show 10.99.0.64").ok(), "");
    world.docker("network rm wire").ok();
    let difference = before.difference(&Snapshot::take(&host));
    assert!(
        !difference.contains("sh-") && !difference.contains("macvlan"),
        "{difference}"
    );

    for mode in ["private", "passthru"] {
        world
            .docker(&format!(
                "network create {WIRE} -o host_access=1 -o macvlan_mode={mode} bad"
            ))
            .fails_with(1, "host_access needs macvlan_mode=bridge");
    }
}
