//! Threads with few file descriptors, to start programs from, and how many descriptors are left.
//!
//! A program inherits the table of descriptors of the thread that starts it: the kernel copies all
//! of it, and closes again what the program is not to have. A daemon that holds ten thousand
//! published ports has as many descriptors, and would pay for them with every program.

use crate::ack::explained;
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// The first descriptor that is none of the standard ones.
const FIRST: libc::c_uint = 3;

/// So many descriptors are kept for what removes something: the programs, namespaces and folders of
/// several containers at once.
const RESERVE: u64 = 64;

/// Refuses to make something when descriptors run out, so that what there is can still be removed.
pub fn check_room() -> io::Result<()> {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(());
    };
    let reserve = RESERVE.min(limit / 4);
    match are_left(limit.saturating_sub(reserve)) {
        true => Ok(()),
        false => Err(explained(
            libc::EMFILE,
            format!(
                "the daemon may have {limit} and keeps the last {reserve} to \
                 remove what there is; stop something, or give it more (LimitNOFILE= of its \
                 service, ulimit -n)"
            ),
        )),
    }
}

/// Whether fewer than `most` descriptors are in use. The kernel gives the lowest free number, so that
/// with this one free there are none above; they are counted only where it is not.
fn are_left(most: u64) -> bool {
    // To ask for a number beyond the table makes the kernel enlarge it, and wait for ten milliseconds
    // until every thread has the new one.
    if table_size().is_some_and(|size| size <= most) {
        return true;
    }
    let Ok(file) = File::open("/dev/null") else {
        return false;
    };
    let above = libc::c_int::try_from(most).unwrap_or(libc::c_int::MAX);
    let free = rustix::io::fcntl_dupfd_cloexec(&file, above);
    if free.is_ok_and(|found| found.as_raw_fd() == above) {
        return true;
    }
    let used = fs::read_dir("/proc/self/fd").map(Iterator::count);
    used.is_ok_and(|used| (used as u64) < most)
}

/// How many descriptors the table of this process has room for by now (proc_pid_status(5)).
fn table_size() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let size = lines.find_map(|line| line.strip_prefix("FDSize:"))?;
    size.trim().parse().ok()
}

/// Does `work` on a thread that has the standard descriptors only (close_range(2), since Linux
/// 5.9). What `work` opens is known to its thread alone, so it must return nothing that holds a
/// descriptor; what it leaves open without `O_CLOEXEC` is inherited by its programs and by no
/// other.
pub fn spawn_with_few<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, io::Result<T>>> {
    let thread = Builder::new().name("sealane-spawn".into());
    thread.spawn_scoped(scope, || {
        keep_few()?;
        Ok(work())
    })
}

#[expect(unsafe_code, reason = "the standard library cannot part tables")]
fn keep_few() -> io::Result<()> {
    // SAFETY: with this flag the thread gets a table of its own first, so that nothing is closed for
    // any other thread; this one has just begun and owns no descriptor yet.
    let closed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_UNSHARE,
        )
    };
    if closed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::path::Path;
    use std::process::Command;
    use std::thread;

    #[test]
    fn there_is_room_as_long_as_few_are_used() {
        check_room().expect("a test opens few files");
        assert!(!are_left(2), "the standard ones are used");
        let size = table_size().expect("the kernel says it");
        assert!(size >= 3 && are_left(size), "{size}");
        assert!(are_left(900));
    }

    #[test]
    fn a_program_started_there_inherits_none_of_ours() {
        const FILE: &str = "/proc/version";
        let file = File::open(FILE).expect("it is there");
        // Inherited by whatever starts from a thread that has it.
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("a descriptor");
        let listed = || {
            let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
            let output = output.expect("ls is there").stdout;
            String::from_utf8(output).expect("names")
        };
        assert!(listed().contains(FILE));
        let there = thread::scope(|scope| {
            let thread = spawn_with_few(scope, listed).expect("a thread");
            thread.join().expect("no panic")
        });
        assert!(!there.expect("Linux 5.9").contains(FILE));
        let still = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        assert_eq!(still.expect("it is ours"), Path::new(FILE));
    }
}
