//! Connections between the namespaces of a lab, as witnesses.

use sealane_testkit::{Host, Sandbox};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a TCP connection from a sandbox is accepted.
pub fn connects(from: &Sandbox, to: &str) -> bool {
    let address: SocketAddr = to.parse().expect("an address and a port");
    from.in_netns(|| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// Listens on a host, runs `connect`, and returns the address the connection came from.
///
/// # Panics
/// When none comes.
#[track_caller]
pub fn accept_one(on: &Host, listen: &str, connect: impl FnOnce()) -> IpAddr {
    let listener = on
        .in_netns(|| TcpListener::bind(listen))
        .expect("the address is free");
    connect();
    listener.set_nonblocking(true).expect("a socket can be");
    let accepted = sealane_testkit::eventually(PATIENCE, || listener.accept().ok());
    accepted.1.ip()
}

/// A UDP socket in a sandbox, to be the server behind a published port.
#[track_caller]
pub fn udp_server(sandbox: &Sandbox, listen: &str) -> UdpSocket {
    let socket = sandbox
        .in_netns(|| UdpSocket::bind(listen))
        .expect("the port is free");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket can have a timeout");
    socket
}

/// A TCP connection that carries a byte and its echo over and over, until it is asked how it went.
#[derive(Debug)]
pub struct Conversation {
    ended: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    server: JoinHandle<()>,
    client: JoinHandle<Result<Duration, String>>,
}

impl Conversation {
    /// Connects a client on a host to a server in a sandbox, by an address that leads there.
    #[track_caller]
    pub fn start(server: &Sandbox, port: u16, client: &Host, to: &str) -> Self {
        let listener = server.in_netns(|| TcpListener::bind(("0.0.0.0", port)));
        let listener = listener.expect("the port is free");
        let address: SocketAddr = to.parse().expect("an address and a port");
        let stream = client.in_netns(|| TcpStream::connect_timeout(&address, PATIENCE));
        let stream = stream.unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
        let (accepted, _) = listener.accept().expect("it is connected");
        let ended = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicU64::new(0));
        let (stop, count) = (Arc::clone(&ended), Arc::clone(&rounds));
        Self {
            server: thread::spawn(move || echo(accepted)),
            client: thread::spawn(move || talk(stream, &stop, &count)),
            ended,
            rounds,
        }
    }

    /// How often a byte has come back.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Ends it and returns the longest time that a byte took to come back.
    ///
    /// # Panics
    /// When the connection broke.
    #[track_caller]
    pub fn finish(self) -> Duration {
        self.ended.store(true, Ordering::Relaxed);
        let result = self.client.join().expect("the client does not panic");
        self.server.join().expect("the server does not panic");
        result.unwrap_or_else(|error| panic!("the connection broke: {error}"))
    }
}

fn echo(mut stream: TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) && stream.write_all(&byte).is_ok() {}
}

fn talk(mut stream: TcpStream, ended: &AtomicBool, rounds: &AtomicU64) -> Result<Duration, String> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(|error| error.to_string())?;
    let mut longest = Duration::ZERO;
    let mut byte = [7];
    while !ended.load(Ordering::Relaxed) {
        let start = Instant::now();
        stream.write_all(&byte).map_err(|error| error.to_string())?;
        stream
            .read_exact(&mut byte)
            .map_err(|error| error.to_string())?;
        longest = longest.max(start.elapsed());
        rounds.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(longest)
}
