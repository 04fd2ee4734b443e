//! Why a network operation did not happen, in Docker's words.

use sealane_core::drivers;
use sealane_core::model::ErrorClass;
use sealane_core::reserve::Refusal;
use thiserror::Error;

/// A refused or failed operation.
#[derive(Debug, Error)]
pub enum EngineError {
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
    /// What was asked for cannot be reserved.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something on the host failed; the text says which object and what to do.
    #[error("{message}")]
    Failed {
        /// What happened to which object.
        message: String,
        /// Why.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl EngineError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Invalid(_) => ErrorClass::InvalidArgument,
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Forbidden(_) => ErrorClass::Forbidden,
            Self::Refused(refusal) => refusal.class(),
            Self::Failed { .. } => ErrorClass::Internal,
        }
    }

    /// A failure of the host, with its cause.
    pub(crate) fn failed(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Failed {
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }
}

/// What a driver does not take.
impl From<drivers::Refusal> for EngineError {
    fn from(drivers::Refusal { class, text }: drivers::Refusal) -> Self {
        match class {
            ErrorClass::NotFound => Self::NotFound(text),
            ErrorClass::InvalidArgument => Self::Invalid(text),
            ErrorClass::Conflict => Self::Conflict(text),
            ErrorClass::Forbidden => Self::Forbidden(text),
            ErrorClass::NotModified
            | ErrorClass::Unavailable
            | ErrorClass::NotImplemented
            | ErrorClass::Internal => Self::Failed {
                message: text,
                source: None,
            },
        }
    }
}
