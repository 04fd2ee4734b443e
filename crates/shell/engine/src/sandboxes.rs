//! Sandboxes: created with all their endpoints and ports, renamed, removed.
//!
//! What is saved is always there: a sandbox is saved after the kernel has it, and forgotten before
//! the kernel loses it. What a crash leaves in between is swept.

use crate::measure::Action;
use crate::names::RESOLVER_PORTS;
use crate::ways_in::Split;
use crate::{Engine, EngineError, HostTarget, NetworkAction, SPANS, SandboxSpec};
use sealane_core::model::{GivenNamespace, PortMapping, PortRequest, Sandbox, SandboxId};
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

/// What the host has to say about a new sandbox.
pub(crate) struct Beside {
    /// For each endpoint, what its network's wire has of the host.
    host6: Vec<Vec<Ipv6Addr>>,
    given: Option<GivenNamespace>,
}

impl Engine {
    /// Makes a sandbox with all its endpoints and ports, in one operation: its namespace, links,
    /// addresses, routes, published ports, resolver, and the files hosts, hostname and resolv.conf.
    pub fn create_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        let _span = info_span!(target: SPANS, "create sandbox", container = spec.name).entered();
        let create = || self.known.when_settled(|| self.try_create(&spec));
        let sandbox = self.measures.time(Action::Allocate, create)?;
        self.follow_target(&sandbox.id);
        if let Err(error) = self.serve_given(&sandbox) {
            tracing::warn!(sandbox = sandbox.name, %error, "names are not served");
        }
        Ok(self.sandbox(&sandbox.id).unwrap_or(sandbox))
    }

    fn try_create(&self, spec: &SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
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

    /// What the host has to say about a new sandbox.
    pub(crate) fn look_beside_all(&self, spec: &SandboxSpec) -> Result<Beside, EngineError> {
        let (state, sandbox) = (self.state(), self.empty_sandbox(spec));
        let endpoints = spec.endpoints.iter();
        let host6 = endpoints
            .map(|(reference, endpoint)| self.look_beside(&state, &sandbox, reference, endpoint))
            .collect::<Result<_, _>>()?;
        let given = self.given_to(spec)?;
        Ok(Beside { host6, given })
    }

    /// Chooses everything that a sandbox has, but for its ports.
    pub(crate) fn choose_sandbox(
        &self,
        draft: &mut Snapshot,
        spec: &SandboxSpec,
        seen: &Beside,
    ) -> Result<Sandbox, EngineError> {
        if draft.sandbox(&spec.id).is_some() {
            return Err(Refusal::SandboxExists(spec.id.short(12)).into());
        }
        let mut sandbox = self.empty_sandbox(spec);
        sandbox.given = seen.given.clone();
        let now = self.uptime();
        for ((network, endpoint), host6) in spec.endpoints.iter().zip(&seen.host6) {
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
        // In a namespace of others its ports may be taken: see `serve_given`.
        if sandbox.given.is_none() && self.wants_resolver(&sandbox) {
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
            given: None,
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
        self.take_given(sandbox)?;
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

    /// Removes a sandbox and releases all that was reserved for it. One that does not exist is
    /// no error.
    pub fn remove_sandbox(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "remove sandbox", sandbox = %id).entered();
        let removed = self.try_remove(id);
        self.follow_target(id);
        removed
    }

    fn try_remove(&self, id: &SandboxId) -> Result<(), EngineError> {
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
        self.resolver.end(id); // its sockets would keep the namespace
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
        self.resolver.end(&sandbox.id);
        self.ports.release(&sandbox.id);
        self.leave_given(sandbox);
        let now = self.uptime();
        self.known.change(|draft| {
            draft.drop_sandbox(&sandbox.id);
            for endpoint in sandbox.endpoints.values() {
                draft.release_endpoint(&sandbox.id, endpoint, used, now);
            }
        });
    }

    /// Gives a sandbox another name: in DNS, at once.
    pub fn rename_sandbox(&self, id: &SandboxId, name: &str) -> Result<(), EngineError> {
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
pub(crate) fn check_descriptors(sandbox: &str) -> Result<(), EngineError> {
    descriptors::check_room()
        .map_err(|error| EngineError::failed(format!("no network for container {sandbox}"), error))
}
