//! The ways that this machine's kernel does not have: measured by this same program, under the kernel
//! of `tools/kernel-lab`.

use super::Extent;
use crate::error::{BenchError, Result, failed};
use crate::report::Row;
use crate::stage::repository;
use std::env;
use std::process::Command;

/// What this program is asked for there.
pub(crate) const FIGURE: &str = "paths-in-lab";
/// Seconds.
const LIMIT: &str = "400";

/// Copies the lines of the table that the run there writes.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let program = env::current_exe().map_err(failed("finding this program"))?;
    let root = repository();
    let mut command = Command::new(root.join("tools/kernel-lab/kernel-lab"));
    command
        .args(["run", "--timeout", LIMIT, "--"])
        .arg(program)
        .args(extent.quick.then_some("--quick"))
        .arg(FIGURE)
        .current_dir(root);
    let output = command
        .output()
        .map_err(failed("starting the kernel lab"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Row> = lines
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|line| !line.starts_with("figure ") && !line.starts_with("---"))
        .map(|line| Row::copied(format!("| in the kernel lab: {line}")))
        .collect();
    if output.status.success() && !rows.is_empty() {
        return Ok(rows);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    Err(BenchError::Unexpected(format!(
        "the kernel lab: {}, {last}",
        output.status
    )))
}
