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
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
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
            Self::Unavailable(_) => ErrorClass::Unavailable,
            Self::NotImplemented(_) => ErrorClass::NotImplemented,
            Self::Failed { .. } => ErrorClass::Internal,
        }
    }

    /// An error of a kind that was decided elsewhere.
    pub(crate) fn of_class(class: ErrorClass, text: String) -> Self {
        match class {
            ErrorClass::NotFound => Self::NotFound(text),
            ErrorClass::InvalidArgument => Self::Invalid(text),
            ErrorClass::Conflict => Self::Conflict(text),
            ErrorClass::Forbidden => Self::Forbidden(text),
            ErrorClass::NotModified => Self::NotModified(text),
            ErrorClass::Unavailable => Self::Unavailable(text),
            ErrorClass::NotImplemented => Self::NotImplemented(text),
            ErrorClass::Internal => Self::Failed {
                message: text,
                source: None,
            },
        }
    }

    /// A failure of the host without a cause of its own.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            source: None,
        }
    }

    /// A failure of the host, with its cause.
    pub(crate) fn failed(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::Failed {
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }

    /// The same error with words in front.
    pub(crate) fn prefixed(self, prefix: &str) -> Self {
        let class = self.class();
        Self::of_class(class, format!("{prefix}{}", chain(&self)))
    }
}

/// An error and its causes in one line, as clients see it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<sealane_engine::EngineError> for ContainerError {
    fn from(error: sealane_engine::EngineError) -> Self {
        Self::of_class(error.class(), chain(&error))
    }
}

impl From<sealane_runtime::RuntimeError> for ContainerError {
    fn from(error: sealane_runtime::RuntimeError) -> Self {
        Self::of_class(error.class(), chain(&error))
    }
}

impl From<sealane_images::ImageError> for ContainerError {
    fn from(error: sealane_images::ImageError) -> Self {
        Self::of_class(error.class(), chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_keeps_the_class_and_the_causes() {
        let cause = std::io::Error::other("no room");
        let error = ContainerError::failed("cannot write it", cause).prefixed("start: ");
        assert_eq!(error.class(), ErrorClass::Internal);
        assert_eq!(error.to_string(), "start: cannot write it: no room");
        let error = ContainerError::NotFound("nothing".into()).prefixed("start: ");
        assert!(matches!(error, ContainerError::NotFound(text) if text == "start: nothing"));
    }
}
