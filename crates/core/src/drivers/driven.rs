//! A network with its driver, and its options as the driver has read them.

use super::{Driver, Refusal, Settings, find};
use crate::model::{Network, NetworkId};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// Networks, by id.
pub type Networks = BTreeMap<NetworkId, Arc<Driven>>;

/// A network whose options have been read, once: everything that depends on them is asked of its
/// [`Settings`]. Another network, or the same one altered, is another value.
#[derive(Clone, Debug)]
pub struct Driven {
    network: Network,
    driver: &'static dyn Driver,
    settings: Arc<dyn Settings>,
}

impl Driven {
    /// Reads the options of a network; the error is for the user.
    pub fn of(network: Network) -> Result<Self, Refusal> {
        let name = &network.spec.driver;
        let driver = find(name.as_str()).ok_or_else(|| Refusal::unknown_driver(name.as_str()))?;
        let settings = driver.read(&network)?;
        Ok(Self {
            network,
            driver,
            settings,
        })
    }

    /// What its driver is.
    pub fn driver(&self) -> &'static dyn Driver {
        self.driver
    }

    /// What its driver makes of it.
    pub fn settings(&self) -> &dyn Settings {
        &*self.settings
    }
}

impl Deref for Driven {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.network
    }
}

/// Equal networks have equal settings.
impl PartialEq for Driven {
    fn eq(&self, other: &Self) -> bool {
        self.network == other.network
    }
}

impl Eq for Driven {}
