//! What is scarce is named, and what there is can be removed all the same: descriptors, and room on
//! disks.

use sealane_conformance::*;

/// How many descriptors the daemon has open.
fn open(world: &World) -> u64 {
    let pid = world.pid();
    let count = world.host().sh(&format!("ls /proc/{pid}/fd | wc -l")).ok();
    count.parse().expect("a number")
}

/// Limits how many the daemon may have.
fn limit(world: &World, files: u64) {
    let pid = world.pid();
    world
        .host()
        .sh(&format!("prlimit --pid {pid} --nofile={files}:"))
        .ok();
}

/// The kernel removes a pair a moment after the namespace that one end was in.
fn no_endpoint_is_left(world: &World) {
    eventually(SOON, || {
        let left = world.host().sh("ip -o link show type veth | grep veth");
        (!left.succeeded()).then_some(())
    });
}

#[test]
fn c_without_descriptors_containers_are_removed_and_run_again_afterwards() {
    let world = World::new();
    world.network("n");
    // Each published port is a descriptor or two.
    world.serve("--network n --name many -p 7000-7150:7000-7150/udp");
    for name in ["a", "b"] {
        world.serve(&format!("--network n --name {name} -p 80"));
    }
    let before = open(&world);
    // Some more than are used, but fewer than are kept for removals.
    limit(&world, before + 40);
    let refused = world.docker("run -d --network n --name c img sleep 1000");
    refused.fails_with(125, "Too many open files");
    refused.fails_with(125, "LimitNOFILE=");
    world
        .docker("network connect bridge a")
        .fails_with(1, "Too many open files");
    let exec = world.docker("exec a true");
    assert!(
        !exec.succeeded() && exec.to_string().contains("Too many open files"),
        "{exec}"
    );
    world.docker("rm -f a b many c").ok();
    no_endpoint_is_left(&world);
    world.docker("network rm n").ok();
    limit(&world, 1000);
    world.serve("--name again -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

#[test]
fn c_on_full_disks_containers_and_networks_are_removed() {
    let world = World::prepared(&[], |lab| {
        let host = lab.host(0);
        for (path, size) in [("/var/lib/sealane", "96m"), ("/run/sealane", "16m")] {
            host.sh(&format!(
                "mkdir -p {path} && mount -t tmpfs -o size={size} tmpfs {path}"
            ))
            .ok();
        }
    });
    world.network("n");
    world.serve("--network n --name web -p 8080:80");
    for path in ["/var/lib/sealane", "/run/sealane"] {
        world.host().sh(&format!(
            "dd if=/dev/zero of={path}/filler bs=4k status=none"
        ));
    }
    world
        .docker("create --name more --network n img true")
        .fails_with(1, "No space left on device");
    world.docker("rm -f web").ok();
    world.docker("network rm n").ok();
    assert_eq!(world.host().sh("ss -Hltn 'sport = :8080'").ok(), "");
    no_endpoint_is_left(&world);
    world
        .host()
        .sh("rm /var/lib/sealane/filler /run/sealane/filler")
        .ok();
    world.network("n");
    world.serve("--network n --name web -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

/// What the descriptors of the daemon lead to, counted, without the numbers of sockets and pipes.
fn targets(world: &World) -> String {
    let pid = world.pid();
    let script = format!(
        "cd /proc/{pid}/fd && for fd in *; do readlink $fd; done | sed 's/\\[[0-9]*\\]//' | sort | uniq -c"
    );
    world.host().sh(&script).ok()
}

#[test]
fn c_a_soak_leaves_no_descriptor_behind() {
    let world = World::new();
    world.network("--ipv6 n");
    world.network("other");
    let round = |name: &str| {
        let run = format!("run -d --network n --name {name} -p 80 img sleep 1000");
        world.docker(&run).ok();
        world.docker(&format!("exec {name} true")).ok();
        world.docker(&format!("network connect other {name}")).ok();
        world.docker(&format!("restart -t 0 {name}")).ok();
        world.docker(&format!("network disconnect n {name}")).ok();
        world.docker(&format!("rm -f {name}")).ok();
    };
    let round = &round;
    let rounds = |kind: &str, count: usize| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..count {
                        round(&format!("{kind}-{thread}-{number}"));
                    }
                });
            }
        });
    };
    rounds("warm", 2);
    let settled = |world: &World| {
        let mut last = targets(world);
        eventually(Duration::from_secs(20), || {
            std::thread::sleep(Duration::from_millis(300));
            let now = targets(world);
            let same = now == last;
            last = now.clone();
            same.then_some(now)
        })
    };
    let before = settled(&world);
    rounds("soak", 15);
    let after = settled(&world);
    assert_eq!(before, after);
}
