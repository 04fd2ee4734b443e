//! Connects a container to a network, and disconnects it from one.
//!
//! The record, durably, and the sandbox; the old record back if the sandbox refused: after a crash
//! the record is the truth, and the next start brings the sandbox in line.

use crate::container::{Container, Turn};
use crate::locks::lock;
use crate::network_mode::NetworkMode;
use crate::options::EndpointOptions;
use crate::publish::tell_unpublished;
use crate::record::{Record, Status};
use crate::{ApiVersion, ContainerError, Containers, endpoint};
use sealane_core::drivers::{Driven, Stack};
use std::panic::resume_unwind;
use std::thread;

impl Containers {
    /// Connects a container to a network: at once if it runs, else at its next start.
    pub fn connect(
        &self,
        network: &str,
        container: &str,
        mut settings: EndpointOptions,
        api_version: ApiVersion,
    ) -> Result<(), ContainerError> {
        if api_version < ApiVersion(1, 54) {
            // Documented since 1.44, and ignored until then.
            settings.mac_address = None;
        }
        let settings = &settings;
        let container = self.registry.find(container)?;
        let turn = container.turn()?;
        self.check_not_removing(&container)?;
        let record = turn.record();
        let running = record.state.status == Status::Running;
        let found = match self.parts.networks.find_network(network) {
            Ok(found) => found,
            Err(error) if running => return Err(error.into()),
            // It may exist when the container starts.
            Err(_) => return self.wish_for(&turn, network, settings),
        };
        let name = &found.spec.name;
        if let Some(faults) = self.endpoint_faults(name, settings)? {
            return Err(ContainerError::Invalid(faults));
        }
        check_combination(self, &record, &found)?;
        match (running, record.endpoints.contains_key(name)) {
            (true, true) => Err(ContainerError::Forbidden(format!(
                "endpoint with name {} already exists in network {name}",
                record.name
            ))),
            (true, false) => self.connect_running(&turn, name, settings),
            (false, _) => self.wish_for(&turn, name, settings),
        }
    }

    /// Remembers what the container is to have when it starts. What it is to have on the network
    /// already stays, but for what is said anew.
    fn wish_for(
        &self,
        turn: &Turn<'_>,
        network: &str,
        settings: &EndpointOptions,
    ) -> Result<(), ContainerError> {
        let before = turn.record().endpoints.get(network).cloned();
        let wish = endpoint::wish(settings);
        let wish = match &before {
            Some(before) => endpoint::said_anew(before, wish),
            None => wish,
        };
        if before.as_ref() == Some(&wish) {
            return Ok(());
        }
        let record = turn.commit(&*self.parts.records, |record| {
            record.endpoints.insert(network.to_owned(), wish);
        })?;
        self.expect_back(&record);
        Ok(())
    }

    /// Waits for the disk and for the kernel at the same time: neither needs the other, and they
    /// take about as long.
    fn connect_running(
        &self,
        turn: &Turn<'_>,
        network: &str,
        settings: &EndpointOptions,
    ) -> Result<(), ContainerError> {
        let records = &*self.parts.records;
        let wish = endpoint::wish(settings);
        let mut wanted = Record::clone(&turn.record());
        let id = wanted.id;
        wanted.endpoints.insert(network.to_owned(), wish.clone());
        let spec = self.endpoint_spec(&wanted, network)?;
        let (committed, connected) = thread::scope(|scope| {
            // The kernel takes longer, so that it is the disk that waits for a thread to begin.
            let committing = scope.spawn(|| {
                turn.commit(records, |record| {
                    record.endpoints.insert(network.to_owned(), wish);
                })
            });
            let connected = self.parts.networks.connect(&id, network, spec);
            (committing.join(), connected)
        });
        let committed = committed.unwrap_or_else(|panic| resume_unwind(panic));
        match (committed, connected) {
            (Ok(record), Ok(endpoint)) => {
                let published = self.publish_at_gateway(&record);
                // What is not to be had where the gateway was before is no news of this network.
                if published.is_err() && self.parts.networks.leads_out(&id, &endpoint.network) {
                    self.take_back(turn, network);
                    return published;
                }
                published.unwrap_or_else(|error| tell_unpublished(&record, &error));
                Ok(())
            }
            (Ok(_), Err(error)) => {
                turn.note(records, |record| {
                    record.endpoints.remove(network);
                });
                Err(error.into())
            }
            (Err(error), Ok(_)) => {
                if let Err(error) = self.parts.networks.disconnect(&id, network) {
                    tracing::warn!(%error, "an endpoint without a record stays until the next start");
                }
                Err(error)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// Parts a container from a network that it has just joined: as if it had not.
    fn take_back(&self, turn: &Turn<'_>, network: &str) {
        let record = turn.note(&*self.parts.records, |record| {
            record.endpoints.remove(network);
        });
        if let Err(error) = self.parts.networks.disconnect(&record.id, network) {
            tracing::warn!(%error, "an endpoint without a record stays until the next start");
        }
        self.follow_gateway(&record);
    }

    /// Disconnects a container from a network.
    pub fn disconnect(
        &self,
        network: &str,
        reference: &str,
        force: bool,
    ) -> Result<(), ContainerError> {
        let found = self.parts.networks.find_network(network);
        let container = match self.registry.find(reference) {
            Ok(container) => container,
            Err(error) if !force => return Err(error),
            // An endpoint of a container that is gone: there is none to be removed by force.
            Err(_) => {
                found?;
                return Err(ContainerError::NotFound(format!(
                    "endpoint {reference} not found"
                )));
            }
        };
        let turn = container.turn()?;
        self.check_not_removing(&container)?;
        let record = turn.record();
        let running = record.state.status == Status::Running;
        match found {
            Ok(found) if running => self.disconnect_running(&turn, &found),
            Ok(found) => self.forget_wish(&turn, &found.spec.name),
            Err(error) if running && !force => Err(error.into()),
            Err(_) => self.forget_wish(&turn, network),
        }
    }

    fn forget_wish(&self, turn: &Turn<'_>, network: &str) -> Result<(), ContainerError> {
        let record = turn.record();
        if !record.endpoints.contains_key(network) {
            return Err(ContainerError::internal(format!(
                "container {} is not connected to the network {network}",
                record.id
            )));
        }
        turn.commit(&*self.parts.records, |record| {
            record.endpoints.remove(network);
        })?;
        Ok(())
    }

    fn disconnect_running(&self, turn: &Turn<'_>, network: &Driven) -> Result<(), ContainerError> {
        let record = turn.record();
        let name = &network.spec.name;
        if record.network_mode() == NetworkMode::Host && network.driver().stack() == Stack::Host {
            return Err(ContainerError::Invalid(
                "cannot disconnect container from host network - container was created in host \
                 network mode"
                    .into(),
            ));
        }
        let Some(wish) = record.endpoints.get(name).cloned() else {
            return Err(ContainerError::internal(format!(
                "container {} is not connected to network {name}",
                record.id
            )));
        };
        let records = &*self.parts.records;
        turn.commit(records, |record| {
            record.endpoints.remove(name);
        })?;
        if let Err(error) = self.parts.networks.disconnect(&record.id, name) {
            let sandbox = self.parts.networks.sandbox(&record.id);
            if sandbox.is_some_and(|sandbox| sandbox.endpoints.contains_key(&network.id)) {
                turn.note(records, |record| {
                    record.endpoints.insert(name.clone(), wish);
                });
            }
            return Err(error.into());
        }
        self.follow_gateway(&record);
        Ok(())
    }

    fn check_not_removing(&self, container: &Container) -> Result<(), ContainerError> {
        match lock(&container.life).removing {
            false => Ok(()),
            true => Err(ContainerError::internal(format!(
                "Container {} is marked for removal and cannot be connected or disconnected to \
                 the network",
                container.id
            ))),
        }
    }
}

/// Whether a container may be on a network beside those it is on.
fn check_combination(
    containers: &Containers,
    record: &Record,
    network: &Driven,
) -> Result<(), ContainerError> {
    let refused = |text: &str| Err(ContainerError::Invalid(text.into()));
    const SHARED: &str = "container sharing network namespace with another container or host \
                          cannot be connected to any other network";
    let stack = network.driver().stack();
    let mode = record.network_mode();
    if matches!(mode, NetworkMode::Container(_)) {
        return refused(SHARED);
    }
    if mode != NetworkMode::Host && stack == Stack::Host {
        return refused(
            "cannot connect container to host network - container must be created in host network \
             mode",
        );
    }
    if record.endpoints.contains_key(&network.spec.name) {
        return Ok(());
    }
    for name in record.endpoints.keys() {
        let Ok(other) = containers.parts.networks.find_network(name) else {
            continue;
        };
        let stacks = [stack, other.driver().stack()];
        if stacks.contains(&Stack::Host) {
            return refused(SHARED);
        }
        if stacks.contains(&Stack::Loopback) {
            return refused(
                "container cannot be connected to multiple networks with one of the networks in \
                 private (none) mode",
            );
        }
    }
    Ok(())
}
