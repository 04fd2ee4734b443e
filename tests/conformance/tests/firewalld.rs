//! Hosts with firewalld, Debian's own: its bus and its files are the simulated host's.

use sealane_conformance::*;

fn interfaces(firewalld: &Firewalld) -> String {
    firewalld.cmd("--zone=docker --list-interfaces")
}

/// A published port leads in, and containers get out and reach each other.
#[track_caller]
fn passes(world: &World) {
    // One that has just come has to make a zone, and to reload.
    eventually(Duration::from_secs(40), || {
        let inwards = world.peer().fetch("10.99.0.1:8080").as_deref() == Some(HELLO);
        let inwards6 = world.peer().fetch("[fd99::1]:8080").as_deref() == Some(HELLO);
        let web = world.sandbox("web");
        let outwards = web.pings(lan::OUTSIDE) && web.pings(lan::OUTSIDE6);
        (inwards && inwards6 && outwards).then_some(())
    });
    let db = world
        .sandbox("db")
        .fetch(&format!("{}:80", world.address("web", "blue")));
    assert_eq!(db.as_deref(), Some(HELLO));
}

fn populate(world: &World) {
    world.network("--ipv6 --subnet 10.82.0.0/24 --subnet fd82::/64 blue");
    world.serve("--network blue --name web -p 8080:80");
    world.idle("--network blue --name db");
}

#[test]
fn b6_6_c_23_firewalld_lets_containers_pass_also_after_a_reload() {
    for on in [false, true] {
        let lab = Lab::new();
        let host = lab.host(0).clone();
        host.br_netfilter(on);
        let firewalld = Firewalld::start(&host);
        let world = World::of(lab, DaemonOptions::default());
        populate(&world);
        passes(&world);
        let bridge = world.docker("network inspect -f {{.Id}} blue").ok();
        let bridge = format!("br-{}", &bridge[..12]);
        let zone = interfaces(&firewalld);
        assert!(zone.contains("docker0") && zone.contains(&bridge), "{zone}");
        assert_eq!(
            firewalld.cmd("--zone=docker --permanent --get-target"),
            "ACCEPT"
        );
        let policy = firewalld.cmd("--info-policy docker-forwarding");
        for part in [
            "ingress-zones: ANY",
            "egress-zones: docker",
            "target: ACCEPT",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        // What it keeps from the host and from others is kept.
        assert_eq!(firewalld.cmd("--get-default-zone"), "public");

        firewalld.cmd("--reload");
        passes(&world);
        firewalld.cmd("--complete-reload");
        passes(&world);
        let zone = interfaces(&firewalld);
        assert!(zone.contains("docker0") && zone.contains(&bridge), "{zone}");

        world.docker("rm -f web db").ok();
        world.docker("network rm blue").ok();
        let zone = interfaces(&firewalld);
        assert!(
            zone.contains("docker0") && !zone.contains(&bridge),
            "{zone}"
        );
        let found = world.sealane("doctor").stdout;
        assert!(
            found.contains("firewalld is at work; the daemon gives it a zone"),
            "{found}"
        );
    }
}

#[test]
fn b6_6_firewalld_may_come_later_and_start_anew() {
    let world = World::new();
    populate(&world);
    passes(&world);
    let mut running = Firewalld::start(world.host());
    passes(&world);
    world
        .host()
        .sh("kill $(pgrep -f '[u]sr/sbin/firewalld') $(pgrep -x dbus-daemon); sleep 0.3")
        .ok();
    drop(std::mem::replace(
        &mut running,
        Firewalld::start(world.host()),
    ));
    eventually(Duration::from_secs(20), || {
        interfaces(&running).contains("docker0").then_some(())
    });
    passes(&world);
}

#[test]
fn b6_6_firewalld_is_left_alone_where_that_is_asked_for() {
    let lab = Lab::new();
    let host = lab.host(0).clone();
    let firewalld = Firewalld::start(&host);
    let options = DaemonOptions {
        flags: vec!["--firewall-integration=off".into()],
        ..DaemonOptions::default()
    };
    let world = World::of(lab, options);
    populate(&world);
    assert!(
        !world.sandbox("web").pings(lan::OUTSIDE),
        "it is firewalld that rejects"
    );
    assert!(!firewalld.cmd("--get-zones").contains("docker"));
    let found = world.sealane("doctor");
    assert_eq!(found.code, 1, "{found}");
    assert!(
        found
            .stdout
            .contains("the daemon was told not to talk to it"),
        "{found}"
    );
}

#[test]
fn b6_6_a_purge_leaves_firewalld_as_it_was() {
    let lab = Lab::new();
    let host = lab.host(0).clone();
    let firewalld = Firewalld::start(&host);
    let before = (
        firewalld.cmd("--get-zones"),
        firewalld.cmd("--get-policies"),
    );
    let mut world = World::of(lab, DaemonOptions::default());
    populate(&world);
    world.stop();
    let purge = format!(
        "{} purge -f --cgroup-parent /sealane-lab-{}",
        binary().display(),
        world.lab().id()
    );
    host.sh(&purge).ok();
    assert_eq!(
        (
            firewalld.cmd("--get-zones"),
            firewalld.cmd("--get-policies")
        ),
        before
    );
    assert_eq!(
        host.sh("ls /run/firewalld/zones /run/firewalld/policies | grep 'docker.*xml$'")
            .stdout,
        ""
    );
}

/// What goes on while firewalld does not answer: other networks and their containers, all of it.
fn others_go_on(world: &World, round: usize) {
    let (net, name) = (format!("other{round}"), format!("c{round}"));
    world.docker("rm -f db").ok();
    world.idle("--network blue --name db");
    world.network(&net);
    world.idle(&format!("--network blue --name {name}"));
    world.docker(&format!("network connect {net} {name}")).ok();
    world
        .docker(&format!("network disconnect {net} {name}"))
        .ok();
    world.sealane(&format!("plan network-rm {net}")).ok();
    world.docker(&format!("rm -f {name}")).ok();
}

#[test]
fn b6_6_a_firewalld_that_hangs_is_waited_for_by_none_but_its_own_network() {
    let lab = Lab::new();
    let host = lab.host(0).clone();
    let firewalld = Firewalld::start(&host);
    let world = World::of(lab, DaemonOptions::default());
    populate(&world);
    passes(&world);
    let mut overtaken = false;
    for round in 0..5 {
        firewalld.hang();
        let ended = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                world.network(&format!(
                    "-o com.docker.network.bridge.name=slow{round} slow{round}"
                ));
                ended.store(true, order);
            });
            // It is in the kernel, and waits for firewalld to know it.
            eventually(Duration::from_secs(20), || {
                let made = host.sh(&format!("ip -o link show slow{round}")).succeeded();
                made.then_some(())
            });
            others_go_on(&world, round);
            overtaken = !ended.load(order);
            slow.join().unwrap();
        });
        firewalld.go_on();
        // What it missed is entered now.
        eventually(Duration::from_secs(60), || {
            interfaces(&firewalld)
                .contains(&format!("slow{round}"))
                .then_some(())
        });
        if overtaken {
            return passes(&world);
        }
    }
    panic!("the network that waits for firewalld always was first");
}
