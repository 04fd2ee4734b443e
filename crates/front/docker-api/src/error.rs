//! What a request is refused with.

use crate::respond::{Response, json, text};
use hyper::StatusCode;
use sealane_core::model::ErrorClass;
use sealane_engine::EngineError;
use serde::Serialize;
use std::error::Error;
use std::fmt;

/// A refused or failed request: its status and its text.
#[derive(Debug)]
pub(crate) struct ApiError {
    class: ErrorClass,
    message: String,
    /// Whether the body is the bare text, for clients older than JSON errors.
    plain: bool,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
}

impl ApiError {
    /// An error of a kind.
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            plain: false,
        }
    }

    /// The request is wrong in itself.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::InvalidArgument, message)
    }

    /// What was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, message)
    }

    /// Outside what this engine does; the text says what to use instead.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotImplemented, message)
    }

    /// Something on the host failed.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Internal, message)
    }

    /// A wrong request whose answer is bare text.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self {
            plain: true,
            ..Self::invalid(message)
        }
    }

    /// An error of a lower layer. The answer to a failure of the host
    /// has its causes: only they say why.
    pub(crate) fn of(class: ErrorClass, error: &dyn Error) -> Self {
        let message = match class {
            ErrorClass::Internal | ErrorClass::Unavailable => chain(error),
            ErrorClass::NotFound
            | ErrorClass::InvalidArgument
            | ErrorClass::Conflict
            | ErrorClass::Forbidden
            | ErrorClass::NotModified
            | ErrorClass::NotImplemented => error.to_string(),
        };
        Self::new(class, message)
    }

    /// The kind of failure.
    pub(crate) fn class(&self) -> ErrorClass {
        self.class
    }

    /// The HTTP status of the error.
    pub(crate) fn status(&self) -> StatusCode {
        match self.class {
            ErrorClass::NotFound => StatusCode::NOT_FOUND,
            ErrorClass::InvalidArgument => StatusCode::BAD_REQUEST,
            ErrorClass::Conflict => StatusCode::CONFLICT,
            ErrorClass::Forbidden => StatusCode::FORBIDDEN,
            ErrorClass::NotModified => StatusCode::NOT_MODIFIED,
            ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorClass::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            ErrorClass::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer that tells the client.
    pub(crate) fn into_response(self) -> Response {
        let status = self.status();
        match (status, self.plain) {
            // A 304 has no body (RFC 9110, 15.4.5).
            (StatusCode::NOT_MODIFIED, _) => crate::respond::empty(status),
            (_, true) => text(status, format!("{}\n", self.message)),
            (_, false) => json(
                status,
                &ErrorBody {
                    message: &self.message,
                },
            ),
        }
    }
}

/// The text of an error and of all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self::of(error.class(), &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_host_tells_its_causes() {
        let source = std::io::Error::other("disk is full");
        let error = EngineError::Failed {
            message: "network net1 was not saved".into(),
            source: Some(Box::new(source)),
        };
        let answer = ApiError::from(error);
        assert_eq!(
            answer.to_string(),
            "network net1 was not saved: disk is full"
        );
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn a_refusal_is_told_as_it_is() {
        let answer = ApiError::from(EngineError::NotFound("network nosuch not found".into()));
        assert_eq!(answer.to_string(), "network nosuch not found");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
}
