//! A network changed in place, with all its endpoints, while they run.
//!
//! The network is stored first: after a crash it is the truth, and the endpoints follow from it.
//! [`Engine::conform_all`] brings them in line, in the operation and at the next start alike.

use crate::alter::altered;
use crate::held::Held;
use crate::locks::Own;
use crate::measure::Action;
use crate::routes::Avoid;
use crate::specify::Surroundings;
use crate::{Engine, EngineError, NetworkAction, NetworkChange, SPANS};
use sealane_core::drivers::Driven;
use sealane_core::model::{Network, Sandbox, SandboxId};
use sealane_core::plan::Plan;
use sealane_core::reserve::{Conformed, Phase, Refusal, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::info_span;

/// A network before and after its change.
type Altered = (Arc<Driven>, Arc<Driven>);

impl Engine {
    /// Changes a network in place, with all its endpoints, while they run. All or nothing.
    pub fn update_network(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "update network", network = reference).entered();
        let update = || self.try_update(reference, change);
        self.measures.time(Action::Update, update)
    }

    fn try_update(&self, reference: &str, change: &NetworkChange) -> Result<(), EngineError> {
        let Some((old, new)) = self
            .known
            .when_settled(|| self.begin_update(reference, change))?
        else {
            return Ok(());
        };
        let held = Held::remaining(&self.known, new.id);
        self.update_with_members(&old, &new)?;
        drop(held);
        self.tell(NetworkAction::Update, &new);
        Ok(())
    }

    /// The network as it is and as it shall be, if that differs: then no sandbox joins it until it is
    /// settled.
    fn begin_update(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<Option<Altered>, EngineError> {
        let avoid = self.prefixes_to_avoid()?;
        self.known.decide(|draft| {
            draft.find_settled(reference)?;
            let (old, new) = self.plan_update(draft, reference, change, &avoid)?;
            if *old == *new {
                return Ok(None);
            }
            draft.set_phase(&old.id, Phase::Changing);
            Ok(Some((old, new)))
        })
    }

    /// Changes a network that is held for it. Its members are held, too, in their order: no endpoint
    /// is half made of the old network.
    fn update_with_members(&self, old: &Arc<Driven>, new: &Arc<Driven>) -> Result<(), EngineError> {
        let members: Vec<SandboxId> = match self.state().network(&old.id) {
            Some(found) => found.members.keys().copied().collect(),
            None => vec![],
        };
        let locks: Vec<_> = members.into_iter().map(|id| self.locks.of(id)).collect();
        let _held: Vec<_> = locks.iter().map(Own::hold).collect();
        let before = self.plan_with_members(&self.state(), old);
        self.stored(new)?;
        let followed = match self.take_over(old, new, &before) {
            Ok(followed) => followed,
            Err(error) => {
                self.replace_network(old)?;
                // The host may have been given what only the new one needs.
                let nothing = Plan::default();
                if let Err(error) = self.apply_with_host(&nothing, &nothing) {
                    tracing::warn!(%error, "cannot take back a change; the next sweep will");
                }
                self.stored(old)?;
                return Err(error);
            }
        };
        self.follow_all(new, &followed);
        Ok(())
    }

    /// The plans before and after [`Engine::update_network`], of a draft.
    pub(crate) fn preview_update(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(Plan, Plan), EngineError> {
        let (avoid, now) = (self.prefixes_to_avoid()?, self.uptime());
        let known = self.state();
        let (old, new) = self.plan_update(&known, reference, change, &avoid)?;
        let mut from = self.host_plan(&known);
        from.merge(self.plan_with_members(&known, &old));
        let (draft, ()) = known.decided(|draft| {
            draft.replace_network(&new)?;
            let followed = draft.conform(&[new.id].into(), now, |_, refusal| Err(refusal))?;
            for (_, sandbox) in followed {
                draft.put_sandbox(sandbox);
            }
            Ok::<_, Refusal>(())
        })?;
        let mut to = self.host_plan(&draft);
        to.merge(self.plan_with_members(&draft, &new));
        Ok((from, to))
    }

    /// The network as it is and as it shall be.
    fn plan_update(
        &self,
        state: &Snapshot,
        reference: &str,
        change: &NetworkChange,
        avoid: &Avoid,
    ) -> Result<Altered, EngineError> {
        let old = state.find(reference)?.network.clone();
        if old.is_predefined() {
            return Err(EngineError::Forbidden(format!(
                "{} is a pre-defined network and cannot be updated; its settings are flags of the \
                 daemon",
                old.spec.name
            )));
        }
        let around = Surroundings {
            state,
            pools: &self.pools,
            avoid,
            defaults: &BTreeMap::new(),
        };
        let new = Arc::new(altered(&old, change, &around)?);
        state.pools_with_members(&new)?;
        Ok((old, new))
    }

    /// Takes members, kernel and records from the old network to the new one, which is stored.
    fn take_over(
        &self,
        old: &Arc<Driven>,
        new: &Arc<Driven>,
        before: &Plan,
    ) -> Result<Vec<Conformed>, EngineError> {
        let now = self.uptime();
        let followed = self.known.decide(|draft| {
            draft.replace_network(new)?;
            let followed = draft.conform(&[new.id].into(), now, |_, refusal| Err(refusal))?;
            for (_, sandbox) in &followed {
                draft.put_sandbox(sandbox.clone());
            }
            Ok::<_, Refusal>(followed)
        })?;
        let after = self.plan_with_members(&self.state(), new);
        let _flight = self.flights.begin(before, &after);
        let done = self.apply_with_host(before, &after).and_then(|()| {
            let keep = |new: &Sandbox| self.keep_leases(new).and_then(|()| self.save_sandbox(new));
            let saved = followed.iter().try_for_each(|(_, new)| keep(new));
            saved.inspect_err(|_| self.return_to(&after, before))
        });
        if done.is_err() {
            tracing::debug!(network = old.spec.name, "taking back a change");
            let old = || followed.iter().map(|(old, _)| old);
            self.known.change(|draft| {
                old()
                    .cloned()
                    .for_each(|sandbox| draft.put_sandbox(sandbox))
            });
            for sandbox in old() {
                if let Err(error) = self.save_sandbox(sandbox) {
                    tracing::warn!(sandbox = sandbox.name, %error, "is saved as it was to be");
                }
            }
        }
        done.map(|()| followed)
    }

    /// Brings sandboxes that were saved before a crash in line with their networks, which were
    /// stored first. What fails is logged, and does not stop the others.
    pub(crate) fn conform_all(&self) -> Result<(), EngineError> {
        let networks = self.state();
        let networks = networks.networks().map(|found| found.network.id).collect();
        let refused = |sandbox: &Sandbox, refusal: Refusal| {
            not_followed(sandbox, &refusal);
            Ok(())
        };
        let now = self.uptime();
        let followed = self
            .known
            .decide(|draft| draft.conform(&networks, now, refused))?;
        for (old, new) in followed {
            let (from, to) = (self.plan_of_sandbox(&old), self.plan_of_sandbox(&new));
            let conformed = self
                .apply(&from, &to)
                .and_then(|()| self.save_sandbox(&new));
            if let Err(error) = conformed {
                not_followed(&old, &error);
                continue;
            }
            self.known.change(|draft| draft.put_sandbox(new.clone()));
            if let Err(error) = self.update_files(&old, &new) {
                tracing::warn!(sandbox = old.name, %error, "its files are not up to date");
            }
        }
        Ok(())
    }

    /// The plan of a network with everything of the sandboxes on it.
    fn plan_with_members(&self, state: &Snapshot, network: &Driven) -> Plan {
        let mut plan = self.plan_of(network);
        for sandbox in state.members_of(&network.id) {
            plan.merge(self.plan_of_sandbox_in(state, sandbox));
        }
        // No endpoint is new, and connections go on.
        plan.without_forgetting()
    }

    fn replace_network(&self, network: &Arc<Driven>) -> Result<(), Refusal> {
        self.known.decide(|draft| draft.replace_network(network))
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
    fn follow_all(&self, network: &Driven, followed: &[Conformed]) {
        for new in self.state().members_of(&network.id) {
            let changed = followed.iter().find(|(_, changed)| changed.id == new.id);
            let old = changed.map_or(new, |(old, _)| old);
            if let Err(error) = self.follow_change(old, new) {
                tracing::warn!(sandbox = new.name, %error, "its names or files are not up to date");
            }
        }
    }
}

fn not_followed(sandbox: &Sandbox, error: &dyn std::error::Error) {
    let error = chain(error);
    tracing::error!(
        sandbox = sandbox.name,
        error,
        "a network's change was not followed"
    );
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
