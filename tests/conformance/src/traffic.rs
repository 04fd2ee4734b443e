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

/// A whole TCP packet without data, with these flags (RFC 9293, 3.1).
pub fn tcp_packet(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let mut segment = ports(from, to);
    segment.extend(0x0102_0304_u32.to_be_bytes()); // sequence number
    segment.extend(0x0a0b_0c0d_u32.to_be_bytes()); // acknowledgement
    segment.extend([5 << 4, flags, 0xff, 0xff]); // header of 5 words, flags, window
    segment.extend([0; 4]); // checksum, urgent pointer
    whole(6, 16, from.ip(), to.ip(), segment)
}

/// A whole UDP packet.
pub fn udp_packet(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut datagram = ports(from, to);
    let length = u16::try_from(8 + data.len()).expect("a short one");
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]); // checksum
    datagram.extend(data);
    whole(17, 6, from.ip(), to.ip(), datagram)
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// Puts the IP header before a payload whose checksum stands at `place`.
fn whole(protocol: u8, place: usize, from: IpAddr, to: IpAddr, mut payload: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short packet");
    let addresses = [octets(from), octets(to)].concat();
    let mut summed = addresses.clone();
    summed.extend([0, protocol]);
    summed.extend(length.to_be_bytes());
    summed.extend(&payload);
    payload[place..place + 2].copy_from_slice(&checksum(&summed).to_be_bytes());
    let mut packet = if from.is_ipv4() {
        let mut header = vec![0x45, 0];
        header.extend((length + 20).to_be_bytes());
        header.extend([0, 1, 0, 0, 64, protocol, 0, 0]); // id 1, whole; the kernel sums it up
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(length.to_be_bytes());
        header.extend([protocol, 64]);
        header
    };
    packet.extend(addresses);
    packet.extend(payload);
    packet
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
