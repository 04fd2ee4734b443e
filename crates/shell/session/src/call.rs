//! One call: in the daemon that owns the roots, or in a session of its own.

use crate::ask::{Asked, ask};
use crate::own::Own;
use crate::request::{Answer, Call, Refusal};
use crate::settings::SettingsError;
use crate::territory::TerritoryError;
use sealane_core::model::{ErrorClass, Owner};
use sealane_store::StoreError;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long to wait while a daemon starts or ends.
const PAUSE: Duration = Duration::from_millis(10);

/// Which state a call is about, and how long it may wait for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The daemon's `--data-root`.
    pub data_root: PathBuf,
    /// Its `--exec-root`.
    pub exec_root: PathBuf,
    /// Its `--owner`.
    pub owner: Owner,
    /// How long to wait for others that hold the roots.
    pub patience: Duration,
}

/// Why a call did not happen.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The use case was refused or failed.
    #[error(transparent)]
    Refused(Refusal),
    /// A folder cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The roots are held by another, or cannot be read.
    #[error("the state cannot be opened")]
    Store(#[source] StoreError),
    /// They are held by another, or another works under the same owner.
    #[error(transparent)]
    Territory(TerritoryError),
    /// What the last daemon wrote down cannot be read.
    #[error("the settings of the daemon are not known")]
    Settings(#[source] SettingsError),
    /// The daemon cannot be asked.
    #[error("the daemon that uses {} cannot be asked", path.display())]
    Daemon {
        /// The exec root.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon ended in the middle.
    #[error(
        "the daemon ended before it answered, and whether this was done is not known; look with \
         `sealane network ls`"
    )]
    Unknown,
}

impl SessionError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(refusal) => refusal.class,
            Self::Store(StoreError::InUse { .. }) => ErrorClass::Unavailable,
            Self::Territory(error) if error.is_taken() => ErrorClass::Unavailable,
            Self::Unknown => ErrorClass::Unavailable,
            Self::Folder { .. }
            | Self::Store(_)
            | Self::Territory(_)
            | Self::Settings(_)
            | Self::Daemon { .. } => ErrorClass::Internal,
        }
    }

    /// Whether a daemon or another call holds what is needed, perhaps not for long.
    fn is_held(&self) -> bool {
        match self {
            Self::Store(StoreError::InUse { .. }) => true,
            Self::Territory(error) => error.is_taken(),
            Self::Refused(_)
            | Self::Folder { .. }
            | Self::Store(_)
            | Self::Settings(_)
            | Self::Daemon { .. }
            | Self::Unknown => false,
        }
    }
}

/// Runs one use case: in the daemon that owns the roots if there is one, else here.
///
/// A daemon may come or go meanwhile. Where one ends in the middle, a call that can be repeated is
/// made again, and of any other it is said that its end is not known.
pub fn call(roots: &Roots, call: &Call) -> Result<Answer, SessionError> {
    let end = Instant::now() + roots.patience;
    let mut again = false;
    loop {
        let asked = ask(&roots.exec_root, call, again);
        match asked.map_err(|source| SessionError::Daemon {
            path: roots.exec_root.clone(),
            source,
        })? {
            Asked::Answered(answer) => return answer.map_err(SessionError::Refused),
            Asked::Nobody => {}
            Asked::BrokenOff if call.can_be_repeated() => again = true,
            Asked::BrokenOff => return Err(SessionError::Unknown),
        }
        let left = end.saturating_duration_since(Instant::now());
        match Own::open(roots, left) {
            Ok(own) => return own.run(call, again),
            Err(error) if error.is_held() && Instant::now() < end => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}
