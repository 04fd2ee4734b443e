//! What kind of failure an error is, for the answer to a request.

use serde::{Deserialize, Serialize};

/// The kind of a failure. The API turns it into a status, a command line into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorClass {
    /// What was named does not exist.
    NotFound,
    /// The request is wrong in itself.
    InvalidArgument,
    /// The request contradicts what exists.
    Conflict,
    /// The request is understood and refused.
    Forbidden,
    /// There is nothing to do.
    NotModified,
    /// It may work later.
    Unavailable,
    /// Outside what this engine does.
    NotImplemented,
    /// Anything else.
    Internal,
}
