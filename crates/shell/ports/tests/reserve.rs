//! Reservations: what is bound, what is refused and with which words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod host;

use host::{numbers, on_a_host, publish, run, sandbox};
use sealane_core::model::{PortMapping, PortRequest};
use sealane_ports::{PortError, Ports};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

fn requests(texts: &[&str]) -> Vec<PortRequest> {
    texts.iter().map(|text| publish(text)).collect()
}

fn reserve(ports: &Ports, owner: &str, texts: &[&str]) -> Result<Vec<PortMapping>, PortError> {
    ports.reserve(&requests(texts), &sandbox(owner), None)
}

fn refusal(ports: &Ports, owner: &str, texts: &[&str]) -> String {
    reserve(ports, owner, texts).unwrap_err().to_string()
}

fn is_taken(address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    matches!(TcpListener::bind(address), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

#[test]
fn b5_1_one_socket_takes_the_port_of_both_families() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let mappings = reserve(&ports, "web", &["8080:80", "5353:53/udp"]).unwrap();
        assert_eq!(numbers(&mappings), [8080, 5353]);
        assert_eq!(mappings[0].host_ip, None);
        assert!(is_taken("0.0.0.0:8080") && is_taken("127.0.0.1:8080") && is_taken("[::1]:8080"));
        assert!(
            UdpSocket::bind("127.0.0.1:5353").is_err() && UdpSocket::bind("[::1]:5353").is_err()
        );
        let sockets = run("ss -Hltnu");
        assert_eq!(sockets.lines().count(), 2, "{sockets}");
    });
}

#[test]
fn b5_1_one_family_leaves_the_other_free() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        reserve(&ports, "four", &["0.0.0.0:80:80"]).unwrap();
        assert!(!is_taken("[::1]:80"));
        reserve(&ports, "six", &["[::]:80:80"]).unwrap();
        assert!(is_taken("[::1]:80"));
        reserve(&ports, "one", &["127.0.0.2:81:80"]).unwrap();
        reserve(&ports, "two", &["127.0.0.3:81:80", "[::1]:81:80"]).unwrap();
        assert!(!is_taken("127.0.0.4:81"));
    });
}

#[test]
fn b5_1_a_network_may_have_an_address_of_its_own_to_publish_on() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let request = requests(&["80:80", "0.0.0.0:81:81"]);
        let address = "127.0.0.7".parse().unwrap();
        let mappings = ports
            .reserve(&request, &sandbox("web"), Some(address))
            .unwrap();
        assert_eq!(mappings[0].host_ip, Some(address));
        assert!(is_taken("127.0.0.7:80") && !is_taken("127.0.0.1:80"));
        assert!(is_taken("127.0.0.1:81"), "an address of the request wins");
    });
}

#[test]
fn b5_2_a_port_of_ours_is_refused_in_dockers_words() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        reserve(
            &ports,
            "web",
            &["8080:80", "127.0.0.1:81:80", "[::1]:82:80"],
        )
        .unwrap();
        let refused = |text: &str| refusal(&ports, "other", &[text]);
        let text = "Bind for 0.0.0.0:8080 failed: port is already allocated";
        assert_eq!(refused("8080:80"), text);
        assert_eq!(refused("127.0.0.1:8080:80"), text);
        let text = "Bind for :::8080 failed: port is already allocated";
        assert_eq!(refused("[::1]:8080:80"), text);
        let text = "Bind for 127.0.0.1:81 failed: port is already allocated";
        assert_eq!(refused("81:80"), text);
        assert_eq!(refused("127.0.0.1:81:80"), text);
        let text = "Bind for ::1:82 failed: port is already allocated";
        assert_eq!(refused("82:80"), text);
        let text = "Bind for 0.0.0.0:90 failed: port is already allocated";
        assert_eq!(refusal(&ports, "twice", &["90:80", "90:81"]), text);
        reserve(&ports, "udp", &["8080:80/udp"]).expect("another protocol");
    });
}

#[test]
fn b5_2_a_port_of_another_process_is_refused_in_dockers_words() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let _four = TcpListener::bind("0.0.0.0:80").unwrap();
        let _one = TcpListener::bind("127.0.0.1:81").unwrap();
        let _six = TcpListener::bind("[::1]:82").unwrap();
        let _datagrams = UdpSocket::bind("0.0.0.0:53").unwrap();
        let refused = |text: &str| refusal(&ports, "web", &[text]);
        let in_use =
            |what: &str| format!("failed to bind host port {what}: address already in use");
        assert_eq!(refused("80:80"), in_use("0.0.0.0:80/tcp"));
        assert_eq!(refused("81:80"), in_use("0.0.0.0:81/tcp"));
        assert_eq!(refused("127.0.0.1:81:80"), in_use("127.0.0.1:81/tcp"));
        assert_eq!(refused("82:80"), in_use("[::]:82/tcp"));
        assert_eq!(refused("53:53/udp"), in_use("0.0.0.0:53/udp"));
        let foreign = "failed to bind host port 10.1.2.3:8/tcp: cannot assign requested address";
        assert_eq!(refused("10.1.2.3:8:80"), foreign);
        reserve(&ports, "web", &["[::1]:81:80"]).expect("nobody has it");
    });
}

#[test]
fn b5_2_all_ports_of_a_request_are_reserved_or_none() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let _foreign = TcpListener::bind("0.0.0.0:82").unwrap();
        reserve(&ports, "web", &["80:80", "81:80", "82:80"]).unwrap_err();
        assert!(!is_taken("0.0.0.0:80") && !is_taken("0.0.0.0:81"));
        assert_eq!(ports.of(&sandbox("web")), []);
        reserve(&ports, "other", &["80:80", "81:80"]).expect("nothing was left behind");
    });
}

#[test]
fn b5_2_a_port_that_is_held_cannot_be_taken_by_lenient_sockets() {
    on_a_host(|| {
        let ports = Ports::open(false).unwrap();
        reserve(&ports, "web", &["80:80"]).unwrap();
        // The sockets of the standard library have SO_REUSEADDR.
        assert!(is_taken("0.0.0.0:80") && is_taken("127.0.0.1:80") && is_taken("[::]:80"));
    });
}

#[test]
fn b5_3_ephemeral_ports_follow_the_kernels_range_less_the_reserved_ones() {
    on_a_host(|| {
        run("echo '5000 5005' > /proc/sys/net/ipv4/ip_local_port_range");
        run("echo '5001,5003-5004' > /proc/sys/net/ipv4/ip_local_reserved_ports");
        let ports = Ports::open(true).unwrap();
        let one = |owner: &str| numbers(&reserve(&ports, owner, &["80"]).unwrap())[0];
        assert_eq!(one("a"), 5000);
        ports.release(&sandbox("a"));
        assert_eq!(one("b"), 5002, "not the one that was given last");
        assert_eq!(one("c"), 5005);
        assert_eq!(one("d"), 5000, "round and round");
        assert_eq!(refusal(&ports, "e", &["80"]), "all ports are allocated");
        assert_eq!(numbers(&reserve(&ports, "e", &["80/udp"]).unwrap()), [5000]);
    });
}

#[test]
fn b5_3_ten_ports_of_other_processes_are_put_up_with() {
    on_a_host(|| {
        run("echo '5000 5020' > /proc/sys/net/ipv4/ip_local_port_range");
        let ports = Ports::open(true).unwrap();
        let occupy = |port: u16| TcpListener::bind(("0.0.0.0", port)).unwrap();
        let _nine: Vec<_> = (5000..5009).map(occupy).collect();
        let mappings = reserve(&ports, "web", &["80"]).unwrap();
        assert_eq!(numbers(&mappings), [5009]);
        let _ten: Vec<_> = (5010..5020).map(occupy).collect();
        let text = "failed to bind host port 0.0.0.0:5019/tcp: address already in use";
        assert_eq!(refusal(&ports, "other", &["80"]), text);
    });
}

#[test]
fn b2_7_the_first_free_port_of_a_range_is_taken() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let _foreign = TcpListener::bind("0.0.0.0:8001").unwrap();
        let one = |owner: &str| reserve(&ports, owner, &["8000-8003:80"]).map(|m| numbers(&m)[0]);
        assert_eq!(one("a").unwrap(), 8000);
        assert_eq!(one("b").unwrap(), 8002);
        assert_eq!(one("c").unwrap(), 8003);
        assert!(one("d").is_err());
        ports.release(&sandbox("a"));
        assert_eq!(one("d").unwrap(), 8000);
    });
}

#[test]
fn b2_7_who_wants_one_port_chooses_before_who_takes_any() {
    on_a_host(|| {
        run("echo '5000 5003' > /proc/sys/net/ipv4/ip_local_port_range");
        let ports = Ports::open(true).unwrap();
        let wanted = ["80", "5000-5001:81", "5000:82"];
        let mappings = reserve(&ports, "web", &wanted).unwrap();
        assert_eq!(
            numbers(&mappings),
            [5002, 5001, 5000],
            "in the order of the requests"
        );
    });
}

#[test]
fn b2_7_what_is_no_range_is_refused() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        assert_eq!(refusal(&ports, "web", &["0:80"]), "invalid port range: 0-0");
        assert_eq!(
            refusal(&ports, "web", &["9-8:80"]),
            "invalid port range: 9-8"
        );
    });
}

#[test]
fn b5_8_sctp_ports_are_reserved_without_the_kernels_help() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        reserve(&ports, "web", &["80:80/sctp"]).unwrap();
        ports
            .activate(&sandbox("web"), Some("127.0.0.5".parse().unwrap()), None)
            .unwrap();
        let text = "Bind for 0.0.0.0:80 failed: port is already allocated";
        assert_eq!(refusal(&ports, "other", &["80:80/sctp"]), text);
        ports.release(&sandbox("web"));
        reserve(&ports, "other", &["80:80/sctp"]).unwrap();
    });
}

#[test]
fn released_ports_are_free_at_once() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        for _ in 0..20 {
            let requests = [publish("80-120:80"), publish("80:80/udp")];
            ports.reserve(&requests, &sandbox("web"), None).unwrap();
            ports
                .activate(&sandbox("web"), Some("127.0.0.5".parse().unwrap()), None)
                .unwrap();
            ports.release(&sandbox("web"));
            let _next = TcpListener::bind("0.0.0.0:80").unwrap();
            let _next = UdpSocket::bind("0.0.0.0:80").unwrap();
        }
        ports.release(&sandbox("nobody"));
    });
}

#[test]
fn a_restarted_daemon_has_the_same_ports() {
    on_a_host(|| {
        let first = Ports::open(true).unwrap();
        let mappings = reserve(&first, "web", &["80:80", "127.0.0.1:81:81", "53:53/udp"]).unwrap();
        drop(first);
        assert!(!is_taken("127.0.0.1:81"));

        let second = Ports::open(true).unwrap();
        second.adopt(&mappings, &sandbox("web")).unwrap();
        assert_eq!(second.of(&sandbox("web")), mappings);
        assert!(is_taken("[::1]:80") && is_taken("127.0.0.1:81"));
        assert!(refusal(&second, "other", &["80:80"]).contains("already allocated"));
    });
}

#[test]
fn a_port_lost_while_no_daemon_was_there_is_told_and_kept() {
    on_a_host(|| {
        let ports = Ports::open(true).unwrap();
        let mapping = |port: u16| {
            let PortRequest {
                protocol,
                container_port,
                ..
            } = publish("80");
            PortMapping {
                protocol,
                host_ip: None,
                host_port: port,
                container_port,
            }
        };
        let foreign = TcpListener::bind("0.0.0.0:81").unwrap();
        let error = ports.adopt(&[mapping(80), mapping(81), mapping(82)], &sandbox("web"));
        let text = "failed to bind host port 0.0.0.0:81/tcp: address already in use";
        assert_eq!(error.unwrap_err().to_string(), text);
        assert!(is_taken("0.0.0.0:80") && is_taken("0.0.0.0:82"));
        ports
            .activate(&sandbox("web"), Some("127.0.0.5".parse().unwrap()), None)
            .unwrap();
        drop(foreign);
        assert!(refusal(&ports, "other", &["81:80"]).contains("already allocated"));
    });
}

#[test]
fn a_port_without_relay_refuses_what_the_kernel_does_not_translate() {
    on_a_host(|| {
        let ports = Ports::open(false).unwrap();
        reserve(&ports, "web", &["80:80"]).unwrap();
        ports
            .activate(&sandbox("web"), Some("127.0.0.5".parse().unwrap()), None)
            .unwrap();
        for address in ["[::1]:80", "127.0.0.1:80"] {
            let error = TcpStream::connect(address).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    });
}
