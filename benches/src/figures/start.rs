//! Starting a container on a bridge, with and without published ports, against none.

use super::Extent;
use crate::engine::Engine;
use crate::error::{Result, failed};
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use crate::wanted::{Port, Wanted};
use sealane_testkit::Host;
use std::fs;
use std::ops::Range;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(90);
/// What a bridge, and what published ports may add.
const MORE: f64 = 0.005;
/// Published on the host; inside, the ports begin with 1, so that no range can stand for them.
pub(super) const PORTS: Range<u16> = 21_000..21_050;

/// The kinds of containers that are compared.
pub(super) fn kinds() -> [Wanted; 3] {
    let bridge = Wanted::lasting("bridge");
    let published = PORTS.zip(1..).map(Port::tcp);
    [
        Wanted::lasting("none"),
        bridge.clone(),
        bridge.publishing(published),
    ]
}

/// Measures the start alone; containers are created before and removed after.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut ours = stage.start(0)?;
    let mut starts = [(); 3].map(|()| Samples::default());
    let mut processes = [0; 3];
    for round in extent.rounds(60, SPAN) {
        // Who is first changes with each round.
        for kind in (0..3).map(|place| (place + round) % 3) {
            let wanted = &kinds()[kind];
            let once = start_once(&mut ours.engine, wanted)?;
            starts[kind].push(once.start);
            processes[kind] = once.processes;
        }
    }
    let [none, bridge, published] = starts.map(Reading::Times);
    let [_, on_bridge, with_ports] = processes.map(Reading::Count);
    let more = Target::AtMostMore(MORE);
    Ok(vec![
        Row::against("start on a bridge", bridge.clone(), "none", none, more),
        Row::against(
            "start with 50 published ports",
            published,
            "bridge",
            bridge,
            more,
        ),
        Row::against(
            "processes with 50 published ports",
            with_ports,
            "bridge",
            on_bridge,
            Target::AtMostMore(0.0),
        ),
    ])
}

/// What one container gave.
pub(super) struct Once {
    /// How long its start took.
    pub(super) start: Duration,
    /// How long its removal took, while it ran.
    pub(super) removal: Duration,
    /// How many processes the host had while it ran.
    processes: u64,
}

/// One container from create to remove.
pub(super) fn start_once(engine: &mut Engine, wanted: &Wanted) -> Result<Once> {
    let id = engine.create(wanted)?;
    let ((), start) = timed(|| engine.start(&id))?;
    let processes = processes(engine.host())?;
    let ((), removal) = timed(|| engine.remove(&id))?;
    Ok(Once {
        start,
        removal,
        processes,
    })
}

/// How many processes a host has.
pub(super) fn processes(host: &Host) -> Result<u64> {
    let entries = fs::read_dir(host.path("/proc")).map_err(failed("listing processes"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(numbers.count() as u64)
}
