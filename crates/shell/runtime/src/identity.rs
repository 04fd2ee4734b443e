//! Processes, known by pid and start time, so that a recycled pid is never taken for ours.

use crate::files;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// One process, now or then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
}

impl Identity {
    /// The process that has this pid now; `None` if there is none but a zombie.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            start_time: start_time(&stat)?,
        })
    }

    /// Whether it is alive.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// A handle to it; `None` if it has ended.
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        let handle = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Looked at after opening: the handle is that of the process that has the pid now.
        self.is_alive().then_some(handle)
    }

    /// Sends a signal. False if it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<bool, Errno> {
        let Some(handle) = self.open() else {
            return Ok(false);
        };
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Waits for its end. False if it still lives when the time is over.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.open().is_none_or(|handle| readable(&handle, time))
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&self, time: Duration) -> bool {
        // A refusal shows in the wait: the process lives on.
        self.signal(Signal::KILL).is_ok_and(|alive| !alive) || self.wait(time)
    }
}

/// Waits until a descriptor can be read. False if it cannot when the time is over.
pub(crate) fn readable(handle: &OwnedFd, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(handle, PollFlags::IN)];
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Err(Errno::INTR) => {}
            Err(_) | Ok(0) => return false,
            Ok(_) => return true,
        }
    }
}

/// The 22nd field. The second one, the name, may hold anything but ends at the last parenthesis.
fn start_time(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&stat[after_name..])
        .ok()?
        .split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The pid in a file.
pub(crate) fn pid_in(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads the arguments of a process.
pub(crate) fn arguments(pid: i32) -> Vec<String> {
    let bytes = files::read(Path::new(&format!("/proc/{pid}/cmdline")))
        .ok()
        .flatten();
    bytes
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(
            start_time(b"7 (a) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242"),
            None
        );
    }

    #[test]
    fn a_recycled_pid_is_not_ours() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = Identity::of(pid).unwrap();
        assert!(own.is_alive());
        let earlier = Identity {
            start_time: own.start_time - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        assert_eq!(earlier.signal(Signal::TERM), Ok(false));
        assert!(earlier.wait(Duration::ZERO));
    }
}
