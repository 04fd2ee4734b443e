//! To end a container: stop, restart, kill.

use crate::container::{Container, Turn};
use crate::locks::lock;
use crate::record::{Record, Status};
use crate::request::{Exit, StopOptions, WaitCondition};
use crate::start::StartBy;
use crate::wait::{Waiter, wait_until};
use crate::{ContainerError, Containers, signals};
use sealane_runtime::RuntimeError;
use std::time::{Duration, Instant};

/// Seconds between the request to end and SIGKILL, unless the container says otherwise.
const STOP_TIMEOUT: i64 = 10;
/// How long the kernel may take to end a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

impl Containers {
    /// Asks a container to end, and kills it after a while.
    pub fn stop(&self, reference: &str, options: &StopOptions) -> Result<(), ContainerError> {
        let container = self.registry.find(reference)?;
        if !container.record().state.is_running() {
            return Err(ContainerError::NotModified(
                "container is already stopped".into(),
            ));
        }
        self.stop_container(&container, options)
            .map_err(|error| error.prefixed(&format!("cannot stop container: {reference}: ")))
    }

    /// Stops and starts a container.
    pub fn restart(&self, reference: &str, options: &StopOptions) -> Result<(), ContainerError> {
        let container = self.registry.find(reference)?;
        let failed = |error: ContainerError| {
            let text = format!("Cannot restart container {reference}: ");
            error.prefixed(&text)
        };
        lock(&container.life).restarting_by_hand = true;
        let restarted = self.stop_container(&container, options).and_then(|()| {
            match self.start_container(&container, StartBy::User) {
                Ok(()) | Err(ContainerError::NotModified(_)) => Ok(()),
                Err(error) => Err(error),
            }
        });
        lock(&container.life).restarting_by_hand = false;
        restarted.map_err(failed)?;
        self.tell(&container.record(), "restart", []);
        Ok(())
    }

    /// Sends a signal, by name or number; SIGKILL without one, and then waits for the end.
    pub fn kill(&self, reference: &str, signal: Option<&str>) -> Result<(), ContainerError> {
        let failed = |error: ContainerError| {
            error.prefixed(&format!("cannot kill container: {reference}: "))
        };
        let signal = signal
            .filter(|signal| !signal.is_empty())
            .map(signals::parse);
        let signal = signal.unwrap_or(Ok(signals::KILL)).map_err(failed)?;
        let container = self.registry.find(reference).map_err(failed)?;
        let sent = match signal {
            signals::KILL => self.kill_and_wait(&container),
            _ => container
                .turn()
                .and_then(|turn| self.send_signal(&turn, signal)),
        };
        sent.map_err(failed)
    }

    /// Asks a container to end, kills it after a while, and returns when its end was handled. One
    /// that does not run is left alone.
    pub(crate) fn stop_container(
        &self,
        container: &Container,
        options: &StopOptions,
    ) -> Result<(), ContainerError> {
        let record = container.record();
        let signal = match options
            .signal
            .as_deref()
            .filter(|signal| !signal.is_empty())
        {
            Some(signal) => signals::parse(signal)?,
            None => stop_signal(&record)?,
        };
        let own = record.config.stop_timeout;
        let timeout = options.timeout.or(own).unwrap_or(STOP_TIMEOUT);
        let seconds = u64::try_from(timeout).ok();
        let deadline = seconds.and_then(|s| Instant::now().checked_add(Duration::from_secs(s)));
        let Some(waiter) = self.ask_to_end(container, signal)? else {
            return Ok(());
        };
        if self.wait_for_end(container, waiter, deadline).is_none() {
            self.kill_and_wait(container).or_else(ended_anyway)?;
        }
        self.tell(&container.record(), "stop", []);
        Ok(())
    }

    /// Kills a container and waits until its end was handled.
    pub(crate) fn kill_and_wait(&self, container: &Container) -> Result<(), ContainerError> {
        if !container.record().state.is_running() {
            return Err(not_running(container));
        }
        let Some(waiter) = self.ask_to_end(container, signals::KILL)? else {
            return Ok(());
        };
        let deadline = Instant::now().checked_add(KILL_TIMEOUT);
        match self.wait_for_end(container, waiter, deadline) {
            Some(_) => Ok(()),
            None => Err(ContainerError::internal(format!(
                "tried to kill container, but did not receive an exit event: container {} has a \
                 process that the kernel does not end; look at its state in /proc",
                container.id
            ))),
        }
    }

    /// Sends a signal. Returns who waits for the end; `None` if there is nothing to wait for.
    fn ask_to_end(
        &self,
        container: &Container,
        signal: i32,
    ) -> Result<Option<Waiter>, ContainerError> {
        let turn = container.turn()?;
        match turn.record().state.status {
            Status::Created | Status::Exited => Ok(None),
            Status::Restarting => {
                self.cancel_restart(&turn)?;
                Ok(None)
            }
            Status::Running => {
                let waiter = lock(&container.waiters).add(WaitCondition::NextExit);
                self.send_signal(&turn, signal)?;
                Ok(Some(waiter))
            }
        }
    }

    /// Waits for an end and for all that follows from it.
    fn wait_for_end(
        &self,
        container: &Container,
        waiter: Waiter,
        deadline: Option<Instant>,
    ) -> Option<Exit> {
        let exit = wait_until(waiter, deadline)?;
        // The handler of the end has the turn until everything is done.
        drop(container.turn());
        Some(exit)
    }

    /// Sends a signal, and notes whether an end that follows was wanted.
    fn send_signal(&self, turn: &Turn<'_>, signal: i32) -> Result<(), ContainerError> {
        let record = turn.record();
        match record.state.status {
            Status::Running => {}
            Status::Restarting => return self.cancel_restart(turn),
            Status::Created | Status::Exited => return Err(not_running(turn.container())),
        }
        let wanted = ends_for_good(&record, signal)?;
        if !self.is_shutting_down() && !record.state.manually_stopped {
            turn.commit(&*self.parts.records, |record| {
                record.state.manually_stopped = true
            })?;
        }
        if wanted {
            lock(&turn.container().life).end_wanted = true;
        }
        match self.parts.processes.kill(&record.id, signal) {
            // Its end is about to be published.
            Ok(()) | Err(RuntimeError::Ended(_) | RuntimeError::NotFound(_)) => {}
            Err(error) => {
                let text = format!("Cannot kill container {}: ", record.id);
                return Err(ContainerError::from(error).prefixed(&text));
            }
        }
        self.tell(&record, "kill", [("signal", signal.to_string())]);
        Ok(())
    }
}

/// Whether the restart policy is to leave an end alone that follows on this signal: any signal,
/// unless the container names the one that ends it.
fn ends_for_good(record: &Record, signal: i32) -> Result<bool, ContainerError> {
    match record
        .config
        .stop_signal
        .as_deref()
        .filter(|own| !own.is_empty())
    {
        Some(own) if signal != signals::KILL => Ok(signals::parse(own)? == signal),
        Some(_) | None => Ok(true),
    }
}

fn stop_signal(record: &Record) -> Result<i32, ContainerError> {
    match record
        .config
        .stop_signal
        .as_deref()
        .filter(|own| !own.is_empty())
    {
        Some(own) => signals::parse(own),
        None => Ok(signals::TERM),
    }
}

pub(crate) fn not_running(container: &Container) -> ContainerError {
    ContainerError::Conflict(format!("container {} is not running", container.id))
}

/// A container that ended or went before it could be killed is what was wanted.
fn ended_anyway(error: ContainerError) -> Result<(), ContainerError> {
    match error {
        ContainerError::Conflict(_) | ContainerError::NotFound(_) => Ok(()),
        ContainerError::Invalid(_)
        | ContainerError::Forbidden(_)
        | ContainerError::NotModified(_)
        | ContainerError::Unavailable(_)
        | ContainerError::NotImplemented(_)
        | ContainerError::Failed { .. } => Err(error),
    }
}
