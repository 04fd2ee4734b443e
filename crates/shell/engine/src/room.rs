//! Room for more endpoints than one bridge has ports: another bridge, joined to the first.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::drivers::bridge::{BridgeOptions, SEGMENTS};
use sealane_core::model::{DriverKind, Network};
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
        let new = Arc::new(Network {
            segments: old.segments + 1,
            ..Network::clone(&old)
        });
        let (from, to) = (self.plan_of(&old)?, self.plan_of(&new)?);
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
        let could = network.spec.driver == DriverKind::Bridge
            && !network.spec.config_only
            && !found.in_making
            && network.users_device.is_none()
            && network.segments < SEGMENTS;
        could && BridgeOptions::of(network).is_ok_and(|options| !found.segment(options.ports).1)
    }
}
