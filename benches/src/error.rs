//! What can keep a figure from being taken.

use std::io;
use thiserror::Error;

/// Why a figure could not be taken.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    /// A call of the operating system failed.
    #[error("{action} failed")]
    System {
        /// What was being done.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("the kernel refused request {place} of {count}")]
    Refused {
        /// Which of the batch, from 1.
        place: usize,
        /// How many there were.
        count: usize,
        /// Its reason.
        source: io::Error,
    },
    /// A daemon refused a request.
    #[error("{method} {path}: {status} {message}")]
    Api {
        /// The method.
        method: &'static str,
        /// The path.
        path: String,
        /// The status.
        status: u16,
        /// The daemon's text.
        message: String,
    },
    /// What came back is not what was expected.
    #[error("{0}")]
    Unexpected(String),
    /// The harness gave up; the message is its own.
    #[error("{0}")]
    Panicked(String),
}

/// What taking a figure returns.
pub(crate) type Result<T, E = BenchError> = std::result::Result<T, E>;

/// Names what was being done when the system said no.
pub(crate) fn failed(action: impl Into<String>) -> impl FnOnce(io::Error) -> BenchError {
    let action = action.into();
    move |source| BenchError::System { action, source }
}

/// The error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text.replace('\n', " ")
}
