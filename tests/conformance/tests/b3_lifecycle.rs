//! Chapters B3, B4.10 and B13.2: what an endpoint's life looks like from inside and outside.

use sealane_conformance::*;
use std::io::BufRead;

#[test]
fn b3_1_networks_outlive_a_killed_daemon_and_dead_endpoints_do_not() {
    let mut world = World::new();
    let id = world.network("--subnet 10.101.0.0/24 --label a=b keep");
    world.idle("--network keep --name lives");
    world.idle("--network keep --name dies -p 8080:80");
    let before = world.get("/networks/keep");
    let port = |world: &World| {
        world
            .host()
            .ip_json("link show type veth")
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(port(&world), 3, "two containers' and the host's own");

    let dying = world.sandbox("dies").pid();
    world.kill9();
    world.host().sh(&format!("kill -9 {dying}")).ok();
    world.launch();

    let after = world.get("/networks/keep");
    for field in ["Id", "Created", "IPAM", "Labels", "Options"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["Id"], *id);
    assert_eq!(
        after["Containers"].as_object().map(serde_json::Map::len),
        Some(1),
        "{after}"
    );
    eventually_is(SOON, 2, || port(&world));
    let state = world.inspect("dies")["State"].clone();
    assert_eq!(
        (state["Status"].as_str(), state["ExitCode"].as_i64()),
        (Some("exited"), Some(137))
    );
    assert!(!world.host().sh("nft list ruleset").ok().contains("8080"));
    world.docker("start dies").ok();
    assert_eq!(world.sandbox("dies").interfaces(), ["lo", "eth0"]);
    assert_eq!(world.sandbox("lives").interfaces(), ["lo", "eth0"]);
}

#[test]
fn b3_2_traffic_goes_on_while_the_daemon_is_dead() {
    let mut world = World::new();
    world.network("net1");
    world.serve("--network net1 --name web -p 8080:80");
    world.idle("--network net1 --name server -p 7000:7000");
    world.idle("--network net1 --name client");
    let talk = Conversation::start(
        &world.sandbox("server"),
        7000,
        world.peer(),
        "10.99.0.1:7000",
    );
    eventually(SOON, || (talk.rounds() > 10).then_some(()));
    world.kill9();
    let at_death = talk.rounds();
    assert_eq!(
        world.peer().fetch("10.99.0.1:8080").as_deref(),
        Some(HELLO),
        "new connections too"
    );
    eventually(SOON, || (talk.rounds() > at_death + 10).then_some(()));
    world.launch();
    let at_start = talk.rounds();
    let client = world.sandbox("client");
    eventually(Duration::from_secs(1), || {
        client
            .dig("+short +time=1 web")
            .ok()
            .parse::<std::net::Ipv4Addr>()
            .ok()
    });
    eventually(SOON, || (talk.rounds() > at_start + 10).then_some(()));
    talk.finish().expect("the connection holds");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    assert_eq!(
        world.docker("port web 80").ok().lines().next(),
        Some("0.0.0.0:8080")
    );
}

#[test]
fn b3_6_ports_are_published_as_the_network_of_the_gateway_publishes() {
    let world = World::new();
    let routed = "-o com.docker.network.bridge.gateway_mode_ipv4=routed";
    world.network("--subnet 10.102.0.0/24 --internal inside");
    world.network("--subnet 10.102.1.0/24 nat");
    world.network(&format!("--subnet 10.102.2.0/24 {routed} routed"));
    let route = "ip route add 10.102.2.0/24 via 10.99.0.1";
    world.peer().sh(route).ok();
    let published = |port: u16| world.peer().fetch(&format!("10.99.0.1:{port}"));

    world.serve("--network inside --name a -p 8080:80");
    assert_eq!(published(8080), None, "an internal network leads nowhere");
    for _ in 0..2 {
        world.docker("network connect nat a").ok();
        assert_eq!(published(8080).as_deref(), Some(HELLO));
        world.docker("network disconnect nat a").ok();
        assert_eq!(published(8080), None);
    }

    world.serve("--network routed --name b -p 8081:80");
    assert_eq!(published(8081), None, "a routed network needs no host port");
    world.docker("network connect nat b").ok();
    assert_eq!(published(8081).as_deref(), Some(HELLO), "nat before routed");
    world.docker("network disconnect nat b").ok();
    assert_eq!(published(8081), None);
    let free = world
        .host()
        .in_netns(|| std::net::TcpListener::bind("0.0.0.0:8081"));
    free.expect("the port is not held");
    let direct = format!("{}:80", world.address("b", "routed"));
    assert_eq!(world.peer().fetch(&direct).as_deref(), Some(HELLO));
}

#[test]
fn b3_6_the_gateway_follows_priority_then_name() {
    let world = World::new();
    world.network("--subnet 10.102.0.0/24 bb");
    world.network("--subnet 10.102.1.0/24 aa");
    world.network("--subnet 10.102.2.0/24 --internal a-internal");
    world.network("--subnet 10.102.3.0/24 cc");
    world.network("--ipv6 --subnet 10.102.4.0/24 --subnet fd02:4::/64 dual");
    world.serve("--network bb --name c -p 8080:80");
    let sandbox = world.sandbox("c");
    let default = || {
        let routes = sandbox.routes("-4 route show default");
        assert_eq!(routes.len(), 1, "{routes:?}");
        routes[0].split(' ').nth(2).unwrap_or_default().to_owned()
    };
    let published = || world.peer().fetch("10.99.0.1:8080");
    assert_eq!(default(), "10.102.0.1");
    world.docker("network connect a-internal c").ok();
    assert_eq!(default(), "10.102.0.1", "an internal network leads nowhere");
    world.docker("network connect aa c").ok();
    assert_eq!(default(), "10.102.1.1", "aa comes before bb");
    assert_eq!(
        published().as_deref(),
        Some(HELLO),
        "the ports moved with the gateway"
    );
    world.docker("network connect dual c").ok();
    assert_eq!(
        default(),
        "10.102.4.1",
        "one with both families comes first"
    );
    assert_eq!(
        sandbox.routes("-6 route show default")[0].split(' ').nth(2),
        Some("fd02:4::1")
    );
    let body = json!({"Container": "c", "EndpointConfig": {"GwPriority": 1}});
    assert_eq!(world.api("POST", "/networks/cc/connect", &body).0, 200);
    assert_eq!(default(), "10.102.3.1", "a priority comes before all");
    assert_eq!(published().as_deref(), Some(HELLO));
    world.docker("network disconnect cc c").ok();
    assert_eq!(default(), "10.102.4.1");
    world.docker("network disconnect dual c").ok();
    world.docker("network disconnect aa c").ok();
    assert_eq!(default(), "10.102.0.1");
    assert_eq!(published().as_deref(), Some(HELLO));
    world.docker("network disconnect bb c").ok();
    assert_eq!(sandbox.routes("-4 route show default"), [""; 0]);
    assert_eq!(published(), None);
}

#[test]
fn b3_9_a_new_address_is_announced() {
    let world = World::new();
    world.network("--ipv6 --subnet 10.103.0.0/24 --subnet fd03::/64 loud");
    world.network("--subnet 10.103.1.0/24 -o com.docker.network.advertise_addr_nmsgs=1 once");
    world.network("--subnet 10.103.2.0/24 -o com.docker.network.advertise_addr_nmsgs=0 quiet");
    world.network(
        "--subnet 10.103.3.0/24 -o com.docker.network.advertise_addr_nmsgs=3 \
         -o com.docker.network.advertise_addr_ms=100 fast",
    );
    let networks = ["loud", "once", "quiet", "fast"];
    for network in networks {
        world.idle(&format!("--network {network} --name {network}-witness"));
    }
    // What the witnesses announced themselves is over before the captures begin.
    std::thread::sleep(Duration::from_millis(2500));
    let filter = "arp or (icmp6 and ip6[40] == 136)";
    let captures = networks.map(|name| {
        world
            .sandbox(&format!("{name}-witness"))
            .capture("eth0", filter)
    });
    for network in networks {
        world.idle(&format!("--network {network} --name {network}-new"));
    }
    let gratuitous = |index: usize| {
        let address = world.address(&format!("{}-new", networks[index]), networks[index]);
        // An announcement may be a request and a reply: hosts heed the one or the other.
        let own = format!("Request who-has {address} tell {address}");
        captures[index]
            .packets()
            .iter()
            .filter(|line| line.contains(&own))
            .count()
    };
    let advertised = || {
        let packets = captures[0].packets();
        packets
            .iter()
            .filter(|line| line.contains("neighbor advertisement") && line.contains("fd03::"))
            .count()
    };
    eventually_is(SOON, (3, 1, 3), || {
        (gratuitous(0), gratuitous(1), gratuitous(3))
    });
    eventually_is(SOON, 3, advertised);
    never(Duration::from_millis(1200), || {
        (gratuitous(0) > 3 || gratuitous(1) > 1).then_some("more")
    });
    assert_eq!(gratuitous(2), 0);
}

#[test]
fn b3_10_an_ipv6_address_is_usable_at_once() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv6 --subnet fd04::/64 six");
        let bridge = world
            .docker("network inspect -f 'br-{{slice .Id 0 12}}' six")
            .ok();
        let flags = world
            .host()
            .sh(&format!("ip -6 address show dev {bridge} scope global"))
            .ok();
        assert!(
            flags.contains("fd04::1/64") && !flags.contains("tentative"),
            "{flags}"
        );
        world.serve("--network six --name server");
        // The first thing the container does is to use it.
        let page = world
            .docker("run --rm --network six img wget -q -O - http://server/")
            .ok();
        assert_eq!(page, HELLO);
        let seen = world
            .docker("run --rm --network six img ip -6 address show dev eth0 scope global")
            .ok();
        assert!(
            seen.contains("fd04::") && !seen.contains("tentative"),
            "{seen}"
        );
    });
}

#[test]
fn b3_13_etc_hosts_has_the_container_and_what_was_asked_for() {
    let world = World::new();
    world.network("--subnet 10.105.0.0/24 net1");
    world.network("--ipv6 --subnet 10.105.1.0/24 --subnet fd05:1::/64 net2");
    world.idle("--network net1 --ip 10.105.0.9 --hostname box --name c --add-host db:192.0.2.7");
    let hosts = || world.docker("exec c cat /etc/hosts").ok();
    let common = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                  ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n192.0.2.7\tdb\n";
    assert_eq!(hosts(), format!("{common}10.105.0.9\tbox"));
    world
        .docker("network connect --ip 10.105.1.9 --ip6 fd05:1::9 net2 c")
        .ok();
    assert_eq!(
        hosts(),
        format!("{common}10.105.0.9\tbox\n10.105.1.9\tbox\nfd05:1::9\tbox")
    );
    world.docker("network disconnect net1 c").ok();
    assert_eq!(hosts(), format!("{common}10.105.1.9\tbox\nfd05:1::9\tbox"));
    assert_eq!(world.docker("exec c cat /etc/hostname").ok(), "box");

    world.idle("--name off --sysctl net.ipv6.conf.all.disable_ipv6=1 --sysctl net.ipv6.conf.lo.disable_ipv6=1");
    let without = world.docker("exec off cat /etc/hosts").ok();
    assert!(!without.contains("::1"), "{without}");
    world
        .docker("run --rm --network none img cat /etc/hosts")
        .ok();
}

#[test]
fn b3_14_a_users_resolv_conf_is_kept() {
    let world = World::new();
    world.network("net1");
    world.network("net2");
    world.idle("--network net1 --name c");
    let read = |name: &str| {
        world
            .docker(&format!("exec {name} cat /etc/resolv.conf"))
            .ok()
    };
    assert!(read("c").contains("nameserver 127.0.0.11"));
    world
        .docker("exec c sh -c 'echo nameserver 192.0.2.1 >/etc/resolv.conf'")
        .ok();
    world.docker("network connect net2 c").ok();
    assert_eq!(read("c"), "nameserver 192.0.2.1");
    world.docker("restart -t 0 c").ok();
    assert_eq!(read("c"), "nameserver 192.0.2.1");
}

#[test]
fn b3_14_servers_on_the_hosts_loopback_are_left_out() {
    let world = World::prepared(&[], |lab| {
        lab.host(0).write(
            "/run/lab/resolv.conf",
            "nameserver 127.0.0.53\nnameserver ::1\nsearch lab.test\n",
        );
    });
    world.idle("--name c");
    let resolv = world.docker("exec c cat /etc/resolv.conf").ok();
    let servers: Vec<&str> = resolv
        .lines()
        .filter(|line| line.starts_with("nameserver"))
        .collect();
    assert_eq!(
        servers,
        ["nameserver 8.8.8.8", "nameserver 8.8.4.4"],
        "{resolv}"
    );
    assert!(
        resolv.lines().any(|line| line == "search lab.test"),
        "{resolv}"
    );
}

#[test]
fn b3_16_links_are_names_for_one_container_only() {
    let world = World::new();
    world.network("net1");
    world.idle("--network net1 --name target");
    world.idle("--network net1 --name linked --link target:nick");
    world.idle("--network net1 --name other");
    let address = world.address("target", "net1");
    assert_eq!(world.sandbox("linked").dig("+short nick").ok(), address);
    world.docker("exec linked ping -c 1 -W 2 nick").ok();
    assert_eq!(world.sandbox("other").dig("+short +time=1 nick").stdout, "");
}

#[test]
fn b4_10_an_internal_network_leads_nowhere() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--internal --subnet 10.106.0.0/24 in");
        world.serve("--network in --name server -p 8080:80");
        world.idle("--network in --name client");
        let client = world.sandbox("client");
        assert_eq!(client.routes("route show default"), [""; 0]);
        assert_eq!(
            client
                .fetch(&format!("{}:80", world.address("server", "in")))
                .as_deref(),
            Some(HELLO)
        );
        assert!(client.pings("10.106.0.1"), "the gateway");
        // Not even with a route of its own making, and not from outside by one.
        client.sh("ip route add default via 10.106.0.1").ok();
        world
            .peer()
            .sh("ip route add 10.106.0.0/24 via 10.99.0.1")
            .ok();
        let escaped = Capture::start(world.peer(), "eth0", "src net 10.106.0.0/24");
        assert!(!client.pings(lan::OUTSIDE));
        assert_eq!(escaped.stop(), [""; 0]);
        assert!(!world.peer().pings(&world.address("server", "in")));
        assert_eq!(
            world.peer().fetch("10.99.0.1:8080"),
            None,
            "no published port either"
        );
    });
}

#[test]
fn b13_2_network_events_are_told() {
    let world = World::new();
    let mut stream = world.stream(
        "GET",
        &filtered("/events", &json!({"type": ["network", "container"]})),
    );
    stream.set_patience(SOON).expect("a socket has a timeout");
    let id = world.network("--subnet 10.107.0.0/24 net1");
    let container = world.idle("--network net1 --name c");
    world.docker("network disconnect net1 c").ok();
    world.docker("network connect net1 c").ok();
    world.docker("kill c").ok();
    world.docker("wait c").ok();
    world.docker("rm c").ok();
    world.docker("network rm net1").ok();
    world.network("--subnet 10.107.0.0/24 net2");
    world.docker("network prune -f").ok();

    let mut seen = Vec::new();
    for line in std::io::BufReader::new(&mut stream).lines() {
        let event: Value = serde_json::from_str(&line.expect("events go on")).expect("JSON");
        let action = event["Action"].as_str().expect("an action").to_owned();
        let kind = event["Type"].as_str().expect("a type").to_owned();
        if kind == "network" && event["Actor"]["ID"] == *id {
            assert_eq!(event["Actor"]["Attributes"]["name"], "net1");
            assert_eq!(event["Actor"]["Attributes"]["type"], "bridge");
            if action.ends_with("connect") {
                assert_eq!(event["Actor"]["Attributes"]["container"], *container);
            }
            assert_eq!(event["scope"], "local");
        }
        seen.push(format!("{kind} {action}"));
        if action == "prune" {
            break;
        }
    }
    let expected = [
        "network create",
        "container create",
        "network connect",
        "container start",
        "network disconnect",
        "network connect",
        "container kill",
        "network disconnect",
        "container die",
        "container destroy",
        "network destroy",
        "network create",
        "network destroy",
        "network prune",
    ];
    let relevant: Vec<&str> = seen
        .iter()
        .map(String::as_str)
        .filter(|event| expected.contains(event))
        .collect();
    assert_eq!(relevant, expected, "all: {seen:?}");

    let past = world.docker("events --since 1 --until $(date +%s.%N) --filter type=network --filter event=create --format '{{.Action}}'");
    assert_eq!(past.ok(), "create\ncreate");
}
