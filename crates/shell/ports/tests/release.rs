//! Releasing. In a process of its own: programs that other tests start would hold the sockets for
//! the moment until they are executed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod host;

use host::{on_a_host, publish, sandbox};
use sealane_ports::Ports;
use std::net::{TcpListener, UdpSocket};

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
