//! Crash points: where the tests make the process die.
//!
//! Every write to the kernel calls [`point`] first, and other crates may do so before theirs
//! (a store commit, an exec, a file). Normally that is one atomic load. With `SEALANE_FAULT_FILE`
//! in the environment, read once:
//!
//! - while that file exists and holds a number `n`, each point counts and appends the line
//!   `<count> <what>` to `<file>.log`;
//! - at count `n` the process kills itself with SIGKILL, before the write; `0` only counts;
//! - the count starts anew whenever the file's content or modification time changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

static HOOK: OnceLock<Option<Hook>> = OnceLock::new();

/// Marks the moment before `what` is done. Returns, unless a test asked for the process to die
/// here.
pub fn point(what: &str) {
    if let Some(hook) = HOOK.get_or_init(Hook::from_environment) {
        hook.pass(what);
    }
}

/// The same, for words that are only put together when they are read.
pub(crate) fn point_at(what: impl FnOnce() -> String) {
    if let Some(hook) = HOOK.get_or_init(Hook::from_environment) {
        hook.pass(&what());
    }
}

struct Hook {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: Option<(SystemTime, String)>,
    count: u64,
}

impl Hook {
    fn from_environment() -> Option<Self> {
        let file = std::env::var_os("SEALANE_FAULT_FILE")?.into();
        Some(Self {
            file,
            state: Mutex::default(),
        })
    }

    fn pass(&self, what: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((seen, fatal)) = self.order() else {
            return;
        };
        if state.seen.as_ref() != Some(&seen) {
            *state = State {
                seen: Some(seen),
                count: 0,
            };
        }
        state.count += 1;
        if let Err(error) = self.record(state.count, what) {
            // A crash test without its record would prove nothing, so it must not go on.
            eprintln!("cannot write {}.log: {error}", self.file.display());
            die();
        }
        if state.count == fatal {
            die();
        }
    }

    /// What the file says, and its stamp; nothing while there is no file or no number in it.
    fn order(&self) -> Option<((SystemTime, String), u64)> {
        let mut file = File::open(&self.file).ok()?;
        let modified = file.metadata().and_then(|data| data.modified()).ok()?;
        let text = io::read_to_string(&mut file).ok()?;
        let fatal = text.trim().parse().ok()?;
        Some(((modified, text), fatal))
    }

    fn record(&self, count: u64, what: &str) -> io::Result<()> {
        let mut log = self.file.clone().into_os_string();
        log.push(".log");
        let mut log = OpenOptions::new().create(true).append(true).open(log)?;
        log.write_all(format!("{count} {what}\n").as_bytes())
    }
}

fn die() -> ! {
    // A refused kill would leave the process running past its point; abort ends it as surely.
    let _refused =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn hook(file: PathBuf) -> Hook {
        Hook {
            file,
            state: Mutex::default(),
        }
    }

    #[test]
    fn points_are_counted_from_when_the_order_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fault");
        let hook = hook(file.clone());
        hook.pass("before the order");
        fs::write(&file, "0").unwrap();
        hook.pass("a");
        hook.pass("b");
        fs::write(&file, "0\n").unwrap();
        hook.pass("c");
        fs::remove_file(&file).unwrap();
        hook.pass("after the order");
        let log = fs::read_to_string(folder.path().join("fault.log")).unwrap();
        assert_eq!(log, "1 a\n2 b\n1 c\n");
    }
}
