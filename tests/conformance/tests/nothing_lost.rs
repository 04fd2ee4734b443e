//! Nothing is lost: not by a killed daemon, not by a reboot, not by what others do to the host.

use sealane_conformance::*;

/// What the API says of networks and containers, without what a restart may change.
fn account(world: &World) -> Value {
    let networks: Vec<Value> = world
        .get("/networks")
        .as_array()
        .expect("a list")
        .iter()
        .map(|network| {
            let mut full = world.get(&format!(
                "/networks/{}",
                network["Id"].as_str().expect("an id")
            ));
            full.as_object_mut().expect("an object").remove("Status");
            full
        })
        .collect();
    let containers: Vec<Value> = world
        .get("/containers/json?all=1")
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let full = world.inspect(one["Id"].as_str().expect("an id"));
            json!({"Id": full["Id"], "Name": full["Name"], "Pid": full["State"]["Pid"],
               "Status": full["State"]["Status"], "ExitCode": full["State"]["ExitCode"],
               "NetworkSettings": full["NetworkSettings"]})
        })
        .collect();
    json!({"networks": networks, "containers": containers})
}

#[test]
fn b3_1_b3_2_a_killed_daemon_comes_back_with_everything() {
    let mut world = World::with_flags(&["--live-restore"]);
    world.network("--ipv6 --subnet 10.68.0.0/24 --subnet fd68::/64 net1");
    world.network("--internal net2");
    world.serve("--network net1 --name web -p 8080:80 -p 127.0.0.1::80 --network-alias nick");
    world.docker("network connect net2 web").ok();
    world.idle("--name plain -P --expose 443");
    world.idle("--network none --name none");
    world.idle("--network container:web --name shares");
    world
        .docker("create --name never --network net1 img true")
        .ok();
    world
        .docker("run --name ended img sh -c 'exit 3'")
        .fails_with(3, "");
    let said = account(&world);
    let had = Snapshot::take(world.host());
    for round in 0..3 {
        world.kill9();
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        world.launch();
        assert_eq!(account(&world), said, "round {round}");
        had.returns_on(world.host());
    }
    world.stop();
    assert_eq!(
        world.peer().fetch("10.99.0.1:8080").as_deref(),
        Some(HELLO),
        "also after a proper stop"
    );
    world.launch();
    assert_eq!(account(&world), said);
    assert_eq!(
        world.host().fetch("[::1]:8080").as_deref(),
        Some(HELLO),
        "the relay is back"
    );
    assert_eq!(
        world.sandbox("web").dig("+short nick").ok(),
        world.address("web", "net1")
    );
    world.docker("rm -f web plain none shares never ended").ok();
    world.docker("network rm net1 net2").ok();
}

#[test]
fn exits_while_the_daemon_was_dead_are_told_with_their_codes() {
    let mut world = World::new();
    world.run("--name three img sh -c 'sleep 0.5; exit 3'");
    world.run("--name again --restart on-failure:5 img sh -c 'sleep 0.5; exit 4'");
    world.run("--rm --name gone img sleep 0.5");
    world.idle("--name killed");
    let pid = world.sandbox("killed").pid();
    world.kill9();
    world.host().sh(&format!("kill -9 {pid}; sleep 0.8")).ok();
    world.launch();
    let state = |name: &str| {
        let state = world.inspect(name)["State"].clone();
        (
            state["Status"].as_str().map(str::to_owned),
            state["ExitCode"].as_i64(),
        )
    };
    assert_eq!(state("three"), (Some("exited".into()), Some(3)));
    assert_eq!(state("killed"), (Some("exited".into()), Some(137)));
    eventually(SOON, || {
        (world.inspect("again")["RestartCount"].as_i64() > Some(0)).then_some(())
    });
    eventually_is(SOON, 404, || {
        world.api("GET", "/containers/gone/json", &Value::Null).0
    });
    assert_eq!(world.docker("wait three").ok(), "3");
}

#[test]
fn after_a_reboot_restart_policies_bring_containers_back() {
    let mut world = World::new();
    world.network("--subnet 10.69.0.0/24 net1");
    world.serve("--network net1 --name always --restart always -p 8080:80");
    world.idle("--network net1 --name unless --restart unless-stopped");
    world.idle("--network net1 --name stopped --restart unless-stopped");
    world.docker("stop -t 0 stopped").ok();
    world.idle("--network net1 --name never");
    let id = world.get("/networks/net1")["Id"].clone();

    // A reboot is another kernel: no process, no link, no rule, an empty /run, a new boot id.
    world.reboot();
    assert_eq!(world.get("/networks/net1")["Id"], id);
    let status = |name: &str| {
        world.inspect(name)["State"]["Status"]
            .as_str()
            .map(str::to_owned)
    };
    eventually_is(SOON, Some("running".to_owned()), || status("always"));
    eventually_is(SOON, Some("running".to_owned()), || status("unless"));
    assert_eq!(status("stopped").as_deref(), Some("exited"));
    assert_eq!(status("never").as_deref(), Some("exited"));
    let page = eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
    assert_eq!(page, HELLO);
    world.docker("start never").ok();
    assert_eq!(
        world.sandbox("never").dig("+short always").ok(),
        world.address("always", "net1")
    );
}

/// Damages the host, and shows that it is repaired, that it is said, and that traffic flows again.
fn damaged(damage: impl Fn(&World) -> String, told: &str) {
    damaged_with(&[], damage, told);
}

/// The same with flags of the daemon's.
fn damaged_with(flags: &[&str], damage: impl Fn(&World) -> String, told: &str) {
    for on in [false, true] {
        let world = World::prepared(flags, |lab| lab.host(0).br_netfilter(on));
        world.network("--subnet 10.70.0.0/24 net1");
        world.serve("--network net1 --name web -p 8080:80");
        world.idle("--network net1 --name client");
        let had = Snapshot::take(world.host());
        let mut events = world.stream("GET", "/events");
        events.set_patience(SOON).expect("a socket has a timeout");
        let script = damage(&world);
        world.host().sh(&script).ok();
        eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
        had.returns_on(world.host());
        assert!(world.sandbox("client").pings(&world.address("web", "net1")));
        let log = world.log().to_lowercase();
        assert!(
            log.contains("repair") && log.contains(told),
            "{told:?} is not in the log: {log}"
        );
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(&mut events));
        let line = lines.next().expect("an event").expect("an event");
        assert!(line.to_lowercase().contains("repair"), "{line}");
    }
}

#[test]
fn a_flushed_ruleset_is_repaired() {
    let shared = &["--firewall-table=shared"];
    damaged_with(shared, |_| "nft flush ruleset".into(), "nft");
}

#[test]
fn a_deleted_veth_is_repaired() {
    let port = |world: &World| {
        let index = world.sandbox("web").ip_json("link show eth0")[0]["link_index"].clone();
        let links = world.host().ip_json("link");
        let name = links
            .as_array()
            .into_iter()
            .flatten()
            .find(|link| link["ifindex"] == index);
        let name = name
            .and_then(|link| link["ifname"].as_str())
            .expect("its other end")
            .to_owned();
        format!("ip link delete {name}")
    };
    damaged(port, "veth");
}

#[test]
fn a_deleted_bridge_address_is_repaired() {
    let address = |world: &World| {
        let id = world.get("/networks/net1")["Id"].as_str().expect("an id")[..12].to_owned();
        format!("ip address del 10.70.0.1/24 dev br-{id}")
    };
    damaged(address, "10.70.0.1");
}

#[test]
fn a_bridge_set_down_or_deleted_is_repaired() {
    let bridge = |world: &World| {
        let id = world.get("/networks/net1")["Id"].as_str().expect("an id")[..12].to_owned();
        format!("ip link delete br-{id}")
    };
    damaged(bridge, "br-");
}

/// A script about the host's end of a container's link, `PORT`, and its network's bridge, `BRIDGE`.
fn about_links(script: &'static str) -> impl Fn(&World) -> String {
    move |world| {
        let index = world.sandbox("web").ip_json("link show eth0")[0]["link_index"].clone();
        let links = world.host().ip_json("link");
        let mut links = links.as_array().into_iter().flatten();
        let port = links.find(|link| link["ifindex"] == index);
        let port = port.and_then(|link| link["ifname"].as_str().map(str::to_owned));
        let id = world.get("/networks/net1")["Id"].as_str().expect("an id")[..12].to_owned();
        script
            .replace("PORT", &port.expect("its other end"))
            .replace("BRIDGE", &format!("br-{id}"))
    }
}

#[test]
fn links_that_others_set_down_or_take_off_their_bridge_are_repaired() {
    damaged(about_links("ip link set PORT down"), "link");
    damaged(about_links("ip link set PORT nomaster"), "link");
    damaged(
        about_links(
            "ip link add br-other type bridge; ip link set PORT master br-other; \
        ip link delete br-other",
        ),
        "link",
    );
    damaged(about_links("ip link set BRIDGE down"), "br-");
}

#[test]
fn an_mtu_that_others_set_is_repaired() {
    damaged(about_links("ip link set PORT mtu 1400"), "1500");
    damaged(about_links("ip link set BRIDGE mtu 1400"), "1500");
}

/// What `ip -d` says of the port of a bridge.
fn port_flag(world: &World, port: &str, flag: &str) -> Value {
    let links = world.host().ip_json(&format!("-d link show {port}"));
    links[0]["linkinfo"]["info_slave_data"][flag].clone()
}

#[test]
fn ports_that_others_make_another_kind_of_port_are_repaired() {
    // Where bridged packets pass the host's filters, those keep containers apart, and not the ports.
    let world = World::prepared(&[], |lab| lab.host(0).br_netfilter(false));
    world.network("--subnet 10.70.0.0/24 -o com.docker.network.bridge.enable_icc=false net1");
    world.idle("--network net1 --name web -p 8080:80");
    world.idle("--network net1 --name other");
    let port = about_links("PORT")(&world);
    let by_bridge = |flag: &str| format!("bridge link set dev {port} {flag} off");
    for (script, flag) in [
        (
            format!("ip link set {port} type bridge_slave hairpin off"),
            "hairpin",
        ),
        (
            format!("ip link set {port} type bridge_slave isolated off"),
            "isolated",
        ),
        (by_bridge("hairpin"), "hairpin"),
        (by_bridge("isolated"), "isolated"),
        (by_bridge("learning"), "learning"),
    ] {
        assert_eq!(port_flag(&world, &port, flag), true, "{flag}");
        world.host().sh(&script).ok();
        eventually_is(SOON, json!(true), || port_flag(&world, &port, flag));
    }
    // What is not ours to say stays.
    world
        .host()
        .sh(&format!("bridge link set dev {port} cost 7"))
        .ok();
    never(Duration::from_millis(1500), || {
        (port_flag(&world, &port, "cost") != 7).then_some("another cost")
    });
}

#[test]
fn settings_of_which_the_kernel_tells_nobody_are_repaired() {
    let world = World::prepared(&["--icc=false"], |lab| lab.host(0).br_netfilter(false));
    world.serve("--name web -p 8080:80");
    world.network("net1");
    let net1 = format!(
        "br-{}",
        &world.get("/networks/net1")["Id"].as_str().expect("an id")[..12]
    );
    let at_home = || world.host().fetch("127.0.0.1:8080");
    for setting in [
        "ipv4/conf/docker0/route_localnet".to_owned(),
        "ipv4/conf/docker0/proxy_arp_pvlan".to_owned(),
        format!("ipv4/conf/{net1}/route_localnet"),
    ] {
        let read = || {
            world
                .host()
                .sh(&format!("cat /proc/sys/net/{setting}"))
                .ok()
        };
        assert_eq!(read(), "1", "{setting}");
        world.host().sysctl(&setting, "0");
        eventually_is(SOON, "1".to_owned(), read);
    }
    assert_eq!(at_home().as_deref(), Some(HELLO));
    // While repair is paused, it stays as others have it.
    world.sealane("repair pause").ok();
    world.host().sysctl("ipv4/conf/docker0/route_localnet", "0");
    never(Duration::from_millis(2500), || {
        at_home().map(|_| "an answer")
    });
    world.sealane("repair resume").ok();
    assert_eq!(at_home().as_deref(), Some(HELLO));
}

#[test]
fn forwarding_that_others_switch_off_is_repaired() {
    damaged(|_| "sysctl -q net.ipv4.ip_forward=0".into(), "ip_forward");
    for setting in ["ipv4/conf/default/forwarding", "ipv6/conf/all/forwarding"] {
        let world = World::prepared(&[], |lab| {
            lab.host(0).sysctl("ipv6/conf/all/forwarding", "0");
        });
        world.network("--ipv6 --subnet 10.70.0.0/24 --subnet fd70::/64 net1");
        world.idle("--network net1 --name c");
        let read = || {
            world
                .host()
                .sh(&format!("cat /proc/sys/net/{setting}"))
                .ok()
        };
        assert_eq!(read(), "1", "{setting}");
        world.host().sysctl(setting, "0");
        eventually_is(SOON, "1".to_owned(), read);
        assert!(world.sandbox("c").pings(lan::OUTSIDE6));
    }
}

#[test]
fn the_default_bridge_that_others_set_down_is_repaired() {
    let world = World::new();
    world.serve("--name web -p 8080:80");
    world.host().sh("ip link set docker0 down").ok();
    eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
}

#[test]
fn what_a_container_changed_inside_is_left_alone() {
    let world = World::new();
    world.network("net1");
    world.idle("--network net1 --name c");
    let sandbox = world.sandbox("c");
    sandbox.sh("ip address add 192.0.2.1/24 dev eth0 && ip route add 198.18.0.0/15 dev eth0 && nft add table ip mine").ok();
    sandbox.sh("ip route del default").ok();
    world.host().sh("nft flush ruleset").ok();
    eventually(SOON, || {
        world
            .host()
            .sh("nft list ruleset")
            .ok()
            .contains("sealane")
            .then_some(())
    });
    never(Duration::from_millis(500), || {
        (!sandbox.routes("route show default").is_empty()).then_some("a route")
    });
    assert!(
        sandbox
            .sh("ip address show eth0")
            .ok()
            .contains("192.0.2.1/24")
    );
    assert!(sandbox.sh("ip route").ok().contains("198.18.0.0/15"));
    assert!(sandbox.sh("nft list tables").ok().contains("mine"));
}

#[test]
fn purge_removes_every_object_of_ours_and_no_other() {
    let lab = Lab::with_hosts(2);
    lab.host(0)
        .sh("nft add table inet foreign; ip link add br-foreign type bridge")
        .ok();
    let neighbor = Daemon::with_image(lab.host(1), &[]);
    neighbor.run("--name kept img sleep 1000000");
    let mut world = World::of(lab, DaemonOptions::default());
    world.network("--ipv6 net1");
    world.serve("--network net1 --name web -p 8080:80");
    world.kill9();
    // One container is known by its cgroup alone.
    world.host().sh("rm -r /run/sealane/containers").ok();
    let purged = world.host().sh(&format!(
        "{} purge --force --data-root /var/lib/sealane --exec-root /run/sealane \
         --cgroup-parent /sealane-lab-{}",
        binary().display(),
        world.lab().id(),
    ));
    purged.ok();
    let rules = world.host().sh("nft list ruleset").ok();
    assert!(
        rules.contains("foreign") && !rules.contains("sealane"),
        "{rules}"
    );
    let links = world.host().ip_json("link").to_string();
    assert!(
        links.contains("br-foreign") && !links.contains("docker0") && !links.contains("veth0"),
        "{links}"
    );
    let mounts = world.host().sh("findmnt -rn -o TARGET").ok();
    assert!(
        !mounts.contains("/run/sealane/") && !mounts.contains("/var/lib/sealane/"),
        "{mounts}"
    );
    let processes = world.host().sh("ps -e -o args=").ok();
    assert!(
        !processes.contains("httpd") && !processes.contains("conmon"),
        "{processes}"
    );
    // It has its containers in the same parent cgroup.
    assert_eq!(neighbor.inspect("kept")["State"]["Running"], true);
    assert!(neighbor.docker("exec kept true").succeeded());
}

#[test]
fn b3_2_without_live_restore_a_stop_ends_the_containers() {
    let mut world = World::new();
    world.serve("--name back --restart always -p 8080:80");
    world.run(
        "--name polite img sh -c 'trap \"exit 5\" TERM; echo ready; while :; do sleep 0.05; done'",
    );
    world.wait_for_output("polite", "ready");
    world.stop();
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    let processes = world.host().sh("ps -e -o args=").ok();
    assert!(
        !processes.contains("httpd") && !processes.contains("conmon"),
        "{processes}"
    );
    world.launch();
    assert_eq!(
        eventually(SOON, || world.peer().fetch("10.99.0.1:8080")),
        HELLO
    );
    let state = world.inspect("polite")["State"].clone();
    assert_eq!(
        (state["Running"].as_bool(), state["ExitCode"].as_i64()),
        (Some(false), Some(5))
    );
}
