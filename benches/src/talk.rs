//! A talker through a host without a pause, which notices every word that is lost.
//!
//! Both ends are in one thread, so that none has to be woken to find that nothing was lost.

use crate::error::{BenchError, Result, failed};
use crate::figures::ports::connection;
use crate::namespace::Namespace;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A datagram that is not there by then is lost.
const PATIENCE: Duration = Duration::from_millis(200);
/// A stream that is silent for so long is broken.
const BROKEN: Duration = Duration::from_secs(5);
/// Between two words.
const PAUSE: Duration = Duration::from_millis(1);
/// The ports that connections are made from are not free again at once.
const CONNECTIONS_PAUSE: Duration = Duration::from_millis(10);

/// What is talked through: both ends, and what tells the words apart.
#[derive(Debug)]
pub(crate) enum Line {
    /// Datagrams of one flow.
    Datagrams {
        /// Connected to the published port.
        client: UdpSocket,
        /// Behind it.
        server: UdpSocket,
    },
    /// One connection.
    Stream {
        /// To the published port.
        client: TcpStream,
        /// Behind it.
        server: TcpStream,
    },
    /// A new connection for each word.
    Connections {
        /// Where the clients are.
        client: Namespace,
        /// The published port.
        to: SocketAddrV4,
        /// Behind it.
        listener: TcpListener,
    },
}

/// What was noticed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noticed {
    /// The words.
    pub(crate) words: u64,
    /// Those that were lost.
    pub(crate) lost: u64,
    /// The longest time that a word and its answer took.
    pub(crate) longest: Duration,
}

/// A talker.
#[derive(Debug)]
pub(crate) struct Talk {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Noticed>>,
}

impl Line {
    /// Datagrams from one namespace to a published port, behind which is a port of another.
    pub(crate) fn datagrams(
        client: &Namespace,
        to: SocketAddrV4,
        server: &Namespace,
        port: u16,
    ) -> Result<Self> {
        let server = server.visit(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        })?;
        let client = client.visit(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        })?;
        Ok(Self::Datagrams { client, server })
    }

    /// A connection in the same place.
    pub(crate) fn stream(
        client: &Namespace,
        to: SocketAddrV4,
        server: &Namespace,
        port: u16,
    ) -> Result<Self> {
        let listener = listen(server, port)?;
        let client = client.visit(|| {
            let client = TcpStream::connect_timeout(&to.into(), BROKEN)?;
            client.set_nodelay(true)?;
            client.set_read_timeout(Some(BROKEN))?;
            Ok(client)
        })?;
        let accepted = listener.accept().and_then(|(server, _)| {
            server.set_nodelay(true)?;
            server.set_read_timeout(Some(BROKEN))?;
            Ok(server)
        });
        let server = accepted.map_err(failed("accepting a connection"))?;
        Ok(Self::Stream { client, server })
    }

    /// New connections in the same place.
    pub(crate) fn connections(
        client: Namespace,
        to: SocketAddrV4,
        server: &Namespace,
        port: u16,
    ) -> Result<Self> {
        let listener = listen(server, port)?;
        Ok(Self::Connections {
            client,
            to,
            listener,
        })
    }

    /// Goes to where new connections are made from, if any are.
    fn enter(&self) -> io::Result<()> {
        match self {
            Self::Connections { client, .. } => client.enter(),
            Self::Datagrams { .. } | Self::Stream { .. } => Ok(()),
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Connections { .. } => CONNECTIONS_PAUSE,
            Self::Datagrams { .. } | Self::Stream { .. } => PAUSE,
        }
    }

    /// A word and its answer; false if one of them was lost.
    fn exchange(&mut self, number: u64) -> io::Result<bool> {
        let word = number.to_be_bytes();
        match self {
            Self::Datagrams { client, server } => {
                client.send(&word)?;
                let Some(from) = heard(server, word)? else {
                    return Ok(false);
                };
                server.send_to(&word, from)?;
                heard(client, word).map(|heard| heard.is_some())
            }
            Self::Stream { client, server } => {
                let mut heard = [0; 8];
                client.write_all(&word)?;
                server.read_exact(&mut heard)?;
                server.write_all(&heard)?;
                client.read_exact(&mut heard)?;
                Ok(heard == word)
            }
            Self::Connections { to, listener, .. } => match connection(*to, listener) {
                Ok(_) => Ok(true),
                Err(error) if is_lost(&error) => Ok(false),
                Err(error) => Err(error),
            },
        }
    }
}

fn listen(namespace: &Namespace, port: u16) -> Result<TcpListener> {
    namespace.visit(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
}

/// Who sent a datagram; `None` if it does not come.
fn heard(socket: &UdpSocket, word: [u8; 8]) -> io::Result<Option<SocketAddr>> {
    let mut bytes = [0; 16];
    loop {
        match socket.recv_from(&mut bytes) {
            Ok((8, from)) if bytes[..8] == word => return Ok(Some(from)),
            // The answer to a word that was given up.
            Ok(_) => {}
            Err(error) if is_lost(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused
    )
}

impl Talk {
    /// Begins to talk.
    pub(crate) fn begin(line: Line) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || talk(line, &stopped));
        Self { stop, thread }
    }

    /// Ends it, and returns what was noticed.
    pub(crate) fn end(self) -> Result<Noticed> {
        self.stop.store(true, Ordering::Relaxed);
        let lost = |_| BenchError::Unexpected("the thread that talks panicked".into());
        let noticed = self.thread.join().map_err(lost)?;
        noticed.map_err(failed("talking through a published port"))
    }
}

fn talk(mut line: Line, stopped: &AtomicBool) -> io::Result<Noticed> {
    line.enter()?;
    let mut noticed = Noticed::default();
    while !stopped.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let heard = line.exchange(noticed.words)?;
        noticed.words += 1;
        noticed.lost += u64::from(!heard);
        noticed.longest = noticed.longest.max(begin.elapsed());
        thread::sleep(line.pause());
    }
    Ok(noticed)
}
