//! Sandboxes: made with all their endpoints and ports, attached, detached, removed.
//!
//! What is saved is always there: a sandbox is saved after the kernel has it, and forgotten before
//! the kernel loses it. What a crash leaves in between is swept.

use crate::measure::Action;
use crate::names::RESOLVER_PORTS;
use crate::reserve::release;
use crate::ways_in::Split;
use crate::{Engine, EngineError, HostTarget, NetworkAction, SPANS, SandboxSpec};
use sealane_core::model::{Endpoint, EndpointSpec, PortRequest, Sandbox, SandboxId};
use sealane_core::plan::Plan;
use sealane_core::scopes::{Gateways, plan_sandbox};
use sealane_kernel::descriptors;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tracing::info_span;

impl Engine {
    pub(crate) fn make_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        let _running = self.operations.read();
        let lock = self.locks.of(spec.id);
        let _own = lock.hold();
        check_descriptors(&spec.name)?;
        for (network, _) in &spec.endpoints {
            self.make_room(network)?;
        }
        let reserve = || self.reserve_sandbox(&spec);
        let sandbox = Arc::new(info_span!(target: SPANS, "reserve").in_scope(reserve)?);
        match self.realize_sandbox(&sandbox, &spec.files) {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                self.forget_sandbox(&sandbox, false);
                Err(error)
            }
        }
    }

    /// Reserves addresses and ports for a whole sandbox, or nothing.
    pub(crate) fn reserve_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineError> {
        if self.state().sandboxes.contains_key(&spec.id) {
            return Err(EngineError::Conflict(format!(
                "container {} has a sandbox already; stop it first",
                spec.id.short(12)
            )));
        }
        let mut sandbox = self.empty_sandbox(spec);
        let reserved = self.reserve_endpoints(&mut sandbox, spec);
        let reserved = reserved.and_then(|()| self.reserve_ports(&mut sandbox, &spec.ports));
        match reserved {
            Ok(()) => {
                if self.wants_resolver(&sandbox) {
                    sandbox.resolver_ports = Some(RESOLVER_PORTS);
                }
                Ok(sandbox)
            }
            Err(error) => {
                self.forget_sandbox(&sandbox, false);
                Err(error)
            }
        }
    }

    /// A sandbox before anything is reserved.
    fn empty_sandbox(&self, spec: &SandboxSpec) -> Sandbox {
        let gateways = self.host_gateway();
        let extra_hosts = spec
            .extra_hosts
            .iter()
            .flat_map(|(name, target)| match target {
                HostTarget::Address(address) => vec![(name.clone(), *address)],
                HostTarget::Gateway => gateways.iter().map(|ip| (name.clone(), *ip)).collect(),
            });
        Sandbox {
            id: spec.id,
            name: spec.name.clone(),
            hostname: spec.hostname.clone(),
            domainname: spec.domainname.clone(),
            host: spec.host,
            endpoints: BTreeMap::new(),
            ports: vec![],
            closed: BTreeSet::new(),
            nameserver: spec.nameserver.clone(),
            extra_hosts: extra_hosts.collect(),
            links: self.resolved(&spec.links),
            resolver_ports: None,
            files: spec.files.clone(),
            ipv6_disabled: spec.ipv6_disabled,
            sticky: spec.sticky,
        }
    }

    fn reserve_endpoints(
        &self,
        sandbox: &mut Sandbox,
        spec: &SandboxSpec,
    ) -> Result<(), EngineError> {
        for (reference, endpoint) in &spec.endpoints {
            let (network, endpoint) =
                self.reserve_endpoint(sandbox, reference, endpoint.clone())?;
            sandbox.endpoints.insert(network.id, endpoint);
        }
        Ok(())
    }

    /// Binds the ports, if the sandbox has a way out at all.
    fn reserve_ports(
        &self,
        sandbox: &mut Sandbox,
        requests: &[PortRequest],
    ) -> Result<(), EngineError> {
        if requests.is_empty() {
            return Ok(());
        }
        let Some(way_out) = self.way_out(sandbox) else {
            self.warn_of_unpublished(sandbox);
            return Ok(());
        };
        let Split { reserve, open } = way_out.split(requests);
        sandbox.ports = self
            .ports
            .reserve(&reserve, &sandbox.id, None)
            .map_err(|error| way_out.refused(&sandbox.name, &error))?;
        sandbox.ports.extend(open);
        Ok(())
    }

    /// Makes a reserved sandbox in the kernel, starts its resolver, publishes its ports, saves it.
    fn realize_sandbox(&self, sandbox: &Arc<Sandbox>, files: &Path) -> Result<(), EngineError> {
        self.write_files(sandbox, files)?;
        if !sandbox.host {
            let plan = self.plan_of_sandbox(sandbox);
            self.apply(&Plan::default(), &plan)?;
            let finished = self.start_services(sandbox);
            let finished = finished.and_then(|()| self.keep_leases(sandbox));
            if let Err(error) = finished.and_then(|()| self.save_sandbox(sandbox)) {
                self.take_back(&plan);
                return Err(error);
            }
        } else {
            self.save_sandbox(sandbox)?;
        }
        self.state().sandboxes.insert(sandbox.id, sandbox.clone());
        for endpoint in sandbox.endpoints.values() {
            self.tell_of(endpoint, NetworkAction::Connect(sandbox.id));
        }
        Ok(())
    }

    /// What needs a process of ours: the resolver, and ports that the kernel alone cannot serve.
    fn start_services(&self, sandbox: &Arc<Sandbox>) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "start services").entered();
        self.start_resolver(sandbox)?;
        self.activate_ports(sandbox)?;
        self.publish_names(sandbox);
        Ok(())
    }

    pub(crate) fn drop_sandbox(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _running = self.operations.read();
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let Some(sandbox) = self.state().sandboxes.get(id).cloned() else {
            return Ok(());
        };
        let dismantle = || self.dismantle(&sandbox);
        self.measures.time(Action::Release, dismantle)
    }

    /// Removes a sandbox that exists.
    fn dismantle(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let id = &sandbox.id;
        let plan = self.plan_of_sandbox(sandbox);
        self.records.remove(&id.to_string()).map_err(|error| {
            EngineError::failed(format!("cannot forget sandbox {}", id.short(12)), error)
        })?;
        self.nameserver.remove_sandbox(id); // its sockets would keep the namespace
        if let Err(error) = self.ports.deactivate(id) {
            tracing::warn!(sandbox = sandbox.name, %error, "a port is still relayed");
        }
        self.state().sandboxes.remove(id);
        let removed = self.apply(&plan, &Plan::default());
        self.forget_sandbox(sandbox, true);
        for endpoint in sandbox.endpoints.values() {
            self.tell_of(endpoint, NetworkAction::Disconnect(*id));
        }
        removed
    }

    /// Gives back everything reserved for a sandbox that the kernel does not have any more.
    pub(crate) fn forget_sandbox(&self, sandbox: &Sandbox, used: bool) {
        self.withdraw_names(sandbox);
        self.nameserver.remove_sandbox(&sandbox.id);
        self.ports.release(&sandbox.id);
        let now = self.uptime();
        // In one step: no network has a member that does not exist.
        let mut state = self.state();
        state.sandboxes.remove(&sandbox.id);
        for endpoint in sandbox.endpoints.values() {
            release(&mut state, &sandbox.id, endpoint, used, now);
        }
    }

    pub(crate) fn join(
        &self,
        id: &SandboxId,
        reference: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        let _running = self.operations.read();
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let old = self.existing(id)?;
        check_descriptors(&old.name)?;
        self.make_room(reference)?;
        let reserve = || self.reserve_endpoint(&old, reference, spec);
        let (network, endpoint) = info_span!(target: SPANS, "reserve").in_scope(reserve)?;
        let mut new = Sandbox::clone(&old);
        new.endpoints.insert(network.id, endpoint.clone());
        if new.resolver_ports.is_none() && self.wants_resolver(&new) {
            new.resolver_ports = Some(self.free_resolver_ports(id));
        }
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

    pub(crate) fn leave(&self, id: &SandboxId, reference: &str) -> Result<(), EngineError> {
        let _running = self.operations.read();
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let old = self.existing(id)?;
        let network = self.state().find(reference)?.network.clone();
        let mut new = Sandbox::clone(&old);
        let Some(endpoint) = new.endpoints.remove(&network.id) else {
            return Err(EngineError::Failed {
                message: format!(
                    "container {id} is not connected to network {}",
                    network.spec.name
                ),
                source: None,
            });
        };
        self.change_sandbox(&old, &Arc::new(new))?;
        self.release_endpoint(id, &endpoint, true);
        self.tell_of(&endpoint, NetworkAction::Disconnect(*id));
        Ok(())
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
        let (from, to) = (self.plan_of_sandbox(old), self.plan_of_sandbox(new));
        let shrinks = new.endpoints.len() < old.endpoints.len();
        if shrinks {
            self.save_sandbox(new)?;
            // Before the link goes, or its going would be taken for a loss.
            self.state().sandboxes.insert(new.id, new.clone());
        }
        let to = self.sparing_own_routes(new, shrinks, &from, to)?;
        let applied = match shrinks {
            true => self.apply_leaving(new, &from, &to),
            false => self.apply(&from, &to),
        };
        if let Err(error) = applied {
            if shrinks {
                self.state().sandboxes.insert(old.id, old.clone());
                self.save_sandbox(old)?;
            }
            return Err(error);
        }
        let finished = self.follow_change(old, new);
        let finished = finished.and_then(|()| {
            if shrinks {
                return Ok(());
            }
            self.keep_leases(new)?;
            self.save_sandbox(new)
        });
        if let Err(error) = finished {
            if let Err(error) = self.apply(&to, &from) {
                tracing::warn!(%error, "cannot take back a change; the next sweep will");
            }
            return Err(error);
        }
        self.state().sandboxes.insert(new.id, new.clone());
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
        self.update_files(old, new)?;
        self.activate_ports(new)?;
        self.withdraw_names(old);
        self.publish_names(new);
        Ok(())
    }

    pub(crate) fn rename(&self, id: &SandboxId, name: &str) -> Result<(), EngineError> {
        let _running = self.operations.read();
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let Some(old) = self.state().sandboxes.get(id).cloned() else {
            return Ok(());
        };
        let new = Arc::new(Sandbox {
            name: name.into(),
            ..Sandbox::clone(&old)
        });
        self.save_sandbox(&new)?;
        self.withdraw_names(&old);
        self.publish_names(&new);
        self.state().sandboxes.insert(*id, new.clone());
        self.forget_leases(&old.name)?;
        self.keep_leases(&new)
    }

    pub(crate) fn existing(&self, id: &SandboxId) -> Result<Arc<Sandbox>, EngineError> {
        let found = self.state().sandboxes.get(id).cloned();
        found.ok_or_else(|| {
            EngineError::NotFound(format!("container {} is not running", id.short(12)))
        })
    }

    pub(crate) fn plan_of_sandbox(&self, sandbox: &Sandbox) -> Plan {
        let _span = info_span!(target: SPANS, "plan").entered();
        let networks = self.state().joined(sandbox);
        plan_sandbox(sandbox, &networks, &self.facts())
    }

    pub(crate) fn save_sandbox(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "save").entered();
        self.records
            .write(&sandbox.id.to_string(), sandbox)
            .map_err(|error| {
                EngineError::failed(
                    format!("cannot save sandbox {}", sandbox.id.short(12)),
                    error,
                )
            })
    }

    /// Lets the relay serve published ports where the sandbox now is: on addresses from which the
    /// kernel cannot lead there. Without `--userland-proxy` they stay mute.
    pub(crate) fn activate_ports(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        if sandbox.ports.is_empty() {
            return Ok(());
        }
        let networks = self.state().joined(sandbox);
        let gateways = Gateways::choose(sandbox, &networks).publishing(&networks);
        let v4 = gateways.v4.and_then(|endpoint| endpoint.host_ipv4());
        let v6 = gateways
            .v6
            .and_then(|endpoint| endpoint.ipv6)
            .map(|net| net.addr());
        self.ports.activate(&sandbox.id, v4, v6).map_err(|error| {
            EngineError::failed(format!("cannot serve the ports of {}", sandbox.name), error)
        })
    }
}

/// Refuses what needs descriptors of ours as long as it lasts, while those that removals need are
/// still there.
fn check_descriptors(sandbox: &str) -> Result<(), EngineError> {
    descriptors::check_room()
        .map_err(|error| EngineError::failed(format!("no network for container {sandbox}"), error))
}
