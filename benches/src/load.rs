//! Load for a server of datagrams: as much as it takes, or so much a second.

use crate::error::{Result, failed};
use crate::samples::Samples;
use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// So many datagrams are on their way at once when the server is to be busy.
const WINDOW: usize = 32;
/// What has not come back by then is lost.
const PATIENCE: Duration = Duration::from_millis(100);
/// So far a client may lag behind its times.
const LATE: Duration = Duration::from_millis(1);
/// The client's core; servers have the other one.
pub(crate) const CLIENT: usize = 0;
/// The core of what is measured.
pub(crate) const SERVER: usize = 1;

/// A client of a server of datagrams. Each datagram begins with a number of two bytes, which the
/// answer begins with too, as in DNS.
#[derive(Debug)]
pub(crate) struct Client {
    socket: UdpSocket,
    datagrams: Vec<Vec<u8>>,
    next: u16,
}

impl Client {
    /// Sends these datagrams, over and over, from a socket that is connected to the server.
    pub(crate) fn new(socket: UdpSocket, datagrams: Vec<Vec<u8>>) -> Self {
        Self {
            socket,
            datagrams,
            next: 0,
        }
    }

    /// Sends one datagram and returns its answer.
    pub(crate) fn ask(&mut self) -> Result<Vec<u8>> {
        let asked = self.patiently().and_then(|()| {
            self.send()?;
            self.receive()
        });
        asked
            .map(|answer| answer.to_vec())
            .map_err(failed("asking the server"))
    }

    /// Keeps the server busy, and returns how many answers a second it gave.
    pub(crate) fn saturate(&mut self, span: Duration) -> Result<f64> {
        pinned(CLIENT, || self.run_saturated(span)).map_err(failed("loading the server"))
    }

    /// Sends so many datagrams a second, and returns how long after it each was answered; one
    /// that was not counts as late.
    pub(crate) fn pace(&mut self, rate: f64, span: Duration) -> Result<Samples> {
        // Before others are starved for so long that the kernel takes the core away.
        thread::sleep(span / 5);
        let paced = pinned(CLIENT, || self.run_paced(rate, span));
        paced.map_err(failed("loading the server"))
    }

    fn run_saturated(&mut self, span: Duration) -> io::Result<f64> {
        self.patiently()?;
        self.drain()?;
        let (begin, mut answers) = (Instant::now(), 0_u32);
        self.fill()?;
        while begin.elapsed() < span {
            match self.receive() {
                Ok(_) => answers += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.fill()?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.send()?;
        }
        Ok(f64::from(answers) / begin.elapsed().as_secs_f64())
    }

    fn run_paced(&mut self, rate: f64, span: Duration) -> io::Result<Samples> {
        self.drain()?;
        self.socket.set_nonblocking(true)?;
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut sent_at = vec![Instant::now(); 1 << 16];
        let (mut sent, mut samples) = (0, Samples::default());
        let begin = Instant::now();
        let mut next = begin;
        loop {
            let now = Instant::now();
            if now < begin + span && now >= next {
                sent_at[usize::from(self.next)] = now;
                self.send()?;
                sent += 1;
                // What the client itself was kept from sending is not sent in a burst.
                next = (next + interval).max(now.checked_sub(LATE).unwrap_or(now));
            }
            match self.receive() {
                Ok(answer) => samples.push(sent_at[number(&answer)].elapsed()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let over = now >= begin + span && samples.len() >= sent;
            if over || now > begin + span + PATIENCE {
                // An answer that never came must not make the others look good.
                (samples.len()..sent).for_each(|_| samples.push(PATIENCE));
                return Ok(samples);
            }
        }
    }

    fn patiently(&self) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(PATIENCE))
    }

    /// Forgets late answers.
    fn drain(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        while self.receive().is_ok() {}
        self.socket.set_nonblocking(false)
    }

    fn fill(&mut self) -> io::Result<()> {
        (0..WINDOW).try_for_each(|_| self.send())
    }

    fn send(&mut self) -> io::Result<()> {
        let place = usize::from(self.next) % self.datagrams.len();
        let datagram = &mut self.datagrams[place];
        datagram[..2].copy_from_slice(&self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        self.socket.send(datagram).map(drop)
    }

    fn receive(&self) -> io::Result<Answer> {
        let mut bytes = [0; 512];
        let length = self.socket.recv(&mut bytes)?;
        Ok(Answer { bytes, length })
    }
}

/// A server that sends back what it gets: nothing can answer with less work.
#[derive(Debug)]
pub(crate) struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

impl Echo {
    /// Binds a socket in the namespace of the calling thread.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let server = thread::Builder::new().spawn(move || serve(&socket, &stopped))?;
        Ok(Self {
            address,
            stop,
            server: Some(server),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.server.take().map(JoinHandle::join) {
            eprintln!("the echo server ended: {error}");
        }
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) -> io::Result<()> {
    pin(SERVER)?;
    let mut bytes = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut bytes) {
            Ok((length, from)) => socket.send_to(&bytes[..length], from).map(drop)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Works on one core, on a thread of its own.
fn pinned<T: Send>(core: usize, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(core)?;
            work()
        });
        let lost = |_| Err(io::Error::other("the client panicked"));
        worker.join().unwrap_or_else(lost)
    })
}

/// Gives the calling thread one core, and precedence on it: what others do on the machine is not
/// what is measured. Where the kernel has no precedence to give, it is in the figure.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    let thread = gettid().as_raw_nonzero().to_string();
    let mut chrt = Command::new("chrt");
    chrt.args(["--rr", "--pid", "1", &thread])
        .stderr(Stdio::null());
    chrt.status().map(drop)
}

/// A datagram that came back.
struct Answer {
    bytes: [u8; 512],
    length: usize,
}

impl Answer {
    fn to_vec(&self) -> Vec<u8> {
        self.bytes[..self.length].to_vec()
    }
}

fn number(answer: &Answer) -> usize {
    usize::from(u16::from_be_bytes([answer.bytes[0], answer.bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(echo: &Echo) -> Client {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(echo.address()).unwrap();
        Client::new(socket, vec![vec![0; 20], vec![1; 30]])
    }

    #[test]
    fn an_echo_answers_whatever_the_load() {
        let echo = Echo::start().unwrap();
        let mut client = client(&echo);
        assert_eq!(client.ask().unwrap().len(), 20);
        assert!(client.saturate(Duration::from_millis(50)).unwrap() > 0.0);
        let samples = client.pace(500.0, Duration::from_millis(100)).unwrap();
        assert!((1..=51).contains(&samples.len()));
        assert_eq!(
            client.ask().unwrap()[..2],
            client.next.wrapping_sub(1).to_be_bytes()
        );
    }
}
