//! What is known about a running process.

use crate::Attach;

/// A process that was made and waits for its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot: with the pid, its identity.
    pub start_time: u64,
}

/// A container's first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// Whether that process is alive (created or running). False when it has ended, also when
    /// its pid belongs to another process by now.
    pub alive: bool,
    /// Whether it was started, not only created.
    pub started: bool,
    /// Whether the kernel killed something in the container for want of memory.
    pub oom: bool,
}

/// A program that runs in a container besides the first one.
#[derive(Debug)]
pub struct RunningExec {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot; 0 if it had ended before it was looked at.
    pub start_time: u64,
    /// Its output and input; nothing it printed is missing.
    pub attach: Attach,
}

/// What `docker top` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessTable {
    /// The titles of the columns.
    pub titles: Vec<String>,
    /// One row for each process of the container.
    pub processes: Vec<Vec<String>>,
}
