//! How many files the daemon may have open: every published port is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use thiserror::Error;

/// The limit before and after [`raise_file_limit`]; `None` is no limit. Containers are started
/// with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// The soft limit that the daemon was started with.
    pub before: Option<u64>,
    /// The soft limit now.
    pub now: Option<u64>,
}

/// The limit could not be raised.
#[derive(Debug, Error)]
#[error("cannot raise the limit of open files to its maximum, {maximum:?}")]
pub struct FileLimitError {
    /// The hard limit.
    pub maximum: Option<u64>,
    /// What the system said.
    pub source: io::Error,
}

/// Raises the soft limit of open files to the hard limit.
pub fn raise_file_limit() -> Result<FileLimit, FileLimitError> {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .map_err(|error| FileLimitError {
        maximum,
        source: error.into(),
    })?;
    Ok(FileLimit {
        before: limit.current,
        now: maximum,
    })
}
