//! Chapter B2: the flags of the stock CLI.

use sealane_conformance::*;
use std::net::TcpListener;
use std::sync::OnceLock;

fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

/// Whether the client on this machine is new enough to have a flag.
fn client_has(world: &World, command: &str, flag: &str) -> bool {
    world
        .docker(&format!("{command} --help"))
        .ok()
        .contains(flag)
}

#[test]
fn b2_1_network_create_takes_every_flag() {
    let world = shared();
    let cases = [
        ("--attachable", ".Attachable", json!(true)),
        ("--internal", ".Internal", json!(true)),
        ("--scope local", ".Scope", json!("local")),
        ("--ipv6", ".EnableIPv6", json!(true)),
        (
            "--label a=b --label c",
            ".Labels",
            json!({"a": "b", "c": ""}),
        ),
        (
            "-o com.example.x=y",
            ".Options",
            json!({"com.example.x": "y"}),
        ),
        ("--ipam-driver default", ".IPAM.Driver", json!("default")),
        ("--ipam-opt k=v", ".IPAM.Options", json!({"k": "v"})),
        ("-d bridge", ".Driver", json!("bridge")),
    ];
    for (index, (flags, field, expected)) in cases.into_iter().enumerate() {
        world.network(&format!("{flags} --subnet 10.91.{index}.0/24 b2-1-{index}"));
        let seen = world.docker(&format!(
            "network inspect -f '{{{{json {field}}}}}' b2-1-{index}"
        ));
        assert_eq!(seen.json(), expected, "{flags}");
    }
    world.network(
        "--subnet 10.91.100.0/24 --gateway 10.91.100.9 --ip-range 10.91.100.128/25 \
         --aux-address printer=10.91.100.200 b2-1-ipam",
    );
    let config = world
        .docker("network inspect -f '{{json .IPAM.Config}}' b2-1-ipam")
        .json();
    assert_eq!(
        config[0],
        json!({"Subnet": "10.91.100.0/24", "IPRange": "10.91.100.128/25", "Gateway": "10.91.100.9",
               "AuxiliaryAddresses": {"printer": "10.91.100.200"}})
    );
    world.network("--config-only --subnet 10.91.101.0/24 --label from=config b2-1-config");
    world.network("--config-from b2-1-config b2-1-from");
    let seen = world.get("/networks/b2-1-from");
    assert_eq!(seen["ConfigFrom"]["Network"], "b2-1-config");
    assert_eq!(seen["IPAM"]["Config"][0]["Subnet"], "10.91.101.0/24");
    assert_eq!(world.get("/networks/b2-1-config")["ConfigOnly"], true);
    world
        .docker("network rm b2-1-config")
        .fails_with(1, "configuration network \"b2-1-config\" is in use");
    if client_has(world, "network create", "--ipv4") {
        world.network("--ipv4=false --ipv6 b2-1-six");
        let seen = world.get("/networks/b2-1-six");
        assert_eq!(
            (seen["EnableIPv4"].as_bool(), seen["EnableIPv6"].as_bool()),
            (Some(false), Some(true))
        );
    }
}

#[test]
fn b2_2_the_client_checks_subnets_itself() {
    let world = shared();
    for (flags, text) in [
        (
            "--gateway 10.92.0.1",
            "every ip-range or gateway must have a corresponding subnet",
        ),
        (
            "--subnet 10.92.0.0/16 --subnet 10.92.1.0/24",
            "multiple overlapping subnet configuration is not supported",
        ),
        (
            "--subnet 10.92.0.0/24 --ip-range 10.93.0.0/25",
            "no matching subnet for range",
        ),
        (
            "--subnet 10.92.0.0/24 --gateway 10.93.0.1",
            "no matching subnet for gateway",
        ),
        (
            "--subnet 10.92.0.0/24 --aux-address a=10.93.0.1",
            "no matching subnet for aux-address",
        ),
    ] {
        world
            .docker(&format!("network create {flags} b2-2"))
            .fails_with(1, text);
    }
    assert_eq!(world.docker("network ls -q --filter name=b2-2").ok(), "");
}

#[test]
fn b2_3_network_connect_takes_every_flag() {
    let world = shared();
    world.network("--ipv6 --subnet 10.93.0.0/24 --subnet fd93::/64 b2-3");
    world.network("--subnet 10.93.1.0/24 b2-3home");
    world.serve("--network b2-3 --name b2-3server");
    world.idle("--network b2-3home --name b2-3c");
    world
        .docker(
            "network connect --alias nick --driver-opt k=v --ip 10.93.0.77 --ip6 fd93::77 \
             --link b2-3server:friend --link-local-ip 169.254.9.9 b2-3 b2-3c",
        )
        .ok();
    let endpoint = world.inspect("b2-3c")["NetworkSettings"]["Networks"]["b2-3"].clone();
    assert_eq!(endpoint["Aliases"], json!(["nick"]));
    assert_eq!(endpoint["DriverOpts"], json!({"k": "v"}));
    assert_eq!(endpoint["Links"], json!(["b2-3server:friend"]));
    assert_eq!(
        endpoint["IPAMConfig"],
        json!({"IPv4Address": "10.93.0.77", "IPv6Address": "fd93::77", "LinkLocalIPs": ["169.254.9.9"]})
    );
    let addresses = world
        .sandbox("b2-3c")
        .ip_json("address show eth1")
        .to_string();
    for address in ["10.93.0.77", "fd93::77", "169.254.9.9"] {
        assert!(
            addresses.contains(&format!("\"{address}\"")),
            "{address}: {addresses}"
        );
    }
    world.docker("exec b2-3c ping -c 1 -W 2 friend").ok();
    world.docker("exec b2-3server ping -c 1 -W 2 nick").ok();
    if client_has(world, "network connect", "--gw-priority") {
        world.network("--subnet 10.93.2.0/24 b2-3gw");
        world
            .docker("network connect --gw-priority 1 b2-3gw b2-3c")
            .ok();
        let routes = world.sandbox("b2-3c").routes("route show default");
        assert_eq!(routes, ["default via 10.93.2.1 dev eth2"]);
    }
}

#[test]
fn b2_4_the_other_network_commands_take_their_flags() {
    let world = shared();
    let id = world.network("--subnet 10.94.0.0/24 --label b24=yes b2-4");
    world.idle("--network b2-4 --name b2-4c");
    world.docker("network disconnect -f b2-4 b2-4c").ok();
    assert_eq!(world.sandbox("b2-4c").interfaces(), ["lo"]);
    assert_eq!(
        world
            .docker("network ls --no-trunc -q --filter label=b24")
            .ok(),
        id
    );
    assert_eq!(
        world.docker("network ls -q --filter label=b24").ok(),
        id[..12]
    );
    assert_eq!(
        world
            .docker("network ls --filter name=b2-4 --format '{{.ID}}'")
            .ok(),
        id[..12]
    );
    assert_eq!(world.docker("network inspect -v b2-4").json()[0]["Id"], *id);
    assert_eq!(
        world.docker("network inspect -f '{{.Name}}' b2-4").ok(),
        "b2-4"
    );
    world.docker("network rm b2-4").ok();
    let missing = world.docker("network rm b2-4");
    // Older clients say it in words of their own.
    let said = ["network b2-4 not found", "No such network: b2-4"];
    assert!(
        missing.code == 1 && said.iter().any(|text| missing.stderr.contains(text)),
        "{missing}"
    );
    if client_has(world, "network rm", "--force") {
        world.docker("network rm -f b2-4").ok();
    }
    world.network("--subnet 10.94.0.0/24 --label b24=again b2-4");
    let pruned = world
        .docker("network prune -f --filter label=b24=again")
        .ok();
    assert_eq!(pruned, "Deleted Networks:\nb2-4");
}

#[test]
fn b2_5_run_takes_every_network_flag() {
    let world = shared();
    world.network("--ipv6 --subnet 10.95.0.0/24 --subnet fd95::/64 b2-5");
    world.serve("--network b2-5 --name b2-5server");
    world.idle(
        "--name b2-5c --network b2-5 --network-alias nick --ip 10.95.0.50 --ip6 fd95::50 \
         --mac-address 02:00:00:00:05:05 --link b2-5server:friend --link-local-ip 169.254.5.5 \
         --dns 192.0.2.53 --dns-search example.org --dns-option timeout:3 \
         --add-host db:192.0.2.7 --add-host gw:host-gateway --hostname box --domainname corp.test \
         --sysctl net.ipv4.ip_default_ttl=77",
    );
    let sandbox = world.sandbox("b2-5c");
    let link = sandbox.ip_json("address show eth0")[0].clone();
    assert_eq!(link["address"], "02:00:00:00:05:05");
    let text = link.to_string();
    for address in ["10.95.0.50", "fd95::50", "169.254.5.5"] {
        assert!(
            text.contains(&format!("\"{address}\"")),
            "{address}: {text}"
        );
    }
    let read = |path: &str| world.docker(&format!("exec b2-5c cat {path}")).ok();
    let resolv = read("/etc/resolv.conf");
    for line in ["nameserver 127.0.0.11", "search example.org"] {
        assert!(
            resolv.lines().any(|found| found == line),
            "{line}: {resolv}"
        );
    }
    assert!(resolv.contains("192.0.2.53"), "{resolv}");
    let options = resolv
        .lines()
        .find(|line| line.starts_with("options"))
        .unwrap_or_default();
    assert!(
        options.contains("timeout:3") && options.contains("ndots:0"),
        "{resolv}"
    );
    let hosts = read("/etc/hosts");
    for line in [
        "192.0.2.7\tdb",
        "172.17.0.1\tgw",
        "10.95.0.50\tbox.corp.test box",
    ] {
        assert!(hosts.lines().any(|found| found == line), "{line}: {hosts}");
    }
    assert_eq!(world.docker("exec b2-5c hostname").ok(), "box");
    assert_eq!(read("/proc/sys/net/ipv4/ip_default_ttl"), "77");
    world.docker("exec b2-5server ping -c 1 -W 2 nick").ok();
    world.docker("exec b2-5c ping -c 1 -W 2 friend").ok();
}

#[test]
fn b2_5_run_takes_several_networks_with_settings_each() {
    let world = shared();
    world.network("--subnet 10.96.0.0/24 b2-5n1");
    world.network("--subnet 10.96.1.0/24 b2-5n2");
    if client_has(world, "run", "--annotation") {
        // Clients since 25 take all of an endpoint's settings in one flag, and several of them.
        world.idle(
            "--name b2-5m --network name=b2-5n1,alias=nick,ip=10.96.0.7,mac-address=02:00:00:00:06:06 \
             --network name=b2-5n2,ip=10.96.1.8,link-local-ip=169.254.6.6,driver-opt=k=v",
        );
    } else {
        let body = json!({"Image": "img", "Cmd": ["sleep", "1000"],
        "HostConfig": {"NetworkMode": "b2-5n1"},
        "NetworkingConfig": {"EndpointsConfig": {
            "b2-5n1": {"IPAMConfig": {"IPv4Address": "10.96.0.7"}, "Aliases": ["nick"],
                       "MacAddress": "02:00:00:00:06:06"},
            "b2-5n2": {"IPAMConfig": {"IPv4Address": "10.96.1.8", "LinkLocalIPs": ["169.254.6.6"]},
                       "DriverOpts": {"k": "v"}},
        }}});
        let (status, answer) = world.api("POST", "/containers/create?name=b2-5m", &body);
        assert_eq!(status, 201, "{answer}");
        world.docker("start b2-5m").ok();
    }
    let sandbox = world.sandbox("b2-5m");
    assert_eq!(sandbox.interfaces(), ["lo", "eth0", "eth1"]);
    let all = sandbox.ip_json("address").to_string();
    for part in ["10.96.0.7", "10.96.1.8", "169.254.6.6", "02:00:00:00:06:06"] {
        assert!(all.contains(&format!("\"{part}\"")), "{part}: {all}");
    }
    let networks = world.inspect("b2-5m")["NetworkSettings"]["Networks"].clone();
    assert_eq!(networks["b2-5n2"]["DriverOpts"], json!({"k": "v"}));
    assert_eq!(networks["b2-5n1"]["Aliases"], json!(["nick"]));
}

#[test]
fn b2_6_conflicting_flags_are_refused() {
    let world = shared();
    world.idle("--name b2-6");
    world.docker("create --name b2-6stopped img sleep 1").ok();
    let shares = "--network container:b2-6";
    for (flags, text) in [
        (
            format!("{shares} --hostname x"),
            "conflicting options: hostname and the network mode",
        ),
        (
            format!("{shares} --dns 1.2.3.4"),
            "conflicting options: dns and the network mode",
        ),
        (
            format!("{shares} --add-host a:1.2.3.4"),
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            format!("{shares} -p 80:80"),
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            format!("{shares} --expose 80"),
            "conflicting options: port exposing and the container type network mode",
        ),
        (
            "--network container:".into(),
            "invalid container format container:<name|id>",
        ),
    ] {
        world
            .docker(&format!("run {flags} --name b2-6x img true"))
            .fails_with(125, text);
        assert_eq!(
            world.docker("ps -aq --filter name=b2-6x").ok(),
            "",
            "{flags}"
        );
    }
    world.docker("run --network container:b2-6stopped --name b2-6y img true").fails_with(
        125,
        "cannot join network namespace of a non running container: container b2-6stopped is created",
    );
    world
        .docker("run --network container:b2-6z --name b2-6z img true")
        .fails_with(125, "cannot join own network namespace");
}

/// The sockets a host listens on, as `ss` lists them: `0.0.0.0:8080`.
fn listeners(host: &Host, kind: &str) -> Vec<String> {
    let listed = host
        .sh(&format!("ss -H -ln{kind} | awk '{{ print $4 }}'"))
        .ok();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn b2_7_ports_are_published_in_every_form() {
    let world = World::new();
    let published = |container: &str| {
        let mut lines: Vec<String> = world
            .docker(&format!("port {container}"))
            .ok()
            .lines()
            .map(|line| line.replace(":::", "[::]:").replace("-> ::1:", "-> [::1]:"))
            .collect();
        lines.sort();
        lines
    };
    let page = Some(HELLO);
    let (host, peer) = (world.host(), world.peer());

    world.serve("--name plain -p 80");
    let port = published("plain")[0]
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    assert_eq!(
        published("plain"),
        [
            format!("80/tcp -> 0.0.0.0:{port}"),
            format!("80/tcp -> [::]:{port}")
        ]
    );
    assert_eq!(peer.fetch(&format!("10.99.0.1:{port}")).as_deref(), page);

    world.serve("--name both -p 8080:80");
    assert_eq!(
        published("both"),
        ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
    );

    world.serve("--name local -p 127.0.0.1:8081:80");
    assert_eq!(published("local"), ["80/tcp -> 127.0.0.1:8081"]);
    assert_eq!(host.fetch("127.0.0.1:8081").as_deref(), page);
    assert_eq!(peer.fetch("10.99.0.1:8081"), None);
    assert!(listeners(host, "t").contains(&"127.0.0.1:8081".to_owned()));

    world.serve("--name ephemeral -p 127.0.0.1::80");
    let line = published("ephemeral")[0].clone();
    assert!(line.starts_with("80/tcp -> 127.0.0.1:"), "{line}");
    assert_eq!(
        host.fetch(line.trim_start_matches("80/tcp -> ")).as_deref(),
        page
    );

    world.serve("--name six -p '[::1]:8082:80'");
    assert_eq!(published("six"), ["80/tcp -> [::1]:8082"]);
    assert_eq!(host.fetch("[::1]:8082").as_deref(), page);

    let held = host
        .in_netns(|| TcpListener::bind("0.0.0.0:8100"))
        .expect("it is free");
    world.serve("--name first -p 8100-8110:80");
    world.serve("--name second -p 8100-8110:80");
    drop(held);
    assert_eq!(published("first")[0], "80/tcp -> 0.0.0.0:8101");
    assert_eq!(published("second")[0], "80/tcp -> 0.0.0.0:8102");
    assert_eq!(peer.fetch("10.99.0.1:8102").as_deref(), page);

    let many = "for p in 7000 7005 7010; do httpd -p $p -h /www; done; sleep 100000";
    world.run(&format!(
        "--name range -p 7000-7010:7000-7010 img sh -c '{many}'"
    ));
    assert_eq!(published("range").len(), 22);
    for port in [7000, 7005, 7010] {
        let seen = eventually(SOON, || peer.fetch(&format!("10.99.0.1:{port}")));
        assert_eq!(seen, HELLO);
    }
    world.run(&format!(
        "--name shifted -p 7100-7110:7000-7010 img sh -c '{many}'"
    ));
    assert_eq!(eventually(SOON, || peer.fetch("10.99.0.1:7105")), HELLO);

    // A long run that is the same inside and outside is one element of a map, not one a port.
    let many = "for p in 7200 7250 7299; do httpd -p $p -h /www; done; sleep 100000";
    world.run(&format!(
        "--name long -p 7200-7299:7200-7299 img sh -c '{many}'"
    ));
    for port in [7200, 7250, 7299] {
        assert_eq!(
            eventually(SOON, || peer.fetch(&format!("10.99.0.1:{port}"))),
            HELLO
        );
        assert_eq!(host.fetch(&format!("127.0.0.1:{port}")).as_deref(), page);
    }
    let rules = host.sh("nft list map inet sealane publish-range4").ok();
    assert_eq!(rules.matches("7200-7299").count(), 1, "{rules}");
    let bound = listeners(host, "t");
    let in_run = |socket: &&String| {
        socket
            .rsplit(':')
            .next()
            .is_some_and(|port| port.starts_with("72"))
    };
    assert!(
        bound.iter().filter(in_run).count() >= 100,
        "every port is really bound: {bound:?}"
    );

    world.idle("--name udp -p 5353:53/udp");
    assert_eq!(
        published("udp"),
        ["53/udp -> 0.0.0.0:5353", "53/udp -> [::]:5353"]
    );
    let bound = listeners(host, "u");
    assert!(
        bound.iter().any(|socket| socket.ends_with(":5353")),
        "{bound:?}"
    );
    let server = udp_server(&world.sandbox("udp"), "0.0.0.0:53");
    let client = peer
        .in_netns(|| std::net::UdpSocket::bind("10.99.0.100:0"))
        .expect("it is free");
    client.send_to(b"hello", "10.99.0.1:5353").expect("sent");
    let (count, from) = server.recv_from(&mut [0; 9]).expect("it arrives");
    assert_eq!((count, from.ip().to_string()), (5, lan::PEER.to_owned()));

    world.idle("--name sctp -p 9000:9000/sctp");
    assert_eq!(
        published("sctp"),
        ["9000/sctp -> 0.0.0.0:9000", "9000/sctp -> [::]:9000"]
    );
}
