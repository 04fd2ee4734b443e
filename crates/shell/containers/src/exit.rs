//! The end of a container: its sandbox goes, its record says how it ended, its policy decides
//! what comes next.

use crate::attach::spawn;
use crate::container::{Container, Turn};
use crate::locks::lock;
use crate::record::{Record, Status};
use crate::start::StartBy;
use crate::{ContainerError, Containers, restart};
use jiff::Timestamp;
use sealane_runtime::{Exit, ExitOf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How a container ended, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) code: i64,
    pub(crate) at: Timestamp,
    pub(crate) oom: bool,
}

impl End {
    /// The end of a container that no daemon saw, as after a reboot.
    pub(crate) fn unseen() -> Self {
        Self {
            code: 255,
            at: Timestamp::now(),
            oom: false,
        }
    }
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        Self {
            code: exit.code.into(),
            at: exit.at,
            oom: exit.oom,
        }
    }
}

impl Containers {
    /// Handles every end that the runtime tells of, each in a thread of its own: the removal of
    /// one sandbox must not wait for that of another.
    pub(crate) fn follow_exits(self: &Arc<Self>, exits: Receiver<Exit>) -> std::io::Result<()> {
        // Not kept alive by its own thread, or it would never end.
        let containers = Arc::downgrade(self);
        spawn("exits", move || {
            for exit in exits {
                let Some(containers) = containers.upgrade() else {
                    return;
                };
                let handle = move || containers.ended(exit);
                if let Err(error) = spawn("exit", handle) {
                    tracing::error!(%error, "no thread for the end of a container");
                }
            }
        })
    }

    pub(crate) fn ended(self: &Arc<Self>, exit: Exit) {
        match exit.of {
            ExitOf::Exec => self.exec_ended(&exit),
            ExitOf::Container => {
                let Some(container) = self.registry.get(&exit.id) else {
                    return;
                };
                let Ok(turn) = container.turn() else { return };
                // A notice may come late, when the container runs again.
                let state = self.parts.processes.state(&exit.id);
                let alive = matches!(state, Ok(Some(state)) if state.alive);
                if turn.record().state.status == Status::Running && !alive {
                    self.finish(&container, turn, exit.into());
                }
            }
        }
    }

    /// Does everything that the end of a run asks for.
    pub(crate) fn finish(self: &Arc<Self>, container: &Arc<Container>, turn: Turn<'_>, end: End) {
        let delay = self.next_run(&turn, end);
        let record = self.note_end(&turn, end, delay.is_some());
        let exit = container.last_exit();
        lock(&container.waiters).exited(&exit);
        let by_hand = lock(&container.life).restarting_by_hand;
        match delay {
            Some(delay) => self.restart_later(container, delay),
            None if record.auto_remove() && !by_hand => {
                drop(turn);
                self.remove_ended(&record.id);
            }
            None => {}
        }
    }

    /// Takes a run off the host and notes how it ended, and whether another follows.
    pub(crate) fn note_end(&self, turn: &Turn<'_>, end: End, restarts: bool) -> Arc<Record> {
        let id = turn.record().id;
        if let Err(error) = self.parts.networks.remove_sandbox(&id) {
            let error = crate::error::chain(&error);
            tracing::error!(
                container = id.short(12),
                error,
                "cannot remove a sandbox whole"
            );
        }
        // Before the process's traces go: from here on only the record knows the exit code.
        let record = turn.note(&*self.parts.records, |record| {
            let state = &mut record.state;
            state.status = if restarts {
                Status::Restarting
            } else {
                Status::Exited
            };
            state.pid = 0;
            state.start_time = 0;
            state.exit_code = end.code;
            state.oom_killed = end.oom;
            state.finished_at = Some(end.at);
            record.restart_count += i64::from(restarts);
        });
        self.clean_up(&id);
        self.tell_end(&record, end);
        record
    }

    fn tell_end(&self, record: &Record, end: End) {
        if end.oom {
            self.tell(record, "oom", []);
        }
        let ran = ran_for(record, end).as_secs().to_string();
        self.tell(
            record,
            "die",
            [("exitCode", end.code.to_string()), ("execDuration", ran)],
        );
    }

    /// How long the restart policy waits before the next run, if it wants one.
    fn next_run(&self, turn: &Turn<'_>, end: End) -> Option<Duration> {
        let mut record = Record::clone(&turn.record());
        record.state.exit_code = end.code;
        let mut life = lock(&turn.container().life);
        let stays = life.end_wanted || life.removing || self.is_shutting_down();
        if stays || !restart::wanted(&record) {
            return None;
        }
        let delay = restart::next_delay(life.delay, ran_for(&record, end));
        life.delay = Some(delay);
        Some(delay)
    }

    /// Starts a container again after a while, unless it is stopped before.
    pub(crate) fn restart_later(self: &Arc<Self>, container: &Arc<Container>, delay: Duration) {
        let (timer, cancelled) = channel();
        lock(&container.life).timer = Some(timer);
        let (containers, waiting) = (Arc::downgrade(self), Arc::clone(container));
        let wait = move || {
            if cancelled.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let Some(containers) = containers.upgrade() else {
                return;
            };
            match containers.start_container(&waiting, StartBy::Policy) {
                Ok(()) | Err(ContainerError::NotFound(_) | ContainerError::Conflict(_)) => {}
                Err(error) => {
                    let error = crate::error::chain(&error);
                    let name = &waiting.record().name;
                    tracing::error!(container = name, error, "cannot restart a container");
                }
            }
        };
        if let Err(error) = spawn("restart", wait) {
            tracing::error!(%error, "no thread to restart a container");
        }
    }

    /// Ends a container that waits for its next run.
    pub(crate) fn cancel_restart(&self, turn: &Turn<'_>) -> Result<(), ContainerError> {
        turn.commit(&*self.parts.records, |record| {
            record.state.status = Status::Exited;
            record.state.manually_stopped = !self.is_shutting_down();
        })?;
        lock(&turn.container().life).timer = None;
        let exit = turn.container().last_exit();
        lock(&turn.container().waiters).exited(&exit);
        Ok(())
    }
}

/// How long a run lasted.
fn ran_for(record: &Record, end: End) -> Duration {
    let started = record.state.started_at.unwrap_or(end.at);
    Duration::try_from(end.at.duration_since(started)).unwrap_or_default()
}
