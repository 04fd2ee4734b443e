//! Networks: made, removed, shown.

use crate::host::timestamp;
use crate::mtu::check_network_mtu;
use crate::parents::{check_beside_others, is_parent_given};
use crate::specify::{Surroundings, specify, subnets_of_all};
use crate::state::{NetworkState, State};
use crate::{
    CreateNetwork, CreatedNetwork, Engine, EngineError, NetworkAction, NetworkView, SPANS,
    SubnetUsage,
};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::ipam::Pool;
use sealane_core::model::{Endpoint, InterfaceName, Network, NetworkId, SandboxId, UsersDevice};
use sealane_core::plan::Plan;
use sealane_core::scopes::{plan_host, plan_network, plan_shared};
use sealane_store::{Batch, StoreError, Table};
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::info_span;

/// A network that is being made. Dropped, it never was, and those who wait for it are told.
pub(crate) struct Making<'a> {
    engine: &'a Engine,
    pub(crate) network: Arc<Driven>,
    done: bool,
}

impl<'a> Making<'a> {
    fn of(engine: &'a Engine, network: Arc<Driven>) -> Self {
        Self {
            engine,
            network,
            done: false,
        }
    }

    /// It is there, for everybody.
    fn finish(mut self) -> Arc<Driven> {
        self.done = true;
        self.network.clone()
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.engine.end_making(&self.network, self.done);
    }
}

/// Where networks are stored.
pub(crate) const NETWORKS: Table = Table("networks");

impl Engine {
    pub(crate) fn make_network(
        &self,
        request: &CreateNetwork,
    ) -> Result<CreatedNetwork, EngineError> {
        let _running = self.operations.read();
        let making = self.reserve_network(request)?;
        let mut warning = self.warning_for(&making.network)?;
        self.realize_network(&making.network)?;
        let network = making.finish();
        if warning.is_empty() {
            warning = self.pass(&network);
        }
        self.tell(NetworkAction::Create, &network);
        Ok(CreatedNetwork {
            id: network.id,
            warning,
        })
    }

    /// Chooses what is open and holds it against others, until the making ends.
    pub(crate) fn reserve_network(
        &self,
        request: &CreateNetwork,
    ) -> Result<Making<'_>, EngineError> {
        let _span = info_span!(target: SPANS, "reserve").entered();
        let mut making = Making::of(self, self.hold_network(request)?);
        making.network = self.adopt_device(&making.network)?;
        Ok(making)
    }

    /// Takes over the device that the network names, if the user made it.
    fn adopt_device(&self, network: &Arc<Driven>) -> Result<Arc<Driven>, EngineError> {
        let Some(device) = network.settings().adopts() else {
            return Ok(network.clone());
        };
        let Some(users_device) = self.users_device(device)? else {
            return Ok(network.clone());
        };
        self.check_link_mtu(&network.spec, device)?;
        let adopting = Arc::new(Driven::of(Network {
            users_device: Some(users_device),
            ..Network::clone(network)
        })?);
        if let Some(state) = self.state().networks.get_mut(&network.id) {
            state.network = adopting.clone();
        }
        Ok(adopting)
    }

    /// Chooses what is open, but for the device.
    fn hold_network(&self, request: &CreateNetwork) -> Result<Arc<Driven>, EngineError> {
        let avoid = self.prefixes_to_avoid()?;
        let id = NetworkId::from_bytes(self.random_bytes()?);
        let links = self.links_to_sit_on(request)?;
        let mut state = self.state();
        let around = Surroundings {
            state: &state,
            pools: &self.pools,
            avoid: &avoid,
            defaults: &self.config.default_network_options,
        };
        let spec = specify(request, &around)?;
        let network = Arc::new(Driven::of(Network {
            id,
            created: timestamp(),
            segments: 0,
            users_device: is_parent_given(&spec, &links, &state).then(UsersDevice::default),
            spec,
        })?);
        network.dns_servers().map_err(EngineError::Invalid)?;
        check_network_mtu(&network)?;
        check_beside_others(&network, &links, &state)?;
        let pools = open_pools(&network)?;
        let mut reserved = NetworkState::new(network.clone(), pools);
        reserved.in_making = true;
        state.networks.insert(id, reserved);
        Ok(network)
    }

    /// Makes a network in the kernel, then stores it: what is stored is always there, and what a
    /// crash leaves half made is swept.
    fn realize_network(&self, network: &Driven) -> Result<(), EngineError> {
        let plan = self.plan_of(network);
        let mut host = self.lock_host_plan();
        self.apply_beside(&mut host, Some(network), &Plan::default(), &plan)?;
        if let Err(error) = self.store_network(network) {
            let text = format!("network {} could not be stored", network.spec.name);
            if let Err(error) = self.apply_beside(&mut host, None, &plan, &Plan::default()) {
                tracing::warn!(%error, "cannot take back a network; the next sweep will");
            }
            return Err(EngineError::failed(text, error));
        }
        Ok(())
    }

    /// Stores a network, durably.
    pub(crate) fn store_network(&self, network: &Network) -> Result<(), StoreError> {
        let _span = info_span!(target: SPANS, "save").entered();
        let mut batch = Batch::default();
        batch.put(NETWORKS, network.id, network)?;
        self.store.commit(&batch)
    }

    pub(crate) fn delete_network(&self, reference: &str) -> Result<(), EngineError> {
        let _running = self.operations.read();
        let network = self.state_with(reference)?.1;
        if network.is_predefined() {
            return Err(EngineError::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                network.spec.name
            )));
        }
        self.withdraw_network(&network)
    }

    /// Takes a network out of the store, then out of the kernel. It is gone from the state before
    /// either, so that nobody joins meanwhile.
    fn withdraw_network(&self, network: &Driven) -> Result<(), EngineError> {
        // From before its name is free: who takes its device for another network comes after.
        let mut host = self.lock_host_plan();
        let removed = {
            let mut state = self.state();
            check_unused(network, &state)?;
            state.networks.remove(&network.id)
        };
        let Some(removed) = removed else {
            let name = &network.spec.name;
            return Err(EngineError::NotFound(format!("network {name} not found")));
        };
        let mut batch = Batch::default();
        batch.delete(NETWORKS, network.id);
        removed.delete_expected(&mut batch);
        if let Err(error) = self.store.commit(&batch) {
            self.state().networks.insert(network.id, removed);
            let text = format!(
                "the removal of network {} could not be stored",
                network.spec.name
            );
            return Err(EngineError::failed(text, error));
        }
        let old = self.plan_of(network);
        let applied = self.apply_beside(&mut host, None, &old, &Plan::default());
        self.forget_routes();
        self.end_passing(network);
        self.tell(NetworkAction::Destroy, network);
        applied
    }

    pub(crate) fn prune(
        &self,
        chosen: &dyn Fn(&Network) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        let _running = self.operations.read();
        let Ok(_pruning) = self.pruning.try_lock() else {
            return Err(EngineError::Conflict(
                "a prune operation is already running".into(),
            ));
        };
        let candidates: Vec<Arc<Driven>> = {
            let state = self.state();
            let unused = state
                .networks
                .values()
                .filter(|state| state.members.is_empty() && !state.in_making);
            unused.map(|state| state.network.clone()).collect()
        };
        let mut pruned = Vec::new();
        for network in candidates.iter().filter(|network| !network.is_predefined()) {
            // One that was joined or removed meanwhile is left alone.
            if chosen(network) && self.withdraw_network(network).is_ok() {
                pruned.push(network.spec.name.clone());
            }
        }
        Ok(pruned)
    }

    /// Applies a network's plan together with what it changes for the host.
    pub(crate) fn apply_with_host(&self, old: &Plan, new: &Plan) -> Result<(), EngineError> {
        self.apply_beside(&mut self.lock_host_plan(), None, old, new)
    }

    /// The same, `making` being a network that is not there for others yet.
    fn apply_beside(
        &self,
        host: &mut Plan,
        making: Option<&Driven>,
        old: &Plan,
        new: &Plan,
    ) -> Result<(), EngineError> {
        let wanted = self.host_plan(making);
        let (mut from, mut to) = (host.clone(), wanted.clone());
        from.merge(old.clone());
        to.merge(new.clone());
        self.apply(&from, &to)?;
        *host = wanted;
        Ok(())
    }

    /// What the host should be like, given the networks there are, and one that is being made.
    pub(crate) fn host_plan(&self, making: Option<&Driven>) -> Plan {
        self.host_plan_of(making, None)
    }

    /// The same once this network is gone.
    pub(crate) fn host_plan_without(&self, gone: NetworkId) -> Plan {
        self.host_plan_of(None, Some(gone))
    }

    fn host_plan_of(&self, making: Option<&Driven>, gone: Option<NetworkId>) -> Plan {
        let state = self.state();
        let networks = || {
            let others = state.networks.values().filter(|state| !state.in_making);
            let others = others.map(|state| &*state.network).chain(making);
            others.filter(|network| Some(network.id) != gone)
        };
        let forwards = |ipv6| networks().any(|network| network.settings().forwards(network, ipv6));
        let forward = (forwards(false), forwards(true));
        let wanted = self.config.ip_forward;
        let mut facts = self.facts();
        if self.config.ip_forward_no_drop {
            // As if forwarding had been on before us.
            (facts.ipv4_forwarding, facts.ipv6_forwarding) = (true, true);
        }
        // What passes within an adopted bridge is for its network to say.
        let adopted = |bridge: &InterfaceName| {
            networks().any(|network| {
                network.users_device.is_some() && network.settings().device() == Some(bridge)
            })
        };
        facts.foreign_bridges.retain(|bridge| !adopted(bridge));
        let mut plan = plan_host(&facts, (forward.0 && wanted, forward.1 && wanted));
        for network in networks() {
            plan.merge(plan_shared(network));
        }
        plan
    }

    /// What a network should be like.
    pub(crate) fn plan_of(&self, network: &Driven) -> Plan {
        let _span = info_span!(target: SPANS, "plan").entered();
        plan_network(network, &self.facts())
    }

    pub(crate) fn view(&self, reference: &str) -> Result<NetworkView, EngineError> {
        let state = self.state();
        let found = state.find(reference)?;
        let endpoint = |id: &SandboxId| {
            let sandbox = state.sandboxes.get(id)?;
            let endpoint = sandbox.endpoints.get(&found.network.id)?;
            Some((*id, sandbox.name.clone(), endpoint.clone()))
        };
        let usage = found.pools.iter().map(|(subnet, pool)| {
            let usage = pool.usage();
            SubnetUsage {
                subnet: *subnet,
                in_use: usage.in_use,
                available: usage.available,
            }
        });
        Ok(NetworkView {
            network: found.network.clone(),
            endpoints: found.members.iter().filter_map(endpoint).collect(),
            usage: usage.collect(),
            conflicts: self.conflicts_of(&found.network.id),
        })
    }

    /// Something the user should know about a new network. The facts that plans see leave out
    /// foreign firewalls where we are told not to meet them, so the kernel is asked.
    fn warning_for(&self, network: &Network) -> Result<String, EngineError> {
        if self.config.firewall_integration {
            return Ok(self.warning_of_pools(network));
        }
        let facts = self.executor.kernel().facts();
        let facts =
            facts.map_err(|error| EngineError::failed("cannot read facts of the host", error))?;
        let drops = facts.ipv4_forward_drops && network.spec.enable_ipv4
            || facts.ipv6_forward_drops && network.spec.enable_ipv6;
        Ok(match drops {
            true => "the host's firewall drops forwarded packets; accept those of this network \
                     there, or start the daemon with --firewall-integration=auto"
                .into(),
            false => self.warning_of_pools(network),
        })
    }

    /// Early word that subnets run out: the last tenth has begun.
    fn warning_of_pools(&self, network: &Network) -> String {
        let in_pool = |subnet: &IpNet| {
            let mut pools = self.pools.pools().iter();
            pools.any(|pool| pool.base.contains(subnet))
        };
        let mut subnets = network.spec.ipam.subnets.iter().map(|spec| spec.subnet);
        let Some(subnet) = subnets.find(in_pool) else {
            return String::new();
        };
        let ipv6 = subnet.addr().is_ipv6();
        let taken = subnets_of_all(&self.state());
        let (total, left) = self.pools.room(ipv6, &taken, &[]);
        if left * 10 > total {
            return String::new();
        }
        let text = format!(
            "the address pools have room for {left} more networks of {total}; give the daemon \
             another --default-address-pool before they are used up"
        );
        tracing::warn!("{text}");
        self.tell(NetworkAction::Warn(text.clone()), network);
        text
    }
}

/// A pool for each subnet, its gateway and auxiliary addresses reserved.
pub(crate) fn open_pools(network: &Network) -> Result<Vec<(IpNet, Pool)>, EngineError> {
    if network.spec.config_only {
        return Ok(vec![]);
    }
    let subnets = network.subnets(false).chain(network.subnets(true));
    let open =
        |spec: &_| Pool::open(spec).map_err(|error| EngineError::Forbidden(error.to_string()));
    subnets.map(|spec| Ok((spec.subnet, open(spec)?))).collect()
}

fn check_unused(network: &Network, state: &State) -> Result<(), EngineError> {
    let Some(found) = state.networks.get(&network.id) else {
        return Ok(());
    };
    let name = &network.spec.name;
    let depends = |other: &NetworkState| other.network.spec.config_from.as_ref() == Some(name);
    if network.spec.config_only && state.networks.values().any(depends) {
        return Err(EngineError::Forbidden(format!(
            "configuration network \"{name}\" is in use"
        )));
    }
    // One that is being made has no name here yet; the id of its container is as good.
    let shown = |id: &SandboxId| {
        let known = state.sandboxes.get(id).map(|sandbox| sandbox.name.clone());
        let name = known.unwrap_or_else(|| id.short(12));
        let endpoint = Endpoint::id_of(id, &network.id).short(12);
        format!("name:\"{name}\" id:\"{endpoint}\"")
    };
    let active: BTreeSet<String> = found.members.iter().map(shown).collect();
    if found.members.is_empty() {
        return Ok(());
    }
    let active: Vec<String> = active.into_iter().collect();
    Err(EngineError::Forbidden(format!(
        "error while removing network: network {name} has active endpoints ({})",
        active.join(", ")
    )))
}
