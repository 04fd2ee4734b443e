//! Connections between the namespaces of a lab, as witnesses.

use sealane_testkit::{Host, Lab, Sandbox};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);

/// After so much of it a conversation counts as broken.
const SILENCE: Duration = Duration::from_secs(10);

/// Whether a TCP connection from a sandbox is accepted.
pub fn connects(from: &Sandbox, to: &str) -> bool {
    let address: SocketAddr = to.parse().expect("an address and a port");
    from.in_netns(|| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// Listens on a host while `connect` runs, and returns the address the connection came from. It is
/// closed at once.
///
/// # Panics
/// When none comes.
#[track_caller]
pub fn accept_one(on: &Host, listen: &str, connect: impl FnOnce() + Send) -> IpAddr {
    let listener = on
        .in_netns(|| TcpListener::bind(listen))
        .expect("the address is free");
    listener.set_nonblocking(true).expect("a socket can be");
    thread::scope(|scope| {
        scope.spawn(connect);
        let accepted = sealane_testkit::eventually(SILENCE, || listener.accept().ok());
        accepted.1.ip()
    })
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
        Self::between(listener.expect("the port is free"), client, to)
    }

    /// Connects a client on a host to a listener, by an address that leads there.
    #[track_caller]
    pub fn between(listener: TcpListener, client: &Host, to: &str) -> Self {
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
    /// # Errors
    /// When the connection broke.
    pub fn finish(self) -> Result<Duration, String> {
        self.ended.store(true, Ordering::Relaxed);
        let result = self.client.join().expect("the client does not panic");
        self.server.join().expect("the server does not panic");
        result
    }
}

fn echo(mut stream: TcpStream) {
    let mut byte = [0];
    // A client whose packets no longer arrive cannot say goodbye either.
    drop(stream.set_read_timeout(Some(SILENCE)));
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

/// Makes the peer send packets for 127.0.0.1 to the host, and the host take them on its uplink.
pub fn to_loopback_by_cable(lab: &Lab) {
    lab.host(0).sysctl("ipv4/conf/eth0/route_localnet", "1");
    lab.peer().sysctl("ipv4/conf/all/route_localnet", "1");
    let route = "ip route add 127.0.0.1/32 via 10.99.0.1 dev eth0 src 10.99.0.100";
    lab.peer()
        .sh(&format!("ip address del 127.0.0.1/8 dev lo; {route}"))
        .ok();
}

/// An SCTP packet that opens an association.
pub fn sctp_init(from: u16, to: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend([0; 8]); // verification tag 0, checksum below
    packet.extend([1, 0, 0, 20]); // INIT, 20 bytes
    packet.extend(0x0102_0304_u32.to_be_bytes()); // initiate tag
    packet.extend(65536_u32.to_be_bytes()); // window
    packet.extend([0, 1, 0, 1]); // streams
    packet.extend(1_u32.to_be_bytes()); // first sequence number
    let checksum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            }
        })
    };
    !bytes.iter().fold(!0, step)
}
