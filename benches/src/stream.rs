//! What a way between two namespaces carries: one stream as fast as it goes, and round trips.

use crate::error::{Result, failed};
use crate::load::{CLIENT, SERVER, pin};
use crate::namespace::Namespace;
use crate::samples::Samples;
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// The same on both sides of a published port.
pub(crate) const PORT: u16 = 5201;
/// What is written and read at once.
const PIECE: usize = 128 << 10;
/// Beyond this the way is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// A way from one namespace to another.
#[derive(Debug)]
pub(crate) struct Path {
    name: &'static str,
    client: Arc<Namespace>,
    server: Arc<Namespace>,
    to: SocketAddrV4,
    // Held for what is in it: the way leads through.
    _middle: Option<Namespace>,
}

/// What one stream carried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// How much arrived.
    pub(crate) bytes: u64,
    /// In what time.
    pub(crate) span: Duration,
    /// The time on a processor: of both ends, and of the kernel's threads for packets.
    pub(crate) processor: Duration,
}

/// What one end did.
struct End {
    bytes: u64,
    span: Duration,
    processor: Duration,
}

impl Path {
    /// A way to an address that leads to the server's namespace.
    pub(crate) fn new(
        name: &'static str,
        client: Arc<Namespace>,
        server: Arc<Namespace>,
        to: Ipv4Addr,
    ) -> Self {
        Self {
            name,
            client,
            server,
            to: SocketAddrV4::new(to, PORT),
            _middle: None,
        }
    }

    /// The same with a namespace that is in between.
    pub(crate) fn through(self, middle: Namespace) -> Self {
        Self {
            _middle: Some(middle),
            ..self
        }
    }

    /// What it is called in the table.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Sends as much as goes through in a time.
    pub(crate) fn stream(&self, span: Duration) -> Result<Passed> {
        let listener = self
            .server
            .visit(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)))?;
        let to = self.to.into();
        let client = self
            .client
            .visit(|| TcpStream::connect_timeout(&to, PATIENCE))?;
        let what = || format!("a stream over {}", self.name);
        let (server, _) = listener.accept().map_err(failed(what()))?;
        let before = kernel_threads().map_err(failed(what()))?;
        let (sent, received) = thread::scope(|scope| {
            let sender = scope.spawn(|| send(client, span));
            let receiver = scope.spawn(|| receive(server));
            (joined(sender.join()), joined(receiver.join()))
        });
        let after = kernel_threads().map_err(failed(what()))?;
        let sent = sent.map_err(failed(what()))?;
        let received = received.map_err(failed(what()))?;
        Ok(Passed {
            bytes: received.bytes,
            span: received.span,
            processor: sent.processor + received.processor + after.saturating_sub(before),
        })
    }

    /// Sends datagrams there and back, one by one. Both ends are in this thread: none has to be
    /// woken.
    pub(crate) fn round_trips(&self, count: usize) -> Result<Samples> {
        let server = self.server.visit(|| socket(PORT))?;
        let client = self.client.visit(|| {
            let client = socket(0)?;
            client.connect(self.to)?;
            Ok(client)
        })?;
        let mut samples = Samples::default();
        let mut trip = || -> io::Result<()> {
            let (begin, mut bytes) = (Instant::now(), [0; 64]);
            client.send(&bytes)?;
            let (_, from) = server.recv_from(&mut bytes)?;
            server.send_to(&bytes, from)?;
            client.recv(&mut bytes)?;
            samples.push(begin.elapsed());
            Ok(())
        };
        let all = (0..count).try_for_each(|_| trip());
        all.map_err(failed(format!("a datagram over {}", self.name)))?;
        Ok(samples)
    }
}

fn socket(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn send(mut to: TcpStream, span: Duration) -> io::Result<End> {
    pin(CLIENT)?;
    let piece = vec![0; PIECE];
    run(|begin| {
        let mut bytes = 0;
        while begin.elapsed() < span {
            to.write_all(&piece)?;
            bytes += PIECE as u64;
        }
        Ok(bytes)
    })
}

fn receive(mut from: TcpStream) -> io::Result<End> {
    pin(SERVER)?;
    let mut piece = vec![0; PIECE];
    run(|_| {
        let mut bytes = 0;
        loop {
            match from.read(&mut piece)? {
                0 => return Ok(bytes),
                length => bytes += length as u64,
            }
        }
    })
}

fn run(work: impl FnOnce(Instant) -> io::Result<u64>) -> io::Result<End> {
    let processor = own_processor_time();
    let begin = Instant::now();
    let bytes = work(begin)?;
    Ok(End {
        bytes,
        span: begin.elapsed(),
        processor: own_processor_time().saturating_sub(processor),
    })
}

/// The time the calling thread was on a processor. In the kernel lab nothing: that kernel lacks what
/// the library asks.
fn own_processor_time() -> Duration {
    if env::var_os("LAB_NODE").is_some() {
        return Duration::ZERO;
    }
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// The time of the kernel's threads that take over packets when there are many.
fn kernel_threads() -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        // A process may end meanwhile; those threads do not.
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        if name.starts_with("ksoftirqd/") {
            // Not every kernel counts it.
            let times = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
            let first = times.split(' ').next().and_then(|text| text.parse().ok());
            nanoseconds += first.unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn joined(end: thread::Result<io::Result<End>>) -> io::Result<End> {
    end.unwrap_or_else(|_| Err(io::Error::other("one end panicked")))
}
