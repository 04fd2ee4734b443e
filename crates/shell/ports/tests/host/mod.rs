//! A host of its own for each test: a network namespace with nothing but loopback.

#![allow(dead_code, reason = "each test file needs some of it")]

use sealane_core::model::{PortMapping, PortRequest, Protocol, SandboxId, derive_id};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// One test at a time: a program that one starts has copies of all sockets of the others until it
/// is executed, so that what they released would seem to be taken.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a test on a host of its own.
pub(crate) fn on_a_host<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    sealane_kernel::netns::isolated(|| {
        run("ip link set lo up");
        test()
    })
    .expect("a network namespace of its own; needs root")
}

/// Runs a command here, and returns what it prints.
pub(crate) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Gives the host an IPv6 address. Linux takes what is sent to it for its own a little later than
/// it names the address: the local route is made by a worker of its own.
pub(crate) fn add_address(address: &str) {
    run(&format!("ip address add {address}/128 dev lo nodad"));
    while run(&format!("ip -6 route show table local {address}")).is_empty() {
        thread::yield_now();
    }
}

/// A sandbox by name.
pub(crate) fn sandbox(name: &str) -> SandboxId {
    derive_id(&[name.as_bytes()])
}

/// `-p`, in short: `8080:80`, `127.0.0.1:8080:80/udp`, `8000-8010:80`, `80`, `[::1]::80`.
pub(crate) fn publish(text: &str) -> PortRequest {
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container_port) = text.rsplit_once(':').unwrap_or(("", text));
    let (ip, ports) = match rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
    {
        Some((ip, ports)) => (Some(ip), ports),
        None => rest
            .rsplit_once(':')
            .map_or((None, rest), |(ip, ports)| (Some(ip), ports)),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    PortRequest {
        protocol: protocol.parse::<Protocol>().unwrap(),
        container_port: container_port.parse().unwrap(),
        host_ip: ip.map(|ip| ip.parse::<IpAddr>().unwrap()),
        host_ports: (!ports.is_empty()).then(|| (first.parse().unwrap(), last.parse().unwrap())),
    }
}

/// The host ports of mappings.
pub(crate) fn numbers(mappings: &[PortMapping]) -> Vec<u16> {
    mappings.iter().map(|mapping| mapping.host_port).collect()
}

/// A server that says of each connection who it is, and then everything back.
pub(crate) fn echo(address: impl ToSocketAddrs, greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                // A peer that goes away ends its connection only.
                let _gone = stream.write_all(greeting.as_bytes());
                let mut from = stream.try_clone().unwrap();
                let _gone = std::io::copy(&mut from, &mut stream);
            });
        }
    });
    address
}

/// What a server says to a client that only listens.
pub(crate) fn ask(address: impl ToSocketAddrs) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
