//! Waking a thread that waits for a file descriptor, when something else happens first.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Wakes all that wait with it. Once woken it stays so.
#[derive(Debug)]
pub(crate) struct Wake {
    event: OwnedFd,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { event }))
    }

    /// Ends the present and every later wait.
    pub(crate) fn ring(&self) {
        // The only refusal is a full counter, and then it has rung.
        let rung = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        debug_assert!(matches!(rung, Ok(_) | Err(Errno::AGAIN)));
    }

    /// Waits until `fd` can be read or the bell was rung.
    pub(crate) fn wait_readable(&self, fd: impl AsFd) -> io::Result<()> {
        self.wait_readable_for(fd, None)
    }

    /// Waits so long at most; interruptions make it longer.
    pub(crate) fn wait_readable_for(
        &self,
        fd: impl AsFd,
        longest: Option<Duration>,
    ) -> io::Result<()> {
        // The kernel takes no more seconds than these for a length of time.
        let timeout = longest.and_then(|longest| Timespec::try_from(longest).ok());
        let mut fds = [
            PollFd::new(&fd, PollFlags::IN),
            PollFd::new(&self.event, PollFlags::IN),
        ];
        loop {
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The same as a waker, for futures that are polled by hand.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl std::task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_ends_a_wait_for_something_silent() {
        let (silent, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let wake = Wake::new().unwrap();
        let ringing = Arc::clone(&wake);
        let ringer = std::thread::spawn(move || ringing.ring());
        wake.wait_readable(&silent).unwrap();
        ringer.join().unwrap();
    }

    #[test]
    fn a_wait_may_end_with_its_time() {
        let (silent, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let wake = Wake::new().unwrap();
        wake.wait_readable_for(&silent, Some(Duration::from_millis(1)))
            .unwrap();
    }
}
