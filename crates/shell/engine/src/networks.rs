//! Networks: created, removed, pruned.

use crate::held::Held;
use crate::leases::delete_expected;
use crate::mtu::check_network_mtu;
use crate::parents::{LinksThere, check_beside_others, is_parent_given};
use crate::routes::Avoid;
use crate::specify::{Surroundings, specify};
use crate::{CreateNetwork, CreatedNetwork, Engine, EngineError, NetworkAction, SPANS};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::model::{InterfaceName, IpFamily, Network, NetworkId, PerFamily, UsersDevice};
use sealane_core::plan::Plan;
use sealane_core::reserve::{NetworkState, Phase, Refusal, Snapshot, open_pools};
use sealane_core::scopes::{plan_host, plan_network, plan_shared};
use sealane_store::{Batch, StoreError, Table};
use std::sync::Arc;
use tracing::info_span;

/// A network that is being made. Dropped, it never was.
struct Making<'a> {
    held: Held<'a>,
    network: Arc<Driven>,
}

impl<'a> Making<'a> {
    fn of(engine: &'a Engine, network: Arc<Driven>) -> Self {
        let held = Held::passing(&engine.known, network.id);
        Self { held, network }
    }

    /// It is there, and found by every operation.
    fn finish(mut self) -> Arc<Driven> {
        self.held.remain(true);
        self.network
    }
}

/// What the host has to say about a new network.
pub(crate) struct Seen {
    id: NetworkId,
    avoid: Avoid,
    links: LinksThere,
}

/// A network that may be removed: it is none of those there are from the start, and has no endpoints.
pub(crate) fn removable(state: &Snapshot, reference: &str) -> Result<Arc<Driven>, Refusal> {
    let network = &state.find_settled(reference)?.network;
    if network.is_predefined() {
        return Err(Refusal::Predefined(network.spec.name.clone()));
    }
    state.check_unused(network)?;
    Ok(network.clone())
}

/// Where networks are stored.
pub(crate) const NETWORKS: Table = Table("networks");

impl Engine {
    /// Makes a network.
    pub fn create_network(&self, request: &CreateNetwork) -> Result<CreatedNetwork, EngineError> {
        let _span = info_span!(target: SPANS, "create network", network = request.name).entered();
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
    fn reserve_network(&self, request: &CreateNetwork) -> Result<Making<'_>, EngineError> {
        let _span = info_span!(target: SPANS, "reserve").entered();
        let id = NetworkId::from_bytes(self.random_bytes()?);
        let network = self.known.when_settled(|| {
            let seen = self.look_around(request, id)?;
            self.known
                .decide(|draft| self.choose_network(draft, request, &seen))
        })?;
        let mut making = Making::of(self, network);
        making.network = self.with_device(&making.network)?;
        let network = making.network.clone();
        self.known.change(|draft| draft.set_network(network));
        Ok(making)
    }

    /// What the host has to say about a new network.
    pub(crate) fn look_around(
        &self,
        request: &CreateNetwork,
        id: NetworkId,
    ) -> Result<Seen, EngineError> {
        Ok(Seen {
            id,
            avoid: self.prefixes_to_avoid()?,
            links: self.links_to_sit_on(request)?,
        })
    }

    /// The network with the device that it names, if the user made that.
    pub(crate) fn with_device(&self, network: &Arc<Driven>) -> Result<Arc<Driven>, EngineError> {
        let Some(device) = network.settings().adopts() else {
            return Ok(network.clone());
        };
        let Some(users_device) = self.users_device(device)? else {
            return Ok(network.clone());
        };
        self.check_link_mtu(&network.spec, device)?;
        Ok(Arc::new(Driven::of(Network {
            users_device: Some(users_device),
            ..Network::clone(network)
        })?))
    }

    /// Chooses what is open, but for the device.
    pub(crate) fn choose_network(
        &self,
        draft: &mut Snapshot,
        request: &CreateNetwork,
        seen: &Seen,
    ) -> Result<Arc<Driven>, EngineError> {
        let Seen { id, avoid, links } = seen;
        let around = Surroundings {
            state: draft,
            pools: &self.pools,
            avoid,
            defaults: &self.config.default_network_options,
        };
        let spec = specify(request, &around)?;
        let network = Arc::new(Driven::of(Network {
            id: *id,
            created: self.timestamp(),
            segments: 0,
            users_device: is_parent_given(&spec, links, draft).then(UsersDevice::default),
            spec,
        })?);
        network.dns_servers().map_err(EngineError::Invalid)?;
        check_network_mtu(&network)?;
        for link in network.settings().links(&network) {
            draft.check_free_soon(draft.with_link(&link))?;
        }
        check_beside_others(&network, links, draft)?;
        let pools = open_pools(&network)?;
        draft.put_network(NetworkState::new(network.clone(), pools, Phase::Making));
        Ok(network)
    }

    /// Makes a network in the kernel, then stores it: what is stored is always there, and what a
    /// crash leaves half made is swept.
    fn realize_network(&self, network: &Driven) -> Result<(), EngineError> {
        let (nothing, plan) = (Plan::default(), self.plan_of(network));
        let _flight = self.flights.begin(&nothing, &plan);
        self.apply_in_phase(&network.id, Phase::Arriving, &nothing, &plan)?;
        if let Err(error) = self.store_network(network) {
            let text = format!("network {} could not be stored", network.spec.name);
            let back = self.apply_in_phase(&network.id, Phase::Making, &plan, &nothing);
            if let Err(error) = back {
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

    /// Removes a network named by id, name or unique id prefix.
    pub fn remove_network(&self, reference: &str) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "remove network", network = reference).entered();
        self.known.when_settled(|| {
            let network = removable(&self.state(), reference)?;
            self.withdraw_network(&network)
        })
    }

    /// Takes a network out of the store, then out of the kernel. From before either it is found by
    /// none, so that no sandbox joins meanwhile; what it has is free when it is gone.
    fn withdraw_network(&self, network: &Driven) -> Result<(), EngineError> {
        let leaving = self.known.decide(|draft| {
            draft.find_settled(&network.id.to_string())?;
            draft.check_unused(network)?;
            draft.set_phase(&network.id, Phase::Leaving);
            Ok::<_, Refusal>(draft.network(&network.id).cloned())
        })?;
        let mut held = Held::remaining(&self.known, network.id);
        let mut batch = Batch::default();
        batch.delete(NETWORKS, network.id);
        if let Some(leaving) = &leaving {
            delete_expected(leaving, &mut batch);
        }
        if let Err(error) = self.store.commit(&batch) {
            let text = format!(
                "the removal of network {} could not be stored",
                network.spec.name
            );
            return Err(EngineError::failed(text, error));
        }
        held.remain(false);
        let (old, nothing) = (self.plan_of(network), Plan::default());
        let flight = self.flights.begin(&old, &nothing);
        let applied = self.apply_in_phase(&network.id, Phase::Gone, &old, &nothing);
        drop(held);
        drop(flight);
        self.forget_routes();
        self.end_passing(network);
        self.tell(NetworkAction::Destroy, network);
        applied
    }

    /// Removes every user-made network without endpoints that `chosen` picks; returns their names.
    pub fn prune_networks(
        &self,
        chosen: &dyn Fn(&Network) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        let Ok(_pruning) = self.pruning.try_lock() else {
            return Err(EngineError::Conflict(
                "a prune operation is already running".into(),
            ));
        };
        let candidates: Vec<Arc<Driven>> = {
            let state = self.state();
            let settled = |found: &&NetworkState| found.phase == Phase::Settled;
            let unused = state.networks().filter(settled);
            let unused = unused.filter(|found| found.members.is_empty());
            unused.map(|found| found.network.clone()).collect()
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
        let mut host = self.lock_host_plan();
        self.apply_beside(&mut host, old, new)
    }

    /// The same, the network being in another phase from then on: what the host needs for it comes
    /// or goes with it. If that is refused, the network is in the phase that it was in.
    fn apply_in_phase(
        &self,
        id: &NetworkId,
        phase: Phase,
        old: &Plan,
        new: &Plan,
    ) -> Result<(), EngineError> {
        let mut host = self.lock_host_plan();
        let before = self.known.change(|draft| {
            let before = draft.network(id).map(|found| found.phase);
            draft.set_phase(id, phase);
            before
        });
        let applied = self.apply_beside(&mut host, old, new);
        if let (Err(_), Some(before)) = (&applied, before) {
            self.known.change(|draft| draft.set_phase(id, before));
        }
        applied
    }

    fn apply_beside(&self, host: &mut Plan, old: &Plan, new: &Plan) -> Result<(), EngineError> {
        let wanted = self.host_plan(&self.state());
        let (mut from, mut to) = (host.clone(), wanted.clone());
        from.merge(old.clone());
        to.merge(new.clone());
        self.apply(&from, &to)?;
        *host = wanted;
        Ok(())
    }

    /// What the host should be like, given the networks there are.
    pub(crate) fn host_plan(&self, state: &Snapshot) -> Plan {
        let wanted = self.config.ip_forward;
        let networks = state.forwarding();
        let forward = PerFamily::from_fn(|family| networks[family] > 0 && wanted);
        let mut facts = self.facts();
        if self.config.ip_forward_no_drop {
            // As if forwarding had been on before us.
            (facts.ipv4_forwarding, facts.ipv6_forwarding) = (true, true);
        }
        // What passes within an adopted bridge is for its network to say.
        let adopted = |bridge: &InterfaceName| {
            state.on_the_hosts_links().any(|found| {
                let network = &found.network;
                network.users_device.is_some() && network.settings().device() == Some(bridge)
            })
        };
        facts.foreign_bridges.retain(|bridge| !adopted(bridge));
        let mut plan = plan_host(&facts, forward);
        for found in state.on_the_hosts_links() {
            plan.merge(plan_shared(&found.network));
        }
        plan
    }

    /// What a network should be like.
    pub(crate) fn plan_of(&self, network: &Driven) -> Plan {
        let _span = info_span!(target: SPANS, "plan").entered();
        plan_network(network, &self.facts())
    }

    /// Something the user should know about a new network. The facts that plans see leave out
    /// foreign firewalls where the configuration leaves them alone, so the kernel is asked.
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
        let family = IpFamily::of(subnet.addr());
        let taken: Vec<IpNet> = self.state().subnets().collect();
        let (total, left) = self.pools.room(family, &taken, &[]);
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
