//! One more container with 32 published ports beside 500 such, against the first on a host.
//!
//! Two hosts, a daemon on each: one is crowded, the other empty.

use super::Extent;
use crate::engine::Engine;
use crate::error::Result;
use crate::population::populate;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use crate::wanted::{Port, Wanted};
use std::time::Duration;

/// Of each container.
const PORTS: u16 = 32;
const FIRST_PORT: u16 = 10_000;
/// The ports of the one more.
const FREE: u16 = 9_000;
const SPAN: Duration = Duration::from_secs(30);
const FACTOR: f64 = 1.5;

/// What was measured on one host.
#[derive(Default)]
struct Measured {
    run: Samples,
    removal: Samples,
}

/// Fills a host, and measures on both in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let (stage, other) = (Stage::new(1)?, Stage::new(1)?);
    let (mut crowded, mut empty) = (stage.start(0)?, other.start(0)?);
    let containers = extent.size(500, 20);
    populate(&stage, 0, containers, |number| {
        ports(FIRST_PORT + number * PORTS)
    })?;
    let mut sides = [
        (&mut crowded.engine, Measured::default()),
        (&mut empty.engine, Measured::default()),
    ];
    for round in extent.rounds(30, SPAN) {
        // Who is first changes with each round.
        for side in [round % 2, 1 - round % 2] {
            let (engine, measured) = &mut sides[side];
            measured.once(engine)?;
        }
    }
    let [(_, crowded), (_, empty)] = sides;
    Ok(rows(containers, crowded, empty))
}

fn rows(containers: u16, crowded: Measured, empty: Measured) -> Vec<Row> {
    let row = |figure: &str, crowded, empty, target| {
        let figure = format!("{figure} with {PORTS} ports beside {containers} such");
        let (crowded, empty) = (Reading::Times(crowded), Reading::Times(empty));
        Row::against(figure, crowded, "the first on a host", empty, target)
    };
    let more = Target::AtMostTimes(FACTOR);
    vec![
        row("create and start", crowded.run, empty.run, more),
        row("removal", crowded.removal, empty.removal, more),
    ]
}

impl Measured {
    fn once(&mut self, engine: &mut Engine) -> Result<()> {
        let wanted = Wanted::lasting("bridge").publishing(ports(FREE));
        let (id, run) = timed(|| engine.run(&wanted))?;
        let ((), removal) = timed(|| engine.remove(&id))?;
        self.run.push(run);
        self.removal.push(removal);
        Ok(())
    }
}

/// Inside they begin with 1, so that no range can stand for them.
fn ports(first: u16) -> Vec<Port> {
    (first..first + PORTS).zip(1..).map(Port::tcp).collect()
}
