//! Chapter B7: whom the resolver asks outside, and what it believes.

use sealane_conformance::*;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

const RESOLVER: &str = "127.0.0.11:53";

/// A query for the IPv4 address of a name.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label is short"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// The code of dig's full answer.
fn status(outcome: &Outcome) -> String {
    let after = outcome.stdout.split("status: ").nth(1).unwrap_or_default();
    after.split(',').next().unwrap_or_default().to_owned()
}

/// Asks the same a thousand times at once, each time under another id, and hears some answers.
fn ask_a_thousand_times(name: &str) {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.connect(RESOLVER).expect("a resolver");
    for id in 0..1_000 {
        client.send(&query(id, name)).expect("a query is sent");
        if id % 50 == 49 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let timeout = Some(Duration::from_secs(3));
    client.set_read_timeout(timeout).expect("a timeout");
    client.recv(&mut [0; 512]).expect("an answer");
}

/// An answer to a query for an address, as if it came from port 53 of the LAN's peer.
fn forgery(query: &[u8], port: u16) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 66]);
    let length = u16::try_from(8 + answer.len()).expect("an answer is short");
    let from: Ipv4Addr = lan::PEER.parse().expect("an address");
    let to: Ipv4Addr = lan::HOST.parse().expect("an address");
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0, 53]);
    packet.extend(port.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(answer);
    packet
}

/// Sends forged answers from a container's namespace, to ports and under ids by chance.
fn flood(name: &str, packets: u32) {
    const RAW: u32 = 255;
    let mut chance = 1_u32;
    let mut next = || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chance >> 8
    };
    for _ in 0..packets {
        let id = (next() & 0xffff) as u16;
        let port = 32_768 + (next() % 28_232) as u16;
        let host = lan::HOST.parse().expect("an address");
        send_raw(RAW, host, &forgery(&query(id, name), port));
    }
}

#[test]
fn b7_4_forged_answers_reach_no_other_network() {
    let world = World::new();
    let upstream = Upstream::start(world.peer(), lan::PEER, Manner::Forged(1));
    world.network("evil");
    world.network("good");
    world.idle("--network evil --name mallory");
    world.idle("--network good --name alice");
    let (mallory, alice) = (world.sandbox("mallory"), world.sandbox("alice"));
    // A question of its own tells the forger a port.
    mallory.dig("+short seen.example").ok();
    for round in 0..3 {
        let name = format!("bank{round}.example");
        let before = upstream.queries();
        mallory.in_netns(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| ask_a_thousand_times(&name));
                // Threads are in the namespace of the one that starts them.
                scope.spawn(|| flood(&name, 5_000));
            });
        });
        assert_eq!(alice.dig(&format!("+short {name}")).ok(), "192.0.2.1");
        assert_eq!(mallory.dig(&format!("+short {name}")).ok(), "192.0.2.1");
        let asked = upstream.queries() - before;
        assert!(
            asked <= 2,
            "a thousand questions were one, but {asked} left"
        );
    }
    for i in 0..40 {
        alice.dig(&format!("+short +time=1 n{i}.example"));
    }
    let ports = upstream.ports();
    let different: BTreeSet<&u16> = ports.iter().collect();
    assert!(
        different.len() + 3 > ports.len(),
        "each from another port: {ports:?}"
    );
}

#[test]
fn b7_8_the_servers_of_every_network_are_asked() {
    let world = World::prepared(&[], |lab| {
        for address in ["10.99.0.101", "10.99.0.102"] {
            let add = format!("ip address add {address}/24 dev eth0");
            lab.peer().sh(&add).ok();
        }
    });
    let blue = Upstream::start(world.peer(), "10.99.0.101", Manner::Domain("blues", 101));
    let green = Upstream::start(world.peer(), "10.99.0.102", Manner::Domain("greens", 102));
    world.network("-o dns=10.99.0.101 blue");
    world.network("-o dns=10.99.0.102 green");
    world.idle("--network blue --name both");
    world.docker("network connect green both").ok();
    world.idle("--network blue --name single");
    let both = world.sandbox("both");
    assert_eq!(both.dig("+short host.blues").ok(), "192.0.2.101");
    assert_eq!(both.dig("+short host.greens").ok(), "192.0.2.102");
    assert_eq!(both.dig("+tcp +short host.greens").ok(), "192.0.2.102");
    let text = world.docker("exec both cat /etc/resolv.conf").ok();
    assert!(
        text.contains("# ExtServers: [10.99.0.101 10.99.0.102]"),
        "{text}"
    );
    // There is an IPv4 address and no other: the name exists, whatever the other server says.
    assert_eq!(status(&both.dig("AAAA host.greens")), "NOERROR");

    let before = (blue.queries(), green.queries());
    assert_eq!(status(&both.dig("host.nowhere")), "NXDOMAIN");
    assert!(
        blue.queries() > before.0 && green.queries() > before.1,
        "both are asked"
    );

    // Where both know a name, the network that it lies below is right.
    drop((blue, green));
    let _blue = Upstream::start(world.peer(), "10.99.0.101", Manner::Address(8));
    let _green = Upstream::start(world.peer(), "10.99.0.102", Manner::Address(9));
    assert_eq!(both.dig("+short host.green").ok(), "192.0.2.9");
    assert_eq!(both.dig("+short host.blue").ok(), "192.0.2.8");
    let single = world.sandbox("single");
    assert_eq!(
        single.dig("+short host.green").ok(),
        "192.0.2.8",
        "it is not on green"
    );
}

#[test]
fn b7_3_a_crowd_that_says_nothing_takes_no_place_from_those_who_ask() {
    let world = World::new();
    world.network("net1");
    world.idle("--network net1 --name web");
    world.idle("--network net1 --name other");
    let (sandbox, address) = (world.sandbox("web"), world.address("web", "net1"));
    let ask = |stream: &mut TcpStream| {
        let query = query(7, "web");
        let length = u16::try_from(query.len()).expect("a query is short");
        let message = [&length.to_be_bytes()[..], &query].concat();
        stream.write_all(&message).expect("a query is sent");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).expect("all of it");
        let octets: [u8; 4] = *answer.last_chunk().expect("an address");
        Ipv4Addr::from(octets).to_string()
    };
    let connect = || {
        let stream = TcpStream::connect(RESOLVER).expect("a connection");
        let timeout = Some(Duration::from_secs(30));
        stream.set_read_timeout(timeout).expect("a timeout");
        stream
    };
    let (mut early, crowd) = sandbox.in_netns(|| {
        let mut early = connect();
        assert_eq!(ask(&mut early), address);
        (early, (0..200).map(|_| connect()).collect::<Vec<_>>())
    });
    assert_eq!(ask(&mut early), address, "who has asked before is kept");
    assert_eq!(sandbox.dig("+tcp +short web").ok(), address);
    let other = world.sandbox("other");
    assert_eq!(other.dig("+tcp +short web").ok(), address);
    for mut stream in crowd {
        let end = stream.read(&mut [0; 1]);
        let closed = match &end {
            Ok(count) => *count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(closed, "{end:?}");
    }
}
