//! Chapter A: what the first users of container networking read that works.

use sealane_conformance::*;

#[test]
fn a1_three_networks_exist_after_install() {
    let world = World::new();
    let listed = world
        .docker("network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'")
        .ok();
    assert_eq!(
        listed,
        "bridge bridge local\nhost host local\nnone null local"
    );
    let heads = world.docker("network ls").ok();
    let first = heads.lines().next().expect("a line of titles");
    let titles: Vec<&str> = first
        .split("  ")
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect();
    assert_eq!(titles, ["NETWORK ID", "NAME", "DRIVER", "SCOPE"]);
    for id in world.docker("network ls -q").ok().lines() {
        assert!(
            id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
}

#[test]
fn a2_the_default_bridge_is_described_completely() {
    let world = World::new();
    let (status, network) = world.api("GET", "/v1.50/networks/bridge", &Value::Null);
    assert_eq!(status, 200);
    let id = network["Id"].as_str().expect("an id");
    assert!(
        id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    let created = network["Created"].as_str().expect("a time");
    assert!(
        created.starts_with("20") && created.contains('T'),
        "{created}"
    );
    let expected = json!({
        "Name": "bridge", "Id": id, "Created": created, "Scope": "local", "Driver": "bridge",
        "EnableIPv4": true, "EnableIPv6": false,
        "IPAM": {
            "Driver": "default", "Options": null,
            "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
        },
        "Internal": false, "Attachable": false, "Ingress": false,
        "ConfigFrom": {"Network": ""}, "ConfigOnly": false, "Containers": {},
        "Options": {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
            "com.docker.network.bridge.name": "docker0",
            "com.docker.network.driver.mtu": "1500",
        },
        "Labels": {},
    });
    assert_eq!(network, expected);
    let by_cli = world.docker("network inspect bridge").json();
    assert_eq!(by_cli.as_array().map(Vec::len), Some(1));
    assert_eq!(by_cli[0]["Id"], network["Id"]);
    assert_eq!(world.docker("inspect bridge").json()[0]["Name"], "bridge");
}

#[test]
fn a3_a_running_container_is_listed_in_its_network() {
    let world = World::new();
    let id = world.idle("--name c");
    let listed = world.get("/networks/bridge")["Containers"].clone();
    let entry = &listed[&id];
    let address = &world.sandbox("c").ip_json("address show eth0")[0];
    assert_eq!(entry["Name"], "c");
    assert_eq!(entry["MacAddress"], address["address"]);
    let inet = address["addr_info"][0]["local"]
        .as_str()
        .expect("an address");
    assert_eq!(entry["IPv4Address"], format!("{inet}/16"));
    assert_eq!(entry["IPv6Address"], "");
    assert_eq!(entry["EndpointID"].as_str().map(str::len), Some(64));
    assert_eq!(listed.as_object().map(serde_json::Map::len), Some(1));

    world.docker("stop -t 0 c").ok();
    assert_eq!(world.get("/networks/bridge")["Containers"], json!({}));
}

#[test]
fn a4_docker0_is_a_bridge_with_an_address() {
    let world = World::new();
    let link = world.host().ip_json("-details address show docker0")[0].clone();
    assert_eq!(link["linkinfo"]["info_kind"], "bridge");
    assert!(
        link["flags"]
            .as_array()
            .is_some_and(|flags| flags.contains(&json!("UP"))),
        "{link}"
    );
    assert_eq!(link["addr_info"][0]["local"], "172.17.0.1");
    assert_eq!(link["addr_info"][0]["prefixlen"], 16);
    world.idle("--name c");
    eventually(SOON, || {
        let link = world.host().ip_json("-6 address show docker0");
        link.to_string().contains("\"fe80::").then_some(())
    });
}

#[test]
fn a5_no_network_means_the_default_bridge() {
    let world = World::new();
    world.idle("--name c");
    let mode = world
        .docker("inspect -f '{{.HostConfig.NetworkMode}}' c")
        .ok();
    // Older clients say "default" where newer ones say "bridge"; it is theirs to choose.
    assert!(["bridge", "default"].contains(&mode.as_str()), "{mode}");
    let address = world.sandbox("c").ip_json("-4 address show eth0");
    assert_eq!(address[0]["addr_info"][0]["local"], "172.17.0.2");
    assert_eq!(address[0]["addr_info"][0]["prefixlen"], 16);
    assert_eq!(world.address("c", "bridge"), "172.17.0.2");
}

#[test]
fn a6_b3_12_a_veth_pair_joins_the_bridge_and_eth0() {
    let world = World::new();
    // The kernel tells of every link in the order it is born, renamed and moved.
    let monitor = world.host().spawn("ip -o monitor link");
    std::thread::sleep(Duration::from_millis(100));
    world.idle("--name c");
    let ports = world.host().ip_json("-details link show master docker0");
    assert_eq!(ports.as_array().map(Vec::len), Some(1), "{ports}");
    let port = &ports[0];
    let name = port["ifname"].as_str().expect("a name");
    let random = name.strip_prefix("veth").expect("it is called veth…");
    assert!(
        random.len() == 7 && random.bytes().all(|b| b.is_ascii_hexdigit()),
        "{name}"
    );
    assert_eq!(port["linkinfo"]["info_kind"], "veth");

    let sandbox = world.sandbox("c");
    assert_eq!(sandbox.interfaces(), ["lo", "eth0"]);
    let eth0 = &sandbox.ip_json("link show eth0")[0];
    assert_eq!(port["link_index"], eth0["ifindex"], "they are one pair");
    assert_eq!(
        sandbox.routes("route show default"),
        ["default via 172.17.0.1 dev eth0"]
    );

    // The other's hardware address need not be asked for: the first packet leaves at once.
    let known = |listed: String, address: &str, mac: &Value| {
        let mac = mac.as_str().expect("an address");
        let is_known = |line: &str| line.contains(address) && line.contains(mac);
        assert!(
            listed.lines().any(is_known),
            "{address} at {mac} is not in {listed}"
        );
    };
    let bridge = &world.host().ip_json("link show docker0")[0];
    let permanent = "ip neigh show nud permanent";
    known(
        world.host().sh(permanent).ok(),
        "172.17.0.2",
        &eth0["address"],
    );
    known(sandbox.sh(permanent).ok(), "172.17.0.1", &bridge["address"]);

    // Born where it belongs: the host never saw a link called eth0 of ours, nor a nameless one.
    let seen = monitor.output();
    let others: Vec<&str> = seen
        .lines()
        .filter(|line| !line.contains(name) && !line.contains("docker0"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a7_a_container_has_a_network_stack_of_its_own() {
    let world = World::new();
    world.serve("--name a");
    world.serve("--name b");
    let (a, b) = (world.sandbox("a"), world.sandbox("b"));
    let inodes = [a.netns_inode(), b.netns_inode(), world.host().netns_inode()];
    assert!(inodes[0] != inodes[1] && inodes[0] != inodes[2] && inodes[1] != inodes[2]);
    // Both listen on port 80 of their own; the host does not.
    assert_eq!(a.fetch("127.0.0.1").as_deref(), Some(HELLO));
    assert_eq!(b.fetch("127.0.0.1").as_deref(), Some(HELLO));
    assert_eq!(world.host().fetch("127.0.0.1"), None);
    a.sh("nft add table inet own; ip route add 10.77.0.0/16 dev eth0")
        .ok();
    assert!(!b.sh("nft list tables").ok().contains("own"));
    assert!(!world.host().sh("ip route").ok().contains("10.77"));
    let routes = a.routes("route");
    assert!(
        routes
            .iter()
            .any(|route| route.starts_with("172.17.0.0/16 dev eth0")),
        "{routes:?}"
    );
}

#[test]
fn a8_the_daemon_switches_forwarding_on() {
    let forwarding = |world: &World| world.host().sh("cat /proc/sys/net/ipv4/ip_forward").ok();
    let off = |lab: &Lab| lab.host(0).sysctl("ipv4/ip_forward", "0");
    let world = World::prepared(&[], off);
    assert_eq!(forwarding(&world), "1");
    let world = World::prepared(&["--ip-forward=false"], off);
    assert_eq!(forwarding(&world), "0");
}

#[test]
fn a9_containers_reach_outside_with_the_hosts_address() {
    with_bridge_filter_off_and_on(|world| {
        world.idle("--name c");
        let sandbox = world.sandbox("c");
        let target = format!("{}:8000", lan::OUTSIDE);
        let from = accept_one(world.peer(), &target, || {
            assert!(connects(&sandbox, &target))
        });
        assert_eq!(from.to_string(), lan::HOST);
        world.docker("exec c ping -c 1 -W 2 198.51.100.7").ok();
    });
}

#[test]
fn a10_all_exposed_ports_are_published_on_both_families() {
    let world = World::prepared(&[], |lab| {
        let host = lab.host(0);
        host.sh("echo 40000 40020 >/proc/sys/net/ipv4/ip_local_port_range")
            .ok();
        host.sh("echo 40000-40009 >/proc/sys/net/ipv4/ip_local_reserved_ports")
            .ok();
    });
    world.import_with("busybox.tar", "web", "EXPOSE 80");
    world.run("-P --expose 443 --name c web sh -c 'httpd -p 443 -h /www; exec httpd -f -h /www'");
    let listed = world.docker("port c").ok();
    for port in ["80", "443"] {
        let lines = listed
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{port}/tcp -> ")));
        let numbers: Vec<u16> = lines
            .filter_map(|line| line.rsplit(':').next()?.parse().ok())
            .collect();
        assert_eq!(numbers.len(), 2, "{listed}");
        assert_eq!(numbers[0], numbers[1], "{listed}");
        assert!((40010..=40020).contains(&numbers[0]), "{listed}");
        for host in [lan::HOST.to_owned(), format!("[{}]", lan::HOST6)] {
            let page = world.peer().fetch(&format!("{host}:{}", numbers[0]));
            assert_eq!(page.as_deref(), Some(HELLO), "{host} {listed}");
        }
    }
    assert!(listed.contains("80/tcp -> 0.0.0.0:"), "{listed}");
    assert_eq!(listed.lines().count(), 4);
}

#[test]
fn a11_docker_port_lists_what_is_published() {
    let world = World::new();
    world.idle("--name c -p 9000:9000/udp -p 8443:443 -p 8080:80");
    let listed = world.docker("port c").ok();
    let mut ports: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(" -> ").next())
        .collect();
    ports.dedup();
    ports.sort_by_key(|port| port.split('/').next().and_then(|n| n.parse::<u16>().ok()));
    ports.dedup();
    assert_eq!(ports, ["80/tcp", "443/tcp", "9000/udp"]);
    let addresses = world.docker("port c 80").ok();
    let mut addresses: Vec<&str> = addresses.lines().collect();
    addresses.sort_unstable();
    assert_eq!(addresses[0], "0.0.0.0:8080");
    assert!(
        ["[::]:8080", ":::8080"].contains(&addresses[1]),
        "{addresses:?}"
    );
    let unknown = world.docker("port c 81");
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.stderr.to_lowercase().contains("no public port '81"),
        "{unknown}"
    );
}

#[test]
fn a12_the_iptables_view_agrees_with_the_live_elements() {
    let world = World::new();
    world.serve("--name c -p 32772:80");
    let address = world.address("c", "bridge");
    let view = world.sealane("firewall show --as iptables").ok();
    let is_ours = |line: &&str| line.contains("DNAT") && line.contains("32772");
    let shown: Vec<&str> = view.lines().filter(is_ours).collect();
    assert!(!shown.is_empty(), "{view}");
    assert!(shown[0].contains(&format!("{address}:80")), "{shown:?}");
    let live = || world.host().sh("nft list ruleset").ok();
    let element = |line: &str| line.contains("32772") && line.contains(&address);
    assert!(live().lines().any(element), "{}", live());

    world.docker("stop -t 0 c").ok();
    assert!(!live().contains("32772"), "{}", live());
    assert!(
        !world
            .sealane("firewall show --as iptables")
            .ok()
            .contains("32772")
    );
}

#[test]
fn a13_published_port_answers_from_lan_loopback_and_siblings() {
    with_bridge_filter_off_and_on(|world| {
        world.network("other");
        world.serve("--name web -p 8080:80");
        world.idle("--name sibling");
        world.idle("--name stranger --network other");
        let page = Some(HELLO);
        for address in ["10.99.0.1:8080", "[fd99::1]:8080"] {
            assert_eq!(
                world.peer().fetch(address).as_deref(),
                page,
                "LAN, {address}"
            );
        }
        let own = [
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.99.0.1:8080",
            "[fd99::1]:8080",
            "172.17.0.1:8080",
        ];
        for address in own {
            assert_eq!(
                world.host().fetch(address).as_deref(),
                page,
                "host, {address}"
            );
        }
        for name in ["sibling", "stranger", "web"] {
            let seen = world.sandbox(name).fetch("10.99.0.1:8080");
            assert_eq!(seen.as_deref(), page, "{name}, by the host's address");
        }
        let listed = world
            .docker("ps --format '{{.Ports}}' --filter name=web")
            .ok();
        let expected = [
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            "0.0.0.0:8080->80/tcp, :::8080->80/tcp",
        ];
        assert!(expected.contains(&listed.as_str()), "{listed}");
        world.docker("rm -f web").ok();
        assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    });
}

#[test]
fn a14_network_create_makes_a_bridge_with_the_next_subnet() {
    let world = World::new();
    let id = world.network("--driver bridge net1");
    assert!(
        id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    let link = &world
        .host()
        .ip_json(&format!("-details address show br-{}", &id[..12]))[0];
    assert_eq!(link["linkinfo"]["info_kind"], "bridge");
    assert_eq!(link["addr_info"][0]["local"], "172.18.0.1");
    assert_eq!(link["addr_info"][0]["prefixlen"], 16);
    world.docker("network rm net1").ok();
    let gone = world.host().sh(&format!("ip link show br-{}", &id[..12]));
    gone.fails_with(1, "does not exist");
}

#[test]
fn a15_a_container_is_only_on_its_network_and_known_there_by_name() {
    let world = World::new();
    world.network("net1");
    world.idle("--network=net1 --name C");
    world.idle("--network=net1 --name D");
    let attached = &world.inspect("C")["NetworkSettings"]["Networks"];
    assert_eq!(
        attached
            .as_object()
            .map(|map| map.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["net1".into()])
    );
    assert_eq!(world.sandbox("C").interfaces(), ["lo", "eth0"]);
    let found = world.docker("exec D nslookup C").ok();
    assert!(found.contains(&world.address("C", "net1")), "{found}");
    world.docker("exec D ping -c 1 -W 2 C").ok();
}

#[test]
fn a16_b8_5_a_given_subnet_has_its_first_address_as_gateway() {
    let world = World::new();
    world.network("-d bridge --subnet 172.25.0.0/16 net2");
    let config = world
        .docker("network inspect -f '{{json .IPAM.Config}}' net2")
        .json();
    assert_eq!(config[0]["Subnet"], "172.25.0.0/16");
    assert_eq!(config[0]["Gateway"], "172.25.0.1");
    world.idle("--network net2 --name first");
    let sandbox = world.sandbox("first");
    assert_eq!(
        sandbox.ip_json("-4 address show eth0")[0]["addr_info"][0]["local"],
        "172.25.0.2"
    );
    assert_eq!(
        sandbox.routes("route show default"),
        ["default via 172.25.0.1 dev eth0"]
    );
}

#[test]
fn a17_networks_are_isolated_but_for_published_ports() {
    with_bridge_filter_off_and_on(|world| {
        world.network("net1");
        world.network("net2");
        world.serve("--network net2 --name server -p 8081:80");
        let target = format!("{}:80", world.address("server", "net2"));
        world.idle("--network net1 --name client");
        world.idle("--name default");
        world.idle("--network net2 --name neighbor");
        assert!(
            connects(&world.sandbox("neighbor"), &target),
            "siblings talk"
        );
        for name in ["client", "default"] {
            let sandbox = world.sandbox(name);
            assert!(
                !connects(&sandbox, &target),
                "{name} reached a container of another network"
            );
            assert_eq!(
                sandbox.fetch("10.99.0.1:8081").as_deref(),
                Some(HELLO),
                "{name}"
            );
            // Not by the other bridge's gateway either: that is the host, but still no way through.
            assert!(
                !sandbox.pings(target.trim_end_matches(":80")),
                "{name} pinged it"
            );
        }
    });
}

#[test]
fn a18_host_mode_uses_the_hosts_stack() {
    let world = World::new();
    let (status, created) = world.api(
        "POST",
        "/containers/create?name=h",
        &json!({
            "Image": "img", "Cmd": ["httpd", "-f", "-h", "/www"], "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
        }),
    );
    assert_eq!(status, 201, "{created}");
    assert_eq!(
        created["Warnings"],
        json!(["Published ports are discarded when using host network mode"])
    );
    world.docker("start h").ok();
    assert_eq!(world.sandbox("h").netns_inode(), world.host().netns_inode());
    let page = eventually(SOON, || world.host().fetch("localhost"));
    assert_eq!(page, HELLO);
    assert_eq!(world.docker("port h").ok(), "");
    assert_eq!(world.docker("exec h hostname").ok(), "host0");
    assert_eq!(world.host().fetch("127.0.0.1:8080"), None);
    world
        .docker("run --rm --net=host img ip -o link show eth0")
        .ok();
}

#[test]
fn a19_containers_in_host_mode_share_its_ports() {
    let world = World::new();
    world.serve("--network=host --name first");
    eventually(SOON, || world.host().fetch("127.0.0.1"));
    let page = world
        .docker("run --rm --network=host img wget -q -O - http://127.0.0.1/")
        .ok();
    assert_eq!(page, HELLO);
    let second = world.docker("run --rm --network=host img httpd -f -h /www");
    assert_ne!(second.code, 0);
    assert!(second.stderr.contains("Address already in use"), "{second}");
}

#[test]
fn a20_none_has_only_a_loopback() {
    let world = World::new();
    let seen = world.docker("run --rm --network=none img ip -o link").ok();
    assert_eq!(seen.lines().count(), 1, "{seen}");
    assert!(
        seen.contains("lo: <LOOPBACK,UP") && seen.contains("mtu 65536"),
        "{seen}"
    );
    world.idle("--network none --name n");
    let sandbox = world.sandbox("n");
    assert_eq!(
        sandbox
            .routes("route show table all")
            .iter()
            .filter(|r| !r.contains("dev lo"))
            .count(),
        0
    );
    assert!(!sandbox.dig("+time=1 example.com").succeeded());
    world.network("net1");
    world.docker("network connect net1 n").fails_with(
        1,
        "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
}

#[test]
fn a21_a_container_can_share_anothers_stack() {
    let world = World::new();
    let id = world.serve("--name web --hostname webhost -p 8080:80 --add-host extra:1.2.3.4");
    world.idle("--net=container:web --name by-name");
    world.idle(&format!("--net=container:{id} --name by-id"));
    for name in ["by-name", "by-id"] {
        let sandbox = world.sandbox(name);
        assert_eq!(sandbox.netns_inode(), world.sandbox("web").netns_inode());
        let page = world
            .docker(&format!("exec {name} wget -q -O - http://127.0.0.1/"))
            .ok();
        assert_eq!(page, HELLO);
        for file in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
            let read = |container: &str| world.docker(&format!("exec {container} cat {file}")).ok();
            assert_eq!(read(name), read("web"), "{file}");
        }
        assert_eq!(
            world.docker(&format!("exec {name} hostname")).ok(),
            "webhost"
        );
        world.docker(&format!("exec {name} touch /mine")).ok();
        assert_ne!(
            world.docker("exec web ls /mine").code,
            0,
            "the file systems are separate"
        );
        let processes = world.docker(&format!("exec {name} ps")).ok();
        assert!(
            !processes.contains("httpd"),
            "the processes are separate: {processes}"
        );
    }
}

#[test]
fn a32_containers_of_a_network_know_each_other_by_name() {
    let world = World::new();
    world.network("net1");
    world.idle("--network net1 --name a");
    world.idle("--network net1 --name b");
    world.idle("--name plain");
    let resolv = world.docker("exec a cat /etc/resolv.conf").ok();
    assert!(
        resolv.lines().any(|line| line == "nameserver 127.0.0.11"),
        "{resolv}"
    );
    assert!(
        resolv.lines().any(|line| line == "options ndots:0"),
        "{resolv}"
    );
    let answer = world.sandbox("a").dig("+short b").ok();
    assert_eq!(answer, world.address("b", "net1"));
    let resolv = world.docker("exec plain cat /etc/resolv.conf").ok();
    assert!(!resolv.contains("127.0.0.11"), "{resolv}");
    assert!(
        resolv.lines().any(|line| line == "nameserver 10.99.0.100"),
        "{resolv}"
    );
    assert_ne!(world.docker("exec plain ping -c 1 -W 1 a").code, 0);
}

#[test]
fn a34_a_sandbox_joins_and_leaves_networks_while_it_runs() {
    with_bridge_filter_off_and_on(|world| {
        world.network("net1");
        world.network("net2");
        world.idle("--network net1 --name a");
        world.idle("--network net2 --name c");
        let sandbox = world.sandbox("a");
        let target = world.address("c", "net2");
        assert!(!sandbox.pings(&target));

        world.docker("network connect net2 a").ok();
        assert_eq!(sandbox.interfaces(), ["lo", "eth0", "eth1"]);
        world.docker("exec a ping -c 1 -W 2 c").ok();
        let attached = world.inspect("a")["NetworkSettings"]["Networks"].clone();
        let here = sandbox.ip_json("-4 address show eth1")[0]["addr_info"][0]["local"].clone();
        assert_eq!(attached["net2"]["IPAddress"], here);

        world.docker("network disconnect net2 a").ok();
        assert_eq!(sandbox.interfaces(), ["lo", "eth0"]);
        assert!(!sandbox.pings(&target));
        assert_ne!(world.docker("exec a ping -c 1 -W 1 c").code, 0);
        world.docker("network disconnect net1 a").ok();
        assert_eq!(sandbox.interfaces(), ["lo"]);
        world.docker("network connect net1 a").ok();
        assert_eq!(sandbox.interfaces(), ["lo", "eth0"]);
    });
}
