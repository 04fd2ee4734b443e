//! What containers printed: conmon's log files, read back.

use crate::{Result, Stream};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Which part of a log to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only the last lines; `None` for all.
    pub tail: Option<usize>,
    /// Only what was printed at or after this time.
    pub since: Option<Timestamp>,
    /// Only what was printed at or before this time.
    pub until: Option<Timestamp>,
}

/// One piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was printed.
    pub at: Timestamp,
    /// Where to.
    pub stream: Stream,
    /// What, with its newline if the program printed one.
    pub bytes: Vec<u8>,
    /// Whether it continues an entry of the same stream that had no newline.
    pub continues: bool,
}

/// A place in a log. Reading never waits; after `None`, more may come later.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
}

impl LogReader {
    /// The next entry, or `None` when there is none yet.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>> {
        Ok(None)
    }

    /// The file, to be watched for changes.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
