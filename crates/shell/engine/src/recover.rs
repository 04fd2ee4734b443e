//! After a start, and after something else changed what is ours: back to what was saved.

use crate::event::HOST;
use crate::locks::LockIgnoringPoison;
use crate::networks::NETWORKS;
use crate::session::after_burial;
use crate::{Engine, EngineError, NetworkAction, NetworkEvent};
use sealane_core::drivers::Driven;
use sealane_core::model::{Facts, InterfaceName, Network, Sandbox, SandboxId};
use sealane_core::plan::{Change, Netns, Plan};
use sealane_core::reserve::{NetworkState, Phase, Snapshot, open_pools};
use sealane_core::scopes::{plan_network, plan_sandbox};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// The name under which the facts of this boot are kept.
const FACTS: &str = "facts";

impl Engine {
    /// Knows the stored networks again.
    pub(crate) fn load_networks(&self) -> Result<(), EngineError> {
        let stored: BTreeMap<String, Network> = self
            .store
            .load_all(NETWORKS)
            .map_err(|error| EngineError::failed("the stored networks cannot be read", error))?;
        for network in stored.into_values() {
            let name = network.spec.name.clone();
            let network = Driven::of(network).map_err(|refusal| {
                EngineError::failed(format!("stored network {name} cannot be read"), refusal)
            })?;
            let pools = open_pools(&network)?;
            let network = NetworkState::new(Arc::new(network), pools, Phase::Settled);
            self.known.change(|draft| draft.put_network(network));
        }
        Ok(())
    }

    /// Takes the kernel to what was saved: keeps the sandboxes that are `alive`, sweeps the rest,
    /// makes the default networks, starts to watch for foreign changes.
    pub fn recover(self: &Arc<Self>, alive: &BTreeSet<SandboxId>) -> Result<(), EngineError> {
        self.begin()?;
        self.read_facts()?;
        let alive = &self.with_given(alive);
        self.ensure_default_networks(alive)?;
        self.load_expected()?;
        let written = self.given_at_start.lock_ignoring_poison().clone();
        let kept = self.adopt_sandboxes(alive)?;
        after_burial(|| self.sweep())?;
        self.conform_all()?;
        self.forget_unused_given(&written);
        for sandbox in &kept {
            if let Some(sandbox) = self.sandbox(&sandbox.id) {
                self.resume(&sandbox);
            }
        }
        self.follow_lost_targets(&kept);
        self.pass_all();
        self.follow_host_resolver()?;
        self.look_for_conflicts()?;
        self.watch_given()?;
        self.watch()
    }

    /// Those that live, with those in namespaces of others that are still there.
    pub(crate) fn with_given(&self, alive: &BTreeSet<SandboxId>) -> BTreeSet<SandboxId> {
        let saved = self.saved.lock_ignoring_poison();
        let given = saved.values().filter(|saved| self.is_given_still(saved));
        alive
            .iter()
            .copied()
            .chain(given.map(|sandbox| sandbox.id))
            .collect()
    }

    /// Reads the facts. Whether the host forwarded packets before us is remembered from the first
    /// start of this boot: afterwards it does so because of us.
    pub(crate) fn read_facts(&self) -> Result<(), EngineError> {
        let mut facts = self.facts_now()?;
        facts.policy = self.config.policy;
        facts.policy.owned_table &= self.owns_tables();
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = facts;
        Ok(())
    }

    /// The facts as they are, but for what the flags decide.
    pub(crate) fn facts_now(&self) -> Result<Facts, EngineError> {
        let read = self.executor.kernel().facts();
        let mut facts =
            read.map_err(|error| EngineError::failed("cannot read facts of the host", error))?;
        let first = self.first_facts(&facts)?;
        facts.ipv4_forwarding = first.ipv4_forwarding;
        facts.ipv6_forwarding = first.ipv6_forwarding;
        facts.advertised = self.still_there(&first.advertised)?;
        if !self.config.firewall_integration {
            facts.ipv4_forward_drops = false;
            facts.ipv6_forward_drops = false;
        }
        Ok(facts)
    }

    /// The facts of the first start of this boot, with the links that came later: what a purge goes
    /// back to.
    fn first_facts(&self, now: &Facts) -> Result<Facts, EngineError> {
        let mut first = self.first_facts.lock_ignoring_poison();
        let known = first.as_ref();
        if known.is_none_or(|known| !known.advertised.is_superset(&now.advertised)) {
            let mut extended = known.unwrap_or(now).clone();
            extended.advertised.extend(now.advertised.iter().cloned());
            self.remember_facts(&extended)?;
            *first = Some(extended);
        }
        Ok(first.clone().unwrap_or_else(|| now.clone()))
    }

    /// Those of these links that the host still has.
    pub(crate) fn still_there(
        &self,
        links: &BTreeSet<InterfaceName>,
    ) -> Result<BTreeSet<InterfaceName>, EngineError> {
        let mut there = BTreeSet::new();
        for link in links {
            let exists = self.executor.kernel().link_exists(Netns::Host, link);
            if exists.map_err(|error| EngineError::failed("cannot look for a link", error))? {
                there.insert(link.clone());
            }
        }
        Ok(there)
    }

    fn remember_facts(&self, facts: &Facts) -> Result<(), EngineError> {
        self.facts_record.write(FACTS, facts).map_err(|error| {
            EngineError::failed("cannot remember what the host was like before", error)
        })
    }

    /// Keeps the saved sandboxes whose processes live, and forgets the others.
    pub(crate) fn adopt_sandboxes(
        &self,
        alive: &BTreeSet<SandboxId>,
    ) -> Result<Vec<Arc<Sandbox>>, EngineError> {
        let saved = std::mem::take(&mut *self.saved.lock_ignoring_poison());
        let (kept, ended): (Vec<_>, Vec<_>) = saved
            .into_values()
            .partition(|sandbox: &Sandbox| alive.contains(&sandbox.id));
        for sandbox in ended {
            self.remove_own_files(&sandbox);
            self.records
                .remove(&sandbox.id.to_string())
                .map_err(|error| {
                    EngineError::failed(format!("cannot forget sandbox {}", sandbox.name), error)
                })?;
        }
        let mut adopted = Vec::new();
        for sandbox in kept {
            let sandbox = Arc::new(self.without_mute_ports(sandbox)?);
            self.adopt_endpoints(&sandbox);
            let translated = sandbox.ports.iter().filter(|port| port.is_translated());
            let translated: Vec<_> = translated.cloned().collect();
            if self.config.one_call {
                self.ports.note(&translated, &sandbox.id);
            } else if let Err(error) = self.ports.adopt(&translated, &sandbox.id) {
                tracing::warn!(sandbox = sandbox.name, %error, "a published port is not bound");
            }
            adopted.push(sandbox);
        }
        self.ports.forget_kept();
        Ok(adopted)
    }

    /// The sandbox without ports that lead nowhere: a daemon that ended between a network's going
    /// and that of the ports, or an older one, may have left them.
    fn without_mute_ports(&self, sandbox: Sandbox) -> Result<Sandbox, EngineError> {
        if sandbox.host || sandbox.ports.is_empty() || self.way_out(&sandbox).is_some() {
            return Ok(sandbox);
        }
        let silent = Sandbox {
            ports: Vec::new(),
            ..sandbox
        };
        self.save_sandbox(&silent)?;
        Ok(silent)
    }

    /// Serves a sandbox of an earlier run again. What fails is logged and does not stop the others.
    fn resume(&self, saved: &Arc<Sandbox>) {
        if let Err(error) = self.serve_given(saved) {
            tracing::warn!(sandbox = saved.name, %error, "names are not served");
        }
        let sandbox = &self.sandbox(&saved.id).unwrap_or_else(|| saved.clone());
        let resolver = match sandbox.resolver_ports == saved.resolver_ports {
            true => self.start_resolver(sandbox),
            false => Ok(()), // it was just started, or cannot be
        };
        let resumed = resolver
            .and_then(|()| self.activate_ports(sandbox))
            .map(|()| self.announce_again(sandbox));
        if let Err(error) = resumed {
            tracing::warn!(sandbox = sandbox.name, %error, "cannot serve a running sandbox again");
        }
        self.publish_names(sandbox);
        // A change of its network may have ended before its files had followed.
        if !sandbox.host
            && let Err(error) = self.update_files(sandbox, sandbox)
        {
            tracing::warn!(sandbox = sandbox.name, %error, "its files are not up to date");
        }
    }

    /// Announces the addresses of a sandbox as when it was attached: its neighbors may have learnt
    /// another hardware address, or lost it, while no daemon looked.
    fn announce_again(&self, sandbox: &Sandbox) {
        self.executor.announce(&self.plan_of_sandbox(sandbox));
    }

    /// Compares everything ours with what was saved, and repairs it, but for what operations are
    /// about to change: those are not waited for.
    pub(crate) fn sweep(&self) -> Result<Vec<Change>, EngineError> {
        let mut host = self.lock_host_plan();
        let window = self.flights.open();
        let state = self.state();
        let wanted = self.everything_of(&state);
        *host = self.host_plan(&state);
        let failed = |error| EngineError::failed("the host could not be brought in line", error);
        let swept = self.executor.sweep(&wanted, &|keys| window.admit(keys));
        let swept = swept.map_err(failed)?;
        self.executor
            .sweep_namespaces(&wanted, &|| window.spared())
            .map_err(failed)?;
        drop(window);
        drop(host);
        self.note_without_parent(&swept.without_parent);
        Ok(swept.changes)
    }

    /// What is on the host otherwise than it was saved, a line for each object: what a repair would
    /// change. Nothing is changed.
    pub fn drift(&self) -> Result<Vec<String>, EngineError> {
        let window = self.flights.open();
        let wanted = self.everything();
        let drift = self.executor.drift(&wanted, &|keys| window.admit(keys));
        let drift = drift.map_err(|error| EngineError::failed("the host cannot be read", error))?;
        Ok(drift.iter().map(ToString::to_string).collect())
    }

    /// Everything that should be in the kernel because of us, one object a line.
    pub fn wanted(&self) -> String {
        self.everything().to_string()
    }

    /// The plan of all scopes together.
    pub(crate) fn everything(&self) -> Plan {
        self.everything_of(&self.state())
    }

    fn everything_of(&self, state: &Snapshot) -> Plan {
        let facts = self.facts();
        let mut plan = self.host_plan(state);
        let mut networks = state.made_networks();
        networks.retain(|_, network| self.has_device(network));
        for network in networks.values() {
            plan.merge(plan_network(network, &facts));
        }
        for sandbox in state.sandboxes() {
            plan.merge(plan_sandbox(sandbox, &networks, &facts));
        }
        plan
    }

    /// Looks again after something else changed the host, and tells what had to be put back, a
    /// line each.
    pub(crate) fn repair(&self) -> Result<Vec<String>, EngineError> {
        self.read_facts()?;
        let changes = self.sweep()?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.tell_repaired(&changes);
        Ok(changes.iter().map(ToString::to_string).collect())
    }

    /// Says what had to be put back: in the log, as an event, and as a figure.
    pub(crate) fn tell_repaired(&self, changes: &[Change]) {
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.measures.repairs.fetch_add(count, Ordering::Relaxed);
        let text = lines.join("\n");
        tracing::warn!("repaired what something else had changed:\n{text}");
        (self.events)(NetworkEvent {
            action: NetworkAction::Repair(text),
            network: None,
            name: "host".into(),
            driver: HOST,
        });
    }
}
