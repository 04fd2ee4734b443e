//! Connecting a container while another network waits for a firewalld that hangs.

use super::{Extent, attach};
use crate::engine::Engine;
use crate::error::{BenchError, Result};
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::{SOCKET, Stage, connect};
use sealane_testkit::Firewalld;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 200;
/// The new network gives firewalld up after twenty seconds; the measurement shall end before.
const SPAN: Duration = Duration::from_secs(12);
/// Within it the new network is made, and has begun to wait.
const UNTIL_WAITING: Duration = Duration::from_secs(1);
/// What a slowest one of a hundred may differ by on a machine that does other things, too.
const TOLERANCE: f64 = 1.5;

/// Measures with a firewalld that answers, then with one that does not.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let firewalld = Firewalld::start(stage.host(0));
    let engine = &mut stage.start(0)?.engine;
    let (container, _) = attach::prepare(engine)?;
    let quiet = connects(engine, &container, extent)?;

    firewalld.hang();
    let mut other = connect(stage.host(0), SOCKET)?;
    let hanging = thread::scope(|scope| {
        let waiting =
            scope.spawn(move || other.create_network("waits", "br-waits", "10.202.0.0/16"));
        thread::sleep(UNTIL_WAITING);
        let connected = connects(engine, &container, extent);
        let overtaken = !waiting.is_finished();
        firewalld.go_on();
        let made = waiting.join();
        let connected = connected?;
        made.map_err(|_| BenchError::Unexpected("the new network was given up".into()))??;
        match overtaken {
            true => Ok(connected),
            false => Err(BenchError::Unexpected(
                "the new network did not wait".into(),
            )),
        }
    })?;
    Ok(vec![
        row("p50", 0.5, &hanging, &quiet),
        row("p99", 0.99, &hanging, &quiet),
    ])
}

/// How long connecting takes, again and again.
fn connects(engine: &mut Engine, container: &str, extent: Extent) -> Result<Samples> {
    let mut connected = Samples::default();
    for _ in extent.rounds(ROUNDS, SPAN) {
        let ((), took) = timed(|| engine.connect(attach::NETWORK, container))?;
        engine.disconnect(attach::NETWORK, container)?;
        connected.push(took);
        thread::sleep(attach::BREATH);
    }
    Ok(connected)
}

fn row(name: &str, part: f64, hanging: &Samples, quiet: &Samples) -> Row {
    Row::against(
        format!("{name} of connect while another network waits for firewalld"),
        Reading::Time(hanging.quantile(part)),
        "with firewalld answering",
        Reading::Time(quiet.quantile(part)),
        Target::AtMostTimes(TOLERANCE),
    )
}
