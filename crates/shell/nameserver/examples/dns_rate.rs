//! How many names a second, against a bare UDP echo on the same core; and how long a reply takes
//! at half of that, and when the first upstream is dead.
//!
//! Runs itself in a network namespace of its own and ahead of all ordinary work (needs root,
//! `unshare`, `chrt` and `ip`). The two servers
//! take turns, a fraction of a second each, so that other work on the machine meets both alike.
//!
//!     cargo run --release -p sealane-nameserver --example dns_rate

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends")]

use rustix::thread::{CpuSet, sched_setaffinity};
use sealane_core::dns::{EndpointNames, Forwarding, NetworkView, View, Zone};
use sealane_core::model::{SandboxId, derive_id};
use sealane_nameserver::{Nameserver, Upstream, UpstreamConfig, bind_sockets, open_socket};
use std::env;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How many turns each server has, and how long one is.
const TURNS: usize = 15;
const TURN: Duration = Duration::from_millis(150);
/// How many queries are under way at once when the rate is measured.
const WINDOW: usize = 32;
/// How many queries the latencies are taken of.
const PACED: usize = 20_000;
const RELAYED: usize = 1_000;

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;

fn main() {
    if env::args().nth(1).as_deref() != Some("inside") {
        let script = "ip link set lo up && exec chrt --fifo 10 \"$0\" inside";
        let own = env::current_exe().unwrap();
        let status = Command::new("unshare")
            .args(["--net", "sh", "-c", script])
            .arg(own)
            .status();
        std::process::exit(status.unwrap().code().unwrap_or(1));
    }
    println!("| names | echo/s | resolver/s | ratio | p50 at half | p99 at half |");
    println!("|---|---|---|---|---|---|");
    for names in [1, 10_000] {
        measure_names(names);
    }
    measure_relayed();
    measure_dead_upstream();
}

fn measure_names(names: usize) {
    let echo = start_echo();
    let (_nameserver, resolver) = start_resolver(names, vec![]);
    pin(CLIENT_CORE);
    let queries: Vec<_> = (0..4_096)
        .map(|i| query(&name(i * 7_919 % names), i))
        .collect();
    let (echo, resolver) = (connect(echo), connect(resolver));
    let mut rates = [vec![], vec![]];
    for _ in 0..TURNS {
        rates[0].push(rate(&echo, &queries));
        rates[1].push(rate(&resolver, &queries));
    }
    let mut ratios: Vec<_> = rates[0]
        .iter()
        .zip(&rates[1])
        .map(|(echo, ours)| ours / echo)
        .collect();
    let [echo_rate, own_rate] = rates.map(|mut rates| median(&mut rates));
    let mut delays = paced(&resolver, &queries, own_rate / 2.0);
    println!(
        "| {names} | {echo_rate:.0} | {own_rate:.0} | {:.2} | {:.3} ms | {:.3} ms |",
        median(&mut ratios),
        percentile(&mut delays, 0.5),
        percentile(&mut delays, 0.99),
    );
}

/// How many names a second are relayed, each asked once, so that none comes from memory.
fn measure_relayed() {
    let upstream = UdpSocket::bind("127.0.0.2:0").unwrap();
    let address = upstream.local_addr().unwrap();
    thread::spawn(move || answer_all(&upstream));
    let asked = Upstream {
        address,
        from_host: true,
    };
    let (_nameserver, resolver) = start_resolver(1, vec![asked]);
    pin(CLIENT_CORE);
    let client = connect(resolver);
    let mut buffer = [0; 512];
    let mut rates: Vec<_> = (0..TURNS)
        .map(|turn| {
            let (started, mut answered) = (Instant::now(), 0_u32);
            while started.elapsed() < TURN {
                for i in 0..WINDOW {
                    let name = format!("relayed{turn}-{answered}-{i}");
                    client.send(&query(&name, i)).unwrap();
                }
                for _ in 0..WINDOW {
                    client.recv(&mut buffer).unwrap();
                    answered += 1;
                }
            }
            f64::from(answered) / started.elapsed().as_secs_f64()
        })
        .collect();
    println!();
    println!("relayed, each name once: {:.0}/s", median(&mut rates));
}

/// Names that must be relayed, the first of two upstreams being silent.
fn measure_dead_upstream() {
    let dead = UdpSocket::bind("127.0.0.2:0").unwrap();
    let alive = UdpSocket::bind("127.0.0.3:0").unwrap();
    let addresses = [&dead, &alive].map(|socket| socket.local_addr().unwrap());
    thread::spawn(move || answer_all(&alive));
    let upstream = |address| Upstream {
        address,
        from_host: true,
    };
    let (_nameserver, resolver) = start_resolver(1, addresses.map(upstream).to_vec());
    let client = connect(resolver);
    let mut buffer = [0; 512];
    let mut delays: Vec<_> = (0..RELAYED)
        .map(|i| {
            let asked = Instant::now();
            client.send(&query(&format!("unknown{i}"), i)).unwrap();
            client.recv(&mut buffer).unwrap();
            asked.elapsed()
        })
        .collect();
    println!();
    println!(
        "relayed, first of two upstreams dead: p50 {:.3} ms, p99 {:.3} ms, most {:.3} ms",
        percentile(&mut delays, 0.5),
        percentile(&mut delays, 0.99),
        percentile(&mut delays, 1.0),
    );
}

/// How many queries a second are answered when so many are always under way.
fn rate(server: &UdpSocket, queries: &[Vec<u8>]) -> f64 {
    let mut buffer = [0; 512];
    let mut answered = 0_u32;
    let mut queries = queries.iter().cycle();
    let started = Instant::now();
    while started.elapsed() < TURN {
        for query in queries.by_ref().take(WINDOW) {
            server.send(query).unwrap();
        }
        for _ in 0..WINDOW {
            server.recv(&mut buffer).unwrap();
            answered += 1;
        }
    }
    f64::from(answered) / started.elapsed().as_secs_f64()
}

/// How long replies take when queries come at this rate. A query that is sent late, because the
/// machine was busy, counts from when it was due.
fn paced(server: &UdpSocket, queries: &[Vec<u8>], rate: f64) -> Vec<Duration> {
    server.set_nonblocking(true).unwrap();
    let started = Instant::now();
    let due = |i: usize| started + Duration::from_secs_f64(i as f64 / rate);
    let mut delays = Vec::with_capacity(PACED);
    let mut buffer = [0; 512];
    let mut sent = 0;
    // Datagrams may be lost on a machine that is too busy.
    let end = due(PACED) + Duration::from_secs(1);
    while delays.len() < PACED && Instant::now() < end {
        if sent < PACED && Instant::now() >= due(sent) {
            let mut query = queries[sent % queries.len()].clone();
            query[..2].copy_from_slice(&id(sent));
            server.send(&query).unwrap();
            sent += 1;
        }
        while let Ok(length) = server.recv(&mut buffer) {
            assert!(length > 12);
            // Ids come around after 65,536, more than are ever under way.
            let low = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
            let index = (sent - 1) - ((sent - 1 + 0x1_0000 - low) & 0xffff);
            delays.push(due(index).elapsed());
        }
    }
    server.set_nonblocking(false).unwrap();
    if delays.len() < PACED {
        eprintln!(
            "{} of {PACED} queries had no reply within a second",
            PACED - delays.len()
        );
    }
    delays
}

fn start_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        pin(SERVER_CORE);
        let mut buffer = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], client).unwrap();
        }
    });
    address
}

/// A resolver with so many names; its thread is born on the server's core and stays there.
fn start_resolver(names: usize, upstreams: Vec<Upstream>) -> (Nameserver, SocketAddr) {
    pin(SERVER_CORE);
    let nameserver = Nameserver::start(Arc::new(|_: &SandboxId, kind| open_socket(kind))).unwrap();
    let network = derive_id(&[b"network"]);
    let zone = (0..names).fold(Zone::default(), |zone, i| zone.with_endpoint(endpoint(i)));
    nameserver.update_zone(network, |_| zone);
    let view = View {
        networks: vec![NetworkView::new(network, "network", [])],
        forwarding: Forwarding::Anywhere,
        ndots_set: false,
    };
    let sockets = bind_sockets().unwrap();
    let address = sockets.udp.local_addr().unwrap();
    let own = UpstreamConfig::Own(upstreams);
    nameserver
        .add_sandbox(derive_id(&[b"sandbox"]), sockets, Arc::new(view), own)
        .unwrap();
    (nameserver, address)
}

fn endpoint(i: usize) -> EndpointNames {
    EndpointNames {
        id: derive_id(&[&i.to_be_bytes()]),
        names: vec![name(i)],
        ipv4: Some(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(i).unwrap())),
        ipv6: None,
        services: vec![],
    }
}

/// An upstream that has one answer to everything.
fn answer_all(socket: &UdpSocket) {
    let mut buffer = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).unwrap();
        let mut reply = buffer[..length].to_vec();
        reply[2] |= 0x80;
        reply[7] = 1;
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        socket.send_to(&reply, client).unwrap();
    }
}

fn name(i: usize) -> String {
    format!("container-{i}")
}

fn query(name: &str, i: usize) -> Vec<u8> {
    let header = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let length = [u8::try_from(name.len()).unwrap()];
    [
        &id(i)[..],
        &header,
        &length,
        name.as_bytes(),
        &[0, 0, 1, 0, 1],
    ]
    .concat()
}

/// The low bits of a number, as an id.
fn id(i: usize) -> [u8; 2] {
    [(i >> 8 & 0xff) as u8, (i & 0xff) as u8]
}

fn connect(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
}

/// Keeps the calling thread, and those it starts, on one core.
fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).unwrap();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// In milliseconds.
fn percentile(delays: &mut [Duration], part: f64) -> f64 {
    delays.sort();
    let index = ((delays.len() - 1) as f64 * part) as usize;
    delays[index].as_secs_f64() * 1_000.0
}
