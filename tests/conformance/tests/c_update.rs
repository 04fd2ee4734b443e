//! Row C-5: a network changed in place, with containers attached.

use sealane_conformance::*;

/// Pings in a sandbox, a hundred a second, while `work` runs; returns how many were lost.
fn lost_while(world: &World, from: &str, to: &[&str], work: impl FnOnce()) -> Vec<u32> {
    let pid = world.sandbox(from).pid();
    let ping = |(index, to): (usize, &&str)| {
        let background = world.host().spawn(&format!(
            "echo $$ >/run/lab/ping.{index}; exec nsenter -t {pid} -n ping -n -i 0.01 -W 1 {to}"
        ));
        background.wait_for("icmp_seq=20");
        background
    };
    let mut pings: Vec<Background> = to.iter().enumerate().map(ping).collect();
    work();
    std::thread::sleep(Duration::from_millis(300));
    let mut lost = |(index, ping): (usize, &mut Background)| {
        let end = format!("kill -INT $(</run/lab/ping.{index})");
        world.host().sh(&end).ok();
        counted(&ping.finish())
    };
    pings.iter_mut().enumerate().map(&mut lost).collect()
}

/// `500 packets transmitted, 499 received`
fn counted(text: &str) -> u32 {
    let line = text
        .lines()
        .find(|line| line.contains("packets transmitted"));
    let line = line.unwrap_or_else(|| panic!("no count in {text}"));
    let number = |word: &str| -> u32 {
        let before = line.split(word).next().unwrap_or_default().trim();
        let number = before.rsplit(' ').next().unwrap_or_default();
        number.parse().unwrap_or_else(|_| panic!("{line}"))
    };
    // One may be on its way when the count is made.
    number("packets").saturating_sub(number("received"))
}

fn mtu(links: &Value) -> Vec<u64> {
    let links = links.as_array().into_iter().flatten();
    links.filter_map(|link| link["mtu"].as_u64()).collect()
}

fn addresses(world: &World, container: &str, family: &str) -> Vec<String> {
    let shown = world
        .sandbox(container)
        .ip_json(&format!("-{family} address show dev eth0"));
    let infos = shown[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |info: &Value| {
        format!(
            "{}/{}",
            info["local"].as_str().unwrap_or_default(),
            info["prefixlen"]
        )
    };
    infos
        .iter()
        .map(text)
        .filter(|text| !text.starts_with("fe80"))
        .collect()
}

#[test]
fn c_5_a_network_changes_under_a_stream_of_pings() {
    with_bridge_filter_off_and_on(|world| {
        let id = world.network("--subnet 10.1.0.0/24 blue");
        world.idle("--name a --network blue");
        world.serve("--name b --network blue -p 8080:80");
        let (a, bridge) = (world.sandbox("a"), format!("br-{}", &id[..12]));
        let update = |flags: &str| world.sealane(&format!("network update blue {flags}")).ok();

        let lost = lost_while(world, "a", &["10.1.0.3", "10.1.0.1", "10.99.0.100"], || {
            update("--label owner=me --label draft --mtu 1400");
            assert_eq!(mtu(&a.ip_json("link show eth0")), [1400]);
            assert_eq!(
                mtu(&world.host().ip_json(&format!("link show {bridge}"))),
                [1400]
            );
            assert_eq!(
                mtu(&world.host().ip_json(&format!("link show master {bridge}"))),
                [1400; 2]
            );

            update("--grow 10.1.0.0/16 --label-rm draft");
            assert_eq!(addresses(world, "a", "4"), ["10.1.0.2/16"]);
            assert_eq!(
                world.host().ip_json(&format!("-4 address show {bridge}"))[0]["addr_info"][0]["prefixlen"],
                16
            );
            assert_eq!(a.routes("route").len(), 2, "{:?}", a.routes("route"));

            update("--ipv6 --subnet fd05::/64");
            assert_eq!(addresses(world, "a", "6"), ["fd05::2/64"]);
            assert!(
                a.routes("-6 route")
                    .iter()
                    .any(|line| line.starts_with("default via fd05::1"))
            );
        });
        assert!(lost.iter().all(|lost| *lost <= 1), "{lost:?}");

        assert!(a.pings("fd05::3") && a.pings("fd05::1"));
        assert!(
            a.sh("ping -c 1 -W 1 -M do -s 1373 10.1.0.3").code != 0,
            "too long a packet"
        );
        assert!(a.sh("ping -c 1 -W 1 -M do -s 1372 10.1.0.3").succeeded());
        assert_eq!(world.peer().fetch("[fd99::1]:8080").as_deref(), Some(HELLO));
        world.idle("--name far --network blue --ip 10.1.200.7");
        assert!(a.pings("10.1.200.7"));
        let shown = world.get("/networks/blue");
        assert_eq!(shown["Labels"], json!({"owner": "me"}));
        assert_eq!(shown["Options"]["com.docker.network.driver.mtu"], "1400");
        assert_eq!(
            shown["IPAM"]["Config"][0],
            json!({"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.1"})
        );
        assert_eq!(shown["EnableIPv6"], true);
        assert_eq!(
            world.inspect("a")["NetworkSettings"]["Networks"]["blue"]["IPPrefixLen"],
            16
        );
        let hosts = world.docker("exec b cat /etc/hosts").ok();
        assert!(hosts.contains("fd05::3"), "{hosts}");
        assert_eq!(a.dig("+short AAAA b").ok(), "fd05::3");

        let lost = lost_while(world, "a", &["10.1.0.1", "fd05::1"], || {
            update("--grow fd05::/48 --mtu 1500");
            update("--icc=false");
            assert!(!a.pings("10.1.0.3"), "icc");
            update("--icc");
        });
        assert!(lost.iter().all(|lost| *lost <= 1), "{lost:?}");
        assert!(a.pings("10.1.0.3") && a.pings("fd05::3"));
        assert_eq!(addresses(world, "a", "6"), ["fd05::2/48"]);
    });
}

#[test]
fn c_5_b7_8_masquerade_and_dns_change_in_place() {
    let mut world = World::new();
    world.network("--subnet 10.1.0.0/24 blue");
    world.idle("--name a --network blue");
    world.idle("--name own --network blue --dns 10.99.0.1");
    let source = |world: &World| {
        accept_one(world.peer(), "10.99.0.100:9000", || {
            world
                .sandbox("a")
                .in_netns(|| drop(std::net::TcpStream::connect("10.99.0.100:9000")));
        })
        .to_string()
    };
    assert_eq!(source(&world), "10.99.0.1");
    world
        .peer()
        .sh("ip route add 10.1.0.0/24 via 10.99.0.1")
        .ok();
    world.sealane("network update blue --masquerade=false").ok();
    assert_eq!(source(&world), "10.1.0.2");
    world.sealane("network update blue --masquerade").ok();
    assert_eq!(source(&world), "10.99.0.1");

    world
        .peer()
        .sh("ip address add 10.99.0.101/24 dev eth0")
        .ok();
    let _upstream = Upstream::start(world.peer(), "10.99.0.101", Manner::Address(7));
    let asked = |world: &World, name: &str| world.sandbox(name).dig("+short x.up.test").ok();
    assert_ne!(asked(&world, "a"), "192.0.2.7");
    world.sealane("network update blue --dns 10.99.0.101").ok();
    assert_eq!(asked(&world, "a"), "192.0.2.7");
    let conf = world.docker("exec a cat /etc/resolv.conf").ok();
    assert!(conf.contains("# ExtServers: [10.99.0.101]"), "{conf}");
    assert_ne!(
        asked(&world, "own"),
        "192.0.2.7",
        "a container's own servers have precedence"
    );
    world.relaunch();
    assert_eq!(asked(&world, "a"), "192.0.2.7");
    world.sealane("network update blue --dns ''").ok();
    assert!(
        !world
            .docker("exec a cat /etc/resolv.conf")
            .ok()
            .contains("10.99.0.101")
    );
}

#[test]
fn c_5_b13_2_what_cannot_change_changes_nothing() {
    let world = World::new();
    world.network("--subnet 10.1.0.0/24 --label a=b blue");
    world.network("--subnet 10.2.0.0/24 green");
    world.idle("--name c --network blue");
    let before = (Snapshot::take(world.host()), world.get("/networks/blue"));
    let subnet = |text: &str| json!({"Labels": {"x": "y"}, "IPAM": {"Config": [{"Subnet": text}]}});
    for (network, body, status, text) in [
        (
            "blue",
            subnet("10.0.0.0/8"),
            403,
            "Pool overlaps with other one on this address space",
        ),
        (
            "blue",
            subnet("10.3.0.0/16"),
            403,
            "subnet 10.1.0.0/24 can only grow in place: 10.3.0.0/16 does not contain it",
        ),
        ("blue", subnet("10.1.0.0/25"), 403, "can only grow in place"),
        (
            "blue",
            subnet("10.1.0.1/16"),
            400,
            "invalid subnet 10.1.0.1/16: it should be 10.1.0.0/16",
        ),
        ("blue", subnet("fd00::/64"), 400, "has no IPv6"),
        ("blue", subnet("nonsense"), 400, "netip.ParsePrefix"),
        (
            "blue",
            json!({"IPAM": {"Config": [{"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.9"}]}}),
            403,
            "the gateway of subnet 10.1.0.0/24 cannot be changed in place",
        ),
        (
            "blue",
            json!({"Options": {"com.docker.network.driver.mtu": "67"}}),
            400,
            "invalid MTU",
        ),
        (
            "blue",
            json!({"Options": {"com.docker.network.driver.mtu": "1000"}, "EnableIPv6": true}),
            400,
            "a network with IPv6 needs 1280",
        ),
        (
            "blue",
            json!({"Options": {"com.docker.network.bridge.name": "other"}}),
            403,
            "cannot be changed in place",
        ),
        (
            "blue",
            json!({"Options": {"com.docker.network.bridge.enable_icc": "maybe"}}),
            400,
            "strconv.ParseBool",
        ),
        (
            "blue",
            json!({"DNS": ["nowhere"]}),
            400,
            "is no IP address of a DNS server",
        ),
        ("blue", json!({"Name": "other"}), 400, "unknown field"),
        (
            "bridge",
            json!({"Labels": {"x": "y"}}),
            403,
            "bridge is a pre-defined network and cannot be updated",
        ),
        ("nosuch", json!({}), 404, "network nosuch not found"),
    ] {
        let path = format!("/networks/{network}/update");
        let answer = refused(&world, "POST", &path, &body);
        assert_eq!(answer.0, status, "{body}: {answer:?}");
        assert!(answer.1.contains(text), "{body}: {answer:?}");
    }
    let mut after = world.get("/networks/blue");
    after["Status"] = before.1["Status"].clone();
    assert_eq!(after, before.1);
    before.0.returns_on(world.host());
    let (status, _) = world.api(
        "POST",
        "/networks/blue/update",
        &json!({"Labels": {"x": "y", "a": null}}),
    );
    assert_eq!(status, 200);
    let updates = world.docker("events --since 1 --until $(date +%s.%N) --filter event=update --format '{{.Type}} {{.Actor.Attributes.name}}'").ok();
    assert_eq!(updates, "network blue", "what changed nothing is no event");
}
