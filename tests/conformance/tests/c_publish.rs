//! Rows C-3 and C-18: ports of a running container, published and taken back.

use sealane_conformance::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Keeps on talking for a while, and says whether a byte came back lately.
fn goes_on(talk: &Conversation) {
    let before = talk.rounds();
    eventually(SOON, || (talk.rounds() > before + 5).then_some(()));
}

fn fetched(world: &World, port: u16) -> Option<String> {
    world.peer().fetch(&format!("10.99.0.1:{port}"))
}

#[test]
fn c_3_ports_come_and_go_while_connections_stay() {
    with_bridge_filter_off_and_on(|world| {
        world.serve("--name web -p 8080:80 -p 7000:7000");
        let web = world.sandbox("web");
        let kept = Conversation::start(&web, 7000, world.peer(), "10.99.0.1:7000");
        let id = world.inspect("web")["Id"].clone();

        world
            .sealane("publish add web 8081:80 7001:7001 127.0.0.1:8082:80")
            .ok();
        assert_eq!(fetched(world, 8081).as_deref(), Some(HELLO));
        assert_eq!(
            world.host().fetch("[::1]:8081").as_deref(),
            Some(HELLO),
            "relayed"
        );
        assert_eq!(world.host().fetch("127.0.0.1:8082").as_deref(), Some(HELLO));
        let going = Conversation::start(&web, 7001, world.peer(), "10.99.0.1:7001");
        goes_on(&going);

        let shown = world.docker("port web").ok();
        for line in [
            "80/tcp -> 0.0.0.0:8081",
            "80/tcp -> 127.0.0.1:8082",
            "7001/tcp -> [::]:7001",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        assert!(world.docker("ps").ok().contains("127.0.0.1:8082->80/tcp"));
        let bindings = world.inspect("web")["HostConfig"]["PortBindings"].clone();
        assert_eq!(
            bindings["80/tcp"].as_array().map(Vec::len),
            Some(3),
            "{bindings}"
        );
        let listed = world.sealane("publish ls web").ok();
        assert!(listed.contains("web 127.0.0.1:8082 -> 80/tcp"), "{listed}");

        world.sealane("publish rm web 8081 7001").ok();
        assert_eq!(fetched(world, 8081), None);
        assert!(is_free(world, 8081), "nobody has it any more");
        assert!(!is_free(world, 8080), "and one that stays is held");
        eventually(Duration::from_secs(15), || (!alive(&going)).then_some(()));
        drop(going);
        goes_on(&kept);
        assert_eq!(fetched(world, 8080).as_deref(), Some(HELLO));
        assert_eq!(world.inspect("web")["Id"], id);
        kept.finish()
            .expect("a connection to a port that stays goes on");
    });
}

/// Whether a byte has come back within the last second.
fn alive(talk: &Conversation) -> bool {
    let before = talk.rounds();
    std::thread::sleep(Duration::from_millis(500));
    talk.rounds() > before
}

/// Whether another process could have the port on every address: a socket that is bound would be in
/// the way, even one that never answers.
fn is_free(world: &World, port: u16) -> bool {
    let any = |ip: &str| TcpListener::bind((ip, port)).is_ok();
    world.host().in_netns(|| any("0.0.0.0") && any("::"))
}

/// The host ports of the container's port 80 on an address, as inspect shows them.
fn numbers(world: &World, container: &str, ip: &str) -> Vec<u16> {
    let ports = world.inspect(container)["NetworkSettings"]["Ports"]["80/tcp"].clone();
    let list = ports.as_array().cloned().unwrap_or_default();
    let of_ip = list.iter().filter(|binding| binding["HostIp"] == ip);
    of_ip
        .map(|binding| binding["HostPort"].as_str().expect("a text"))
        .map(|port| port.parse().expect("a number"))
        .collect()
}

#[test]
fn c_3_a_connection_outwards_survives_the_first_published_port() {
    let world = World::new();
    world.idle("--name c");
    let listener = world
        .peer()
        .in_netns(|| TcpListener::bind("10.99.0.100:9000"))
        .expect("it is free");
    let mut out = world.sandbox("c").in_netns(|| {
        let stream = TcpStream::connect("10.99.0.100:9000").expect("there is a way out");
        stream.set_read_timeout(Some(SOON)).expect("a socket can");
        stream
    });
    let (mut accepted, _) = listener.accept().expect("it is connected");
    world.sealane("publish add c 8080:80").ok();
    world.sealane("publish rm c 8080").ok();
    let mut byte = [1];
    out.write_all(&byte).expect("it goes on");
    accepted.read_exact(&mut byte).expect("it arrives");
    accepted.write_all(&byte).expect("and back");
    out.read_exact(&mut byte).expect("an answer");
}

#[test]
fn c_3_what_cannot_be_had_changes_nothing() {
    let world = World::new();
    world.serve("--name web -p 8080:80 -p 53:53/udp");
    world.idle("--name other -p 8090:90");
    let foreign = world
        .host()
        .in_netns(|| TcpListener::bind("0.0.0.0:8082"))
        .expect("it is free");
    let before = (Snapshot::take(world.host()), world.inspect("web"));
    let update = |body: Value| refused(&world, "POST", "/containers/web/update", &body);
    let port = |container: &str, host: &str| json!({ container: [{ "HostPort": host }] });

    let (status, text) = update(json!({"Publish": {
        "81/tcp": [{"HostPort": "8083"}, {"HostPort": "8082"}],
    }}));
    assert_eq!(status, 500);
    assert!(text.starts_with("driver failed programming external connectivity on endpoint web ("));
    assert!(
        text.ends_with("failed to bind host port 0.0.0.0:8082/tcp: address already in use"),
        "{text}"
    );
    let (_, text) = update(json!({"PortBindings": port("80/tcp", "8090")}));
    assert!(
        text.ends_with("Bind for 0.0.0.0:8090 failed: port is already allocated"),
        "{text}"
    );
    for (body, wanted) in [
        (
            json!({"PortBindings": port("80/icmp", "1")}),
            "invalid port specification: \"80/icmp\"",
        ),
        (
            json!({"PortBindings": port("80/tcp", "70000")}),
            "invalid port specification: \"70000\"",
        ),
        (json!({"Publish": {"80/tcp": [{"HostIp": "nowhere"}]}}), ""),
        (json!({"PortBindings": []}), ""),
        (json!({"Unpublish": "8080"}), ""),
    ] {
        let (status, text) = update(body.clone());
        assert_eq!(status, 400, "{body}: {text}");
        assert!(text.contains(wanted), "{body}: {text}");
    }
    let (status, text) = update(json!({"Unpublish": ["8080", "8081"]}));
    assert_eq!(
        (status, text.as_str()),
        (404, "container web publishes no port 8081/tcp")
    );
    let (status, _) = update(json!({"Memory": 1_000_000, "Unpublish": ["8080"]}));
    assert_eq!(status, 501);
    world.idle("--name sharer --network container:web");
    let (status, text) = refused(
        &world,
        "POST",
        "/containers/sharer/update",
        &json!({"PortBindings": port("80/tcp", "8085")}),
    );
    assert_eq!(
        (status, text.as_str()),
        (
            400,
            "conflicting options: port publishing and the container type network mode"
        )
    );
    world.docker("rm -f sharer").ok();

    assert_eq!(world.inspect("web")["HostConfig"], before.1["HostConfig"]);
    assert_eq!(
        world.inspect("web")["NetworkSettings"]["Ports"],
        before.1["NetworkSettings"]["Ports"]
    );
    before.0.returns_on(world.host());
    drop(foreign);
    assert!(is_free(&world, 8082) && is_free(&world, 8083));
}

#[test]
fn c_3_it_is_the_container_s_own_from_then_on() {
    let mut world = World::new();
    world.serve("--name web -p 8080:80");
    world.docker("update --restart always web").ok();
    // A port moves to another in the container, and one that stays is named again.
    world.sealane("publish add web 8081:81").ok();
    let (status, answer) = world.api(
        "POST",
        "/containers/web/update",
        &json!({
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}]},
            "RestartPolicy": {"Name": "unless-stopped"},
        }),
    );
    assert_eq!((status, &answer["Warnings"]), (200, &Value::Null));
    let policy = world.inspect("web")["HostConfig"]["RestartPolicy"]["Name"].clone();
    assert_eq!(policy, "unless-stopped");
    let both = |world: &World| {
        for port in [8080, 8081] {
            eventually(SOON, || fetched(world, port).filter(|page| page == HELLO));
        }
    };
    both(&world);
    world.relaunch();
    both(&world);
    world.docker("restart -t 0 web").ok();
    both(&world);
    world.reboot();
    both(&world);
    world.docker("stop -t 0 web").ok();
    world.sealane("publish rm web 8081").ok();
    world.docker("start web").ok();
    eventually(SOON, || fetched(&world, 8080));
    assert_eq!(fetched(&world, 8081), None);
}

#[test]
fn c_3_b5_11_an_open_port_is_taken_back_by_the_number_it_has() {
    let world = World::new();
    world.serve("--name web -p 80 -p 8000-8010:81");
    let ephemeral = world.docker("port web 80").ok();
    let number = ephemeral
        .lines()
        .next()
        .and_then(|line| line.rsplit(':').next())
        .expect("a port");
    world.sealane(&format!("publish rm web {number} 8000")).ok();
    assert_eq!(world.docker("port web").ok(), "");
    let events = world
        .docker("events --since 1 --until $(date +%s.%N) --filter event=update")
        .ok();
    assert_eq!(events.lines().count(), 1, "{events}");
    let idle = world.idle("--name all -P --expose 99");
    let port = world.inspect(&idle)["NetworkSettings"]["Ports"]["99/tcp"][0]["HostPort"].clone();
    let refused = world.sealane(&format!(
        "publish rm all {}",
        port.as_str().expect("a port")
    ));
    refused.fails_with(1, "is published because all exposed ports are (-P)");
}

#[test]
fn c_3_the_open_port_that_is_named_is_the_one_that_closes() {
    let world = World::new();
    world.serve("--name twins -p 80 -p 80");
    let twins = numbers(&world, "twins", "0.0.0.0");
    world
        .sealane(&format!("publish rm twins {}", twins[0]))
        .ok();
    assert_eq!(fetched(&world, twins[0]), None);
    assert!(is_free(&world, twins[0]));
    assert_eq!(fetched(&world, twins[1]).as_deref(), Some(HELLO));

    world.serve("--name mixed -p 8080:80 -p 80");
    world.sealane("publish rm mixed 8080").ok();
    assert!(is_free(&world, 8080), "an open binding does not keep it");
    let open = numbers(&world, "mixed", "0.0.0.0");
    assert_eq!(fetched(&world, open[0]).as_deref(), Some(HELLO));

    world.serve("--name apart -p 127.0.0.1::80 -p 80");
    let (local, public) = (
        numbers(&world, "apart", "127.0.0.1"),
        numbers(&world, "apart", "0.0.0.0"),
    );
    world
        .sealane(&format!("publish rm apart {}", public[0]))
        .ok();
    assert_eq!(fetched(&world, public[0]), None);
    assert!(is_free(&world, public[0]), "the public one is closed");
    let at_home = world.host().fetch(&format!("127.0.0.1:{}", local[0]));
    assert_eq!(at_home.as_deref(), Some(HELLO), "not the other");
}

#[test]
fn c_3_what_is_taken_back_off_the_network_stays_closed() {
    let world = World::new();
    world.serve("--name web -p 8080:80 -p 8081:80");
    world.docker("network disconnect bridge web").ok();
    world.sealane("publish rm web 8080").ok();
    assert!(is_free(&world, 8080));
    world.docker("network connect bridge web").ok();
    eventually(SOON, || fetched(&world, 8081).filter(|page| page == HELLO));
    assert_eq!(fetched(&world, 8080), None);
    assert!(is_free(&world, 8080));
    assert_eq!(numbers(&world, "web", "0.0.0.0"), [8081]);
}

#[test]
fn a_connect_whose_host_port_was_taken_meanwhile_is_refused() {
    let world = World::new();
    world.network("--internal closed");
    world.serve("--name web --network closed -p 8080:80");
    assert!(is_free(&world, 8080), "no network leads there");
    let foreign = world
        .host()
        .in_netns(|| TcpListener::bind("0.0.0.0:8080"))
        .expect("it is free");
    let before = (Snapshot::take(world.host()), world.inspect("web"));
    let join = json!({"Container": "web"});
    let (status, text) = refused(&world, "POST", "/networks/bridge/connect", &join);
    assert_eq!(status, 500);
    assert!(
        text.starts_with("driver failed programming external connectivity on endpoint web ("),
        "{text}"
    );
    assert!(
        text.ends_with("failed to bind host port 0.0.0.0:8080/tcp: address already in use"),
        "{text}"
    );
    assert_eq!(world.inspect("web"), before.1);
    before.0.returns_on(world.host());
    let links = world.sandbox("web").ip_json("link show type veth");
    assert_eq!(links.as_array().map(Vec::len), Some(1), "{links}");
    // It is not on it after a restart, either.
    let mut world = world;
    world.relaunch();
    assert_eq!(
        world.inspect("web")["NetworkSettings"],
        before.1["NetworkSettings"]
    );

    drop(foreign);
    world.docker("network connect bridge web").ok();
    eventually(SOON, || fetched(&world, 8080).filter(|page| page == HELLO));
}

#[test]
fn a_connect_that_would_move_ports_in_vain_leaves_them_where_they_are() {
    let world = World::new();
    world.network("-o com.docker.network.bridge.host_binding_ipv4=127.0.0.9 local");
    world.network("wide");
    world.serve("--name web --network local -p 8080:80");
    let foreign = world
        .host()
        .in_netns(|| TcpListener::bind("10.99.0.1:8080"))
        .expect("it is free");
    let here = || world.host().fetch("127.0.0.9:8080");
    assert_eq!(here().as_deref(), Some(HELLO));
    let before = world.inspect("web")["NetworkSettings"].clone();
    let join = json!({"Container": "web", "EndpointConfig": {"GwPriority": 5}});
    let (status, text) = refused(&world, "POST", "/networks/wide/connect", &join);
    assert_eq!(status, 500);
    assert!(
        text.ends_with("0.0.0.0:8080/tcp: address already in use"),
        "{text}"
    );
    assert_eq!(world.inspect("web")["NetworkSettings"], before);
    assert_eq!(here().as_deref(), Some(HELLO));

    // A network that the ports do not move to is none of their business.
    world.network("zzz");
    world.docker("network connect zzz web").ok();
    assert_eq!(here().as_deref(), Some(HELLO));
    drop(foreign);
    world.api("POST", "/networks/wide/connect", &join);
    assert_eq!(numbers(&world, "web", "0.0.0.0"), [8080]);
}

#[test]
fn c_3_a_port_moves_to_another_address_while_it_runs() {
    let world = World::new();
    world.serve("--name web -p [::1]:8080:80 -p 127.0.0.1:8081:80");
    let to = |six: &str, four: &str| {
        json!({"PortBindings": {"80/tcp": [
            {"HostIp": six, "HostPort": "8080"}, {"HostIp": four, "HostPort": "8081"},
        ]}})
    };
    let everywhere = to("::", "0.0.0.0");
    let foreign = world
        .host()
        .in_netns(|| TcpListener::bind("[fd99::1]:8080"))
        .expect("it is free");
    let (status, text) = refused(&world, "POST", "/containers/web/update", &everywhere);
    assert_eq!(status, 500);
    assert!(text.ends_with("address already in use"), "{text}");
    let here = |address: &str| world.host().fetch(address);
    assert_eq!(here("[::1]:8080").as_deref(), Some(HELLO), "relayed again");
    assert_eq!(here("127.0.0.1:8081").as_deref(), Some(HELLO));
    assert_eq!(fetched(&world, 8081), None);
    drop(foreign);

    let (status, answer) = world.api("POST", "/containers/web/update", &everywhere);
    assert_eq!(status, 200, "{answer}");
    let by_ipv6 = world.peer().fetch("[fd99::1]:8080");
    assert_eq!(by_ipv6.as_deref(), Some(HELLO));
    assert_eq!(fetched(&world, 8081).as_deref(), Some(HELLO));
    let back = to("::1", "127.0.0.1");
    let (status, answer) = world.api("POST", "/containers/web/update", &back);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(here("[::1]:8080").as_deref(), Some(HELLO));
    assert_eq!(fetched(&world, 8081), None);
}

#[test]
fn c_3_a_connection_to_a_routed_port_ends_with_it() {
    with_bridge_filter_off_and_on(|world| {
        let routed = "-o com.docker.network.bridge.gateway_mode_ipv4=routed";
        world.network(&format!("--subnet 10.46.0.0/24 {routed} net"));
        let route = "ip route add 10.46.0.0/24 via 10.99.0.1";
        world.peer().sh(route).ok();
        world.serve("--network net --name web -p 8080:7000 -p 8081:7001");
        let web = world.sandbox("web");
        let connect = |port: u16| {
            let listener = web
                .in_netns(|| TcpListener::bind(("0.0.0.0", port)))
                .expect("it is free");
            let address = format!("{}:{port}", world.address("web", "net"));
            let client = world
                .peer()
                .in_netns(|| TcpStream::connect(&address))
                .expect("it is open");
            let (server, _) = listener.accept().expect("it is connected");
            server.set_read_timeout(Some(SOON)).expect("a socket can");
            (client, server)
        };
        let (mut closed, mut open) = (connect(7000), connect(7001));
        let arrives = |(client, server): &mut (TcpStream, TcpStream)| {
            client.write_all(&[1]).expect("it can be sent");
            server.read_exact(&mut [0]).is_ok()
        };
        assert!(arrives(&mut closed) && arrives(&mut open));
        world.sealane("publish rm web 8080").ok();
        assert!(arrives(&mut open), "a port that stays");
        closed
            .1
            .set_read_timeout(Some(Duration::from_secs(1)))
            .expect("a socket can");
        assert!(!arrives(&mut closed), "nothing passes any more");
    });
}

#[test]
fn c_3_a_connection_ends_with_its_port_also_if_the_container_speaks_first() {
    with_bridge_filter_off_and_on(|world| {
        let mode = "-o com.docker.network.bridge.gateway_mode_ipv";
        world.network("--ipv6 --subnet 10.46.0.0/24 --subnet fd46::/64 nat");
        let routed = format!("{mode}4=routed {mode}6=routed");
        world.network(&format!(
            "--ipv6 --subnet 10.47.0.0/24 --subnet fd47::/64 {routed} routed"
        ));
        for route in ["10.47.0.0/24 via 10.99.0.1", "fd47::/64 via fd99::1"] {
            world.peer().sh(&format!("ip route add {route}")).ok();
        }
        world.idle("--network nat --name nat -p 7000:7000");
        world.idle("--network routed --name routed -p 7001:7000");
        let connect = |name: &str, listen: &str, to: &str| {
            let sandbox = world.sandbox(name);
            let listener = sandbox.in_netns(|| TcpListener::bind(listen));
            let client = world.peer().in_netns(|| TcpStream::connect(to));
            let client = client.unwrap_or_else(|error| panic!("{to}: {error}"));
            let (server, _) = listener.expect("it is free").accept().expect("connected");
            for end in [&client, &server] {
                end.set_read_timeout(Some(SOON)).expect("a socket can");
            }
            (client, server, to.to_owned())
        };
        let (v4, v6) = ("0.0.0.0:7000", "[::]:7000");
        let pairs = [
            connect("nat", v4, "10.99.0.1:7000"),
            connect("nat", v6, "[fd99::1]:7000"),
            connect("routed", v4, "10.47.0.2:7000"),
            connect("routed", v6, "[fd47::2]:7000"),
        ];
        world.sealane("publish rm nat 7000").ok();
        world.sealane("publish rm routed 7001").ok();
        for (mut client, mut server, to) in pairs {
            server.write_all(&[1]).expect("it is sent");
            let ended = server.read(&mut [0]).expect_err("nobody says anything");
            assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset, "{to}");
            client
                .set_read_timeout(Some(Duration::from_millis(300)))
                .expect("a socket can");
            let silence = client.read(&mut [0]).expect_err("and nothing arrives");
            assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock, "{to}");
        }
        // What the container opens itself from there is a connection like any other.
        let listener = world
            .peer()
            .in_netns(|| TcpListener::bind("10.99.0.100:9000"));
        world
            .sandbox("nat")
            .sh("curl -s --local-port 7000 -m 2 telnet://10.99.0.100:9000 </dev/null");
        let (_, from) = listener.expect("it is free").accept().expect("it came");
        assert_eq!(from.to_string(), "10.99.0.1:7000");
    });
}

#[test]
fn c_18_a_thousand_ports_are_one_transaction_and_no_process() {
    let world = World::new();
    world.serve("--name web -p 8080:80");
    let kept = Conversation::start(&world.sandbox("web"), 7000, world.host(), "172.17.0.2:7000");
    let processes = || world.host().sh("ps -e -o pid= | wc -l").ok();
    let rules = world.host().spawn("exec nft monitor");
    std::thread::sleep(Duration::from_millis(200));
    let before = processes();
    // Every second one, so that none is a run.
    let ports: Vec<Value> = (0..1000)
        .map(|n| json!({"HostPort": (10_000 + 2 * n).to_string()}))
        .collect();
    let (status, answer) = world.api(
        "POST",
        "/containers/web/update",
        &json!({"Publish": {"80/tcp": ports}}),
    );
    assert_eq!(status, 200, "{answer}");
    assert_eq!(fetched(&world, 11_998).as_deref(), Some(HELLO));
    let generations = || rules.output().matches("new generation").count();
    eventually(SOON, || (generations() >= 1).then_some(()));
    assert_eq!(generations(), 1, "one transaction");
    assert_eq!(
        rules
            .output()
            .matches("add element inet sealane publish-port4")
            .count(),
        1000
    );
    assert_eq!(processes(), before, "and no process");
    kept.finish().expect("its connections go on");
    let (status, answer) = world.api(
        "POST",
        "/containers/web/update",
        &json!({"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}),
    );
    assert_eq!(status, 200, "{answer}");
    assert_eq!(fetched(&world, 11_998), None);
    assert_eq!(fetched(&world, 8080).as_deref(), Some(HELLO));
}
