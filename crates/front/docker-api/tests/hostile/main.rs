//! Clients that mean no good: nothing they send ends the server or keeps others waiting.
//!
//! Runs on the real parts, in namespaces of its own; needs root, util-linux, runc and conmon.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

mod dice;
mod stage;

use dice::{Dice, mutated};
use stage::{Server, on_stage};
use std::io::{Read, Write};

const SEED: u64 = 0x5ea1_a4e0_0000_0002;
const ROUNDS: usize = 20_000;

#[test]
fn random_and_mutated_bytes_never_end_the_server() {
    on_stage("random_and_mutated_bytes_never_end_the_server", || {
        let server = Server::start();
        let mut dice = Dice::new(SEED);
        let mut answered = 0;
        for round in 0..ROUNDS {
            let thrown = mutated(&mut dice);
            let answer = server.exchange(&thrown.bytes, thrown.whole);
            let told = || {
                let [bytes, answer] = [&thrown.bytes, &answer].map(|b| String::from_utf8_lossy(b));
                format!("round {round} of seed {SEED:#x}: {bytes:?} => {answer:?}")
            };
            // Nothing, or an answer: never half a line.
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1."),
                "{}",
                told()
            );
            assert!(!thrown.whole || !answer.is_empty(), "{}", told());
            let text = String::from_utf8_lossy(&answer);
            assert!(
                !text.contains("the daemon failed at this request"),
                "{}",
                told()
            );
            answered += usize::from(!answer.is_empty());
        }
        assert!(
            answered > ROUNDS / 2,
            "most requests reach a handler: {answered}"
        );
        assert!(server.answers_ping());
        let networks = server.exchange(get("/networks").as_bytes(), true);
        assert!(String::from_utf8_lossy(&networks).contains("\"bridge\""));
    });
}

#[test]
fn slow_and_silent_clients_keep_nobody_waiting() {
    on_stage("slow_and_silent_clients_keep_nobody_waiting", || {
        let server = Server::start();
        let beginnings: [&[u8]; 5] = [
            b"",
            b"GET",
            b"GET /info HTTP/1.1\r\nHost:",
            b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n{",
            b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n",
        ];
        let waiting: Vec<_> = (0..200)
            .map(|number| {
                let mut client = server.connect();
                client
                    .write_all(beginnings[number % beginnings.len()])
                    .expect("it is read");
                client
            })
            .collect();
        assert!(server.answers_ping());
        drop(waiting);
        assert!(server.answers_ping());
    });
}

#[test]
fn what_is_too_large_is_refused() {
    on_stage("what_is_too_large_is_refused", || {
        let server = Server::start();
        let long = "x".repeat(10_000);
        let found = server.exchange(get(&format!("/networks/{long}")).as_bytes(), true);
        assert!(found.starts_with(b"HTTP/1.1 404 "), "a long name is a name");
        let head = format!(
            "GET / HTTP/1.1\r\nHost: d\r\nX: {}\r\n\r\n",
            "x".repeat(2_000_000)
        );
        assert!(
            !server
                .exchange(head.as_bytes(), true)
                .starts_with(b"HTTP/1.1 2")
        );
        let body = format!("{{\"Name\":\"{}\"}}", "x".repeat(9 << 20));
        let head = format!(
            "POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let answer = server.exchange(&[head.as_bytes(), body.as_bytes()].concat(), true);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "the body is bounded");
        assert!(server.answers_ping());
    });
}

#[test]
fn an_upgrade_that_is_abandoned_leaves_nothing() {
    on_stage("an_upgrade_that_is_abandoned_leaves_nothing", || {
        let server = Server::start();
        for path in ["/containers/none/attach?stream=1", "/exec/none/start"] {
            let mut client = server.connect();
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            client.write_all(request.as_bytes()).expect("it is read");
            let mut first = [0; 12];
            client.read_exact(&mut first).expect("it is answered");
            assert_eq!(&first, b"HTTP/1.1 404");
        }
        assert!(server.answers_ping());
    });
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
}
