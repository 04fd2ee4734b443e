//! The daemon's flags and signals, by dockerd's names.

use sealane_conformance::*;
use std::os::unix::net::UnixDatagram;

/// The first IPv4 address of a host's link.
fn address_of(host: &Host, link: &str) -> String {
    let seen = host.ip_json(&format!("-4 address show {link}"));
    seen[0]["addr_info"][0]["local"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn inside(world: &World, container: &str) -> String {
    let seen = world.sandbox(container).ip_json("-4 address show eth0");
    seen[0]["addr_info"][0]["local"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_default_bridge_takes_its_flags() {
    let world = World::with_flags(&[
        "--bip",
        "10.55.0.1/24",
        "--fixed-cidr",
        "10.55.0.128/25",
        "--mtu",
        "1400",
        "--ipv6",
        "--bip6",
        "fd55::1/64",
        "--fixed-cidr-v6",
        "fd55::/80",
    ]);
    assert_eq!(address_of(world.host(), "docker0"), "10.55.0.1");
    let link = &world.host().ip_json("-details address show docker0")[0];
    assert_eq!(link["mtu"], 1400);
    assert!(link.to_string().contains("fd55::1"), "{link}");
    world.serve("--name c");
    let address = inside(&world, "c");
    let last: u8 = address
        .rsplit('.')
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    assert!(address.starts_with("10.55.0.") && last >= 128, "{address}");
    assert_eq!(world.sandbox("c").ip_json("link show eth0")[0]["mtu"], 1400);
    assert!(world.sandbox("c").pings(lan::OUTSIDE6));
}

#[test]
fn icc_false_keeps_siblings_apart() {
    for on in [false, true] {
        let world = World::prepared(&["--icc=false"], |lab| lab.host(0).br_netfilter(on));
        world.serve("--name server -p 8080:80");
        world.idle("--name client");
        let client = world.sandbox("client");
        assert!(!connects(
            &client,
            &format!("{}:80", inside(&world, "server"))
        ));
        assert!(client.pings(lan::OUTSIDE));
        assert_eq!(
            client.fetch("10.99.0.1:8080").as_deref(),
            Some(HELLO),
            "what is published is public"
        );
        world.network("net1");
        world.serve("--network net1 --name a");
        world.idle("--network net1 --name b");
        assert!(
            connects(&world.sandbox("b"), &format!("{}:80", inside(&world, "a"))),
            "only the default bridge"
        );
    }
}

#[test]
fn ip_is_where_ports_are_bound() {
    let world = World::with_flags(&["--ip", "127.0.0.1"]);
    world.serve("--name c -p 8080:80");
    assert_eq!(world.docker("port c").ok(), "80/tcp -> 127.0.0.1:8080");
    assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
}

#[test]
fn without_masquerade_the_outside_sees_the_container() {
    let world = World::with_flags(&["--ip-masq=false"]);
    world
        .peer()
        .sh("ip route add 172.17.0.0/16 via 10.99.0.1")
        .ok();
    world.idle("--name c");
    let sandbox = world.sandbox("c");
    let target = format!("{}:8000", lan::OUTSIDE);
    let from = accept_one(world.peer(), &target, || {
        assert!(connects(&sandbox, &target))
    });
    assert_eq!(from.to_string(), inside(&world, "c"));
}

#[test]
fn another_bridge_or_none_can_be_the_default() {
    let world = World::prepared(&["--bridge", "mybr"], |lab| {
        lab.host(0).sh("ip link add mybr type bridge && ip address add 10.56.0.1/24 dev mybr && ip link set mybr up").ok();
    });
    world.serve("--name c -p 8080:80");
    assert!(inside(&world, "c").starts_with("10.56.0."));
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    assert_ne!(world.host().sh("ip link show docker0").code, 0);
    let world = World::with_flags(&["--bridge", "none"]);
    let names = world.docker("network ls --format '{{.Name}}'").ok();
    assert_eq!(names, "host\nnone");
    assert_ne!(world.host().sh("ip link show docker0").code, 0);
    world.idle("--name alone");
    assert_eq!(world.sandbox("alone").interfaces(), ["lo"]);
}

#[test]
fn a_docker0_of_another_engine_is_left_alone() {
    let world = World::prepared(&[], |lab| {
        lab.host(0)
            .sh("ip link add docker0 type bridge && ip address add 172.17.0.1/16 dev docker0 && ip link set docker0 up
                 nft add table ip docker-bridges")
            .ok();
    });
    let theirs = world.host().ip_json("link show docker0")[0]["address"].clone();
    let ours = address_of(world.host(), "sealane0");
    assert!(ours.starts_with("172.18."), "{ours}");
    assert!(world.log().contains("sealane0"), "{}", world.log());
    world.serve("--name c -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    assert_eq!(
        world.host().ip_json("link show docker0")[0]["address"],
        theirs
    );
    assert_eq!(world.host().ip_json("link show master docker0"), json!([]));
}

#[test]
fn network_options_have_defaults_and_settings_come_from_a_file() {
    let mut world = World::prepared(&["--config-file", "/run/lab/daemon.json"], |lab| {
        let text = json!({"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1300"}},
                          "labels": ["color=blue"], "mtu": 1350});
        lab.host(0).write("/run/lab/daemon.json", &text.to_string());
    });
    let id = world.network("net1");
    assert_eq!(
        world.host().ip_json(&format!("link show br-{}", &id[..12]))[0]["mtu"],
        1300
    );
    assert_eq!(world.get("/info")["Labels"], json!(["color=blue"]));
    world.host().write(
        "/run/lab/daemon.json",
        &json!({"labels": ["color=red"]}).to_string(),
    );
    world.signal("HUP");
    eventually_is(SOON, json!(["color=red"]), || {
        world.get("/info")["Labels"].clone()
    });
    assert!(world.runs());
    // A flag and the file may not both say it, nor may the file be nonsense.
    world.kill9();
    world.set_flags(&[
        "--config-file",
        "/run/lab/daemon.json",
        "--label",
        "color=green",
    ]);
    let log = world.try_launch().expect_err("it is said twice");
    assert!(log.contains("label"), "{log}");
}

#[test]
fn systemd_is_told_when_it_is_ready() {
    let lab = Lab::new();
    let socket =
        UnixDatagram::bind(lab.host(0).path("/run/lab/notify")).expect("a path in a tmpfs");
    socket
        .set_read_timeout(Some(SOON))
        .expect("a socket has a timeout");
    let options = DaemonOptions {
        environment: vec![("NOTIFY_SOCKET".into(), "/run/lab/notify".into())],
        ..DaemonOptions::default()
    };
    let mut daemon = Daemon::start_with(lab.host(0), options);
    let mut buffer = [0; 500];
    let count = socket.recv(&mut buffer).expect("a message");
    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
    assert!(text.lines().any(|line| line == "READY=1"), "{text}");
    daemon.stop();
    assert!(
        !lab.host(0).path("/run/docker.sock").exists(),
        "a proper end takes its socket away"
    );
    assert!(!lab.host(0).path("/run/sealane.pid").exists());
}

#[test]
fn tcp_is_only_for_clients_with_a_certificate() {
    let world = World::prepared(
        &[
            "-H",
            "tcp://127.0.0.1:2376",
            "--tlsverify",
            "--tlscacert",
            "/run/lab/ca.pem",
            "--tlscert",
            "/run/lab/server.pem",
            "--tlskey",
            "/run/lab/server.key",
        ],
        |lab| {
            lab.host(0).sh(CERTIFICATES).ok();
        },
    );
    let files = "--tlsverify --tlscacert /run/lab/ca.pem --tlscert /run/lab/client.pem --tlskey /run/lab/client.key";
    let listed = world
        .docker(&format!("-H tcp://127.0.0.1:2376 {files} network ls -q"))
        .ok();
    assert_eq!(listed.lines().count(), 3);
    let without = world
        .host()
        .sh("curl -sS --cacert /run/lab/ca.pem https://127.0.0.1:2376/_ping");
    assert!(!without.succeeded(), "{without}");
    let plain = world
        .host()
        .sh("curl -sS --http0.9 -m 3 http://127.0.0.1:2376/_ping");
    assert!(!plain.stdout.contains("OK"), "{plain}");
}

const CERTIFICATES: &str = r"
cd /run/lab
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -subj /CN=$1 2>/dev/null; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca \
  -addext basicConstraints=critical,CA:TRUE 2>/dev/null
new server | openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem \
  -extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
new client | openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out client.pem \
  -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null
test -s client.pem && test -s server.pem
";

#[test]
fn several_daemons_run_side_by_side() {
    let lab = Lab::with_hosts(2);
    let one = Daemon::with_image(lab.host(0), &[]);
    let two = Daemon::with_image(lab.host(1), &[]);
    for (daemon, address) in [(&one, "10.99.0.1"), (&two, "10.99.0.2")] {
        daemon.run("--name web -p 8080:80 img httpd -f -h /www");
        // The server in it takes a moment.
        let page = eventually(SOON, || lab.peer().fetch(&format!("{address}:8080")));
        assert_eq!(page, HELLO);
    }
    // From one host's container to the other's published port.
    assert_eq!(
        one.sandbox("web").fetch("10.99.0.2:8080").as_deref(),
        Some(HELLO)
    );
    assert_eq!(one.docker("ps -q").ok().lines().count(), 1);
}
