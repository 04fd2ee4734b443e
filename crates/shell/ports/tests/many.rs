//! Ten thousand ports, and then no more files. In one test and a process of its own, because the
//! limit of open files is the process's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod host;

use host::{ask, echo, on_a_host, publish, sandbox};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sealane_core::model::PortRequest;
use sealane_ports::{Ports, raise_file_limit};
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::thread;

const MANY: u16 = 10_000;

#[test]
fn ten_thousand_ports_are_served_and_no_file_is_left_over_in_the_end() {
    let limit = raise_file_limit().unwrap();
    assert!(
        limit.now.is_none_or(|now| now > u64::from(MANY) + 500),
        "{limit:?}"
    );
    on_a_host(|| {
        let before = open_files();
        let ports = Ports::open(true).unwrap();
        echo("127.0.0.5:80", "served");
        let request = |port: u16| PortRequest {
            host_ports: Some((port, port)),
            ..publish("80")
        };
        let requests: Vec<_> = (20_000..20_000 + MANY).map(request).collect();
        let owner = sandbox("web");
        ports.reserve(&requests, &owner, None).unwrap();
        ports
            .activate(&owner, Some("127.0.0.5".parse().unwrap()), None)
            .unwrap();
        assert_eq!(ask("[::1]:20000"), "served");
        assert_eq!(ask(("::1", 20_000 + MANY - 1)), "served");
        assert_eq!(threads_named("relay"), 1);
        turned_away_when_files_run_out();
        assert_eq!(ask("[::1]:20000"), "served");
        ports.release(&owner);
        drop(ports);
        // The echo server's listener stays.
        while open_files() > before + 1 {
            thread::yield_now();
        }
    });
}

/// With no file left, a peer is turned away instead of being kept waiting, and the relay lives on.
fn turned_away_when_files_run_out() {
    let limit = getrlimit(Resource::Nofile);
    let mut peer = {
        let peer = rustix::net::socket(
            rustix::net::AddressFamily::INET6,
            rustix::net::SocketType::STREAM,
            None,
        );
        TcpStream::from(peer.unwrap())
    };
    let none_left = Some(open_files() as u64);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: none_left,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let address: std::net::SocketAddr = "[::1]:20000".parse().unwrap();
    rustix::net::connect(&peer, &address).unwrap();
    let mut buffer = [0; 1];
    let ended = matches!(peer.read(&mut buffer), Ok(0) | Err(_));
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(ended, "served although there was no file left");
}

fn open_files() -> usize {
    // Reading the folder opens one.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

fn threads_named(name: &str) -> usize {
    let names = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|text| text.trim() == name).count()
}
