//! Sandboxes: made with all their endpoints and ports, attached, detached, removed.
//!
//! What is saved is always there: a sandbox is saved after the kernel has it, and forgotten before
//! the kernel loses it. What a crash leaves in between is swept.

use crate::measure::Action;
use crate::names::RESOLVER_PORTS;
use crate::ways_in::Split;
use crate::{Engine, EngineError, HostTarget, NetworkAction, SPANS, SandboxSpec};
use sealane_core::model::{
    Endpoint, EndpointSpec, NetworkId, PortMapping, PortRequest, Sandbox, SandboxId,
};
use sealane_core::plan::Plan;
use sealane_core::reserve::{Joining, Refusal, Snapshot};
use sealane_core::scopes::{Gateways, plan_sandbox};
use sealane_kernel::descriptors;
use sealane_ports::PortError;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use tracing::info_span;

/// Finds ports of the host for requests: for good, or to say which.
type Find<'a> = &'a dyn Fn(&[PortRequest]) -> Result<Vec<PortMapping>, PortError>;

impl Engine {
    pub(crate) fn make_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        self.known.when_settled(|| self.try_sandbox(&spec))
    }

    fn try_sandbox(&self, spec: &SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        check_descriptors(&spec.name)?;
        for (network, _) in &spec.endpoints {
            self.make_room(network)?;
        }
        let lock = self.locks.of(spec.id);
        let _own = lock.hold();
        let reserve = || self.reserve_sandbox(spec);
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
    fn reserve_sandbox(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineError> {
        let seen = self.look_beside_all(spec)?;
        let sandbox = self
            .known
            .decide(|draft| self.choose_sandbox(draft, spec, &seen))?;
        let reserve = |requests: &[PortRequest]| self.ports.reserve(requests, &spec.id, None);
        self.with_published(sandbox.clone(), &spec.ports, &reserve)
            .inspect_err(|_| self.forget_sandbox(&sandbox, false))
    }

    /// For each endpoint, what its network's wire has of the host.
    pub(crate) fn look_beside_all(
        &self,
        spec: &SandboxSpec,
    ) -> Result<Vec<Vec<Ipv6Addr>>, EngineError> {
        let (state, sandbox) = (self.state(), self.empty_sandbox(spec));
        let endpoints = spec.endpoints.iter();
        endpoints
            .map(|(reference, endpoint)| self.look_beside(&state, &sandbox, reference, endpoint))
            .collect()
    }

    /// Chooses everything that a sandbox has, but for its ports.
    pub(crate) fn choose_sandbox(
        &self,
        draft: &mut Snapshot,
        spec: &SandboxSpec,
        seen: &[Vec<Ipv6Addr>],
    ) -> Result<Sandbox, EngineError> {
        if draft.sandbox(&spec.id).is_some() {
            return Err(Refusal::SandboxExists(spec.id.short(12)).into());
        }
        let mut sandbox = self.empty_sandbox(spec);
        let now = self.uptime();
        for ((network, endpoint), host6) in spec.endpoints.iter().zip(seen) {
            let joining = Joining {
                sandbox: &sandbox,
                network,
                spec: endpoint,
                host6,
            };
            let (network, endpoint) = draft.reserve_endpoint(&joining, now)?;
            sandbox.endpoints.insert(network.id, endpoint);
        }
        Ok(sandbox)
    }

    /// The sandbox with the ports that `reserve` finds for it, if it has a way out at all, and with
    /// a resolver if it wants one.
    pub(crate) fn with_published(
        &self,
        mut sandbox: Sandbox,
        requests: &[PortRequest],
        reserve: Find<'_>,
    ) -> Result<Sandbox, EngineError> {
        if self.wants_resolver(&sandbox) {
            sandbox.resolver_ports = Some(RESOLVER_PORTS);
        }
        if requests.is_empty() {
            return Ok(sandbox);
        }
        let Some(way_out) = self.way_out(&sandbox) else {
            self.warn_of_unpublished(&sandbox);
            return Ok(sandbox);
        };
        let Split {
            reserve: wanted,
            open,
        } = way_out.split(requests);
        sandbox.ports = reserve(&wanted).map_err(|error| way_out.refused(&sandbox.name, &error))?;
        sandbox.ports.extend(open);
        Ok(sandbox)
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

    /// Makes a reserved sandbox in the kernel, starts its resolver, publishes its ports, saves it.
    fn realize_sandbox(&self, sandbox: &Arc<Sandbox>, files: &Path) -> Result<(), EngineError> {
        self.write_files(sandbox, files)?;
        let nothing = Plan::default();
        let plan = match sandbox.host {
            true => Plan::default(),
            false => self.plan_of_sandbox(sandbox),
        };
        let _flight = self.flights.begin(&nothing, &plan);
        if !sandbox.host {
            self.apply(&nothing, &plan)?;
            let finished = self.start_services(sandbox);
            let finished = finished.and_then(|()| self.keep_leases(sandbox));
            if let Err(error) = finished.and_then(|()| self.save_sandbox(sandbox)) {
                self.take_back(&plan);
                return Err(error);
            }
        } else {
            self.save_sandbox(sandbox)?;
        }
        self.known
            .change(|draft| draft.put_sandbox(sandbox.clone()));
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
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let Some(sandbox) = self.state().sandbox(id).cloned() else {
            return Ok(());
        };
        let dismantle = || self.dismantle(&sandbox);
        self.measures.time(Action::Release, dismantle)
    }

    /// Removes a sandbox that exists.
    fn dismantle(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let id = &sandbox.id;
        let plan = self.plan_of_sandbox(sandbox);
        let _flight = self.flights.begin(&plan, &Plan::default());
        self.records.remove(&id.to_string()).map_err(|error| {
            EngineError::failed(format!("cannot forget sandbox {}", id.short(12)), error)
        })?;
        self.nameserver.remove_sandbox(id); // its sockets would keep the namespace
        if let Err(error) = self.ports.deactivate(id) {
            tracing::warn!(sandbox = sandbox.name, %error, "a port is still relayed");
        }
        self.known.change(|draft| draft.drop_sandbox(id));
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
        self.known.change(|draft| {
            draft.drop_sandbox(&sandbox.id);
            for endpoint in sandbox.endpoints.values() {
                draft.release_endpoint(&sandbox.id, endpoint, used, now);
            }
        });
    }

    pub(crate) fn join(
        &self,
        id: &SandboxId,
        reference: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        self.known
            .when_settled(|| self.try_join(id, reference, &spec))
    }

    fn try_join(
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

    pub(crate) fn leave(&self, id: &SandboxId, reference: &str) -> Result<(), EngineError> {
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
        let _flight = self.flights.begin(&from, &to);
        let shrinks = new.endpoints.len() < old.endpoints.len();
        if shrinks {
            self.save_sandbox(new)?;
            // Before the link goes, or its going would be taken for a loss.
            self.known.change(|draft| draft.put_sandbox(new.clone()));
        }
        let to = self.sparing_own_routes(new, shrinks, &from, to)?;
        let applied = match shrinks {
            true => self.apply_leaving(new, &from, &to),
            false => self.apply(&from, &to),
        };
        if let Err(error) = applied {
            if shrinks {
                self.known.change(|draft| draft.put_sandbox(old.clone()));
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
        self.update_files(old, new)?;
        self.activate_ports(new)?;
        self.withdraw_names(old);
        self.publish_names(new);
        Ok(())
    }

    pub(crate) fn rename(&self, id: &SandboxId, name: &str) -> Result<(), EngineError> {
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let Some(old) = self.state().sandbox(id).cloned() else {
            return Ok(());
        };
        let new = Arc::new(Sandbox {
            name: name.into(),
            ..Sandbox::clone(&old)
        });
        self.save_sandbox(&new)?;
        if let Err(error) = self.rename_leases(&old, &new) {
            self.save_sandbox(&old)?;
            return Err(error);
        }
        self.withdraw_names(&old);
        self.publish_names(&new);
        self.known.change(|draft| draft.put_sandbox(new.clone()));
        Ok(())
    }

    pub(crate) fn existing(&self, id: &SandboxId) -> Result<Arc<Sandbox>, EngineError> {
        let found = self.state().sandbox(id).cloned();
        found.ok_or_else(|| {
            EngineError::NotFound(format!("container {} is not running", id.short(12)))
        })
    }

    pub(crate) fn plan_of_sandbox(&self, sandbox: &Sandbox) -> Plan {
        let _span = info_span!(target: SPANS, "plan").entered();
        self.plan_of_sandbox_in(&self.state(), sandbox)
    }

    /// The same, the networks being as a draft has them.
    pub(crate) fn plan_of_sandbox_in(&self, state: &Snapshot, sandbox: &Sandbox) -> Plan {
        plan_sandbox(sandbox, &state.joined(sandbox), &self.facts())
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
