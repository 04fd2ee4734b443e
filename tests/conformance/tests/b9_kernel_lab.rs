//! Ipvlan, 802.1q sub-interfaces, dummies and SCTP: what this machine's kernel may lack, under the
//! lab's kernel, which also has cgroup v2 alone.

use sealane_conformance::*;

/// Creates a network over the API, which is cheaper here than the CLI; the subnets in order.
#[track_caller]
fn network(world: &World, name: &str, driver: &str, options: Value, subnets: Value) -> String {
    let fields = json!({"Driver": driver, "Options": options, "IPAM": {"Config": subnets}});
    create_network(world, name, fields)
}

/// A subnet that is the LAN's, with room for containers that no other host there has.
fn wire() -> Value {
    json!([{"Subnet": "10.99.0.0/24", "IPRange": "10.99.0.64/27"}])
}

fn remove(world: &World, path: &str) {
    let (status, answer) = world.api("DELETE", path, &Value::Null);
    assert_eq!(status, 204, "{path}: {answer}");
}

fn link(world: &World, container: &str) -> Value {
    world.sandbox(container).ip_json("-details link show eth0")[0].clone()
}

fn host_link(world: &World, name: &str) -> Option<Value> {
    let links = world.host().ip_json("-details link");
    let links = links.as_array()?;
    links.iter().find(|link| link["ifname"] == name).cloned()
}

#[test]
fn a30_b9_5_l2_is_on_the_lan_behind_the_hosts_own_address() {
    in_kernel_lab(|| {
        let world = World::new();
        let subnet = json!([{"Subnet": "10.99.0.0/24", "IPRange": "10.99.0.64/27",
            "Gateway": "10.99.0.100"}]);
        network(&world, "wire", "ipvlan", json!({"parent": "eth0"}), subnet);
        let id = world.idle("--name c --network wire");
        assert_eq!(world.address("c", "wire"), "10.99.0.64");
        let own = link(&world, "c");
        assert_eq!(own["linkinfo"]["info_kind"], "ipvlan");
        assert_eq!(own["linkinfo"]["info_data"]["mode"], "l2");
        let parent = world.host().ip_json("link show eth0")[0]["address"].clone();
        assert!(world.peer().pings("10.99.0.64"));
        let neighbor = world.peer().ip_json("neigh show 10.99.0.64");
        assert_eq!(neighbor[0]["lladdr"], parent);
        assert_eq!(own["address"], parent);
        assert_eq!(
            world.sandbox("c").routes("route show default"),
            ["default via 10.99.0.100 dev eth0"]
        );
        let shown = &world.get("/networks/wire")["Containers"][&id];
        assert_eq!(
            (&shown["MacAddress"], &shown["IPv4Address"]),
            (&json!(""), &json!("10.99.0.64/24"))
        );
        world
            .docker("run -d --name d --network wire --mac-address 02:42:ac:11:00:99 img true")
            .fails_with(
                125,
                "ipvlan interfaces do not support custom mac address assignment",
            );
        world.idle("--name e --network wire -p 8080:80");
        assert!(
            world
                .log()
                .contains("ipvlan driver does not support port mappings")
        );
        let name = world.sandbox("e").dig("+short c").ok();
        assert_eq!(name, "10.99.0.64");
        // What a container had is free at once, and a restart gives it back.
        world.docker("restart -t 0 c").ok();
        assert!(world.peer().pings("10.99.0.64"));
    });
}

#[test]
fn a30_b9_5_every_mode_with_every_flag() {
    in_kernel_lab(|| {
        let world = World::new();
        for mode in ["l2", "l3", "l3s"] {
            for flag in ["bridge", "private", "vepa"] {
                let options = json!({"parent": "eth0", "ipvlan_mode": mode, "ipvlan_flag": flag});
                network(&world, "wire", "ipvlan", options.clone(), wire());
                assert_eq!(world.get("/networks/wire")["Options"], options);
                world.idle("--name a --network wire");
                world.idle("--name b --network wire");
                let data = link(&world, "a")["linkinfo"]["info_data"].clone();
                // An `ip` of before 6.5 says the flag as a name of its own or not at all.
                let listed = world.sandbox("a").sh("ip -d link show eth0").ok();
                assert_eq!(data["mode"], mode);
                assert!(listed.contains(&format!(" {flag} ")), "{listed}");
                let other = world.address("b", "wire");
                assert_eq!(
                    world.sandbox("a").pings(&other),
                    flag == "bridge",
                    "{mode} {flag}"
                );
                for container in ["a", "b"] {
                    remove(&world, &format!("/containers/{container}?force=1"));
                }
                remove(&world, "/networks/wire");
            }
        }
    });
}

#[test]
fn a30_b9_6_l3_routes_to_its_link_and_the_lan_needs_a_route() {
    in_kernel_lab(|| {
        let world = World::new();
        let subnets = json!([{"Subnet": "10.98.1.0/24", "Gateway": "10.98.1.1"},
            {"Subnet": "10.98.2.0/24"}, {"Subnet": "fd98::/64"}]);
        let fields = json!({"Driver": "ipvlan", "EnableIPv6": true, "IPAM": {"Config": subnets},
            "Options": {"parent": "eth0", "ipvlan_mode": "l3"}});
        create_network(&world, "routed", fields);
        world.idle("--name a --network routed");
        world.idle("--name b --network routed --ip 10.98.2.7");
        for container in ["a", "b"] {
            let routes = world.sandbox(container).routes("route show default");
            assert_eq!(routes, ["default dev eth0 scope link"]);
            let routes = world.sandbox(container).sh("ip -6 route show default").ok();
            assert!(routes.starts_with("default dev eth0"), "{routes}");
        }
        assert!(
            world.sandbox("a").pings("10.98.2.7"),
            "subnets reach each other"
        );
        assert!(!world.peer().pings("10.98.2.7"), "nobody answers for it");
        world
            .peer()
            .sh("ip route add 10.98.2.0/24 via 10.99.0.1 && ip route add fd98::/64 via fd99::1")
            .ok();
        assert!(world.peer().pings("10.98.2.7"));
        let address =
            world.inspect("b")["NetworkSettings"]["Networks"]["routed"]["GlobalIPv6Address"]
                .as_str()
                .expect("an address")
                .to_owned();
        assert!(world.peer().pings(&address), "{address}");
        // Of a bridge with a higher priority the route goes back to the link.
        world.docker("network create blue").ok();
        world.docker("network connect --gw-priority 5 blue b").ok();
        let routes = world.sandbox("b").routes("route show default");
        assert!(routes[0].ends_with("dev eth1"), "{routes:?}");
        world.docker("network disconnect blue b").ok();
        assert_eq!(
            world.sandbox("b").routes("route show default"),
            ["default dev eth0 scope link"]
        );
    });
}

#[test]
fn a30_b9_5_the_hosts_filter_sees_l3s_and_not_l3() {
    in_kernel_lab(|| {
        let world = World::new();
        let route = "ip route add 10.98.1.0/24 via 10.99.0.1";
        world.peer().sh(route).ok();
        let rules = "add table ip witness; add chain ip witness in { type filter hook input \
                     priority 0; }; add rule ip witness in ip daddr 10.98.1.0/24 counter";
        world.host().sh(&format!("nft '{rules}'")).ok();
        let packets = || {
            let listed = world.host().nft_json("list chain ip witness in");
            let rule = &listed["nftables"][2]["rule"]["expr"];
            let counter = rule.as_array().into_iter().flatten();
            let counted = counter.filter_map(|part| part["counter"]["packets"].as_u64());
            counted.sum::<u64>()
        };
        for (mode, seen) in [("l3", false), ("l3s", true)] {
            let options = json!({"parent": "eth0", "ipvlan_mode": mode});
            let subnet = json!([{"Subnet": "10.98.1.0/24"}]);
            network(&world, "routed", "ipvlan", options, subnet);
            world.idle("--name c --network routed");
            let before = packets();
            assert!(world.peer().pings(&world.address("c", "routed")), "{mode}");
            assert_eq!(packets() > before, seen, "{mode}");
            remove(&world, "/containers/c?force=1");
            remove(&world, "/networks/routed");
        }
    });
}

#[test]
fn b9_4_ipvlan_networks_share_no_parent() {
    in_kernel_lab(|| {
        let world = World::new();
        let options = || json!({"parent": "eth0"});
        let first = network(&world, "one", "ipvlan", options(), wire());
        let (status, text) = refused(
            &world,
            "POST",
            "/networks/create",
            &json!({"Name": "two", "Driver": "ipvlan", "Options": options()}),
        );
        assert_eq!(status, 500);
        let id = first.get(..12).expect("an id");
        assert_eq!(
            text,
            format!("network di-{id} is already using parent interface eth0")
        );
        for (key, value, text) in [
            (
                "ipvlan_mode",
                "l4",
                "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
            ),
            (
                "ipvlan_flag",
                "loose",
                "requested ipvlan flag 'loose' is not valid, 'bridge' is the ipvlan driver default",
            ),
            (
                "parent",
                "lo",
                "loopback interface is not a valid ipvlan parent link",
            ),
        ] {
            let body = json!({"Name": "two", "Driver": "ipvlan", "Options": {key: value}});
            let answer = refused(&world, "POST", "/networks/create", &body);
            assert_eq!(answer, (500, text.to_owned()));
        }
        // Macvlan and ipvlan may name one parent; the kernel lets only one of them have it.
        network(
            &world,
            "mac",
            "macvlan",
            options(),
            json!([{"Subnet": "10.97.0.0/24"}]),
        );
        world.idle("--name c --network one");
        world
            .docker("run -d --name d --network mac img true")
            .fails_with(125, "failed to create the macvlan port");
        remove(&world, "/containers/c?force=1");
        world.docker("start d").ok();
    });
}

#[test]
fn b9_1_a_sub_interface_comes_with_the_first_network_and_goes_with_the_last() {
    in_kernel_lab(|| {
        let mut world = World::new();
        world
            .peer()
            .sh(
                "ip link add link eth0 name eth0.10 type vlan id 10 && ip link set eth0.10 up && \
                 ip address add 10.98.1.200/24 dev eth0.10",
            )
            .ok();
        let options = || json!({"parent": "eth0.10"});
        let one = json!([{"Subnet": "10.98.1.0/24"}]);
        let two = json!([{"Subnet": "10.98.2.0/24"}]);
        network(&world, "one", "macvlan", options(), one.clone());
        network(&world, "two", "macvlan", options(), two.clone());
        let made = host_link(&world, "eth0.10").expect("it is made");
        assert_eq!(made["linkinfo"]["info_kind"], "vlan");
        assert_eq!(made["linkinfo"]["info_data"]["id"], 10);
        assert!(made["flags"].to_string().contains("\"UP\""), "{made}");
        world.idle("--name c --network one");
        assert!(
            world.peer().pings("10.98.1.1"),
            "by the tagged link of another host"
        );
        // After a crash it is still ours, and a change from outside is undone.
        world.kill9();
        world.launch();
        world.host().sh("ip link delete eth0.10").ok();
        eventually(SOON, || host_link(&world, "eth0.10"));
        eventually(SOON, || world.peer().pings("10.98.1.1").then_some(()));

        remove(&world, "/containers/c?force=1");
        let planned = world.sealane("plan network-rm one").ok();
        assert!(!planned.contains("eth0.10"), "{planned}");
        remove(&world, "/networks/one");
        assert!(
            host_link(&world, "eth0.10").is_some(),
            "the second one uses it"
        );
        let planned = world.sealane("plan network-rm two").ok();
        assert!(
            planned.contains("- link   host/eth0.10 vlan 10 on eth0"),
            "{planned}"
        );
        remove(&world, "/networks/two");
        assert_eq!(host_link(&world, "eth0.10"), None);

        // One that the user made stays.
        world
            .host()
            .sh("ip link add link eth0 name eth0.10 type vlan id 10 && ip link set eth0.10 up")
            .ok();
        network(&world, "one", "ipvlan", options(), one);
        world.idle("--name c --network one");
        assert!(world.peer().pings("10.98.1.1"));
        remove(&world, "/containers/c?force=1");
        remove(&world, "/networks/one");
        assert!(host_link(&world, "eth0.10").is_some());
    });
}

#[test]
fn b9_2_without_a_parent_a_network_is_internal_on_a_dummy() {
    in_kernel_lab(|| {
        let world = World::new();
        for (driver, prefix) in [("macvlan", "dm"), ("ipvlan", "di")] {
            let subnet = json!([{"Subnet": "10.98.1.0/24", "Gateway": "10.98.1.254"}]);
            let id = network(&world, "alone", driver, json!({}), subnet);
            let dummy = format!("{prefix}-{}", id.get(..12).expect("an id"));
            let made = host_link(&world, &dummy).expect("it is made");
            assert_eq!(made["linkinfo"]["info_kind"], "dummy");
            world.idle("--name a --network alone");
            world.idle("--name b --network alone");
            let routes = world.sandbox("a").routes("route");
            assert_eq!(routes.len(), 1, "no way out: {routes:?}");
            assert!(world.sandbox("a").pings(&world.address("b", "alone")));
            for container in ["a", "b"] {
                remove(&world, &format!("/containers/{container}?force=1"));
            }
            remove(&world, "/networks/alone");
            assert_eq!(host_link(&world, &dummy), None);
        }
    });
}

#[test]
fn b5_8_an_sctp_association_by_a_published_port() {
    in_kernel_lab(|| {
        let world = World::new();
        world.idle("--name c -p 9000:9000/sctp");
        let server = world.sandbox("c");
        let socket = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)";
        let serve = format!(
            "python3 -c \"{socket}; s.bind(('0.0.0.0', 9000)); s.listen(); print('listens', flush=True); \
             peer = s.accept()[0]; peer.sendall(peer.recv(9)[::-1])\""
        );
        let serving = world
            .host()
            .spawn(&format!("exec nsenter -t {} -n {serve}", server.pid()));
        serving.wait_for("listens");
        let asked = world
            .peer()
            .sh(&format!("python3 -c \"{socket}; s.settimeout(5); s.connect(('10.99.0.1', 9000)); s.sendall(b'sealane'); print(s.recv(9).decode())\""));
        assert_eq!(asked.ok(), "enalaes");
    });
}

#[test]
fn c_10_the_host_reaches_ipvlan_containers_and_they_reach_it() {
    in_kernel_lab(|| {
        let world = World::new();
        let both = json!([{"Subnet": "10.99.0.0/24", "IPRange": "10.99.0.64/27"},
            {"Subnet": "fd99::/64", "IPRange": "fd99::100/120"}]);
        let options = json!({"parent": "eth0", "host_access": "true"});
        let fields = json!({"Driver": "ipvlan", "EnableIPv6": true, "Options": options,
            "IPAM": {"Config": both}});
        create_network(&world, "both", fields);
        world.idle("--name c --network both --ip6 fd99::c");
        assert!(world.host().pings("fd99::c"), "from the host, IPv6");
        assert!(world.sandbox("c").pings(lan::HOST6), "to the host, IPv6");
        assert!(world.peer().pings("fd99::c"));
        remove(&world, "/containers/c?force=1");
        remove(&world, "/networks/both");
        for (mode, subnet) in [
            ("l2", wire()),
            ("l3", json!([{"Subnet": "10.98.1.0/24"}])),
            ("l3s", json!([{"Subnet": "10.98.1.0/24"}])),
        ] {
            let options = json!({"parent": "eth0", "ipvlan_mode": mode});
            network(&world, "apart", "ipvlan", options, subnet.clone());
            world.idle("--name c --network apart");
            let address = world.address("c", "apart");
            assert!(!world.host().pings(&address), "{mode}: kept apart");
            remove(&world, "/containers/c?force=1");
            remove(&world, "/networks/apart");

            let options = json!({"parent": "eth0", "ipvlan_mode": mode, "host_access": "true"});
            let id = network(&world, "wire", "ipvlan", options, subnet);
            world.idle("--name c --network wire");
            let address = world.address("c", "wire");
            assert!(world.host().pings(&address), "{mode}: from the host");
            assert!(world.sandbox("c").pings(lan::HOST), "{mode}: to the host");
            let shim = format!("sh-{}", id.get(..12).expect("an id"));
            let made = host_link(&world, &shim).expect("a link of the host");
            assert_eq!(made["linkinfo"]["info_data"]["mode"], mode);
            remove(&world, "/containers/c?force=1");
            remove(&world, "/networks/wire");
            assert_eq!(host_link(&world, &shim), None);
        }
    });
}
