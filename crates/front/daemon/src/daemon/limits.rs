//! Limits of the process: each published port is an open file.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the number of files that may be open as far as the host allows.
pub(crate) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
