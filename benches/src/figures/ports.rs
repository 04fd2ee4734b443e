//! Connections through the last of 10,000 published ports, against those through the only one.
//!
//! Two hosts on one LAN, a daemon on each; the client is the LAN's other member.

use super::Extent;
use crate::engine::Wanted;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::{Ours, Stage};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The published port that is used, the last one. Inside it is another one, so that no range can
/// stand for all of them.
const LAST: u16 = 30_000;
/// Connections through one host before it is the other's turn.
const BLOCK: usize = 25;
const SPAN: Duration = Duration::from_secs(60);
const TOLERANCE: f64 = 1.1;

/// A host with a listener behind a published port.
struct Side {
    _ours: Ours,
    listener: TcpListener,
    address: SocketAddr,
    samples: Samples,
}

/// Measures both in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(2)?;
    let count = extent.size(10_000, 500);
    let (crowded, setup) = timed(|| Side::new(&stage, 0, count))?;
    let (single, _) = timed(|| Side::new(&stage, 1, 1))?;
    let mut sides = [crowded, single];
    let client = Namespace::of_process(&stage.neighbor().path("/proc/1"))?;
    let rounds = extent.rounds(100, SPAN);
    client.visit(|| {
        for _ in rounds {
            for side in &mut sides {
                side.block()?;
            }
        }
        Ok(())
    })?;
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
            Target::AtLeastTimes(1.0 / TOLERANCE),
        ),
        Row::alone(
            format!("daemon start, and a container that publishes {count} ports"),
            Reading::Time(setup),
            Target::Told,
        ),
    ]
}

impl Side {
    fn new(stage: &Stage, index: usize, count: u16) -> Result<Self> {
        let mut ours = stage.start(index)?;
        let first = LAST - count + 1;
        let ports = (first..=LAST).zip(1..);
        let id = ours
            .engine
            .run(&Wanted::lasting("bridge").publishing(ports))?;
        let namespace = ours.engine.namespace(&id)?;
        let listener = namespace.visit(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, count)))?;
        let address = Ipv4Addr::new(10, 99, 0, index as u8 + 1);
        Ok(Self {
            _ours: ours,
            listener,
            address: SocketAddrV4::new(address, LAST).into(),
            samples: Samples::default(),
        })
    }

    fn block(&mut self) -> io::Result<()> {
        for _ in 0..BLOCK {
            let took = self.connection()?;
            self.samples.push(took);
        }
        Ok(())
    }

    /// A connection with one byte each way. Both ends are in this thread: nobody has to be woken.
    fn connection(&self) -> io::Result<Duration> {
        let begin = Instant::now();
        let mut client = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        let (mut server, _) = self.listener.accept()?;
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
}
