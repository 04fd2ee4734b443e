//! What those who watch over a daemon see: metrics, diagnosis, and ports that stay held.

use sealane_conformance::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

const METRICS: &str = "http://127.0.0.1:9323/metrics";

/// What a scrape says: every sample with its value.
fn scrape(world: &World) -> BTreeMap<String, f64> {
    let text = world.host().sh(&format!("curl -sSf {METRICS}")).ok();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn b13_3_metrics_count_what_is_done() {
    let world = World::with_flags(&["--metrics-addr", "127.0.0.1:9323"]);
    let count = |action: &str| {
        let name = format!("engine_daemon_network_actions_seconds_count{{action=\"{action}\"}}");
        scrape(&world)[&name]
    };
    for action in ["allocate", "connect", "update", "release"] {
        assert_eq!(count(action), 0.0, "{action}");
    }
    world.network("net1");
    world.network("net2");
    world.serve("--name web --network net1 -p 8080:80 -p 8081:80");
    world.docker("network connect net2 web").ok();
    assert_eq!(
        (count("allocate"), count("connect"), count("release")),
        (1.0, 1.0, 0.0)
    );
    let within = "engine_daemon_network_actions_seconds_bucket{action=\"allocate\",le=\"+Inf\"}";
    let sum = "engine_daemon_network_actions_seconds_sum{action=\"allocate\"}";
    let told = scrape(&world);
    assert!(told[within] == 1.0 && told[sum] > 0.0, "{told:?}");
    let networks = world.docker("network ls -q").ok().lines().count();
    assert_eq!(told["sealane_networks"], networks as f64);
    assert_eq!(
        (told["sealane_endpoints"], told["sealane_published_ports"]),
        (2.0, 2.0)
    );
    assert_eq!(
        told["engine_daemon_container_states_containers{state=\"running\"}"],
        1.0
    );

    let queries = told["sealane_dns_queries_total"];
    world.sandbox("web").dig("+short web").ok();
    world.sandbox("web").dig("+short +tcp web").ok();
    assert!(scrape(&world)["sealane_dns_queries_total"] >= queries + 2.0);
    assert_eq!(told["sealane_repairs_total"], 0.0);
    world.host().sh("nft flush ruleset").ok();
    eventually(SOON, || {
        (scrape(&world)["sealane_repairs_total"] > 0.0).then_some(())
    });

    world.docker("rm -f web").ok();
    assert_eq!(count("release"), 1.0);
    let told = scrape(&world);
    assert_eq!(
        (told["sealane_endpoints"], told["sealane_published_ports"]),
        (0.0, 0.0)
    );
    // The format as Prometheus wants it, and nowhere else.
    let head = world.host().sh(&format!("curl -sSi {METRICS}")).ok();
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let types = head
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    let helps = head
        .lines()
        .filter(|line| line.starts_with("# HELP "))
        .count();
    assert!(types == helps && types > 5, "{head}");
    assert_eq!(world.peer().fetch("10.99.0.1:9323/metrics"), None);
}

#[test]
fn b13_3_a_metrics_address_that_is_taken_or_wrong_is_refused() {
    let mut world = World::new();
    world.kill9();
    let taken = world
        .host()
        .in_netns(|| TcpListener::bind("127.0.0.1:9323"));
    let taken = taken.expect("the port is free");
    world.set_flags(&["--metrics-addr", "127.0.0.1:9323"]);
    let log = world.try_launch().expect_err("the port is taken");
    assert!(log.contains("127.0.0.1:9323"), "{log}");
    drop(taken);
    world.set_flags(&["--metrics-addr", "nonsense"]);
    let log = world.try_launch().expect_err("no address");
    assert!(log.contains("metrics-addr"), "{log}");
}

#[test]
fn b13_4_diagnosis_tells_networks_to_those_on_the_host() {
    let world = World::prepared(&["--config-file", "/run/lab/daemon.json"], |lab| {
        let text = json!({"network-diagnostic-port": 2000}).to_string();
        lab.host(0).write("/run/lab/daemon.json", &text);
    });
    world.network("--subnet 10.109.0.0/24 net1");
    world.idle("--network net1 --name c");
    let ask = |path: &str| {
        world
            .host()
            .sh(&format!("curl -sSf http://127.0.0.1:2000{path}"))
    };
    assert_eq!(ask("/ready").ok(), "OK");
    let help = ask("/help").ok();
    assert!(help.starts_with("OK\n/help\n"), "{help}");
    for path in help.lines().skip(1) {
        assert!(ask(path).succeeded(), "{path}");
    }
    let networks = ask("/networks").json();
    let names: Vec<_> = networks.as_array().into_iter().flatten().collect();
    assert_eq!(names.len(), 4, "{networks}");
    assert!(networks.to_string().contains("10.109.0.0/24"), "{networks}");
    let sandboxes = ask("/sandboxes").json().to_string();
    assert!(
        sandboxes.contains(&world.address("c", "net1")),
        "{sandboxes}"
    );
    let plan = ask("/plan").ok();
    let bridge = format!(
        "br-{}",
        &world.get("/networks/net1")["Id"].as_str().expect("an id")[..12]
    );
    assert!(plan.contains(&bridge), "{plan}");
    assert!(!ask("/nosuch").succeeded());
    let listening = world.host().sh("ss -Hltn 'sport = :2000'").ok();
    assert!(
        listening.contains("127.0.0.1:2000") && listening.lines().count() == 1,
        "{listening}"
    );
}

/// What a collector of traces on the host was sent, one request after the other.
struct Collector {
    received: Receiver<(String, Vec<u8>)>,
}

impl Collector {
    const AT: &str = "127.0.0.1:4318";

    /// Listens, and answers everything with 200.
    fn start(host: &Host) -> Self {
        let listener = host.in_netns(|| TcpListener::bind(Self::AT));
        let listener = listener.expect("the port is free");
        let (sender, received) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || answer(stream.expect("a connection"), &sender));
            }
        });
        Self { received }
    }

    /// The next request: its head and its body.
    #[track_caller]
    fn next(&self) -> (String, Vec<u8>) {
        let next = self.received.recv_timeout(2 * SOON);
        next.expect("something is sent to the collector")
    }

    /// The spans of one trace, as OTLP in JSON has them, once there are those of these names.
    #[track_caller]
    fn spans(&self, trace: &str, names: &[&str]) -> BTreeMap<String, Value> {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        while !names.iter().all(|name| found.contains_key(*name)) {
            let (_, body) = self.next();
            let sent: Value = serde_json::from_slice(&body).expect("JSON");
            let list =
                |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
            let resources = list(&sent, "resourceSpans");
            let scopes = resources.iter().flat_map(|one| list(one, "scopeSpans"));
            let spans: Vec<Value> = scopes.flat_map(|one| list(&one, "spans")).collect();
            for span in spans.into_iter().filter(|span| span["traceId"] == trace) {
                found.insert(span["name"].as_str().expect("a name").to_owned(), span);
            }
        }
        found
    }
}

/// Reads one request after the other from a connection.
fn answer(stream: TcpStream, sender: &Sender<(String, Vec<u8>)>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.expect("a length")];
        reader.read_exact(&mut body).expect("a body");
        let answered = reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        // The test may be over.
        if answered.is_err() || sender.send((head, body)).is_err() {
            return;
        }
    }
}

/// A daemon with a collector, set by these variables besides.
fn traced(variables: &[(&str, &str)]) -> DaemonOptions {
    let common = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let variables = common.iter().chain(variables);
    DaemonOptions {
        environment: variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..DaemonOptions::default()
    }
}

#[test]
fn b13_5_spans_of_each_step_reach_a_collector_within_the_clients_own() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CLIENT: &str = "00f067aa0ba902b7";
    let lab = Lab::new();
    let collector = Collector::start(lab.host(0));
    let world = World::of(lab, traced(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]));
    let post = |path: &str, body: Value| {
        let sent = world.host().sh(&format!(
            "curl -sSf --unix-socket /run/docker.sock -H 'Content-Type: application/json' \
             -H 'traceparent: 00-{TRACE}-{CLIENT}-01' -d '{body}' http://d{path}"
        ));
        sent.ok()
    };
    post("/networks/create", json!({"Name": "net1"}));
    let spans = collector.spans(
        TRACE,
        &[
            "POST /networks/create",
            "create network",
            "reserve",
            "plan",
            "apply",
            "claim",
            "write",
            "save",
        ],
    );
    let parent = |name: &str| spans[name]["parentSpanId"].clone();
    let id = |name: &str| spans[name]["spanId"].clone();
    assert_eq!(parent("POST /networks/create"), CLIENT);
    assert_eq!(parent("create network"), id("POST /networks/create"));
    for step in ["reserve", "plan", "apply", "save"] {
        assert_eq!(parent(step), id("create network"), "{step}");
    }
    assert_eq!(parent("write"), id("apply"));
    let time = |name: &str, key: &str| -> u64 {
        let nanoseconds = spans[name][key].as_str().expect("a time");
        nanoseconds.parse().expect("a number")
    };
    let within = |inner: &str, outer: &str| {
        time(outer, "startTimeUnixNano") <= time(inner, "startTimeUnixNano")
            && time(inner, "endTimeUnixNano") <= time(outer, "endTimeUnixNano")
    };
    assert!(within("write", "apply") && within("apply", "create network"));
    let attributes = spans["POST /networks/create"]["attributes"].to_string();
    assert!(
        attributes.contains("http.response.status_code") && attributes.contains("\"201\""),
        "{attributes}"
    );

    let id = world.idle("--name c --network none");
    world.docker(&format!("rm -f {id}")).ok();
    world.idle("--name c --network net1");
    world.network("net2");
    let body = json!({"Container": "c"});
    post("/networks/net2/connect", body);
    let spans = collector.spans(TRACE, &["POST /networks/{name}/connect", "connect", "save"]);
    assert_eq!(
        spans["connect"]["parentSpanId"],
        spans["POST /networks/{name}/connect"]["spanId"]
    );
    // They are for the collector alone.
    assert!(!world.log().contains("create network"), "{}", world.log());
}

#[test]
fn b13_5_a_collector_is_spoken_to_as_its_variables_say() {
    let lab = Lab::new();
    let collector = Collector::start(lab.host(0));
    let mut world = World::of(lab, traced(&[("OTEL_SERVICE_NAME", "edge-7")]));
    world.network("net1");
    let (head, body) = eventually(SOON, || {
        let next = collector.next();
        let text = String::from_utf8_lossy(&next.1);
        text.contains("create network").then_some(next)
    });
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    assert!(String::from_utf8_lossy(&body).contains("edge-7"));

    world.stop();
    world.set_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ]);
    // What the launch itself is asked is a span, too.
    let before = world.log();
    world.launch();
    for name in ["net2", "net3"] {
        world.network(name);
        std::thread::sleep(Duration::from_millis(200));
    }
    let told = eventually(SOON, || {
        let log = world.log()[before.len()..].to_owned();
        log.contains("do not reach their collector").then_some(log)
    });
    assert_eq!(told.matches("do not reach").count(), 1, "once: {told}");

    world.kill9();
    world.set_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    let refused = world.try_launch().expect_err("gRPC is not spoken");
    assert!(
        refused.contains("set OTEL_EXPORTER_OTLP_PROTOCOL to one of them, not to \"grpc\""),
        "{refused}"
    );
}

/// Whether another process can have a TCP port of the host.
fn is_free(world: &World, port: u16) -> bool {
    world
        .host()
        .in_netns(|| TcpListener::bind(("0.0.0.0", port)))
        .is_ok()
}

#[test]
fn b3_2_ports_are_held_by_the_service_manager_while_no_daemon_runs() {
    let lab = Lab::new();
    let manager = ServiceManager::start(lab.host(0));
    let options = DaemonOptions {
        flags: vec!["--live-restore".into()],
        manager: Some(manager.clone()),
        ..DaemonOptions::default()
    };
    let mut world = World::of(lab, options);
    assert!(manager.heard().contains(&"READY=1".to_owned()));
    world.serve("--name web -p 8080:80 -p 127.0.0.1:8081:80 -p 5353:53/udp");
    let names = [
        "port-tcp-8080-any",
        "port-tcp-8081-127.0.0.1",
        "port-udp-5353-any",
    ];
    assert_eq!(manager.names(), names);
    for crash in [false, true] {
        match crash {
            true => world.kill9(),
            false => world.stop(),
        }
        assert!(!is_free(&world, 8080) && !is_free(&world, 8081));
        let datagrams = || UdpSocket::bind("0.0.0.0:5353");
        assert!(world.host().in_netns(datagrams).is_err());
        // What the daemon relays waits for it.
        let waiting = world.host().in_netns(|| TcpStream::connect("[::1]:8080"));
        let mut waiting = waiting.expect("it is taken");
        waiting
            .write_all(b"GET / HTTP/1.0\r\n\r\n")
            .expect("it is taken");
        world.launch();
        assert_eq!(manager.names(), names);
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(world.host().fetch("[::1]:8080").as_deref(), Some(HELLO));
        waiting.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut page = String::new();
        waiting.read_to_string(&mut page).expect("it is answered");
        assert!(page.contains(HELLO), "{page}");
    }
    world.docker("rm -f web").ok();
    assert_eq!(manager.names(), [""; 0]);
    let left = world
        .host()
        .sh("ss -Hatnp '( sport = :8080 or sport = :8081 )'")
        .ok();
    assert!(is_free(&world, 8080) && is_free(&world, 8081), "{left}");
}

#[test]
fn b3_2_a_port_of_what_ended_meanwhile_is_given_back() {
    let lab = Lab::new();
    let manager = ServiceManager::start(lab.host(0));
    let options = DaemonOptions {
        manager: Some(manager.clone()),
        ..DaemonOptions::default()
    };
    let mut world = World::of(lab, options);
    world.idle("--name c -p 8080:80");
    let pid = world.sandbox("c").pid();
    world.kill9();
    world.host().sh(&format!("kill -9 {pid}")).ok();
    assert!(!is_free(&world, 8080));
    world.launch();
    assert!(is_free(&world, 8080));
    assert_eq!(manager.names(), [""; 0]);
    // A port that is started again is held again.
    world.docker("start c").ok();
    assert_eq!(manager.names(), ["port-tcp-8080-any"]);
}
