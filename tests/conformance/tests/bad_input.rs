//! What is wrong is refused with Docker's words, changes nothing and leaks nothing.

use sealane_conformance::*;
use std::net::TcpListener;

/// Refuses a request, and shows that the host is as it was.
fn refused_without_trace(
    world: &World,
    method: &str,
    path: &str,
    body: &[u8],
    status: u16,
) -> String {
    let before = Snapshot::take(world.host());
    let reply = world.raw_api(method, path, body);
    let text = reply.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let request = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    assert_eq!(reply.status, status, "{method} {path} {request}: {text}");
    assert!(!text.is_empty(), "{method} {path} {request} has no message");
    // Shown when something is left.
    eprintln!("{method} {path} {request}");
    before.returns_on(world.host());
    text
}

#[test]
fn broken_json_and_wrong_types_are_400() {
    let world = World::new();
    let create = "/networks/create";
    for (body, start) in [
        ("{", "invalid JSON: "),
        ("nonsense", "invalid JSON: "),
        ("{\"Name\": 5}", "invalid JSON: "),
        ("{\"Name\": \"x\", \"Labels\": [1]}", "invalid JSON: "),
        ("{\"Name\": \"x\", \"Internal\": \"yes\"}", "invalid JSON: "),
        (
            "{\"Name\": \"x\", \"IPAM\": {\"Config\": {}}}",
            "invalid JSON: ",
        ),
        ("[]", "invalid JSON: "),
        ("{\"Name\": \"x\"} {}", "unexpected content after JSON"),
    ] {
        let text = refused_without_trace(&world, "POST", create, body.as_bytes(), 400);
        assert!(text.starts_with(start), "{body}: {text}");
    }
    refused_without_trace(&world, "POST", create, b"", 400);
    refused_without_trace(&world, "POST", create, b"\xff\xfe\x00", 400);
    refused_without_trace(&world, "POST", "/containers/create", b"{\"Image\": 1}", 400);
    refused_without_trace(
        &world,
        "POST",
        "/networks/bridge/connect",
        b"{\"Container\": []}",
        400,
    );
    assert_eq!(world.docker("network ls -q").ok().lines().count(), 3);
}

#[test]
fn absurd_names_are_answered() {
    let world = World::new();
    let long = "n".repeat(10_000);
    // Docker hardly checks the names of networks; what matters is that nothing breaks.
    for name in [
        long.as_str(),
        "a\u{1}b\u{7f}",
        "\n",
        "../../etc",
        "%s%n",
        "名前",
    ] {
        let body = json!({ "Name": name });
        let (status, answer) = world.api("POST", "/networks/create", &body);
        assert!(status == 201 || status == 400, "{status} {answer}");
        if status == 201 {
            let id = answer["Id"].as_str().expect("an id");
            assert_eq!(world.get(&format!("/networks/{id}"))["Name"], name);
            assert_eq!(
                world
                    .api("DELETE", &format!("/networks/{id}"), &Value::Null)
                    .0,
                204
            );
        }
    }
    for name in ["a b", "a/b", "-x", "a\u{1}b"] {
        let path = format!("/containers/create?name={}", encoded(name));
        let body = b"{\"Image\": \"img\", \"Cmd\": [\"true\"]}";
        let text = refused_without_trace(&world, "POST", &path, body, 400);
        assert!(text.starts_with("Invalid container name ("), "{text}");
    }
    assert_eq!(
        world
            .api("GET", &format!("/networks/{long}"), &Value::Null)
            .0,
        404
    );
    assert_eq!(world.docker("network ls -q").ok().lines().count(), 3);
    assert_eq!(world.docker("ps -aq").ok(), "");
}

#[test]
fn impossible_ports_and_addresses_are_refused() {
    let world = World::new();
    world.network("--subnet 10.61.0.0/24 net1");
    let create = |host: Value| {
        json!({"Image": "img", "Cmd": ["sleep", "1"], "HostConfig": host}).to_string()
    };
    for binding in [
        json!({"PortBindings": {"80/tcp": [{"HostPort": "65536"}]}}),
        json!({"PortBindings": {"80/tcp": [{"HostPort": "-1"}]}}),
        json!({"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}),
        json!({"PortBindings": {"80/tcp": [{"HostPort": "9000-8000"}]}}),
        json!({"PortBindings": {"65536/tcp": [{"HostPort": "80"}]}}),
        json!({"PortBindings": {"x/tcp": [{"HostPort": "80"}]}}),
        json!({"PortBindings": {"80/icmp": [{"HostPort": "80"}]}}),
        json!({"PortBindings": {"80/tcp": [{"HostIp": "no address", "HostPort": "80"}]}}),
    ] {
        refused_without_trace(
            &world,
            "POST",
            "/containers/create",
            create(binding).as_bytes(),
            400,
        );
    }
    for flags in [
        "-p 65536:80",
        "-p 0.0.0.0:9000-8000:80",
        "-p 80:65536",
        "--network net1 --ip 10.62.0.1",
    ] {
        let outcome = world.docker(&format!("create {flags} img true"));
        assert_ne!(outcome.code, 0, "{outcome}");
    }
    // Port 0 asks for any.
    world.idle("-p 0:80 --name any");
    assert!(!world.docker("port any 80").ok().contains(":0\n"));
    assert_eq!(world.docker("ps -aq").ok().lines().count(), 1);
}

#[test]
fn a_failed_start_leaves_nothing() {
    let world = World::new();
    world.network("--subnet 10.63.0.0/30 --gateway 10.63.0.1 full");
    world.idle("--network full --name holder");
    let foreign = world
        .host()
        .in_netns(|| TcpListener::bind("0.0.0.0:8080"))
        .expect("it is free");
    let before = Snapshot::take(world.host());
    for (flags, text) in [
        ("--network full", "no available IPv4 addresses"),
        ("-p 8080:80", "address already in use"),
        ("-p 8079:79 -p 8080:80", "address already in use"),
        ("--network nosuch", "network nosuch not found"),
        ("--network full --ip 10.63.0.2", "Address already in use"),
    ] {
        let outcome = world.docker(&format!("run -d --name failing {flags} img sleep 1000"));
        outcome.fails_with(125, "failed to set up container networking: ");
        outcome.fails_with(125, text);
        world.docker("rm failing").ok();
        before.returns_on(world.host());
    }
    let outcome = world.docker("run -d --name failing img /no/such/command");
    outcome.fails_with(127, "no such file or directory");
    world.docker("rm failing").ok();
    let outcome = world.docker("run -d --name failing --workdir /www img /etc");
    assert_eq!(outcome.code, 126, "{outcome}");
    world.docker("rm failing").ok();
    before.returns_on(world.host());
    drop(foreign);
    let missing = world.api(
        "POST",
        "/containers/create",
        &json!({"Image": "nosuch:tag"}),
    );
    assert_eq!(
        missing,
        (404, json!({"message": "No such image: nosuch:tag"}))
    );
}

#[test]
fn starting_twice_changes_nothing() {
    let world = World::new();
    world.idle("--name c -p 8080:80");
    let before = Snapshot::take(world.host());
    world.docker("start c").ok();
    assert_eq!(
        world.raw_api("POST", "/containers/c/start", b"").status,
        304
    );
    before.returns_on(world.host());
    world.docker("stop -t 0 c").ok();
    assert_eq!(world.raw_api("POST", "/containers/c/stop", b"").status, 304);
}

#[test]
fn two_daemons_do_not_share_a_root() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    let sealane = binary();
    for (what, flags) in [
        (
            "data root",
            "--data-root /var/lib/sealane --exec-root /run/other",
        ),
        (
            "exec root",
            "--data-root /run/other-data --exec-root /run/sealane",
        ),
    ] {
        let second = world.host().sh(&format!(
            "timeout 10 {} daemon {flags} --pidfile /run/other.pid -H unix:///run/other.sock",
            sealane.display()
        ));
        assert!(second.code != 0 && second.code != 124, "{what}: {second}");
        assert!(
            second.stderr.contains("/sealane"),
            "{what} is named: {second}"
        );
    }
    world.host().sh("rm -rf /run/other-data /run/other").ok();
    before.returns_on(world.host());
    world.idle("--name still-works");
}

#[test]
fn unknown_flags_and_keys_are_refused_at_start() {
    let lab = Lab::new();
    let sealane = binary();
    let start = |flags: &str| {
        let roots = "--data-root /var/lib/sealane --exec-root /run/sealane -H unix:///run/x.sock";
        lab.host(0).sh(&format!(
            "timeout 10 {} daemon {roots} {flags}",
            sealane.display()
        ))
    };
    let unknown = start("--no-such-flag");
    assert!(
        unknown.code != 0 && unknown.code != 124 && unknown.stderr.contains("--no-such-flag"),
        "{unknown}"
    );
    lab.host(0)
        .write("/run/daemon.json", "{\"no-such-key\": 1}");
    let unknown = start("--config-file /run/daemon.json");
    assert!(
        unknown.code != 0 && unknown.code != 124 && unknown.stderr.contains("no-such-key"),
        "{unknown}"
    );
    lab.host(0).write("/run/daemon.json", "{\"mtu\": 1400,");
    let broken = start("--config-file /run/daemon.json");
    assert!(broken.code != 0 && broken.code != 124, "{broken}");
    let open = start("-H tcp://0.0.0.0:2375");
    assert!(
        open.code != 0 && open.code != 124 && open.stderr.to_lowercase().contains("tls"),
        "{open}"
    );
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let mut world = World::prepared(&[], |lab| {
        lab.host(0)
            .sh("mount -o remount,size=24m /var/lib/sealane")
            .ok();
    });
    world.network("before");
    world
        .host()
        .sh("dd if=/dev/zero of=/var/lib/sealane/ballast bs=64k 2>/dev/null; true")
        .ok();
    let mut refusals = 0;
    for index in 0..40 {
        let outcome = world.docker(&format!("network create full{index}"));
        refusals += u32::from(!outcome.succeeded());
    }
    let run = world.docker("run -d --name c img sleep 1000");
    let listed = world
        .docker("network ls --format '{{.Name}}' --filter name=full")
        .ok();
    assert_eq!(
        listed.lines().count(),
        40 - refusals as usize,
        "a refused network does not exist"
    );
    assert!(world.runs());
    assert!(refusals > 0 || !run.succeeded(), "the disk was full");
    let bridges = world
        .host()
        .ip_json("link show type bridge")
        .as_array()
        .map_or(0, Vec::len);
    assert_eq!(
        bridges,
        2 + listed.lines().count(),
        "nor has it left a bridge"
    );
    world.host().sh("rm /var/lib/sealane/ballast").ok();
    world.docker("network create after").ok();
    world.relaunch();
    let names = world.docker("network ls --format '{{.Name}}'").ok();
    assert!(
        names.contains("before") && names.contains("after"),
        "{names}"
    );
}

/// A generator whose numbers depend on its seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

const SEED: u64 = 0x5ea1_a4e0_0000_0001;
const ROUNDS: usize = 3000;

/// A request that is right, or was before something happened to it.
fn mutated(dice: &mut Dice) -> (&'static str, String, Vec<u8>) {
    let bodies = [
        json!({"Name": "fuzz", "IPAM": {"Config": [{"Subnet": "10.64.0.0/24", "Gateway": "10.64.0.1"}]}}),
        json!({"Name": "fuzz6", "EnableIPv6": true, "Options": {"com.docker.network.driver.mtu": "1400"}}),
        json!({"Container": "c", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.64.0.9"}, "Aliases": ["x"]}}),
        json!({"Image": "img", "Cmd": ["true"], "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}),
        json!({"Image": "img", "NetworkingConfig": {"EndpointsConfig": {"fuzz": {"MacAddress": "02:00:00:00:00:01"}}}}),
        Value::Null,
    ];
    let targets = [
        ("POST", "/networks/create"),
        ("GET", "/networks"),
        ("GET", "/networks/fuzz"),
        ("DELETE", "/networks/fuzz"),
        ("POST", "/networks/fuzz/connect"),
        ("POST", "/networks/fuzz/disconnect"),
        ("POST", "/networks/prune"),
        ("POST", "/containers/create?name=fuzzed"),
        ("POST", "/containers/fuzzed/start"),
        ("DELETE", "/containers/fuzzed?force=1"),
        ("GET", "/containers/json?all=1"),
        ("POST", "/containers/c/rename?name=c"),
        ("GET", "/containers/c/json"),
        ("POST", "/containers/c/exec"),
        ("GET", "/images/json"),
        ("GET", "/version"),
        ("POST", "/containers/c/resize?h=1&w=1"),
        ("GET", "/events?since=0&until=1"),
    ];
    let strange = [
        "null",
        "-1",
        "1e999",
        "\"\"",
        "[]",
        "{}",
        "true",
        "\"\\u0000\"",
        "99999999999999999999",
        "\"::1/129\"",
        "\"0.0.0.0/0\"",
        "\"10.64.0.5/24\"",
        "\"fe80::1\"",
        "\"../..\"",
    ];
    let (method, path) = *dice.pick(&targets);
    let mut path = path.to_owned();
    let mut body = dice.pick(&bodies).to_string().into_bytes();
    for _ in 0..dice.below(4) {
        match dice.below(5) {
            0 if !body.is_empty() => {
                let at = dice.below(body.len());
                body[at] = u8::try_from(dice.below(256)).expect("a byte");
            }
            1 => body.truncate(dice.below(body.len() + 1)),
            2 => {
                // A value, whatever it was, becomes a strange one.
                let text = String::from_utf8_lossy(&body).into_owned();
                let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at).collect();
                if !colons.is_empty() {
                    let at = *dice.pick(&colons);
                    let end = text[at..]
                        .find([',', '}', ']'])
                        .map_or(text.len(), |length| at + length);
                    body = format!("{}:{}{}", &text[..at], dice.pick(&strange), &text[end..])
                        .into_bytes();
                }
            }
            3 => {
                let value: &&str = dice.pick(&strange);
                path.push_str(&encoded(value));
            }
            _ => {
                let twice = body.clone();
                body.extend(twice);
            }
        }
    }
    (method, path, body)
}

#[test]
fn random_requests_neither_end_the_daemon_nor_leave_anything() {
    let mut world = World::new();
    let id = world.idle("--name c");
    let before = Snapshot::take(world.host());
    let mut dice = Dice(SEED);
    let mut answered = [0_u32; 6];
    for round in 0..ROUNDS {
        let (method, path, body) = mutated(&mut dice);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let reply = world.raw_api(method, &path, &body);
        assert!(
            (200..600).contains(&reply.status),
            "round {round}: {method} {path} {shown}"
        );
        answered[usize::from(reply.status / 100)] += 1;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(
            !text.contains("panicked"),
            "round {round}: {method} {path} {shown}: {text}"
        );
    }
    eprintln!(
        "seed {SEED:#x}: 2xx {}, 4xx {}, 5xx {}",
        answered[2], answered[4], answered[5]
    );
    assert!(world.runs());
    assert!(
        answered[2] > 100 && answered[4] > 100,
        "both right and wrong ones: {answered:?}"
    );
    let ids = world.docker("ps -aq --no-trunc").ok();
    for other in ids.lines().filter(|other| *other != id) {
        world.docker(&format!("rm -f {other}")).ok();
    }
    let attached = world.inspect(&id)["NetworkSettings"]["Networks"].clone();
    for (name, endpoint) in attached.as_object().into_iter().flatten() {
        let body = json!({"Container": id, "Force": true});
        if name != "bridge" {
            let network = endpoint["NetworkID"].as_str().expect("an id");
            let path = format!("/networks/{network}/disconnect");
            assert_eq!(world.api("POST", &path, &body).0, 200);
        }
    }
    if attached.get("bridge").is_none() {
        world.docker(&format!("network connect bridge {id}")).ok();
    }
    world.docker("network prune -f").ok();
    let ports = |line: &str| line.contains(" link eth") || line.contains(" address eth");
    eventually_is(SOON, String::new(), || {
        before
            .without(ports)
            .difference(&Snapshot::take(world.host()).without(ports))
    });
    let log = world.log();
    assert!(!log.contains("panicked"), "{log}");
}
