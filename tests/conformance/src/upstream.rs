//! Name servers of the world outside, as the containers' resolver meets them.

use crate::{Background, Host, SOON, eventually};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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
    /// The same for the names below a domain; there are no others.
    Domain(&'static str, u8),
    /// Answers with 192.0.2.N, but slowly. Meanwhile a forger who has seen from which ports other
    /// questions came answers with 192.0.2.66, a thousand times for each question.
    Forged(u8),
}

/// A made-up server on a host.
#[derive(Debug)]
pub struct Upstream {
    ended: Arc<AtomicBool>,
    queries: Arc<AtomicU64>,
    ports: Arc<Mutex<Vec<u16>>>,
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
        let ports = Arc::new(Mutex::new(vec![]));
        let server = Server {
            socket,
            manner,
            ended: Arc::clone(&ended),
            queries: Arc::clone(&queries),
            ports: Arc::clone(&ports),
        };
        let server = std::thread::spawn(move || server.serve());
        Self {
            ended,
            queries,
            ports,
            server: Some(server),
        }
    }

    /// How many queries have come.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// From which ports they came, in order.
    pub fn ports(&self) -> Vec<u16> {
        self.ports.lock().expect("no test panics there").clone()
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

/// The thread of a made-up server.
struct Server {
    socket: UdpSocket,
    manner: Manner,
    ended: Arc<AtomicBool>,
    queries: Arc<AtomicU64>,
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Server {
    fn serve(self) {
        let mut buffer = [0; 1500];
        let mut forged = BTreeSet::new();
        while !self.ended.load(Ordering::Relaxed) {
            let Ok((count, from)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            self.queries.fetch_add(1, Ordering::Relaxed);
            let answer = answer(&buffer[..count], self.manner);
            if let (Manner::Forged(_), Some(answer)) = (self.manner, &answer)
                && forged.insert(question(&buffer[..count]))
            {
                std::thread::sleep(Duration::from_millis(300));
                self.forge(answer, from);
            }
            self.ports
                .lock()
                .expect("no test panics there")
                .push(from.port());
            if let Some(answer) = answer {
                // The asker may have gone.
                drop(self.socket.send_to(&answer, from));
            }
        }
    }

    /// Sends a thousand answers with a wrong address, to the ports that are known by now.
    fn forge(&self, answer: &[u8], asker: SocketAddr) {
        let known: BTreeSet<u16> = self.ports().collect();
        let mut forgery = answer.to_vec();
        if let Some(last) = forgery.last_mut() {
            *last = 66;
        }
        let mut id = 1_u16;
        for _ in 0..1_000 {
            // Over all ids, each once.
            id = id.wrapping_mul(25_173).wrapping_add(13_849);
            forgery[..2].copy_from_slice(&id.to_be_bytes());
            for port in &known {
                drop(self.socket.send_to(&forgery, (asker.ip(), *port)));
            }
        }
    }

    fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.ports.lock().expect("no test panics there").clone();
        let latest = ports.len().saturating_sub(8);
        ports.into_iter().skip(latest)
    }
}

/// The question of a query in small letters.
fn question(query: &[u8]) -> Vec<u8> {
    let name = query.get(12..).unwrap_or_default();
    let end = name.iter().position(|&byte| byte == 0).unwrap_or_default();
    name[..end].to_ascii_lowercase()
}

/// The header and question of a query, turned into an answer.
fn answer(query: &[u8], manner: Manner) -> Option<Vec<u8>> {
    let end = 12 + query.get(12..)?.iter().position(|&byte| byte == 0)? + 5;
    let mut answer = query.get(..end)?.to_vec();
    answer[2] |= 0x80; // an answer
    answer[3] = 0x80; // recursion is available
    answer[6..12].fill(0); // no records so far
    let asks_for_address = answer[end - 4..end] == [0, 1, 0, 1];
    let manner = match manner {
        Manner::Domain(domain, last) if is_below(query, domain) => Manner::Address(last),
        Manner::Domain(..) | Manner::Missing => Manner::Missing,
        Manner::Forged(last) | Manner::Address(last) => Manner::Address(last),
        Manner::Silent | Manner::Code(_) => manner,
    };
    match manner {
        Manner::Silent => return None,
        Manner::Code(code) => answer[3] |= code,
        Manner::Missing | Manner::Domain(..) | Manner::Forged(_) => {
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

/// Whether the name of a query lies below a domain of one label.
fn is_below(query: &[u8], domain: &str) -> bool {
    let label = [
        &[u8::try_from(domain.len()).unwrap_or_default()],
        domain.as_bytes(),
    ]
    .concat();
    question(query).ends_with(&label)
}
