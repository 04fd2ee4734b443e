//! After a start of the daemon: the records are the truth about what is wanted, the runtime about
//! what lives. Both are brought together here, before the first request.

use crate::container::Container;
use crate::exit::End;
use crate::network_mode::NetworkMode;
use crate::record::{Record, Status};
use crate::start::StartBy;
use crate::{ContainerError, Containers, restart};
use jiff::Timestamp;
use sealane_core::model::Id;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

/// How many containers are started at once.
const STARTS_AT_ONCE: usize = 8;

impl Containers {
    /// Takes up where the last daemon ended: recovers the engine with the sandboxes that live,
    /// adopts what runs, notes what ended meanwhile, sweeps what is half made, starts what its
    /// policy says.
    pub fn recover(self: &Arc<Self>) -> Result<(), ContainerError> {
        // Before anything is asked, so that no end falls between asking and watching.
        let exits = self.parts.processes.watch_exits()?;
        let ours = |id: &Id| self.registry.get(id).is_some();
        for id in self.parts.processes.stop_strays(&ours)? {
            tracing::warn!(
                container = id.short(12),
                "killed: its runtime files are gone"
            );
        }
        let all = self.registry.all();
        let alive = self.adopt_living(&all)?;
        let sandboxes = alive
            .iter()
            .copied()
            .filter(|id| self.owns_stack(id))
            .collect();
        self.parts.networks.recover(&sandboxes)?;
        for container in &all {
            self.expect_back(&container.record());
        }
        for id in &sandboxes {
            self.converge(id);
        }
        for container in &all {
            self.settle(container, &alive)?;
        }
        self.sweep_processes(&alive)?;
        self.sweep_files()?;
        self.follow_exits(exits).map_err(|error| {
            ContainerError::failed("no thread could be started to watch containers", error)
        })?;
        self.remove_leftovers(&all);
        self.start_by_policy();
        Ok(())
    }

    /// The containers whose process lives. A record that does not know of it learns of it: the
    /// daemon ended between the process's start and its own note.
    fn adopt_living(&self, all: &[Arc<Container>]) -> Result<BTreeSet<Id>, ContainerError> {
        let mut alive = BTreeSet::new();
        for container in all {
            let turn = container.turn()?;
            let record = turn.record();
            let Some(state) = self.parts.processes.state(&record.id)? else {
                continue;
            };
            if !(state.alive && state.started) {
                continue;
            }
            alive.insert(record.id);
            self.release_mount(&record);
            let known = record.state.status == Status::Running
                && (record.state.pid, record.state.start_time) == (state.pid, state.start_time);
            if !known {
                turn.commit(&*self.parts.records, |record| {
                    record.state.status = Status::Running;
                    record.state.pid = state.pid;
                    record.state.start_time = state.start_time;
                    record.state.exit_code = 0;
                    record.state.error.clear();
                    record.state.manually_stopped = false;
                    record.state.started_at = Some(Timestamp::now());
                })?;
            }
        }
        Ok(alive)
    }

    fn owns_stack(&self, id: &Id) -> bool {
        let record = self.registry.get(id).map(|container| container.record());
        record.is_some_and(|record| !matches!(record.network_mode(), NetworkMode::Container(_)))
    }

    /// Brings the endpoints of a running container in line with its record. What cannot be had
    /// again is logged, and does not stop the daemon.
    fn converge(&self, id: &Id) {
        let Some(container) = self.registry.get(id) else {
            return;
        };
        let record = container.record();
        let Some(sandbox) = self.parts.networks.sandbox(id) else {
            tracing::error!(
                container = record.name,
                "its network stack is lost; it is stopped, for it could reach nobody"
            );
            if let Err(error) = self.parts.processes.kill(id, crate::signals::KILL) {
                let error = crate::error::chain(&error);
                tracing::error!(container = record.name, error, "cannot be killed");
            }
            return;
        };
        let mut wanted = BTreeSet::new();
        for name in record.endpoints.keys() {
            let Ok(network) = self.parts.networks.find_network(name) else {
                continue;
            };
            wanted.insert(network.id);
            if !sandbox.endpoints.contains_key(&network.id) {
                self.report(&record, name, self.connect_again(&record, name));
            }
        }
        for network in sandbox
            .endpoints
            .keys()
            .filter(|network| !wanted.contains(network))
        {
            let name = network.to_string();
            let disconnected = self.parts.networks.disconnect(id, &name);
            self.report(&record, &name, disconnected.map_err(ContainerError::from));
        }
        self.follow_gateway(&record);
    }

    fn connect_again(&self, record: &Record, network: &str) -> Result<(), ContainerError> {
        let spec = self.endpoint_spec(record, network)?;
        self.parts.networks.connect(&record.id, network, spec)?;
        Ok(())
    }

    fn report(&self, record: &Record, network: &str, result: Result<(), ContainerError>) {
        if let Err(error) = result {
            let error = crate::error::chain(&error);
            let container = &record.name;
            tracing::error!(
                container,
                network,
                error,
                "an endpoint is not as it should be"
            );
        }
    }

    /// Notes the ends that happened while no daemon was there.
    fn settle(
        self: &Arc<Self>,
        container: &Arc<Container>,
        alive: &BTreeSet<Id>,
    ) -> Result<(), ContainerError> {
        if alive.contains(&container.id) {
            return Ok(());
        }
        let turn = container.turn()?;
        let record = turn.record();
        let exit = self.parts.processes.exit_code(&record.id)?;
        let end = exit.map(End::from);
        match (record.state.status, end) {
            (Status::Running, end) => {
                self.note_end(&turn, end.unwrap_or_else(End::unseen), false);
            }
            // It ran and ended between its start and the note of it.
            (Status::Created | Status::Exited, Some(end)) if !already_noted(&record, end) => {
                turn.note(&*self.parts.records, |record| {
                    record.state.started_at = Some(end.at);
                    record.state.manually_stopped = false;
                });
                self.note_end(&turn, end, false);
            }
            (Status::Created | Status::Exited | Status::Restarting, _) => {
                self.clean_up(&record.id);
            }
        }
        // Whether it starts again is decided for all of them together.
        if turn.record().state.status == Status::Restarting {
            turn.note(&*self.parts.records, |record| {
                record.state.status = Status::Exited
            });
        }
        Ok(())
    }

    /// Removes processes that no record knows.
    fn sweep_processes(&self, alive: &BTreeSet<Id>) -> Result<(), ContainerError> {
        for id in self.parts.processes.list()? {
            if !alive.contains(&id) {
                self.parts.processes.delete(&id)?;
            }
        }
        Ok(())
    }

    /// Removes the containers that ended and were to be removed then.
    fn remove_leftovers(&self, all: &[Arc<Container>]) {
        for container in all {
            let record = container.record();
            if record.auto_remove() && record.state.status == Status::Exited {
                self.remove_ended(&record.id);
            }
        }
    }

    /// Starts what its policy wants running: those with a stack of their own, then those that
    /// share one.
    fn start_by_policy(&self) {
        let all = self.registry.all();
        let wanted = all.into_iter().rev().filter(|container| {
            let record = container.record();
            record.state.status == Status::Exited && restart::wanted(&record)
        });
        let (owners, sharers): (Vec<_>, Vec<_>) =
            wanted.partition(|container| self.owns_stack(&container.id));
        for containers in owners.chunks(STARTS_AT_ONCE) {
            thread::scope(|scope| {
                for container in containers {
                    scope.spawn(|| self.start_recovered(container));
                }
            });
        }
        for container in &sharers {
            self.start_recovered(container);
        }
    }

    fn start_recovered(&self, container: &Container) {
        match self.start_container(container, StartBy::User) {
            Ok(()) | Err(ContainerError::NotModified(_)) => {}
            Err(error) => {
                let error = crate::error::chain(&error);
                let name = &container.record().name;
                tracing::error!(
                    container = name,
                    error,
                    "cannot be started as its policy wants"
                );
            }
        }
    }
}

/// Whether the record has this end already: what is left of the process is only its traces.
fn already_noted(record: &Record, end: End) -> bool {
    record
        .state
        .finished_at
        .is_some_and(|noted| noted >= end.at)
}
