//! Dry runs beside real operations: nothing that another client sees comes of them.

use sealane_conformance::*;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// What another client sees of what the dry runs are about.
fn seen(world: &World) -> Vec<Value> {
    let container = world.inspect("web");
    let networks = ["blue", "green"].map(|name| world.get(&format!("/networks/{name}")));
    let mut seen = vec![
        container["NetworkSettings"].clone(),
        container["HostConfig"]["PortBindings"].clone(),
    ];
    seen.extend(networks);
    seen
}

const DRY_RUNS: [&str; 8] = [
    "plan run --network blue -p 8443:80 img httpd",
    "plan connect green web",
    "plan disconnect blue web",
    "plan stop web",
    "plan network-create --subnet 10.79.0.0/24 red",
    "plan network-rm green",
    "plan network update blue --ipv6 --subnet fd77::/64",
    "plan publish add web 8444:80",
];

/// A plan without what is drawn anew for each: the id of a container that is not there, and what is
/// named after it.
fn decided(plan: &str) -> String {
    let drawn = |c: char| c.is_ascii_hexdigit() || c == ':';
    let mut decided = String::new();
    let mut rest = plan;
    while let Some(first) = rest.chars().next() {
        let end = rest
            .find(|c| drawn(c) != drawn(first))
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        decided.push_str(if drawn(first) && end >= 7 { "ID" } else { part });
        rest = after;
    }
    decided
}

/// Ends the load, also when a look at it fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes and removes containers and networks until told to stop; says how many.
fn load(world: &World, ended: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !ended.load(Ordering::Relaxed) {
        world.network("--subnet 10.78.9.0/24 busy");
        world.idle("--network busy --name busy -p 8090:80");
        world.docker("rm -f busy").ok();
        world.docker("network rm busy").ok();
        rounds += 1;
    }
    rounds
}

#[test]
fn c_28_dry_runs_under_load_touch_nothing() {
    let world = World::new();
    world.network("--subnet 10.77.0.0/24 blue");
    world.network("--subnet 10.78.0.0/24 green");
    world.serve("--network blue --name web -p 8080:80");
    world.idle("--network blue --name db");
    // A witness that looks all the time whether one of the ports is taken.
    let watch = "while :; do ss -Hltn '( sport = :8443 or sport = :8444 )'; done";
    let mut witness = world.host().spawn(watch);
    let before = seen(&world);
    let ended = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let load = scope.spawn(|| load(&world, &ended));
        let ending = Ending(&ended);
        for round in 0..3 {
            for dry_run in DRY_RUNS {
                // Two at once say the same.
                let other = scope.spawn(|| world.sealane(dry_run).ok());
                let own = world.sealane(dry_run).ok();
                assert_eq!(decided(&own), decided(&other.join().unwrap()), "{dry_run}");
                assert!(!own.is_empty() && !own.contains("nothing would"), "{own}");
            }
            assert_eq!(seen(&world), before, "after round {round}");
        }
        drop(ending);
        load.join().unwrap()
    });
    assert!(rounds > 0, "there was load");
    assert!(witness.runs());
    assert_eq!(witness.output(), "", "no port was ever bound");
    drop(witness);
    // What they named is free: the next real ones get just that.
    let planned = world.sealane(DRY_RUNS[0]).ok();
    world.serve("--network blue --name next -p 8443:80");
    let address = world.address("next", "blue");
    assert_eq!(address, "10.77.0.4");
    assert!(planned.contains(&address), "{planned}");
}

#[test]
fn c_28_a_dry_run_says_that_a_socket_is_bound_that_does_not_listen() {
    let world = World::new();
    let script = "import socket, time; \
                  tcp = socket.socket(); tcp.bind(('10.99.0.1', 8443)); \
                  udp = socket.socket(type=socket.SOCK_DGRAM); udp.bind(('0.0.0.0', 5353)); \
                  udp.connect(('10.99.0.100', 53)); \
                  print('bound', flush=True); time.sleep(1000)";
    let other = world.host().spawn(&format!("exec python3 -c \"{script}\""));
    other.wait_for("bound");
    let listed = world
        .host()
        .sh("ss -Hltun '( sport = :8443 or sport = :5353 )'");
    assert_eq!(listed.stdout, "", "neither of them listens");
    for (port, address) in [
        ("8443:80", "0.0.0.0:8443/tcp"),
        ("10.99.0.1:8443:80", "10.99.0.1:8443/tcp"),
        ("5353:53/udp", "0.0.0.0:5353/udp"),
    ] {
        let wanted = format!("failed to bind host port {address}: address already in use");
        let planned = world.sealane(&format!("plan run -p {port} img httpd"));
        assert_ne!(planned.code, 0, "{planned}");
        assert!(planned.stderr.contains(&wanted), "{planned}");
        let real = world.docker(&format!("run --rm -p {port} img true"));
        assert!(real.stderr.contains(&wanted), "so it is: {real}");
    }
    world
        .sealane("plan run -p 127.0.0.1:8443:80 img httpd")
        .ok();
    drop(other);
    world
        .sealane("plan run -p 8443:80 -p 5353:53/udp img httpd")
        .ok();
}

#[test]
fn c_28_a_dry_run_says_that_another_program_has_the_port() {
    let world = World::new();
    let _other = world.host().spawn("exec busybox nc -l -p 8443");
    eventually(SOON, || {
        let listening = world.host().sh("ss -Hltn 'sport = :8443'").stdout;
        (!listening.is_empty()).then_some(())
    });
    let refused = world.sealane("plan run -p 8443:80 img httpd");
    assert!(refused.code != 0, "{refused}");
    assert!(
        refused.stderr.contains("address already in use"),
        "{refused}"
    );
    let planned = world.sealane("plan run -p 8442-8444:80 img httpd").ok();
    assert!(planned.contains("8442"), "{planned}");
}
