//! Settings of which the kernel sends no notification when others change them, such as
//! `route_localnet` and `proxy_arp_pvlan`: they are looked at, a few every second.

use crate::{Engine, EngineError};
use sealane_core::model::NetworkId;
use sealane_core::plan::{Key, Netns, Object, Plan};
use sealane_core::reserve::{NetworkState, Phase};
use std::time::Duration;

/// How often is looked.
const OFTEN: Duration = Duration::from_secs(1);
/// How often where what differs cannot be put back.
const SELDOM: Duration = Duration::from_secs(60);
/// How many networks at a time: of a host with thousands, all would be felt.
const AT_ONCE: usize = 8;

/// Whose turn it is, and when.
#[derive(Debug)]
pub(crate) struct Round {
    last: Option<NetworkId>,
    pub(crate) pause: Duration,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            last: None,
            pause: OFTEN,
        }
    }
}

impl Round {
    /// Looks less often as long as what is found cannot be put back.
    pub(crate) fn learn(&mut self, all_is_well: bool) {
        self.pause = match all_is_well {
            true => OFTEN,
            false => (self.pause * 2).min(SELDOM),
        };
    }
}

impl Engine {
    /// Whether a setting of the host is not as it is wanted, as far as it is its turn.
    pub(crate) fn settings_differ(&self, round: &mut Round) -> Result<bool, EngineError> {
        let mut wanted = settings(&self.plan_of_next(round));
        // An operation that is changing it sets what it needs.
        if let Ok(host) = self.host_plan.try_lock() {
            wanted.extend(settings(&host));
        }
        let wanted: Vec<(&Key, &Object)> = wanted.iter().map(|(key, value)| (key, value)).collect();
        let differing = self.executor.kernel().differing(&wanted);
        let differing =
            differing.map_err(|error| EngineError::failed("the settings cannot be read", error))?;
        Ok(!differing.is_empty())
    }

    /// The plan of the networks whose turn it is.
    fn plan_of_next(&self, round: &mut Round) -> Plan {
        let state = self.state();
        let mut next: Vec<&NetworkState> = state.networks_after(round.last).take(AT_ONCE).collect();
        round.last = next.last().map(|found| found.network.id);
        if next.len() < AT_ONCE {
            round.last = None;
        }
        next.retain(|found| found.phase == Phase::Settled && self.has_device(&found.network));
        let mut plan = Plan::default();
        for found in next {
            plan.merge(self.plan_of(&found.network));
        }
        plan
    }
}

/// The settings of the host in a plan.
fn settings(plan: &Plan) -> Vec<(Key, Object)> {
    let all = plan.objects().iter();
    let settings = all.filter(|(key, _)| matches!(key, Key::Setting(Netns::Host, _)));
    settings
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
