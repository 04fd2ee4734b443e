//! Endpoints of running sandboxes: connected to further networks, disconnected, changed.

use crate::measure::Action;
use crate::sandboxes::check_descriptors;
use crate::{Engine, EngineError, NetworkAction, SPANS};
use sealane_core::model::{Endpoint, EndpointSpec, NetworkId, Sandbox, SandboxId};
use std::sync::Arc;
use tracing::info_span;

impl Engine {
    /// Connects a running sandbox to a further network.
    pub fn connect(
        &self,
        id: &SandboxId,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        let _span = info_span!(target: SPANS, "connect", sandbox = %id, network).entered();
        let connect = || {
            self.known
                .when_settled(|| self.try_connect(id, network, &spec))
        };
        let endpoint = self.measures.time(Action::Connect, connect)?;
        self.follow_target(id);
        Ok(endpoint)
    }

    fn try_connect(
        &self,
        id: &SandboxId,
        reference: &str,
        spec: &EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        self.existing(id)?;
        self.make_room(reference)?;
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let old = self.existing(id)?;
        check_descriptors(&old.name)?;
        let reserve = || self.reserve_endpoint(&old, reference, spec);
        let (network, endpoint) = info_span!(target: SPANS, "reserve").in_scope(reserve)?;
        let new = self.with_endpoint(&old, network.id, &endpoint);
        match self.change_sandbox(&old, &Arc::new(new)) {
            Ok(()) => {
                self.tell_of(&endpoint, NetworkAction::Connect(*id));
                Ok(endpoint)
            }
            Err(error) => {
                self.release_endpoint(id, &endpoint, false);
                Err(error)
            }
        }
    }

    /// The sandbox with one endpoint more, and with a resolver if it wants one by now.
    pub(crate) fn with_endpoint(
        &self,
        old: &Sandbox,
        network: NetworkId,
        endpoint: &Endpoint,
    ) -> Sandbox {
        let mut new = old.clone();
        new.endpoints.insert(network, endpoint.clone());
        if new.resolver_ports.is_none() && self.wants_resolver(&new) {
            new.resolver_ports = Some(self.free_resolver_ports(&old.id));
        }
        new
    }

    /// Disconnects a running sandbox from a network.
    pub fn disconnect(&self, id: &SandboxId, network: &str) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "disconnect", sandbox = %id, network).entered();
        self.try_disconnect(id, network)?;
        self.follow_target(id);
        Ok(())
    }

    fn try_disconnect(&self, id: &SandboxId, reference: &str) -> Result<(), EngineError> {
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let old = self.existing(id)?;
        let (new, endpoint) = self.without_endpoint(&old, reference)?;
        self.change_sandbox(&old, &Arc::new(new))?;
        self.release_endpoint(id, &endpoint, true);
        self.tell_of(&endpoint, NetworkAction::Disconnect(*id));
        Ok(())
    }

    /// The sandbox with one endpoint less, and that one.
    pub(crate) fn without_endpoint(
        &self,
        old: &Sandbox,
        reference: &str,
    ) -> Result<(Sandbox, Endpoint), EngineError> {
        let network = self.state().find(reference)?.network.clone();
        let mut new = old.clone();
        match new.endpoints.remove(&network.id) {
            Some(endpoint) => Ok((new, endpoint)),
            None => Err(EngineError::Failed {
                message: format!(
                    "container {} is not connected to network {}",
                    old.id, network.spec.name
                ),
                source: None,
            }),
        }
    }

    /// Takes a sandbox from what it is to what it should be.
    ///
    /// What goes away is forgotten before the kernel loses it, what comes is saved after the kernel
    /// has it: in between, the saved sandbox has only what both have.
    pub(crate) fn change_sandbox(
        &self,
        old: &Arc<Sandbox>,
        new: &Arc<Sandbox>,
    ) -> Result<(), EngineError> {
        match new.endpoints.len() < old.endpoints.len() {
            true => self.shrink_sandbox(old, new),
            false => self.extend_sandbox(old, new),
        }
    }

    fn shrink_sandbox(&self, old: &Arc<Sandbox>, new: &Arc<Sandbox>) -> Result<(), EngineError> {
        let (from, to) = (self.plan_of_sandbox(old), self.plan_of_sandbox(new));
        let _flight = self.flights.begin(&from, &to);
        self.save_sandbox(new)?;
        // Before the link goes, or its going would be taken for a loss.
        self.known.change(|draft| draft.put_sandbox(new.clone()));
        let spared = self.sparing_own_routes(new, true, &from, to);
        if let Err(error) = spared.and_then(|to| self.apply_leaving(new, &from, &to)) {
            self.known.change(|draft| draft.put_sandbox(old.clone()));
            self.save_sandbox(old)?;
            return Err(error);
        }
        // It is gone, whatever cannot follow.
        if let Err(error) = self.follow_change(old, new) {
            tracing::warn!(sandbox = new.name, %error, "its resolver or files are not up to date");
        }
        Ok(())
    }

    fn extend_sandbox(&self, old: &Arc<Sandbox>, new: &Arc<Sandbox>) -> Result<(), EngineError> {
        let (from, to) = (self.plan_of_sandbox(old), self.plan_of_sandbox(new));
        let _flight = self.flights.begin(&from, &to);
        let to = self.sparing_own_routes(new, false, &from, to)?;
        self.apply(&from, &to)?;
        let finished = self.follow_change(old, new);
        let finished = finished.and_then(|()| self.keep_leases(new));
        if let Err(error) = finished.and_then(|()| self.save_sandbox(new)) {
            self.return_to(&to, &from);
            self.follow_back(new, old);
            return Err(error);
        }
        self.known.change(|draft| draft.put_sandbox(new.clone()));
        Ok(())
    }

    /// Brings everything outside the kernel in line with a changed sandbox.
    pub(crate) fn follow_change(
        &self,
        old: &Arc<Sandbox>,
        new: &Arc<Sandbox>,
    ) -> Result<(), EngineError> {
        if old.resolver_ports.is_none() {
            self.start_resolver(new)?;
        } else {
            self.update_resolver(new);
        }
        self.withdraw_names(old);
        self.publish_names(new);
        self.update_files(old, new)?;
        self.activate_ports(new)
    }

    /// The same, back to what a sandbox was before a change that could not be finished.
    fn follow_back(&self, new: &Arc<Sandbox>, old: &Arc<Sandbox>) {
        if let Err(error) = self.follow_change(new, old) {
            tracing::warn!(sandbox = old.name, %error, "its resolver or files are not as before");
        }
        if old.resolver_ports.is_none() {
            self.resolver.end(&old.id);
        }
    }
}
