//! The places where the crash tests end the daemon.

/// Marks the moment before a write; `what` names it in the log of the crash tests.
pub(crate) fn point(_what: &str) {}
