//! How processes end: conmon's exit files, and notice of new ones.

use jiff::Timestamp;
use sealane_core::model::Id;

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitOf {
    /// A container's first process.
    Container,
    /// A program run in a container besides.
    Exec,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Of which container, or of which exec.
    pub id: Id,
    /// Which of the two.
    pub of: ExitOf,
    /// Its exit code; 128 + the signal that killed it.
    pub code: i32,
    /// When it ended.
    pub at: Timestamp,
    /// Whether the kernel killed something in the container for want of memory.
    pub oom: bool,
}
