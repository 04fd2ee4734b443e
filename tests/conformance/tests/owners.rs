//! Two daemons with an owner each in one network namespace.

use sealane_conformance::*;

const OTHER: &str = "--owner other --data-root /var/lib/sealane/other --exec-root /run/other \
                     --pidfile /run/other.pid -H unix:///run/other.sock";

const PURGE_OTHER: &str = "purge -f --owner other --data-root /var/lib/sealane/other \
                           --exec-root /run/other --pidfile /run/other.pid";

/// Starts a further daemon beside a world's, with flags, and returns what it runs as.
fn beside(world: &World, flags: &str) -> Background {
    // In the first one's cgroup, with which the lab goes.
    let script = format!(
        "exec setpriv --pdeathsig KILL {} daemon --cgroup-parent /sealane-lab-{} {flags}",
        binary().display(),
        world.host().lab()
    );
    world.host().spawn(&script)
}

/// The `docker` CLI at the other daemon.
fn other(world: &World, arguments: &str) -> Outcome {
    world
        .host()
        .sh(&format!("docker -H unix:///run/other.sock {arguments}"))
}

fn wait_for_other(world: &World) {
    eventually(SOON, || (other(world, "version").code == 0).then_some(()));
}

/// The names of links and tables on the host, as `ip` and `nft` tell them.
fn on_host(world: &World) -> (Vec<String>, Vec<String>) {
    let texts = |list: &Value, path: &dyn Fn(&Value) -> Value| {
        let all = list.as_array().into_iter().flatten();
        let mut names: Vec<String> = all
            .filter_map(|entry| path(entry).as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    let links = world.host().ip_json("link");
    let tables = world.host().nft_json("list tables");
    let table = |entry: &Value| entry["table"]["name"].clone();
    (
        texts(&links, &|link| link["ifname"].clone()),
        texts(&tables["nftables"], &table),
    )
}

/// Kills a daemon as a crash would, by its pid file.
fn kill9(world: &World, pidfile: &str) {
    world.host().sh(&format!("kill -9 $(<{pidfile})")).ok();
}

#[test]
fn two_daemons_with_owners_live_in_one_namespace() {
    let mut world = World::new();
    let mut second = beside(&world, OTHER);
    wait_for_other(&world);
    let image = repository().join(".cache/busybox.tar");
    let import = format!("import {} img", image.display());
    assert_eq!(other(&world, &import).code, 0);
    world.serve("--name web -p 8080:80");
    let run = format!("run -d --name web -p 8081:80 img {HTTPD}");
    other(&world, &run).ok();
    let answer = |world: &World, port: u16| {
        let at = format!("10.99.0.1:{port}");
        eventually(SOON, || world.peer().fetch(&at))
    };
    assert_eq!(
        (answer(&world, 8080), answer(&world, 8081)),
        (HELLO.into(), HELLO.into())
    );

    let before = on_host(&world);
    for table in ["sealane", "sealane-other"] {
        assert!(before.1.contains(&table.to_owned()), "{:?}", before.1);
    }
    for bridge in ["docker0", "sealane0"] {
        assert!(before.0.contains(&bridge.to_owned()), "{:?}", before.0);
    }

    world.relaunch();
    assert_eq!(on_host(&world), before, "the first was killed and swept");
    kill9(&world, "/run/other.pid");
    second.finish();
    let mut second = beside(&world, OTHER);
    wait_for_other(&world);
    assert_eq!(on_host(&world), before, "the second was killed and swept");
    assert_eq!(
        (answer(&world, 8080), answer(&world, 8081)),
        (HELLO.into(), HELLO.into())
    );

    other(&world, "rm -f web").ok();
    assert_eq!(answer(&world, 8080), HELLO);
    kill9(&world, "/run/other.pid");
    second.finish();
    world.sealane(PURGE_OTHER).ok();
    let (links, tables) = on_host(&world);
    assert!(!tables.contains(&"sealane-other".to_owned()), "{tables:?}");
    assert!(!links.contains(&"sealane0".to_owned()), "{links:?}");
    assert_eq!(
        answer(&world, 8080),
        HELLO,
        "the other's purge was not ours"
    );
}

/// A network behind the host that no daemon of ours made, and the way there from the LAN.
fn foreign_network(world: &World) {
    let host = "ip netns add far; ip link add near type veth peer name eth0 netns far; \
                ip address add 10.73.0.1/24 dev near; ip link set near up; \
                ip -n far address add 10.73.0.2/24 dev eth0; ip -n far link set eth0 up; \
                ip -n far route add default via 10.73.0.1";
    world.host().sh(host).ok();
    let way = "ip route add 10.73.0.0/24 via 10.99.0.1";
    world.peer().sh(way).ok();
}

/// The families that a daemon's table keeps from links that are not ours.
fn kept_from_others(world: &World, table: &str) -> Value {
    let map = world
        .host()
        .nft_json(&format!("list map inet {table} foreign"));
    map["nftables"][1]["map"]["elem"].clone()
}

#[test]
fn forwarding_that_one_owner_switched_on_is_for_the_networks_of_all() {
    for bridge_filter in [false, true] {
        let mut world = World::prepared(&[], |lab| {
            lab.host(0).sysctl("ipv4/ip_forward", "0");
            lab.host(0).br_netfilter(bridge_filter);
        });
        let mut second = beside(&world, OTHER);
        wait_for_other(&world);
        foreign_network(&world);
        let image = repository().join(".cache/busybox.tar");
        other(&world, &format!("import {} img", image.display())).ok();
        world.serve("--name web -p 8080:80");
        other(&world, &format!("run -d --name web -p 8081:80 img {HTTPD}")).ok();
        let answers = |world: &World, port: u16| {
            let at = format!("10.99.0.1:{port}");
            eventually(SOON, || world.peer().fetch(&at)) == HELLO
        };
        let other_leads_out = |world: &World| {
            let pid = other(world, "inspect -f {{.State.Pid}} web").ok();
            let ping = format!("nsenter -t {pid} -n ping -n -c 1 -W 2 {}", lan::OUTSIDE);
            world.host().sh(&ping).succeeded()
        };

        let ipv4 = json!([["ipv4", {"drop": null}]]);
        for table in ["sealane", "sealane-other"] {
            assert_eq!(kept_from_others(&world, table), ipv4, "{table}");
        }
        assert!(answers(&world, 8080) && answers(&world, 8081));
        assert!(
            world.sandbox("web").pings(lan::OUTSIDE),
            "the first leads out"
        );
        assert!(other_leads_out(&world), "the second leads out");
        assert!(!world.peer().pings("10.73.0.2"), "the host is no router");

        // The first goes; what it had switched on stays on, and stays ours.
        world.docker("rm -f web").ok();
        world.stop();
        let purge = format!(
            "{} purge -f --cgroup-parent /sealane-lab-{}",
            binary().display(),
            world.host().lab()
        );
        world.host().sh(&purge).ok();
        let forwards = |world: &World| world.host().sh("sysctl -n net.ipv4.ip_forward").ok();
        assert_eq!(forwards(&world), "1");
        assert!(answers(&world, 8081) && other_leads_out(&world));
        assert!(!world.peer().pings("10.73.0.2"));

        // The last one gives it back.
        other(&world, "rm -f web").ok();
        kill9(&world, "/run/other.pid");
        second.finish();
        world.sealane(PURGE_OTHER).ok();
        assert_eq!(forwards(&world), "0");
        world.host().sh("ip netns del far").ok();
    }
}

#[test]
fn a_second_daemon_of_the_same_owner_is_refused_with_a_sentence() {
    let world = World::new();
    let flags = "--data-root /var/lib/sealane/other --exec-root /run/other --pidfile /run/other.pid \
                 -H unix:///run/other.sock";
    let said = beside(&world, &format!("{flags} 2>&1")).finish();
    assert!(
        said.contains("another sealane daemon works in this network namespace as \"sealane\"; give this one an --owner"),
        "{said}"
    );
    let said = beside(&world, &format!("{flags} --owner Bad 2>&1")).finish();
    assert!(said.contains("\"Bad\" cannot be an owner"), "{said}");
}

#[test]
fn the_bridge_of_another_daemon_is_not_taken_over() {
    let world = World::new();
    let _second = beside(&world, &format!("{OTHER} --bridge none"));
    wait_for_other(&world);
    let refused = other(
        &world,
        "network create -o com.docker.network.bridge.name=docker0 mine",
    );
    assert_ne!(refused.code, 0);
    assert!(
        refused
            .stderr
            .contains("interface docker0 belongs to another sealane daemon, sealane"),
        "{refused}"
    );
}
