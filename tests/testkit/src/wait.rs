//! Waiting for what happens soon.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `check` returns something, and returns it.
///
/// # Panics
/// When it has not within `limit`.
#[track_caller]
pub fn eventually<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}");
        thread::sleep(PAUSE);
    }
}

/// Waits until `look` returns `wanted`.
///
/// # Panics
/// When it has not within `limit`; the message has what was seen last.
#[track_caller]
pub fn eventually_is<T: PartialEq + Debug>(
    limit: Duration,
    wanted: T,
    mut look: impl FnMut() -> T,
) {
    let end = Instant::now() + limit;
    loop {
        let seen = look();
        if seen == wanted {
            return;
        }
        assert!(
            Instant::now() < end,
            "not within {limit:?}: wanted {wanted:?}, last saw {seen:?}"
        );
        thread::sleep(PAUSE);
    }
}

/// Checks again and again that `check` returns nothing, for as long as `span`.
///
/// # Panics
/// When it returns something.
#[track_caller]
pub fn never<T: Debug>(span: Duration, mut check: impl FnMut() -> Option<T>) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Some(found) = check() {
            panic!("this should not happen: {found:?}");
        }
        thread::sleep(PAUSE);
    }
}
