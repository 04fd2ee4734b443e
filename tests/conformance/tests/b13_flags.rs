//! The daemon's flags and keys that no other chapter has, and what SIGHUP reads again.

use sealane_conformance::*;

const FILE: &str = "/run/lab/daemon.json";

/// A host with a file of settings.
fn with_file(settings: &Value) -> World {
    World::prepared(&["--config-file", FILE], |lab| {
        lab.host(0).write(FILE, &settings.to_string());
    })
}

/// Changes the file and has it read.
fn reload(world: &World, settings: &Value) {
    let reloads = || world.log().matches("settings were").count();
    let before = reloads();
    world.host().write(FILE, &settings.to_string());
    world.signal("HUP");
    eventually(SOON, || (reloads() > before).then_some(()));
}

#[test]
fn b13_1_an_unknown_key_is_refused_at_start() {
    let mut world = with_file(&json!({}));
    world.kill9();
    let text = json!({"nosuch": 1, "mtu": 1400}).to_string();
    world.host().write(FILE, &text);
    let log = world.try_launch().expect_err("a key means nothing");
    let told = "the following directives don't match any configuration option: nosuch";
    assert!(log.contains(told), "{log}");
    world.host().write(FILE, "{");
    assert!(world.try_launch().is_err());
    world.host().write(FILE, &json!({"mtu": "big"}).to_string());
    let log = world.try_launch().expect_err("not a number");
    assert!(log.contains("mtu"), "{log}");
}

#[test]
fn b13_1_default_network_opt_is_for_new_networks_that_say_nothing() {
    let option = "bridge=com.docker.network.driver.mtu=1234";
    let world = World::with_flags(&["--default-network-opt", option]);
    let mtu = |id: &str| {
        let link = world.host().ip_json(&format!("link show br-{}", &id[..12]));
        link[0]["mtu"].clone()
    };
    assert_eq!(mtu(&world.network("net1")), 1234);
    assert_eq!(
        mtu(&world.network("-o com.docker.network.driver.mtu=1300 net2")),
        1300
    );
    assert_eq!(world.host().ip_json("link show docker0")[0]["mtu"], 1500);
}

#[test]
fn b13_1_host_gateway_ip_may_be_several_and_has_an_older_name() {
    let hosts = |world: &World| {
        world
            .docker("run --rm --add-host up:host-gateway img cat /etc/hosts")
            .ok()
    };
    let flags = [
        "--host-gateway-ip",
        "192.0.2.1",
        "--host-gateway-ip",
        "2001:db8::1",
    ];
    let told = hosts(&World::with_flags(&flags));
    assert!(
        told.contains("192.0.2.1\tup") && told.contains("2001:db8::1\tup"),
        "{told}"
    );
    let told = hosts(&with_file(&json!({"host-gateway-ip": "192.0.2.2"})));
    assert!(told.contains("192.0.2.2\tup"), "{told}");
}

#[test]
fn b13_1_without_the_userland_proxy_only_the_kernel_serves() {
    let world = World::with_flags(&["--userland-proxy=false"]);
    world.serve("--name web -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
    assert_eq!(world.host().fetch("[::1]:8080"), None, "this takes a relay");
    let taken = world
        .host()
        .in_netns(|| std::net::TcpListener::bind("0.0.0.0:8080"));
    assert!(taken.is_err(), "the port is held all the same");
}

#[test]
fn b13_1_what_means_nothing_here_is_taken_and_said() {
    let flags = [
        ("--network-control-plane-mtu", "1400"),
        ("--swarm-default-advertise-addr", "eth0"),
        ("--userland-proxy-path", "/usr/bin/docker-proxy"),
    ];
    let line: Vec<&str> = flags
        .iter()
        .flat_map(|(flag, value)| [*flag, *value])
        .collect();
    let world = World::with_flags(&line);
    for (flag, _) in flags {
        let told = format!("{flag} has no effect");
        assert!(
            world.log().contains(&told),
            "{told} is not in {}",
            world.log()
        );
    }
}

#[test]
fn b13_1_a_hangup_reads_labels_debug_live_restore_and_shutdown_timeout_again() {
    let mut world = with_file(&json!({"labels": ["color=blue"]}));
    assert_eq!(world.get("/info")["Debug"], false);
    let settings = json!({"labels": ["color=red"], "debug": true, "live-restore": true,
                          "shutdown-timeout": 1});
    reload(&world, &settings);
    let info = world.get("/info");
    assert_eq!(info["Labels"], json!(["color=red"]));
    assert_eq!(
        (&info["Debug"], &info["LiveRestoreEnabled"]),
        (&json!(true), &json!(true))
    );
    let told = world
        .docker("events --since 1 --until $(date +%s.%N) --filter type=daemon")
        .ok();
    assert!(
        told.contains("daemon reload") && told.contains("shutdown-timeout=1"),
        "{told}"
    );

    // Nonsense changes nothing.
    reload(&world, &json!({"nosuch": 1}));
    assert_eq!(world.get("/info")["Labels"], json!(["color=red"]));

    // Containers stay, as was said last.
    reload(&world, &settings);
    world.serve("--name web -p 8080:80");
    world.stop();
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    world.launch();
    // One that ignores its signal is ended when its time is over.
    world.run("--name deaf --stop-timeout 1000 img sh -c 'trap : TERM; echo ready; while :; do sleep 1; done'");
    world.wait_for_output("deaf", "ready");
    reload(&world, &json!({"shutdown-timeout": 1}));
    world.stop();
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    world.launch();
    assert_eq!(world.inspect("deaf")["State"]["ExitCode"], 137);
}
