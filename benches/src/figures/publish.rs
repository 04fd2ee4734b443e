//! Publishing 10,000 ports at a container that runs.

use super::Extent;
use super::ports::{HOST, LAST, connection};
use super::start::processes;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::{Ours, Stage};
use crate::transactions::generation;
use crate::wanted::{Port, Wanted};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(20);
/// For all of them.
const LIMIT: f64 = 0.5;

/// A container that runs, and the host around it.
struct Scene<'a> {
    stage: &'a Stage,
    ours: Ours,
    container: String,
    inside: Namespace,
    host: Namespace,
    client: Namespace,
}

/// What one change of the ports gave.
struct Change {
    took: Duration,
    transactions: u64,
    processes: u64,
}

/// Publishes one port, then all of them, then none, over and over.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut scene = Scene::set(&stage)?;
    let count = extent.size(10_000, 500);
    let (mut published, mut taken_back) = (Samples::default(), Samples::default());
    let mut counted = Vec::new();
    for _ in extent.rounds(10, SPAN) {
        let one = scene.publish(1)?;
        let all = scene.publish(count)?;
        let none = scene.publish(0)?;
        published.push(all.took);
        taken_back.push(none.took);
        counted.push((one, all));
    }
    Ok(rows(count, published, taken_back, &counted))
}

fn rows(
    count: u16,
    published: Samples,
    taken_back: Samples,
    counted: &[(Change, Change)],
) -> Vec<Row> {
    let most = |of: fn(&Change) -> u64, (one, all): (u64, u64), (a, b): &(Change, Change)| {
        (one.max(of(a)), all.max(of(b)))
    };
    let highest = |of: fn(&Change) -> u64| {
        let highest = counted
            .iter()
            .fold((0, 0), |so_far, pair| most(of, so_far, pair));
        (Reading::Count(highest.0), Reading::Count(highest.1))
    };
    let row = |figure: &str, (one, all)| {
        let figure = format!("{figure} for {count} ports of a running container");
        Row::against(figure, all, "for one", one, Target::AtMostMore(0.0))
    };
    vec![
        Row::alone(
            format!("publishing {count} ports of a running container"),
            Reading::Times(published),
            Target::Under(LIMIT),
        ),
        Row::alone(
            format!("taking {count} ports back"),
            Reading::Times(taken_back),
            Target::Told,
        ),
        row(
            "nftables transactions",
            highest(|change| change.transactions),
        ),
        row("processes", highest(|change| change.processes)),
    ]
}

impl<'a> Scene<'a> {
    fn set(stage: &'a Stage) -> Result<Self> {
        let mut ours = stage.start(0)?;
        let container = ours.engine.run(&Wanted::lasting("bridge"))?;
        Ok(Self {
            inside: ours.engine.namespace(&container)?,
            host: Namespace::of_process(&stage.host(0).path("/proc/1"))?,
            client: Namespace::of_process(&stage.neighbor().path("/proc/1"))?,
            stage,
            ours,
            container,
        })
    }

    /// Has just so many ports published, and shows that the last one is.
    fn publish(&mut self, count: u16) -> Result<Change> {
        let ports = (LAST - count + 1..=LAST).zip(1..).map(Port::tcp);
        let ports: Vec<Port> = ports.collect();
        let before = generation(&self.host)?;
        let engine = &mut self.ours.engine;
        let ((), took) = timed(|| engine.publish(&self.container, &ports))?;
        let change = Change {
            took,
            transactions: generation(&self.host)? - before,
            processes: processes(self.stage.host(0))?,
        };
        if count > 0 {
            self.connect(count)?;
        }
        Ok(change)
    }

    fn connect(&self, inside: u16) -> Result<()> {
        let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, inside));
        let listener = self.inside.visit(bind)?;
        self.client.visit(|| connection(HOST, &listener)).map(drop)
    }
}
