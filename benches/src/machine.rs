//! The machine the figures were taken on.

use std::fs;
use std::thread;

/// What of the machine bears on the figures, as lines for people.
pub(crate) fn facts() -> Vec<String> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kilobytes = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let memory = kilobytes.map_or(0, |kilobytes| kilobytes >> 20);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    vec![
        format!("{cores} cores ({processor}), {memory} GiB of memory"),
        format!("kernel {}", read("/proc/sys/kernel/osrelease")),
    ]
}

/// The load averages, now.
pub(crate) fn load() -> String {
    let averages = read("/proc/loadavg");
    averages.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The value in a line `NAME: VALUE`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|_| "unknown".into());
    text.trim().to_owned()
}
