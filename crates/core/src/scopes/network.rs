//! A network's scope: what its driver wants, once for all its endpoints.

use crate::drivers::bridge::{self, BridgeOptions, InvalidOption};
use crate::drivers::{host, null};
use crate::model::{DriverKind, Facts, Network};
use crate::plan::Plan;

/// A driver's options, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverOptions {
    /// A bridge's.
    Bridge(BridgeOptions),
    /// The host network has none.
    Host,
    /// The null network has none.
    Null,
}

impl DriverOptions {
    /// Reads the options of a network.
    pub fn of(network: &Network) -> Result<Self, InvalidOption> {
        Ok(match network.spec.driver {
            DriverKind::Bridge => Self::Bridge(BridgeOptions::of(network)?),
            DriverKind::Host => Self::Host,
            DriverKind::Null => Self::Null,
        })
    }
}

/// Returns the kernel objects of a network.
pub fn plan_network(network: &Network, facts: &Facts) -> Result<Plan, InvalidOption> {
    if network.spec.config_only {
        return Ok(Plan::default());
    }
    Ok(match DriverOptions::of(network)? {
        DriverOptions::Bridge(options) => bridge::plan_network(network, &options, facts),
        DriverOptions::Host => host::plan_network(),
        DriverOptions::Null => null::plan_network(),
    })
}
