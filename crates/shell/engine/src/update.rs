//! A network changed in place, with all its endpoints, while they run.
//!
//! The network is stored first: after a crash it is the truth, and the endpoints follow from it.
//! [`Engine::conform_all`] brings them in line, in the operation and at the next start alike.

use crate::alter::altered;
use crate::networks::open_pools;
use crate::reserve::conform;
use crate::specify::Surroundings;
use crate::state::State;
use crate::{Engine, EngineError, NetworkAction, NetworkChange};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::ipam::Pool;
use sealane_core::model::{Network, NetworkId, Sandbox};
use sealane_core::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// A sandbox before and after a change of one of its networks.
type Followed = (Arc<Sandbox>, Arc<Sandbox>);

impl Engine {
    pub(crate) fn alter_network(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(), EngineError> {
        // Nothing else runs meanwhile: no endpoint is half made of the old network.
        let alone = self.operations.write();
        let _alone = alone.unwrap_or_else(PoisonError::into_inner);
        let (old, new) = self.plan_alteration(reference, change)?;
        if *old == *new {
            return Ok(());
        }
        let before = self.plan_with_members(&old);
        self.stored(&new)?;
        let followed = match self.take_over(&old, &new, &before) {
            Ok(followed) => followed,
            Err(error) => {
                self.replace_network(&old)?;
                self.stored(&old)?;
                return Err(error);
            }
        };
        self.follow_all(&new, &followed);
        for (_, sandbox) in &followed {
            self.keep_leases(sandbox)?;
        }
        self.tell(NetworkAction::Update, &new);
        Ok(())
    }

    /// The plans before and after [`Engine::alter_network`]; everything is as it was afterwards.
    pub(crate) fn preview_alteration(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(Plan, Plan), EngineError> {
        let alone = self.operations.write();
        let _alone = alone.unwrap_or_else(PoisonError::into_inner);
        let (old, new) = self.plan_alteration(reference, change)?;
        let mut from = self.lock_host_plan().clone();
        from.merge(self.plan_with_members(&old));
        self.replace_network(&new)?;
        let mut followed = Vec::new();
        let after = self
            .conforming(&BTreeSet::from([new.id]), |_, error| Err(error))
            .map(|list| {
                followed = list;
                for (_, sandbox) in &followed {
                    self.state().sandboxes.insert(sandbox.id, sandbox.clone());
                }
                let mut to = self.host_plan(None);
                to.merge(self.plan_with_members(&new));
                to
            });
        for (sandbox, _) in followed {
            self.state().sandboxes.insert(sandbox.id, sandbox);
        }
        // It counts its members' addresses anew, so that what was reserved is free again.
        self.replace_network(&old)?;
        Ok((from, after?))
    }

    /// The network as it is and as it shall be.
    fn plan_alteration(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(Arc<Driven>, Arc<Driven>), EngineError> {
        let avoid = self.prefixes_to_avoid()?;
        let state = self.state();
        let old = state.find(reference)?.network.clone();
        if old.is_predefined() {
            return Err(EngineError::Forbidden(format!(
                "{} is a pre-defined network and cannot be updated; its settings are flags of the \
                 daemon",
                old.spec.name
            )));
        }
        let around = Surroundings {
            state: &state,
            pools: &self.pools,
            avoid: &avoid,
            defaults: &BTreeMap::new(),
        };
        let new = Arc::new(altered(&old, change, &around)?);
        pools_with_members(&state, &new)?;
        Ok((old, new))
    }

    /// Takes members, kernel and records from the old network to the new one, which is stored.
    fn take_over(
        &self,
        old: &Arc<Driven>,
        new: &Arc<Driven>,
        before: &Plan,
    ) -> Result<Vec<Followed>, EngineError> {
        self.replace_network(new)?;
        let followed = self.conforming(&BTreeSet::from([new.id]), |_, error| Err(error))?;
        for (_, sandbox) in &followed {
            self.state().sandboxes.insert(sandbox.id, sandbox.clone());
        }
        let after = self.plan_with_members(new);
        let done = self.apply_with_host(before, &after).and_then(|()| {
            let saved = followed
                .iter()
                .try_for_each(|(_, new)| self.save_sandbox(new));
            saved.inspect_err(|_| self.return_to(&after, before))
        });
        if done.is_err() {
            tracing::debug!(network = old.spec.name, "taking back a change");
            for (sandbox, _) in &followed {
                self.state().sandboxes.insert(sandbox.id, sandbox.clone());
                self.save_sandbox(sandbox)?;
            }
        }
        done.map(|()| followed)
    }

    /// Brings sandboxes that were saved before a crash in line with their networks, which were
    /// stored first. What fails is told, and does not stop the others.
    pub(crate) fn conform_all(&self) -> Result<(), EngineError> {
        let networks: BTreeSet<NetworkId> = self.state().networks.keys().copied().collect();
        let refused = |sandbox: &Sandbox, error: EngineError| {
            not_followed(sandbox, &error);
            Ok(())
        };
        for (old, new) in self.conforming(&networks, refused)? {
            let (from, to) = (self.plan_of_sandbox(&old), self.plan_of_sandbox(&new));
            let conformed = self
                .apply(&from, &to)
                .and_then(|()| self.save_sandbox(&new));
            if let Err(error) = conformed {
                not_followed(&old, &error);
                continue;
            }
            self.state().sandboxes.insert(new.id, new.clone());
            if let Err(error) = self.update_files(&old, &new) {
                tracing::warn!(sandbox = old.name, %error, "its files are not up to date");
            }
        }
        Ok(())
    }

    /// The sandboxes on some networks whose endpoints are not as the networks say, with what they
    /// should be. New addresses are reserved; of a sandbox that cannot have them, `refused` decides
    /// whether the others go on.
    fn conforming(
        &self,
        networks: &BTreeSet<NetworkId>,
        refused: impl Fn(&Sandbox, EngineError) -> Result<(), EngineError>,
    ) -> Result<Vec<Followed>, EngineError> {
        let now = self.uptime();
        let mut state = self.state();
        let mut sandboxes: Vec<Arc<Sandbox>> = state.sandboxes.values().cloned().collect();
        // In an order that people expect, and that is the same after a crash.
        sandboxes.sort_by_key(|sandbox| {
            let mut endpoints = sandbox.endpoints.values();
            endpoints
                .find(|endpoint| networks.contains(&endpoint.network))
                .map(|end| end.ipv4)
        });
        let mut followed = Vec::new();
        for old in sandboxes {
            let mut new = Sandbox::clone(&old);
            let conformed = new.endpoints.iter_mut().try_for_each(|(id, endpoint)| {
                let found = state.networks.get_mut(id).filter(|_| networks.contains(id));
                found.map_or(Ok(()), |found| conform(found, &old, endpoint, now))
            });
            match conformed {
                Ok(()) if new != *old => followed.push((old, Arc::new(new))),
                Ok(()) => {}
                Err(error) => refused(&old, error)?,
            }
        }
        Ok(followed)
    }

    /// The plan of a network with everything of the sandboxes on it.
    fn plan_with_members(&self, network: &Driven) -> Plan {
        let mut plan = self.plan_of(network);
        for sandbox in self.members(network) {
            plan.merge(self.plan_of_sandbox(&sandbox));
        }
        // Nobody new is there, and connections go on.
        plan.without_forgetting()
    }

    fn replace_network(&self, network: &Arc<Driven>) -> Result<(), EngineError> {
        let mut state = self.state();
        let pools = pools_with_members(&state, network)?;
        if let Some(found) = state.networks.get_mut(&network.id) {
            found.network = network.clone();
            found.pools = pools;
            found.hold_all();
        }
        Ok(())
    }

    fn stored(&self, network: &Network) -> Result<(), EngineError> {
        self.store_network(network).map_err(|error| {
            let text = format!(
                "the change of network {} could not be stored",
                network.spec.name
            );
            EngineError::failed(text, error)
        })
    }

    /// Brings what is outside the kernel in line for all members; the change itself has happened.
    fn follow_all(&self, network: &Network, followed: &[Followed]) {
        for new in self.members(network) {
            let changed = followed.iter().find(|(_, changed)| changed.id == new.id);
            let old = changed.map_or(&new, |(old, _)| old);
            if let Err(error) = self.follow_change(old, &new) {
                tracing::warn!(sandbox = new.name, %error, "its names or files are not up to date");
            }
        }
    }

    fn members(&self, network: &Network) -> Vec<Arc<Sandbox>> {
        let state = self.state();
        let on = |sandbox: &&Arc<Sandbox>| sandbox.endpoints.contains_key(&network.id);
        state.sandboxes.values().filter(on).cloned().collect()
    }
}

fn not_followed(sandbox: &Sandbox, error: &EngineError) {
    let error = chain(error);
    tracing::error!(
        sandbox = sandbox.name,
        error,
        "a network's change was not followed"
    );
}

/// The pools of a network, with the addresses that its members have.
fn pools_with_members(state: &State, network: &Network) -> Result<Vec<(IpNet, Pool)>, EngineError> {
    let mut pools = open_pools(network)?;
    let endpoints = state.sandboxes.values().filter_map(|sandbox| {
        let endpoint = sandbox.endpoints.get(&network.id)?;
        Some((sandbox, endpoint))
    });
    for (sandbox, endpoint) in endpoints {
        for address in endpoint.addresses() {
            let mut pool = pools
                .iter_mut()
                .filter(|(subnet, _)| subnet.contains(&address));
            if let Some((_, pool)) = pool.next() {
                pool.reserve(address).map_err(|error| {
                    EngineError::Forbidden(format!("{address} of {}: {error}", sandbox.name))
                })?;
            }
        }
    }
    Ok(pools)
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
