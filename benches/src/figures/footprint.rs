//! The daemon's memory and its idle time, alone and with 500 endpoints and published ports.

use super::Extent;
use crate::error::{BenchError, Result, failed};
use crate::population::populate;
use crate::report::{Reading, Row, Target};
use crate::stage::Stage;
use crate::wanted::Port;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(10);
const MIB: f64 = 1_048_576.0;
/// A thousandth of one core.
const IDLE_LIMIT: f64 = 0.01;
const FIRST_PORT: u16 = 22_000;

/// Looks at an idle daemon, fills its host, and looks again.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let ours = stage.start(0)?;
    let folder = ours.engine.process(ours.pid());
    let span = extent.size(IDLE, IDLE / 10);
    let mut rows = look(&folder, "idle", span, 30.0)?;
    let endpoints = extent.size(500, 20);
    let port = |number| vec![Port::tcp((FIRST_PORT + number, 80))];
    populate(&stage, 0, endpoints, port)?;
    let with = format!("with {endpoints} endpoints and published ports");
    rows.extend(look(&folder, &with, span, 60.0)?);
    Ok(rows)
}

/// Memory, and the time on a processor while nothing is asked.
fn look(process: &Path, when: &str, span: Duration, limit: f64) -> Result<Vec<Row>> {
    thread::sleep(Duration::from_secs(1));
    let before = processor_time(process)?;
    thread::sleep(span);
    let used = processor_time(process)?.saturating_sub(before);
    let seconds = span.as_secs();
    Ok(vec![
        Row::alone(
            format!("daemon's resident memory, {when}"),
            Reading::Bytes(resident(process)?),
            Target::Under(limit * MIB),
        ),
        Row::alone(
            format!("daemon's processor time in {seconds} s, {when}"),
            Reading::Time(used),
            Target::Under(IDLE_LIMIT),
        ),
    ])
}

fn resident(process: &Path) -> Result<u64> {
    let status = fs::read_to_string(process.join("status"));
    let status = status.map_err(failed("reading the daemon's status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let lost = || BenchError::Unexpected("the daemon's status has no VmRSS".into());
    Ok(kilobytes.ok_or_else(lost)? * 1024)
}

/// The time all its threads were on a processor.
fn processor_time(process: &Path) -> Result<Duration> {
    let tasks = fs::read_dir(process.join("task"));
    let tasks = tasks.map_err(failed("listing the daemon's threads"))?;
    // A thread that ends meanwhile has had its time.
    let times = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Ok(Duration::from_nanos(times.sum()))
}
