//! What can be wrong with the daemon's settings.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the daemon does not start with these settings. Nothing has been touched yet.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not JSON, or no object.
    #[error("{} is not JSON: {reason}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file has keys that mean nothing.
    #[error("the following directives don't match any configuration option: {}", keys.join(", "))]
    UnknownKeys {
        /// The keys.
        keys: Vec<String>,
    },
    /// An option has two values.
    #[error(
        "the following directives are specified both as a flag and in the configuration file: {}",
        conflicts.join(", ")
    )]
    Conflicts {
        /// Each with both its values.
        conflicts: Vec<String>,
    },
    /// A value in the file is of another kind.
    #[error("\"{key}\" in the configuration file must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A value is not possible; the text says which and what to do.
    #[error("{0}")]
    Value(String),
    /// An option that must not be ignored.
    #[error("--{flag} is not supported: {why}")]
    Refused {
        /// The flag.
        flag: &'static str,
        /// Why.
        why: &'static str,
    },
}

/// What the settings' readers return.
pub(crate) type Result<T, E = ConfigError> = std::result::Result<T, E>;

/// A value that is not possible.
pub(crate) fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(ConfigError::Value(text.into()))
}
