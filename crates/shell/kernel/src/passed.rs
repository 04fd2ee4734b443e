//! Descriptors that this process was started with, on behalf of a service manager.

#![expect(
    unsafe_code,
    reason = "they are known by their numbers only, and no safe crate makes owners of those"
)]

use rustix::io::{FdFlags, fcntl_setfd};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of the first (sd_listen_fds(3)).
const FIRST: i32 = 3;

/// Whether they have an owner already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes over the first `count` descriptors after standard error, once in the life of the process;
/// afterwards there are none. They are closed in programs that are started.
///
/// `count` is what the service manager said to this very process: numbers that it did not pass
/// would be foreign descriptors.
pub fn take(count: usize) -> io::Result<Vec<OwnedFd>> {
    if TAKEN.swap(true, Ordering::AcqRel) {
        return Ok(Vec::new());
    }
    let count = i32::try_from(count).map_err(io::Error::other)?;
    (FIRST..FIRST.saturating_add(count))
        .map(own)
        .collect::<io::Result<_>>()
}

fn own(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: asking for the flags of a number touches no memory; a closed one is an error.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open. It came with the process and this is the only place that
    // makes an owner of it, once, as `TAKEN` sees to.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor)
}
