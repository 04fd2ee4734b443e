//! An orderly end of the daemon.

use crate::Containers;
use crate::request::StopOptions;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

impl Containers {
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// An orderly end: stops containers unless they are to outlive the daemon, and waits for them,
    /// so long (`--shutdown-timeout`). All are stopped at once. Policies do not answer to these ends:
    /// the next start of the daemon does.
    pub fn shut_down(&self, patience: Duration) {
        self.shutting_down.store(true, Ordering::SeqCst);
        if self.config.live_restore {
            return;
        }
        let most = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        thread::scope(|scope| {
            for container in self.registry.all() {
                let record = container.record();
                if !record.state.is_running() {
                    continue;
                }
                let own = record.config.stop_timeout.unwrap_or(most);
                let timeout = if own < 0 { most } else { own.min(most) };
                let options = StopOptions {
                    signal: None,
                    timeout: Some(timeout),
                };
                scope.spawn(move || {
                    if let Err(error) = self.stop_container(&container, &options) {
                        let error = crate::error::chain(&error);
                        tracing::warn!(container = record.name, error, "cannot be stopped");
                    }
                });
            }
        });
    }
}
