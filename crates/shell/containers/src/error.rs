//! Why a container operation did not happen, in Docker's words.

use sealane_core::model::ErrorClass;
use std::error::Error;
use thiserror::Error;

/// A refused or failed operation.
#[derive(Debug, Error)]
pub enum ContainerError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request is wrong in itself.
    #[error("{0}")]
    Invalid(String),
    /// The request contradicts what exists.
    #[error("{0}")]
    Conflict(String),
    /// The request is understood and refused.
    #[error("{0}")]
    Forbidden(String),
    /// There is nothing to do: started already, stopped already.
    #[error("{0}")]
    NotModified(String),
    /// Outside what this engine does.
    #[error("{0}")]
    NotImplemented(String),
    /// Something on the host failed; the text says which object and what to do.
    #[error("{message}")]
    Failed {
        /// What happened to which object.
        message: String,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl ContainerError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Invalid(_) => ErrorClass::InvalidArgument,
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Forbidden(_) => ErrorClass::Forbidden,
            Self::NotModified(_) => ErrorClass::NotModified,
            Self::NotImplemented(_) => ErrorClass::NotImplemented,
            Self::Failed { .. } => ErrorClass::Internal,
        }
    }
}
