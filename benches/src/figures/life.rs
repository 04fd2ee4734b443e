//! A container's whole life by the API, against conmon and the OCI runtime alone.

use super::Extent;
use crate::engine::Engine;
use crate::error::Result;
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use crate::supervisor::Supervisor;
use crate::wanted::Wanted;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(60);

/// Measures both in turn.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let mut ours = stage.start(0)?;
    // The floor runs this one's bundle, and its root file system has to be mounted.
    let model = ours.engine.run(&Wanted::lasting("bridge"))?;
    let mut supervisor = Supervisor::start(stage.host(0), &model, &stage.cgroup())?;
    let (mut lives, mut floor) = (Samples::default(), Samples::default());
    for _ in extent.rounds(50, SPAN) {
        lives.push(whole_life(&mut ours.engine)?);
        floor.push(supervisor.round()?);
    }
    Ok(vec![Row::against(
        "create, start, wait, remove",
        Reading::Times(lives),
        "conmon and runc: create, start, delete",
        Reading::Times(floor),
        Target::AtMostTimes(3.0),
    )])
}

/// Creates, starts, waits for and removes a container on the default bridge.
pub(super) fn whole_life(engine: &mut Engine) -> Result<Duration> {
    let wanted = Wanted::brief("bridge");
    let life = timed(|| {
        let id = engine.create(&wanted)?;
        engine.start(&id)?;
        engine.wait(&id)?;
        engine.remove(&id)
    });
    life.map(|((), took)| took)
}
