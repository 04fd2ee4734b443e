//! Name servers of the world outside, as the containers' resolver meets them.

use crate::{Background, Host, SOON, eventually};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A real name server on a host, with a few names under `up.test`.
///
/// `up.test` and everything below it is 192.0.2.1; `text.test` has a text longer than a packet.
#[track_caller]
pub fn name_server(host: &Host, listen: &str) -> Background {
    let long: Vec<String> = (0..12)
        .map(|i| format!("--txt-record=text.test,{i}{}", "x".repeat(180)))
        .collect();
    let server = host.spawn(&format!(
        "exec dnsmasq --no-daemon --no-resolv --no-hosts --user=root --pid-file= --bind-interfaces \
         --listen-address={listen} --log-queries --log-facility=- --local-ttl=30 \
         --address=/up.test/192.0.2.1 --txt-record=note.test,hello --local=/test/ --neg-ttl=5 {}",
        long.join(" ")
    ));
    server.wait_for("started");
    server
}

/// What a made-up server does with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Says nothing.
    Silent,
    /// Answers with a code and no record: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// Answers that there is no such name, and for how long that may be remembered.
    Missing,
    /// Answers every query for an IPv4 address with 192.0.2.N.
    Address(u8),
}

/// A made-up server on a host.
#[derive(Debug)]
pub struct Upstream {
    ended: Arc<AtomicBool>,
    queries: Arc<AtomicU64>,
    server: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Listens on an address of a host, port 53.
    #[track_caller]
    pub fn start(host: &Host, address: &str, manner: Manner) -> Self {
        // One that was there before may still be on its way out.
        let bind = || host.in_netns(|| UdpSocket::bind((address, 53))).ok();
        let socket = eventually(SOON, bind);
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a socket has a timeout");
        let ended = Arc::new(AtomicBool::new(false));
        let queries = Arc::new(AtomicU64::new(0));
        let (stop, count) = (Arc::clone(&ended), Arc::clone(&queries));
        let server = std::thread::spawn(move || serve(&socket, manner, &stop, &count));
        Self {
            ended,
            queries,
            server: Some(server),
        }
    }

    /// How many queries have come.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
    }
}

fn serve(socket: &UdpSocket, manner: Manner, ended: &AtomicBool, queries: &AtomicU64) {
    let mut buffer = [0; 1500];
    while !ended.load(Ordering::Relaxed) {
        let Ok((count, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        queries.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = answer(&buffer[..count], manner) {
            // The asker may have gone.
            drop(socket.send_to(&answer, from));
        }
    }
}

/// The header and question of a query, turned into an answer.
fn answer(query: &[u8], manner: Manner) -> Option<Vec<u8>> {
    let end = 12 + query.get(12..)?.iter().position(|&byte| byte == 0)? + 5;
    let mut answer = query.get(..end)?.to_vec();
    answer[2] |= 0x80; // an answer
    answer[3] = 0x80; // recursion is available
    answer[6..12].fill(0); // no records so far
    let asks_for_address = answer[end - 4..end] == [0, 1, 0, 1];
    match manner {
        Manner::Silent => return None,
        Manner::Code(code) => answer[3] |= code,
        Manner::Missing => {
            answer[3] |= 3;
            answer[9] = 1; // an authority: the root's SOA, 30 seconds
            answer.extend([0, 0, 6, 0, 1, 0, 0, 0, 30, 0, 22, 0, 0]);
            answer.extend([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 30]);
        }
        Manner::Address(last) if asks_for_address => {
            answer[7] = 1;
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, last]);
        }
        Manner::Address(_) => {}
    }
    Some(answer)
}
