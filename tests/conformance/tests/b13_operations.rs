//! Operating a daemon: events, pruning, usage, restarts, and leaving a terminal.

use sealane_conformance::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// A connection that became a byte stream.
struct Taken(UnixStream);

impl Taken {
    /// Sends a request with `Upgrade` and reads the head of the answer.
    fn open(world: &World, path: &str, body: &str) -> Self {
        let socket = world.host().path("/run/docker.sock");
        let mut stream = UnixStream::connect(socket).expect("the daemon listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it is taken");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head);
        assert!(text.starts_with("HTTP/1.1 101"), "{text}");
        Self(stream)
    }

    fn types(&mut self, keys: &[u8]) {
        self.0.write_all(keys).expect("it is taken");
    }

    /// Reads until a text has come.
    fn sees(&mut self, text: &str) {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            let read = self.0.read_exact(&mut byte);
            read.unwrap_or_else(|error| {
                panic!("{text:?} did not come, but {seen:?} and then {error}")
            });
            seen.push(byte[0]);
        }
    }

    /// Reads to the end.
    fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("it ends in time");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What the stock CLI prints of the events so far.
fn past_events(world: &World, arguments: &str) -> String {
    world
        .docker(&format!(
            "events --since 1 --until $(date +%s.%N) {arguments}"
        ))
        .ok()
}

#[test]
fn detach_keys_leave_a_terminal_and_the_program_runs_on() {
    let world = World::new();
    world.run("-it --name c img sh");
    let path = "/containers/c/attach?stream=1&stdin=1&stdout=1";
    let mut usual = Taken::open(&world, path, "");
    usual.types(b"echo o''ne\n");
    usual.sees("one");
    usual.types(b"\x10\x11");
    usual.rest();
    assert_eq!(world.inspect("c")["State"]["Running"], true);

    let mut own = Taken::open(&world, &format!("{path}&detachKeys=a,ctrl-_"), "");
    own.types(b"# \x10\x11\necho t''wo\n");
    own.sees("two");
    own.types(b"a");
    own.types(b"\x1f");
    own.rest();
    assert_eq!(world.inspect("c")["State"]["Running"], true);
    let told = past_events(
        &world,
        "--filter event=detach --format '{{.Actor.Attributes.name}}'",
    );
    assert_eq!(told, "c\nc");

    let bad = "/containers/c/attach?stream=1&detachKeys=ctrl-A";
    let refusal = refused(&world, "POST", bad, &Value::Null);
    assert_eq!(
        refusal,
        (400, "Invalid detach keys (ctrl-A) provided".into())
    );
}

#[test]
fn detach_keys_leave_an_exec_too() {
    let world = World::new();
    world.idle("--name c");
    let exec = json!({"Cmd": ["sleep", "1000"], "Tty": true, "AttachStdin": true,
                      "AttachStdout": true, "DetachKeys": "x,y"});
    let (status, made) = world.api("POST", "/containers/c/exec", &exec);
    assert_eq!(status, 201, "{made}");
    let id = made["Id"].as_str().expect("an id");
    let body = json!({"Tty": true}).to_string();
    let mut taken = Taken::open(&world, &format!("/exec/{id}/start"), &body);
    taken.types(b"xy");
    taken.rest();
    assert_eq!(world.get(&format!("/exec/{id}/json"))["Running"], true);
    let told = past_events(
        &world,
        "--filter event=exec_detach --format '{{.Actor.Attributes.execID}}'",
    );
    assert_eq!(told, id);
    let mut bad = exec;
    bad["DetachKeys"] = "nosuch".into();
    let refusal = refused(&world, "POST", "/containers/c/exec", &bad);
    let text = "Invalid escape keys (nosuch) provided";
    assert_eq!(refusal, (500, text.into()));
}

#[test]
fn without_a_terminal_every_key_is_input() {
    let world = World::new();
    world.docker("create -i --name c img cat").ok();
    world.docker("start c").ok();
    let path = "/containers/c/attach?stream=1&stdin=1&stdout=1";
    let mut taken = Taken::open(&world, path, "");
    taken.types(b"\x10\x11end");
    taken.sees("\x10\x11end");
    taken.0.shutdown(Shutdown::Write).expect("a half");
}

#[test]
fn a_log_followed_until_a_time_ends_then() {
    let world = World::new();
    world.run("--name c img sh -c 'while :; do echo tick; sleep 0.05; done'");
    world.run("--name quiet img sh -c 'echo once; sleep 1000000'");
    world.wait_for_output("c", "tick");
    world.wait_for_output("quiet", "once");
    let lines = world.docker("logs c").ok().lines().count();
    let followed = world.docker("logs -f --until=-1s c").ok();
    assert!(followed.lines().count() > lines, "{followed}");
    assert_eq!(world.docker("logs -f --until=-1s quiet").ok(), "once");
    assert_eq!(world.docker("ps -q").ok().lines().count(), 2);
}

#[test]
fn b3_2_a_connection_lasts_over_a_restart_and_a_crash() {
    let mut world = World::with_flags(&["--live-restore"]);
    world.network("net1");
    world.idle("--network net1 --name web -p 8080:80");
    world.idle("--network net1 --name other");
    let sandbox = world.sandbox("web");
    let talk = Conversation::start(&sandbox, 80, world.peer(), "10.99.0.1:8080");
    for crash in [false, true] {
        match crash {
            true => world.kill9(),
            false => world.stop(),
        }
        let before = talk.rounds();
        eventually(SOON, || (talk.rounds() > before).then_some(()));
        world.launch();
        let before = talk.rounds();
        eventually(SOON, || (talk.rounds() > before).then_some(()));
        let other = world.address("other", "net1");
        assert_eq!(sandbox.dig("+short other").ok(), other);
        let bound = world.host().sh("ss -Hltn 'sport = :8080'").ok();
        assert!(!bound.is_empty(), "the port is held again");
    }
    talk.finish().expect("it never broke");
}

#[test]
fn b3_3_the_default_bridge_stays_while_containers_run() {
    let mut world = World::new();
    world.idle("--name c");
    let had = world.get("/networks/bridge");
    let flags = ["--bip", "10.55.0.1/24", "--mtu", "1400", "--icc=false"];
    world.set_flags(&flags);
    world.relaunch();
    let now = world.get("/networks/bridge");
    assert_eq!(
        (&now["IPAM"], &now["Options"]),
        (&had["IPAM"], &had["Options"])
    );
    let docker0 = |world: &World| world.host().ip_json("-4 address show docker0")[0].clone();
    assert_eq!(docker0(&world)["addr_info"][0]["local"], "172.17.0.1");
    assert_eq!(docker0(&world)["mtu"], 1500);
    assert!(world.sandbox("c").pings(lan::OUTSIDE));
    let said = "there are running containers, updated network configuration will not take affect";
    assert!(world.log().contains(said), "{}", world.log());
    // Once no container is on it, it is as the flags say.
    world.docker("rm -f c").ok();
    world.relaunch();
    assert_eq!(docker0(&world)["addr_info"][0]["local"], "10.55.0.1");
    assert_eq!(docker0(&world)["mtu"], 1400);
}

#[test]
fn b13_2_the_cli_prints_events_of_networks_and_containers() {
    let world = World::new();
    let network = world.network("--label team=net --subnet 10.108.0.0/24 net1");
    let container = world.run("--rm --name c --label a=b --network net1 img sh -c 'exit 3'");
    eventually(SOON, || {
        past_events(&world, "--filter event=destroy --filter type=container")
            .contains("destroy")
            .then_some(())
    });
    world.docker("network rm net1").ok();
    let told = past_events(
        &world,
        "--format '{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} \
         {{.Actor.Attributes.type}} {{.Actor.Attributes.container}} \
         {{.Actor.Attributes.image}} {{.Actor.Attributes.a}} {{.Actor.Attributes.exitCode}} {{.Scope}}' \
         --filter type=network --filter type=container",
    );
    let none = "<no value>";
    let of_network = |action: &str, container: &str| {
        format!("network {action} {network} net1 bridge {container} {none} {none} {none} local")
    };
    let of_container = |action: &str, code: &str| {
        format!("container {action} {container} c {none} {none} img b {code} local")
    };
    let expected = [
        of_network("create", none),
        of_container("create", none),
        of_network("connect", &container),
        of_container("start", none),
        of_network("disconnect", &container),
        of_container("die", "3"),
        of_container("destroy", none),
        of_network("destroy", none),
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    // Without a format, as people read it.
    let line = past_events(&world, "--filter event=create --filter type=network");
    let (_, told) = line.split_once(' ').expect("a time first");
    assert_eq!(
        told,
        format!("network create {network} (name=net1, type=bridge)")
    );
}

#[test]
fn b13_7_network_prune_takes_what_its_filters_choose() {
    let world = World::new();
    for name in ["old", "kept", "used"] {
        world.network(&format!("--label name={name} {name}"));
    }
    world.idle("--network used --name c");
    world.docker("create --network kept img true").ok();
    let names = || {
        world
            .docker("network ls --filter type=custom --format '{{.Name}}'")
            .ok()
    };
    let prune = |filters: &str| world.docker(&format!("network prune -f {filters}")).ok();
    assert_eq!(prune("--filter until=1h"), "");
    assert_eq!(prune("--filter label=name=nosuch"), "");
    assert_eq!(prune("--filter label!=name"), "");
    assert_eq!(names(), "kept\nold\nused");
    let pruned = prune("--filter label!=name=kept");
    assert_eq!(pruned, "Deleted Networks:\nold");
    assert_eq!(names(), "kept\nused");
    // Stopped containers do not hold a network.
    assert_eq!(prune(""), "Deleted Networks:\nkept");
    let bridges = world.host().ip_json("link show type bridge");
    assert_eq!(bridges.as_array().map(Vec::len), Some(2), "{bridges}");
    let told = past_events(&world, "--filter event=prune --filter type=network");
    assert!(
        told.lines().all(|line| line.ends_with("(reclaimed=0)")),
        "{told}"
    );
    let bad = filtered("/networks/prune", &json!({"until": ["x"]}));
    assert_eq!(refused(&world, "POST", &bad, &Value::Null).0, 400);
    let bad = filtered("/networks/prune", &json!({"driver": ["bridge"]}));
    assert_eq!(
        refused(&world, "POST", &bad, &Value::Null),
        (400, "invalid filter 'driver'".into())
    );
}

#[test]
fn b13_7_system_prune_takes_containers_networks_and_images() {
    let world = World::new();
    world.network("net1");
    world.network("net2");
    world.idle("--network net2 --name runs");
    let ended = world.run("--network net1 --name ended img true");
    world.docker("wait ended").ok();
    let kept = world.docker("system prune -f --filter label=nosuch").ok();
    assert_eq!(kept, "Total reclaimed space: 0B");
    let pruned = world.docker("system prune -f").ok();
    assert!(
        pruned.contains(&format!("Deleted Containers:\n{ended}\n")),
        "{pruned}"
    );
    assert!(pruned.contains("Deleted Networks:\nnet1\n"), "{pruned}");
    assert!(pruned.contains("Total reclaimed space: "), "{pruned}");
    assert_eq!(world.docker("ps -aq").ok().lines().count(), 1);
    assert!(world.docker("network inspect net2").succeeded());
    assert!(world.docker("image inspect img").succeeded());
    // Volumes are asked for only where it is said, and there are none.
    let pruned = world.docker("system prune -f --volumes").ok();
    assert_eq!(pruned, "Total reclaimed space: 0B");
}

/// What /proc/net/dev says of an interface: bytes and packets in, bytes and packets out.
fn proc_net_dev(world: &World, container: &str, interface: &str) -> [u64; 4] {
    let table = world
        .docker(&format!("exec {container} cat /proc/net/dev"))
        .ok();
    let line = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(interface));
    let fields = line
        .and_then(|line| line.strip_prefix(':'))
        .expect("its line");
    let number = |place: usize| {
        let text = fields.split_whitespace().nth(place);
        text.and_then(|text| text.parse().ok()).expect("a number")
    };
    [number(0), number(1), number(8), number(9)]
}

#[test]
fn b13_6_stats_count_what_passes_each_interface() {
    let world = World::new();
    world.network("--internal net2");
    world.serve("--name web -p 8080:80");
    world.docker("network connect net2 web").ok();
    world.idle("--network container:web --name shares");
    world.idle("--network host --name host");
    for _ in 0..20 {
        assert!(world.peer().fetch("10.99.0.1:8080").is_some());
    }
    let stats = |name: &str| world.get(&format!("/containers/{name}/stats?stream=0&one-shot=1"));
    let counted = |name: &str, interface: &str| {
        let told = stats(name)["networks"][interface].clone();
        ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"]
            .map(|key| told[key].as_u64().expect(key))
    };
    // Neighbors talk a little by themselves.
    for name in ["web", "shares"] {
        for interface in ["eth0", "eth1"] {
            eventually(SOON, || {
                let told = counted(name, interface);
                (told == proc_net_dev(&world, name, interface)).then_some(())
            });
        }
    }
    assert!(counted("web", "eth0")[1] > 60, "{}", stats("web"));
    let networks = stats("web")["networks"].as_object().expect("a map").len();
    assert_eq!(networks, 2, "the loopback is nobody's network");
    assert_eq!(stats("host").get("networks"), None);
}

#[test]
fn b13_6_stats_tell_of_processors_memory_and_processes() {
    let world = World::new();
    world.run(
        "--name busy --memory 64m --pids-limit 50 img sh -c 'sleep 1000 & while :; do :; done'",
    );
    world.docker("create --name never img true").ok();
    let two = world.get("/containers/busy/stats?stream=false");
    let total = |which: &str| {
        two[which]["cpu_usage"]["total_usage"]
            .as_u64()
            .expect("a number")
    };
    assert!(
        total("cpu_stats") > total("precpu_stats") && total("precpu_stats") > 0,
        "{two}"
    );
    let host = |which: &str| two[which]["system_cpu_usage"].as_u64().expect("a number");
    assert!(host("cpu_stats") > host("precpu_stats"), "{two}");
    assert_eq!(two["pids_stats"], json!({"current": 2, "limit": 50}));
    assert_eq!(two["memory_stats"]["limit"], 64 << 20);
    assert!(two["memory_stats"]["usage"].as_u64() > Some(0), "{two}");

    let line = world
        .docker("stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}} {{.PIDs}}' busy")
        .ok();
    let words: Vec<&str> = line.split(' ').collect();
    let percent: f64 = words[1].trim_end_matches('%').parse().expect("a number");
    assert!(
        words[0] == "busy" && percent > 1.0 && words[4] == "64MiB",
        "{line}"
    );
    assert_eq!(words.last(), Some(&"2"), "{line}");

    let mut stream = BufReader::new(world.stream("GET", "/containers/busy/stats"));
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        told.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    assert_eq!(told[0]["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(told[1]["preread"], told[0]["read"]);

    let never = world.get("/containers/never/stats?stream=0");
    assert_eq!(
        (&never["name"], never.get("networks")),
        (&json!("/never"), None)
    );
    let both = "/containers/busy/stats?stream=1&one-shot=1";
    assert_eq!(
        refused(&world, "GET", both, &Value::Null),
        (400, "cannot have stream=true and one-shot=true".into())
    );
    assert_eq!(
        refused(&world, "GET", "/containers/nosuch/stats", &Value::Null),
        (404, "No such container: nosuch".into())
    );
}
