//! What can go wrong with images and root file systems.

use sealane_core::model::{ErrorClass, Id};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why an operation on images failed. Texts that clients know are Docker's.
#[derive(Debug, Error)]
pub enum ImageError {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// No root file system was prepared for the container.
    #[error("container {0} has no root file system here; prepare it first")]
    NoRoot(Id),
    /// The name does not follow the grammar of references.
    #[error("invalid reference format{0}")]
    InvalidReference(String),
    /// A `--change` that is not understood.
    #[error("{0}")]
    InvalidChange(String),
    /// The archive is not what it should be.
    #[error("{0}")]
    InvalidArchive(String),
    /// The image may not be removed, or not without force.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An entry of a layer could not be unpacked.
    #[error("cannot unpack {}", path.display())]
    Unpack {
        /// Its path in the layer.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The caller's stream broke.
    #[error("cannot {0} the archive")]
    Stream(&'static str, #[source] io::Error),
    /// A record of this store is damaged.
    #[error("{} is damaged: {reason}; remove it and load the image again", path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ImageError {
    /// The kind of failure, for the answer to a request.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound(_) | Self::NoRoot(_) => ErrorClass::NotFound,
            Self::InvalidReference(_) | Self::InvalidChange(_) | Self::InvalidArchive(_) => {
                ErrorClass::InvalidArgument
            }
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::File { .. } | Self::Unpack { .. } | Self::Stream(..) | Self::Damaged { .. } => {
                ErrorClass::Internal
            }
        }
    }
}
