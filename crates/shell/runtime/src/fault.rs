//! Where a test may make the process die: before every exec and every write that lasts.

/// Marks the moment before `what` is done.
pub(crate) fn point(what: &str) {
    let _ = what;
}
