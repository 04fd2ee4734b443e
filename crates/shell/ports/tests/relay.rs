//! The relay: what comes to the socket of a port reaches the container, and only when it may.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod host;

use host::{add_address, ask, echo, on_a_host, publish, run, sandbox};
use sealane_ports::Ports;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// The container's IPv4 address in these tests; all of 127/8 is on loopback.
const V4: &str = "127.0.0.5";
/// Its IPv6 address, which [`ports`] puts on loopback.
const V6: &str = "fd00::5";

/// Ports of one sandbox, not yet active.
fn ports(wanted: &[&str]) -> Ports {
    add_address(V6);
    let ports = Ports::open(true).unwrap();
    let requests: Vec<_> = wanted.iter().map(|text| publish(text)).collect();
    ports.reserve(&requests, &sandbox("web"), None).unwrap();
    ports
}

fn activate(ports: &Ports, v4: bool, v6: bool) {
    let (v4, v6) = (
        v4.then(|| V4.parse().unwrap()),
        v6.then(|| V6.parse().unwrap()),
    );
    ports.activate(&sandbox("web"), v4, v6).unwrap();
}

#[test]
fn b5_1_an_ipv6_peer_reaches_a_container_that_has_only_ipv4() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "four");
        activate(&ports, true, false);
        assert_eq!(ask("[::1]:8080"), "four");
        assert_eq!(ask("127.0.0.1:8080"), "four");
    });
}

#[test]
fn a_peer_is_led_to_the_containers_address_of_its_own_family() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "four");
        echo((V6, 80), "six");
        activate(&ports, true, true);
        assert_eq!(ask("[::1]:8080"), "six");
        assert_eq!(ask("127.0.0.1:8080"), "four");
        activate(&ports, false, true);
        assert_eq!(ask("127.0.0.1:8080"), "six");
        activate(&ports, true, false);
        assert_eq!(ask("[::1]:8080"), "four");
    });
}

#[test]
fn b5_4_who_comes_too_early_waits_and_loses_nothing() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "four");
        thread::scope(|scope| {
            let early = scope.spawn(|| ask("[::1]:8080"));
            while !run("ss -Htn state syn-sent").contains(":8080") {
                thread::yield_now();
            }
            activate(&ports, true, false);
            assert_eq!(early.join().unwrap(), "four");
        });
    });
}

#[test]
fn each_direction_ends_on_its_own() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        let listener = TcpListener::bind((V4, 80)).unwrap();
        activate(&ports, true, false);
        let mut peer = TcpStream::connect("[::1]:8080").unwrap();
        let (mut container, _) = listener.accept().unwrap();

        container.write_all(b"all I have").unwrap();
        container.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all I have");

        peer.write_all(b"an answer").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        text.clear();
        container.read_to_string(&mut text).unwrap();
        assert_eq!(text, "an answer");
    });
}

#[test]
fn a_slow_reader_gets_every_byte() {
    const MEBIBYTES: usize = 64;
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        let listener = TcpListener::bind((V4, 80)).unwrap();
        activate(&ports, true, false);
        let sender = thread::spawn(move || {
            let (mut container, _) = listener.accept().unwrap();
            for number in 0..MEBIBYTES {
                container.write_all(&[number as u8; 1 << 20]).unwrap();
            }
        });
        let mut peer = TcpStream::connect("[::1]:8080").unwrap();
        let mut piece = vec![0; 1 << 20];
        for number in 0..MEBIBYTES {
            if number % 16 == 0 {
                // Long enough that the buffers between fill up.
                thread::sleep(Duration::from_millis(50));
            }
            peer.read_exact(&mut piece).unwrap();
            assert!(piece.iter().all(|byte| *byte == number as u8));
        }
        assert_eq!(peer.read(&mut piece).unwrap(), 0);
        sender.join().unwrap();
    });
}

#[test]
fn many_streams_go_on_at_once() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "");
        activate(&ports, true, false);
        let mut peers: Vec<_> = (0..300)
            .map(|_| TcpStream::connect("[::1]:8080").unwrap())
            .collect();
        for round in 0..3u8 {
            for (number, peer) in peers.iter_mut().enumerate() {
                peer.write_all(&[round, number as u8]).unwrap();
            }
            for (number, peer) in peers.iter_mut().enumerate() {
                let mut answer = [0; 2];
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round, number as u8]);
            }
        }
    });
}

#[test]
fn a_container_that_does_not_listen_is_a_broken_connection() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        activate(&ports, true, false);
        let mut peer = TcpStream::connect("[::1]:8080").unwrap();
        let error = peer.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_broken_connection_breaks_at_the_other_end_too() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        let listener = TcpListener::bind((V4, 80)).unwrap();
        activate(&ports, true, false);
        let mut peer = TcpStream::connect("[::1]:8080").unwrap();
        let (container, _) = listener.accept().unwrap();
        peer.write_all(b"x").unwrap();
        container.peek(&mut [0; 1]).unwrap();
        drop(container); // with a byte unread, which resets the connection
        let error = peer.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn releasing_a_port_ends_its_streams_and_no_others() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "");
        activate(&ports, true, false);
        let other = sandbox("other");
        ports.reserve(&[publish("9090:80")], &other, None).unwrap();
        ports
            .activate(&other, Some(V4.parse().unwrap()), None)
            .unwrap();
        let say = |peer: &mut TcpStream| -> io::Result<u8> {
            let mut answer = [0; 1];
            peer.write_all(b"x")?;
            peer.read_exact(&mut answer)?;
            Ok(answer[0])
        };
        let mut ended = TcpStream::connect("[::1]:8080").unwrap();
        let mut kept = TcpStream::connect("[::1]:9090").unwrap();
        say(&mut ended).unwrap();
        say(&mut kept).unwrap();

        ports.release(&sandbox("web"));
        let error = ended.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(say(&mut kept).unwrap(), b'x');
        let error = TcpStream::connect("[::1]:8080").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_deactivated_port_stays_ours_and_ends_its_streams() {
    on_a_host(|| {
        let ports = ports(&["8080:80"]);
        echo((V4, 80), "four");
        activate(&ports, true, false);
        let mut peer = TcpStream::connect("[::1]:8080").unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
        ports.deactivate(&sandbox("web")).unwrap();
        let error = peer.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(TcpListener::bind("[::1]:8080").is_err());
        activate(&ports, true, false);
        assert_eq!(ask("[::1]:8080"), "four");
    });
}

/// A container that answers each datagram with its own words and the sender's port.
fn datagram_server(address: &str) -> SocketAddr {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let prefix = format!("{}:", from.port());
            let answer = [prefix.as_bytes(), &buffer[..length]].concat();
            // An answer that cannot be sent is missed by the test.
            let _lost = socket.send_to(&answer, from);
        }
    });
    address
}

/// Asks over a socket that accepts an answer only from the address asked.
fn exchange(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).unwrap();
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn peer(bind: &str, to: &str) -> UdpSocket {
    let socket = UdpSocket::bind(bind).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket.connect(to).unwrap();
    socket
}

#[test]
fn datagrams_are_answered_from_the_address_that_was_asked() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        datagram_server(V4);
        activate(&ports, true, false);
        add_address("fd00::77");
        for (bind, to) in [
            ("[::1]:0", "[::1]:5353"),
            ("[::1]:0", "[fd00::77]:5353"),
            ("127.0.0.1:0", "127.0.0.9:5353"),
        ] {
            let peer = peer(bind, to);
            assert!(exchange(&peer, "one").ends_with(":one"), "{to}");
            assert!(exchange(&peer, "two").ends_with(":two"), "{to}");
        }
    });
}

#[test]
fn each_peer_has_a_session_of_its_own() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        datagram_server(V4);
        activate(&ports, true, false);
        let (a, b) = (peer("[::1]:0", "[::1]:5353"), peer("[::1]:0", "[::1]:5353"));
        let session = |peer| {
            exchange(peer, "")
                .trim_end_matches(':')
                .parse::<u16>()
                .unwrap()
        };
        let (first, second) = (session(&a), session(&b));
        assert_ne!(first, second);
        assert_eq!((session(&a), session(&b)), (first, second));
    });
}

#[test]
fn the_largest_datagram_passes() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        datagram_server(V4);
        activate(&ports, true, false);
        let text = "x".repeat(65_000);
        assert!(exchange(&peer("[::1]:0", "[::1]:5353"), &text).ends_with(&text));
    });
}

#[test]
fn datagrams_follow_the_port_when_it_leads_elsewhere() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        datagram_server(V4);
        activate(&ports, true, false);
        let peer = peer("[::1]:0", "[::1]:5353");
        exchange(&peer, "one");
        let elsewhere = UdpSocket::bind("127.0.0.6:53").unwrap();
        ports
            .activate(&sandbox("web"), Some("127.0.0.6".parse().unwrap()), None)
            .unwrap();
        peer.send(b"two").unwrap();
        let mut buffer = [0; 8];
        let (length, _) = elsewhere.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"two");
    });
}

#[test]
fn a_container_that_comes_later_gets_the_next_datagram() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        activate(&ports, true, false);
        let peer = peer("[::1]:0", "[::1]:5353");
        peer.send(b"lost").unwrap();
        let refused = "awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp";
        while run(refused).trim() == "0" {
            thread::yield_now();
        }
        datagram_server(V4);
        assert!(exchange(&peer, "heard").ends_with(":heard"));
    });
}

#[test]
fn b5_4_datagrams_that_come_too_early_are_not_kept() {
    on_a_host(|| {
        let ports = ports(&["5353:53/udp"]);
        datagram_server(V4);
        let peer = peer("[::1]:0", "[::1]:5353");
        peer.send(b"early").unwrap();
        activate(&ports, true, false);
        assert!(exchange(&peer, "late").ends_with(":late"));
    });
}
