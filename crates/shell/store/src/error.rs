//! Why stored state cannot be used or changed.

use crate::lock::{Holder, Tenure};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The format of what is stored. Raise it when an older daemon could not read it any more.
pub(crate) const FORMAT: u32 = 1;

/// Why stored state cannot be used or changed. Whatever it is, nothing was changed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process is at work there.
    #[error("{}", in_use(root, *holder))]
    InUse {
        /// The data root.
        root: PathBuf,
        /// The other process.
        holder: Holder,
    },
    /// There is no room left for it.
    #[error("no space left on the disk of {}; free some and try again, nothing was changed", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Box<redb::Error>,
    },
    /// The file is not, or no longer, what was written.
    #[error(
        "{} is damaged; restore it from a backup, or move it away to start with no networks and \
         no containers", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<redb::Error>,
    },
    /// A later version wrote the file.
    #[error(
        "{} has format {found}, which a later version wrote; this one reads formats up to {FORMAT}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A value in it cannot be read.
    #[error("{key} in table {table} of {} cannot be read", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON.
    #[error("{key} of table {table} cannot be written as JSON")]
    Encode {
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// The system refused to read or write.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("the database {} refused", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: Box<redb::Error>,
    },
}

/// Says which of our errors one of the database is.
pub(crate) fn classify(error: redb::Error, path: &Path) -> StoreError {
    let path = path.to_owned();
    let io = if let redb::Error::Io(source) = &error {
        Some(source.kind())
    } else {
        None
    };
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        return StoreError::InUse {
            root: path,
            holder: Holder {
                process: None,
                tenure: Tenure::Daemon,
            },
        };
    }
    let source = Box::new(error);
    if io.is_some_and(is_full) {
        return StoreError::Full { path, source };
    }
    let corrupted = matches!(
        *source,
        redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_)
    );
    if corrupted || io.is_some_and(is_foreign) {
        return StoreError::Damaged { path, source };
    }
    StoreError::Database { path, source }
}

fn in_use(root: &Path, holder: Holder) -> String {
    let process = holder.process.map(|id| format!(" (process {id})"));
    let (process, root) = (process.unwrap_or_default(), root.display());
    match holder.tenure {
        Tenure::Daemon => {
            format!("another daemon{process} uses {root}; stop it, or choose another --data-root")
        }
        Tenure::Call => format!(
            "another call of sealane{process} still uses {root}; try again when it has ended"
        ),
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// What the database says of a file that is none of its own, or cut off.
fn is_foreign(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
