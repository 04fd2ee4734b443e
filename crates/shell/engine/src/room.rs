//! Room for more endpoints than one bridge has ports: another bridge, joined to the first.

use crate::held::Held;
use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::model::Network;
use sealane_core::reserve::{Phase, Refusal};
use std::sync::Arc;

impl Engine {
    /// Makes another bridge for a network whose bridges are full. One that does not exist, or has no
    /// bridge, is left to the reservation, which refuses it.
    pub(crate) fn make_room(&self, reference: &str) -> Result<(), EngineError> {
        let Some(old) = self.lacks_room(reference)? else {
            return Ok(());
        };
        let held = Held::remaining(&self.known, old.id);
        let new = Arc::new(Driven::of(Network {
            segments: old.segments + 1,
            ..Network::clone(&old)
        })?);
        self.grow(&old, &new)?;
        self.known.change(|draft| draft.set_network(new));
        drop(held);
        Ok(())
    }

    fn grow(&self, old: &Driven, new: &Driven) -> Result<(), EngineError> {
        let (from, to) = (self.plan_of(old), self.plan_of(new));
        let _flight = self.flights.begin(&from, &to);
        self.apply_with_host(&from, &to)?;
        self.store_network(new).map_err(|error| {
            self.return_to(&to, &from);
            let text = format!(
                "another bridge of network {} could not be stored",
                new.spec.name
            );
            EngineError::failed(text, error)
        })
    }

    /// The network if it lacks room: it is being changed then.
    fn lacks_room(&self, reference: &str) -> Result<Option<Arc<Driven>>, Refusal> {
        self.known.decide(|draft| {
            let network = match draft.find_settled(reference) {
                Ok(found) => found.network.clone(),
                Err(refusal @ Refusal::Unsettled(_)) => return Err(refusal),
                Err(_) => return Ok(None),
            };
            let lacks = draft.lacks_room(&network.id);
            if lacks {
                draft.set_phase(&network.id, Phase::Changing);
            }
            Ok(lacks.then_some(network))
        })
    }
}
