//! A daemon that is killed and started again on a full host, and those who talk meanwhile.

use super::Extent;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::population::populate;
use crate::report::{Reading, Row, Target};
use crate::samples::Samples;
use crate::stage::{Ours, Stage};
use crate::talk::{Line, Noticed, Talk};
use crate::wanted::{Port, Wanted};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

const FIRST_PORT: u16 = 20_000;
/// The published ports that are talked through, outside and inside.
const DATAGRAMS: (u16, u16) = (9_001, 1);
const STREAM: (u16, u16) = (9_002, 2);
const CONNECTIONS: (u16, u16) = (9_003, 3);
const SPAN: Duration = Duration::from_secs(30);
const LIMIT: f64 = 2.0;
/// Talking begins before the daemon is killed and goes on after it is ready: it may finish things.
const MARGIN: Duration = Duration::from_millis(500);

/// What was noticed of all restarts, of one line.
#[derive(Default)]
struct Heard(Vec<Noticed>);

/// Fills a host, and restarts its daemon again and again.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut ours = stage.start(0)?;
    let endpoints = extent.size(500, 20);
    populate(&stage, 0, endpoints, |number| {
        let first = FIRST_PORT + 2 * number;
        vec![Port::tcp((first, 80)), Port::tcp((first + 1, 81))]
    })?;
    let talker = talker(&mut ours)?;
    let mut ready = Samples::default();
    let mut heard = [(); 3].map(|()| Heard::default());
    for _ in extent.rounds(5, SPAN) {
        let talks = lines(&stage, &talker)?.map(Talk::begin);
        thread::sleep(MARGIN);
        ready.push(ours.restart()?);
        thread::sleep(MARGIN);
        for (talk, heard) in talks.into_iter().zip(&mut heard) {
            heard.0.push(talk.end()?);
        }
    }
    Ok(rows(endpoints, ready, &heard))
}

/// A container to talk to.
fn talker(ours: &mut Ours) -> Result<Namespace> {
    let ports = [
        Port::udp(DATAGRAMS),
        Port::tcp(STREAM),
        Port::tcp(CONNECTIONS),
    ];
    let wanted = Wanted::lasting("bridge").publishing(ports);
    let id = ours.engine.run(&wanted)?;
    ours.engine.namespace(&id)
}

/// From the LAN's other member to the container.
fn lines(stage: &Stage, inside: &Namespace) -> Result<[Line; 3]> {
    let client = Namespace::of_process(&stage.neighbor().path("/proc/1"))?;
    let to = |port| SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), port);
    let datagrams = Line::datagrams(&client, to(DATAGRAMS.0), inside, DATAGRAMS.1)?;
    let stream = Line::stream(&client, to(STREAM.0), inside, STREAM.1)?;
    let connections = Line::connections(client, to(CONNECTIONS.0), inside, CONNECTIONS.1)?;
    Ok([datagrams, stream, connections])
}

fn rows(endpoints: u16, ready: Samples, heard: &[Heard; 3]) -> Vec<Row> {
    let none = Target::Under(1.0);
    let [datagrams, stream, connections] = heard;
    let lost = |what: &str, heard: &Heard| {
        let figure = format!("{what} meanwhile, of {}", heard.words());
        Row::alone(figure, Reading::Count(heard.lost()), none)
    };
    vec![
        Row::alone(
            format!(
                "daemon restart with {endpoints} endpoints and {} published ports",
                2 * endpoints
            ),
            Reading::Times(ready),
            Target::Under(LIMIT),
        ),
        lost("datagrams of a running flow lost", datagrams),
        lost("messages of an open connection lost", stream),
        Row::alone(
            "longest silence of the open connection",
            Reading::Time(stream.longest()),
            Target::Told,
        ),
        lost("new connections lost", connections),
    ]
}

impl Heard {
    fn words(&self) -> u64 {
        self.0.iter().map(|noticed| noticed.words).sum()
    }

    fn lost(&self) -> u64 {
        self.0.iter().map(|noticed| noticed.lost).sum()
    }

    fn longest(&self) -> Duration {
        let longest = self.0.iter().map(|noticed| noticed.longest).max();
        longest.unwrap_or_default()
    }
}
