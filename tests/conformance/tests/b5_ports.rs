//! Chapter B5: published ports.

use sealane_conformance::*;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn b5_1_both_families_have_the_same_number() {
    with_bridge_filter_off_and_on(|world| {
        world.serve("--name four -p 8080:80");
        world.network("--ipv6 --subnet fd51::/64 dual");
        world.serve("--name both --network dual -p 8081:80");
        for port in [8080, 8081] {
            for authority in [format!("10.99.0.1:{port}"), format!("[fd99::1]:{port}")] {
                assert_eq!(
                    world.peer().fetch(&authority).as_deref(),
                    Some(HELLO),
                    "{authority}"
                );
            }
            for authority in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
                assert_eq!(
                    world.host().fetch(&authority).as_deref(),
                    Some(HELLO),
                    "{authority}"
                );
            }
        }
        assert_eq!(world.docker("port four").ok().lines().count(), 2);
        let processes = world.host().sh("ps -e -o args=").ok();
        assert!(
            !processes.contains("proxy"),
            "no process for a port: {processes}"
        );
    });
}

#[test]
fn b5_2_a_port_is_really_taken() {
    let world = World::new();
    let host = world.host();
    world.serve("--name first -p 8080:80");
    for address in ["0.0.0.0:8080", "127.0.0.1:8080", "[::]:8080"] {
        let bound = host.in_netns(|| TcpListener::bind(address));
        assert_eq!(
            bound.err().map(|error| error.kind()),
            Some(std::io::ErrorKind::AddrInUse),
            "{address}"
        );
    }
    let before = Snapshot::take(host);
    let second = world.docker("run -d --name second -p 8080:80 img sleep 1000");
    second.fails_with(125, "failed to set up container networking: ");
    second.fails_with(
        125,
        "driver failed programming external connectivity on endpoint second (",
    );
    second.fails_with(
        125,
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
    );
    assert_eq!(world.inspect("second")["State"]["Status"], "created");
    before.returns_on(host);

    let foreign = host
        .in_netns(|| TcpListener::bind("0.0.0.0:8081"))
        .expect("it is free");
    let third = world.docker("run -d --name third -p 8081:80 img sleep 1000");
    third.fails_with(
        125,
        "failed to bind host port 0.0.0.0:8081/tcp: address already in use",
    );
    drop(foreign);
    world.docker("start third").ok();

    let away = world.docker("run -d --name away -p 10.1.2.3:8082:80 img sleep 1000");
    away.fails_with(
        125,
        "failed to bind host port 10.1.2.3:8082/tcp: cannot assign requested address",
    );
    let twice = world.docker("run -d --name twice -p 18080:80 -p 18080:81 img sleep 1000");
    twice.fails_with(125, "18080 failed: port is already allocated");

    world.docker("rm -f first").ok();
    world.docker("start second").ok();
}

#[test]
fn b5_3_an_ephemeral_port_is_searched_past_taken_ones() {
    let world = World::prepared(&[], |lab| {
        lab.host(0)
            .sysctl("ipv4/ip_local_port_range", "'42000 42004'")
    });
    let taken: Vec<TcpListener> = [42000, 42001, 42003, 42004]
        .iter()
        .map(|port| {
            world
                .host()
                .in_netns(|| TcpListener::bind(("0.0.0.0", *port)))
                .expect("it is free")
        })
        .collect();
    world.serve("--name c -p 80");
    assert_eq!(
        world.docker("port c 80").ok().lines().next(),
        Some("0.0.0.0:42002")
    );
    assert_eq!(
        world.peer().fetch("10.99.0.1:42002").as_deref(),
        Some(HELLO)
    );
    let full = world.docker("run -d -p 81 img sleep 1000");
    assert_eq!(full.code, 125, "{full}");
    drop(taken);
    world.idle("-p 81");
}

#[test]
fn b5_4_b5_9_a_client_is_never_seen_with_another_source() {
    let world = World::new();
    let ended = AtomicBool::new(false);
    let target: SocketAddr = "10.99.0.1:8080".parse().expect("an address");
    let try_once = || {
        let mut stream = TcpStream::connect_timeout(&target, Duration::from_millis(200)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        // Accepted and then no page: something other than the container took the connection.
        Some(
            stream
                .read_to_string(&mut page)
                .is_ok_and(|_| page.contains(HELLO)),
        )
    };
    let (answered, broken) = thread::scope(|scope| {
        let hammer = scope.spawn(|| {
            world.peer().in_netns(|| {
                let (mut answered, mut broken) = (0_u32, 0_u32);
                while !ended.load(Ordering::Relaxed) {
                    match try_once() {
                        Some(true) => answered += 1,
                        Some(false) => broken += 1,
                        None => thread::sleep(Duration::from_millis(1)),
                    }
                }
                (answered, broken)
            })
        });
        world.run("--name web -p 8080:80 img httpd -f -vv -h /www");
        thread::sleep(Duration::from_millis(300));
        ended.store(true, Ordering::Relaxed);
        hammer.join().expect("the client does not panic")
    });
    assert!(answered > 0);
    assert_eq!(broken, 0, "accepted by something else, of {answered}");
    let log = world.docker("logs web 2>&1").ok();
    let clients: Vec<&str> = log.lines().filter(|line| line.contains("url:")).collect();
    assert!(!clients.is_empty(), "{log}");
    assert!(clients.iter().all(|line| line.contains(lan::PEER)), "{log}");
}

#[test]
fn b5_5_stale_udp_flows_reach_the_new_container() {
    with_bridge_filter_off_and_on(|world| {
        let client = world
            .peer()
            .in_netns(|| UdpSocket::bind("10.99.0.100:5555"))
            .expect("it is free");
        let receive = |name: &str, text: &[u8]| {
            let server = udp_server(&world.sandbox(name), "0.0.0.0:5000");
            client.send_to(text, "10.99.0.1:5000").expect("sent");
            let mut buffer = [0; 16];
            let (count, from) = server
                .recv_from(&mut buffer)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(&buffer[..count], text);
            assert_eq!(from.to_string(), "10.99.0.100:5555", "the real source");
        };
        world.idle("--name one -p 5000:5000/udp");
        receive("one", b"first");
        let flows = world.host().sh("conntrack -L -p udp 2>/dev/null").ok();
        assert!(flows.contains("dport=5000"), "{flows}");
        world.docker("rm -f one").ok();
        // A packet in between makes a flow that leads nowhere.
        client.send_to(b"lost", "10.99.0.1:5000").expect("sent");
        world.idle("--name two -p 5000:5000/udp");
        receive("two", b"second");
    });
}

#[test]
fn b5_6_a_port_on_loopback_is_not_reachable_from_the_lan() {
    let world = World::new();
    world.serve("--name c -p 127.0.0.1:8080:80");
    assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
    // The trick: a neighbor sends to 127.0.0.1 by its cable, and the host is careless enough to
    // take such packets on its uplink.
    to_loopback_by_cable(world.lab());
    let arriving = Capture::start(world.host(), "eth0", "tcp and dst host 127.0.0.1");
    let inside = world.sandbox("c").capture("eth0", "tcp port 80");
    assert_eq!(world.peer().fetch("127.0.0.1:8080"), None);
    assert!(
        !arriving.stop().is_empty(),
        "the packets did arrive at the host"
    );
    assert_eq!(inside.stop(), [""; 0], "and did not reach the container");
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
}

#[test]
fn b5_6_loopback_is_no_source_of_what_a_container_sends() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv6 --subnet 10.58.0.0/24 --subnet fd58::/64 net");
        world.serve("--network net --name c -p 127.0.0.1:8080:80");
        let sandbox = world.sandbox("c");
        let service = world
            .host()
            .in_netns(|| UdpSocket::bind("0.0.0.0:9999"))
            .expect("it is free");
        service
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        let send = |from: &str, to: &str| {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let packet = udp_packet(from, to, from.to_string().as_bytes());
            let gateway = IpAddr::from([10, 58, 0, 1]);
            sandbox.in_netns(|| send_whole(gateway, &packet));
        };
        let leaving = sandbox.capture("eth0", "udp port 9999");
        // From all of 127.0.0.0/8, to an address of the host and to its loopback.
        send("127.0.0.5:7000", "10.58.0.1:9999");
        send("127.0.0.1:7000", "10.58.0.1:9999");
        send("127.255.255.254:7000", "10.99.0.1:9999");
        send("10.58.0.2:7000", "127.0.0.1:9999");
        send("10.58.0.2:7001", "10.58.0.1:9999");
        let mut seen = [0; 100];
        let (length, from) = eventually(SOON, || service.recv_from(&mut seen).ok());
        assert_eq!(
            (from.to_string(), &seen[..length]),
            ("10.58.0.2:7001".into(), &b"10.58.0.2:7001"[..])
        );
        assert!(service.recv_from(&mut seen).is_err(), "and no other");
        let left = leaving.stop();
        assert_eq!(left.len(), 5, "all left the container: {left:#?}");
        // The host's own way from there to a published port is as it was.
        assert_eq!(world.host().fetch("127.0.0.1:8080").as_deref(), Some(HELLO));
        let other = world
            .host()
            .sh("curl -sS -m 2 --interface 127.0.0.9 http://127.0.0.1:8080/");
        assert_eq!(other.ok(), HELLO);
    });
}

#[test]
fn b5_7_containers_are_not_reachable_by_their_own_address() {
    with_bridge_filter_off_and_on(|world| {
        world.serve("--name c -p 8080:80");
        let address = world.address("c", "bridge");
        world
            .peer()
            .sh("ip route add 172.17.0.0/16 via 10.99.0.1")
            .ok();
        let arriving = Capture::start(world.host(), "eth0", &format!("dst host {address}"));
        assert_eq!(world.peer().fetch(&format!("{address}:80")), None);
        assert!(!world.peer().pings(&address));
        assert!(
            !arriving.stop().is_empty(),
            "the packets did arrive at the host"
        );
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        assert_eq!(
            world.host().fetch(&format!("{address}:80")).as_deref(),
            Some(HELLO),
            "from the host"
        );
    });
}

#[test]
fn b5_8_sctp_is_forwarded() {
    let world = World::new();
    world.idle("--name c -p 9000:9001/sctp");
    let capture = world.sandbox("c").capture("eth0", "ip proto 132");
    let packet = sctp_init(40000, 9000);
    // Sent as it is, over a raw socket: this kernel has no SCTP sockets of its own.
    world
        .peer()
        .in_netns(|| send_raw(132, Ipv4Addr::new(10, 99, 0, 1), &packet));
    let seen = eventually(SOON, || capture.packets().first().cloned());
    let address = world.address("c", "bridge");
    assert!(
        seen.contains(&format!("10.99.0.100.40000 > {address}.9001: sctp")),
        "{seen}"
    );
}

#[test]
fn b5_9_servers_see_the_clients_own_address() {
    with_bridge_filter_off_and_on(|world| {
        world.network("--ipv6 --subnet 10.59.0.0/24 --subnet fd59::/64 dual");
        world.run("--network dual --name web -p 8080:80 img httpd -f -vv -h /www");
        world.idle("--network dual --name sibling");
        world.idle("--name stranger");
        world.peer().fetch("10.99.0.1:8080").expect("it answers");
        world.peer().fetch("[fd99::1]:8080").expect("it answers");
        let log = world.docker("logs web 2>&1").ok();
        for address in [lan::PEER, lan::PEER6] {
            assert!(log.contains(address), "{address} is not in {log}");
        }
        // From another network too; only the same bridge forces a translation.
        let stranger = world.address("stranger", "bridge");
        world
            .sandbox("stranger")
            .fetch("10.99.0.1:8080")
            .expect("it answers");
        world
            .sandbox("sibling")
            .fetch("10.99.0.1:8080")
            .expect("it answers");
        let log = world.docker("logs web 2>&1").ok();
        assert!(log.contains(&stranger), "{stranger} is not in {log}");
    });
}

#[test]
fn b5_11_ps_groups_ranges() {
    let world = World::new();
    world.idle("--name c -p 8000-8003:8000-8003 -p 9000:90/udp");
    let ports = world.docker("ps --format '{{.Ports}}'").ok();
    assert!(
        ports.contains("0.0.0.0:8000-8003->8000-8003/tcp"),
        "{ports}"
    );
    assert!(ports.contains("0.0.0.0:9000->90/udp"), "{ports}");
    world.docker("stop -t 0 c").ok();
    assert_eq!(world.docker("ps -a --format '{{.Ports}}'").ok(), "");
    // In the API they are single, with a number each, and both families.
    world.docker("start c").ok();
    let listed = world.get("/containers/json")[0]["Ports"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(10), "{listed}");
    let one = json!({"IP": "0.0.0.0", "PrivatePort": 8003, "PublicPort": 8003, "Type": "tcp"});
    assert!(
        listed.as_array().is_some_and(|ports| ports.contains(&one)),
        "{listed}"
    );
    world.idle("--name exposed --expose 443");
    let ports = world
        .docker("ps --format '{{.Ports}}' --filter name=exposed")
        .ok();
    assert_eq!(ports, "443/tcp");
}

#[test]
fn b5_9_a_published_port_of_the_host_itself_stays_the_hosts() {
    // A server of the host on another port is not disturbed, and is seen with its own address.
    let world = World::new();
    world.serve("--name web -p 8080:80");
    let from = accept_one(world.host(), "10.99.0.1:9999", || {
        assert!(
            world
                .peer()
                .in_netns(|| TcpStream::connect("10.99.0.1:9999"))
                .is_ok()
        );
    });
    assert_eq!(from, lan::PEER.parse::<IpAddr>().expect("an address"));
}
