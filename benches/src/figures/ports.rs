//! Connections through the last of 10,000 published ports, against those through the only one.
//!
//! Two hosts, a daemon on each; the clients are the other members of their LANs.

use super::Extent;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::{Ours, Stage};
use crate::wanted::{Port, Wanted};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The published port that is used, the last one. Inside it is another one, so that no range can
/// stand for all of them.
pub(super) const LAST: u16 = 30_000;
/// What the client connects to.
pub(super) const HOST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), LAST);
/// Connections through one host before it is the other's turn.
const BLOCK: usize = 25;
const SPAN: Duration = Duration::from_secs(60);
const TOLERANCE: f64 = 1.1;

/// A host with a listener behind a published port.
struct Side {
    listener: TcpListener,
    client: Namespace,
    samples: Samples,
    // Held for their ends: the daemon's before the host's.
    _ours: Ours,
    _stage: Stage,
}

/// Measures both in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let count = extent.size(10_000, 500);
    let (crowded, setup) = timed(|| Side::new(count))?;
    let mut sides = [crowded, Side::new(1)?];
    for _ in extent.rounds(100, SPAN) {
        for side in &mut sides {
            side.block()?;
        }
    }
    let [crowded, single] = sides.map(|side| side.samples);
    Ok(rows(count, setup, crowded, single))
}

fn rows(count: u16, setup: Duration, crowded: Samples, single: Samples) -> Vec<Row> {
    let rate =
        |samples: &Samples| Reading::Rate(samples.len() as f64 / samples.sum().as_secs_f64());
    let rates = (rate(&crowded), rate(&single));
    let one = "with one port";
    vec![
        Row::against(
            format!("connection through the last of {count} published ports"),
            Reading::Times(crowded),
            one,
            Reading::Times(single),
            Target::AtMostTimes(TOLERANCE),
        ),
        Row::against(
            format!("connections a second through the last of {count}"),
            rates.0,
            one,
            rates.1,
            Target::AtLeastTimes(2.0 - TOLERANCE),
        ),
        Row::alone(
            format!("daemon start, and a container that publishes {count} ports"),
            Reading::Time(setup),
            Target::Told,
        ),
    ]
}

impl Side {
    fn new(count: u16) -> Result<Self> {
        let stage = Stage::new(1)?;
        let mut ours = stage.start(0)?;
        let first = LAST - count + 1;
        let ports = (first..=LAST).zip(1..).map(Port::tcp);
        let wanted = Wanted::lasting("bridge").publishing(ports);
        let id = ours.engine.run(&wanted)?;
        let namespace = ours.engine.namespace(&id)?;
        Ok(Self {
            listener: namespace.visit(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, count)))?,
            client: Namespace::of_process(&stage.neighbor().path("/proc/1"))?,
            samples: Samples::default(),
            _ours: ours,
            _stage: stage,
        })
    }

    fn block(&mut self) -> Result<()> {
        let connections = || {
            (0..BLOCK)
                .map(|_| connection(HOST, &self.listener))
                .collect()
        };
        let took: Vec<Duration> = self.client.visit(connections)?;
        took.into_iter().for_each(|took| self.samples.push(took));
        Ok(())
    }
}

/// A connection with one byte each way. Both ends are in this thread: none has to be woken.
pub(crate) fn connection(to: SocketAddrV4, listener: &TcpListener) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut client = TcpStream::connect_timeout(&to.into(), Duration::from_secs(5))?;
    let (mut server, _) = listener.accept()?;
    let mut byte = [0];
    client.write_all(b"?")?;
    server.read_exact(&mut byte)?;
    server.write_all(b"!")?;
    client.read_exact(&mut byte)?;
    let took = begin.elapsed();
    // The client closes first: its ports are many, and the server's one stays free.
    drop(client);
    Ok(took)
}
