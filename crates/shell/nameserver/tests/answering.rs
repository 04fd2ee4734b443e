//! Names of siblings, asked for by `dig` and by clients that behave badly.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sealane_core::dns::{Forwarding, NetworkView, View, Zone};
use sealane_nameserver::{UpstreamConfig, bind_sockets_at};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use support::netns::in_netns;
use support::world::{World, blue, endpoint, view};

const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

fn world() -> World {
    World::new(UpstreamConfig::Own(vec![]))
}

/// A query for the A record of a name of one label.
fn query(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &[length], name.as_bytes(), &[0, 0, 1, 0, 1]].concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(message.len()).unwrap().to_be_bytes()[..],
        message,
    ]
    .concat()
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

#[test]
fn b7_1_a_sibling_is_found_by_name_and_network_and_address() {
    in_netns(|| {
        let world = world();
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
        assert_eq!(world.dig("WEB.Blue AAAA").answers, ["fd00::2"]);
        assert_eq!(world.dig("-x 10.1.0.3").answers, ["db.blue."]);
        assert_eq!(world.dig("-x fd00::2").answers, ["web.blue."]);
        let seen = world.dig("web A");
        assert_eq!(
            (seen.status.as_str(), seen.flags.as_str()),
            ("NOERROR", "qr rd ra")
        );
        assert!(seen.text.contains("\t600\tIN\tA\t"), "{}", seen.text);
    });
}

#[test]
fn b7_2_a_known_name_has_no_mail_exchanger_and_that_is_no_error() {
    in_netns(|| {
        let seen = world().dig("web MX");
        assert_eq!((seen.status.as_str(), seen.answers.len()), ("NOERROR", 0));
    });
}

#[test]
fn b7_3_a_big_answer_is_whole_by_tcp_and_cut_by_udp() {
    in_netns(|| {
        let world = world();
        for i in 0..200 {
            let mut member = endpoint(&format!("n{i}"), i);
            member.names.push("all".into());
            world
                .nameserver
                .update_zone(blue(), |zone| zone.with_endpoint(member));
        }
        assert_eq!(world.dig_tcp("all A").answers.len(), 200);
        assert_eq!(world.dig("+bufsize=8192 all A").answers.len(), 200);
        let cut = world.dig("+noedns all A");
        assert_eq!(cut.flags, "qr tc rd ra");
        assert_eq!(cut.answers.len(), (512 - 12 - 9) / 16);
    });
}

#[test]
fn without_upstreams_an_unknown_name_is_a_failure() {
    in_netns(|| {
        let world = world();
        assert_eq!(world.dig("example.org A").status, "SERVFAIL");
        assert_eq!(world.dig_tcp("example.org A").status, "SERVFAIL");
    });
}

#[test]
fn b7_6_with_ndots_set_a_single_label_is_not_relayed() {
    in_netns(|| {
        let world = world();
        let set = View {
            ndots_set: true,
            ..view(Forwarding::Anywhere)
        };
        world.nameserver.update_view(&world.sandbox, Arc::new(set));
        assert_eq!(world.dig("nobody A").status, "NOERROR");
        assert_eq!(world.dig("nobody.example A").status, "SERVFAIL");
    });
}

#[test]
fn what_was_changed_is_seen_by_the_next_query() {
    in_netns(|| {
        let world = world();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect((RESOLVER, world.udp)).unwrap();
        let mut buffer = [0; 512];
        let mut ask = || {
            client.send(&query("web")).unwrap();
            let length = client.recv(&mut buffer).unwrap();
            buffer[length - 4..length].to_vec()
        };
        for i in 0..2_000_u16 {
            let last = u8::try_from(i % 250).unwrap();
            world
                .nameserver
                .update_zone(blue(), |zone| zone.with_endpoint(endpoint("web", last)));
            assert_eq!(ask(), [10, 1, 0, last]);
        }
        let alias = NetworkView::new(blue(), "blue", [("db", "web")]);
        let linked = View {
            networks: vec![alias],
            ..view(Forwarding::Anywhere)
        };
        world
            .nameserver
            .update_view(&world.sandbox, Arc::new(linked));
        assert_eq!(ask(), [10, 1, 0, 3]);
        world.nameserver.update_zone(blue(), |_| Zone::default());
        assert!(world.nameserver.zone(&blue()).is_none());
    });
}

#[test]
fn queries_may_come_in_pieces_or_together() {
    in_netns(|| {
        let world = world();
        let mut stream = TcpStream::connect((RESOLVER, world.tcp)).unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in framed(&query("web")) {
            stream.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        assert!(read_framed(&mut stream).ends_with(&[10, 1, 0, 2]));
        stream
            .write_all(&[framed(&query("db")), framed(&query("web"))].concat())
            .unwrap();
        assert!(read_framed(&mut stream).ends_with(&[10, 1, 0, 3]));
        assert!(read_framed(&mut stream).ends_with(&[10, 1, 0, 2]));
        stream.write_all(&framed(&query("web"))).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(
            read_framed(&mut stream).ends_with(&[10, 1, 0, 2]),
            "half closed"
        );
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and then closed");
    });
}

#[test]
fn slow_and_greedy_clients_keep_nobody_waiting() {
    in_netns(|| {
        let world = world();
        let connect = || TcpStream::connect((RESOLVER, world.tcp)).unwrap();
        let dripping: Vec<_> = (0..200)
            .map(|_| {
                let mut stream = connect();
                stream.write_all(&[0]).unwrap();
                stream
            })
            .collect();
        // Asks and asks, and reads no reply, until the resolver has had enough.
        let mut deaf = connect();
        deaf.set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let burst = framed(&query("web")).repeat(1_000);
        let ended = (0..10_000).find_map(|_| deaf.write_all(&burst).err());
        assert_ne!(
            ended.expect("it is cut off").kind(),
            std::io::ErrorKind::WouldBlock
        );
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
        assert_eq!(world.dig_tcp("web A").answers, ["10.1.0.2"]);
        drop(dripping);
    });
}

#[test]
fn nonsense_ends_nothing() {
    in_netns(|| {
        let world = world();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect((RESOLVER, world.udp)).unwrap();
        let bytes = prop::collection::vec(any::<u8>(), 0..2_000);
        let nearly =
            (prop::collection::vec((0..22_usize, any::<u8>()), 0..5)).prop_map(|changes| {
                let mut bytes = query("webx");
                changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
                bytes
            });
        let config = ProptestConfig {
            cases: 3_000,
            failure_persistence: None,
            ..Default::default()
        };
        TestRunner::new(config)
            .run(&prop_oneof![bytes, nearly], |bytes| {
                client.send(&bytes).unwrap();
                if bytes.len() % 8 == 0 {
                    let mut stream = TcpStream::connect((RESOLVER, world.tcp)).unwrap();
                    stream.write_all(&framed(&bytes)).unwrap();
                    stream.write_all(&bytes).unwrap();
                }
                Ok(())
            })
            .unwrap();
        client.send(&[7; 60_000]).unwrap();
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
        assert_eq!(world.dig_tcp("web A").answers, ["10.1.0.2"]);
    });
}

#[test]
fn a_restarted_daemon_has_its_ports_again() {
    in_netns(|| {
        let first = world();
        let (udp, tcp) = (first.udp, first.tcp);
        let mut client = TcpStream::connect((RESOLVER, tcp)).unwrap();
        client.write_all(&framed(&query("web"))).unwrap();
        read_framed(&mut client);
        drop(first);
        let sockets = bind_sockets_at(udp, tcp).expect("connections of before do not hold it");
        assert_eq!(sockets.ports().unwrap(), (udp, tcp));
    });
}

#[test]
fn a_removed_sandbox_is_not_served() {
    in_netns(|| {
        let world = world();
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
        world.nameserver.remove_sandbox(&world.sandbox);
        let mut attempts = 0;
        while bind_sockets_at(world.udp, world.tcp).is_err() {
            attempts += 1;
            assert!(attempts < 1_000, "the sockets stay open");
            thread::sleep(Duration::from_millis(10));
        }
    });
}
