//! Debian's own firewalld on a simulated host: its bus and its files are the host's.

use crate::wait::eventually;
use crate::{Background, Host};
use std::time::Duration;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/firewalld");
/// Its process, as the host's shell finds it.
const PROCESS: &str = "$(pgrep -f '[u]sr/sbin/firewalld')";

/// A firewalld that runs until this is dropped.
#[derive(Debug)]
pub struct Firewalld {
    host: Host,
    _running: Background,
}

impl Firewalld {
    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn start(host: &Host) -> Self {
        // In a session of its own: it is stopped, and a stopped job has the kernel hang up its group.
        let running = host.spawn(&format!("exec setsid {PROGRAM}"));
        let answers = || running.output().contains("running").then_some(());
        eventually(Duration::from_secs(30), answers);
        Self {
            host: host.clone(),
            _running: running,
        }
    }

    /// Runs its own command line.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn cmd(&self, arguments: &str) -> String {
        self.host.sh(&format!("{PROGRAM} cmd {arguments}")).ok()
    }

    /// Stops it where it is: callers on its bus wait.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn hang(&self) {
        self.host.sh(&format!("kill -STOP {PROCESS}")).ok();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn go_on(&self) {
        self.host.sh(&format!("kill -CONT {PROCESS}")).ok();
    }
}
