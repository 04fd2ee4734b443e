//! Room for more endpoints than one bridge has ports: another bridge, joined to the first.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::model::Network;
use std::sync::Arc;

impl Engine {
    /// Makes another bridge for a network whose bridges are full. One that does not exist, or has no
    /// bridge, is left to whoever reserves.
    pub(crate) fn make_room(&self, reference: &str) -> Result<(), EngineError> {
        if !self.lacks_room(reference) {
            return Ok(());
        }
        let _alone = self.growing.lock_ignoring_poison();
        if !self.lacks_room(reference) {
            return Ok(());
        }
        let old = self.state_with(reference)?.1;
        let new = Arc::new(Driven::of(Network {
            segments: old.segments + 1,
            ..Network::clone(&old)
        })?);
        let (from, to) = (self.plan_of(&old), self.plan_of(&new));
        self.apply_with_host(&from, &to)?;
        if let Err(error) = self.store_network(&new) {
            self.return_to(&to, &from);
            let text = format!(
                "another bridge of network {} could not be stored",
                new.spec.name
            );
            return Err(EngineError::failed(text, error));
        }
        if let Some(found) = self.state().networks.get_mut(&new.id) {
            found.network = new;
        }
        Ok(())
    }

    fn lacks_room(&self, reference: &str) -> bool {
        let state = self.state();
        let Ok(found) = state.find(reference) else {
            return false;
        };
        let network = &found.network;
        let can_grow = !network.spec.config_only && !found.in_making;
        let own = network.users_device.is_none();
        let capacity = network.settings().capacity().filter(|_| can_grow && own);
        capacity.is_some_and(|capacity| {
            network.segments < capacity.segments && !found.segment(capacity.endpoints).1
        })
    }
}
