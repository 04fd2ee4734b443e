//! A network's scope: what its driver wants, once for all its endpoints.

use crate::drivers::bridge::{self, BridgeOptions};
use crate::drivers::ipvlan::{self, IpvlanOptions};
use crate::drivers::macvlan::{self, MacvlanOptions};
use crate::drivers::parent::Parent;
use crate::drivers::{host, null};
use crate::model::{DriverKind, ErrorClass, Facts, InterfaceName, Network};
use crate::plan::Plan;
use thiserror::Error;

/// A driver's options, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverOptions {
    /// A bridge's.
    Bridge(BridgeOptions),
    /// The host network has none.
    Host,
    /// The null network has none.
    Null,
    /// A macvlan network's.
    Macvlan(MacvlanOptions),
    /// An ipvlan network's.
    Ipvlan(IpvlanOptions),
}

/// An option that a driver cannot read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidOption {
    /// A bridge's.
    #[error(transparent)]
    Bridge(#[from] bridge::InvalidOption),
    /// A macvlan network's.
    #[error(transparent)]
    Macvlan(#[from] macvlan::InvalidOption),
    /// An ipvlan network's.
    #[error(transparent)]
    Ipvlan(#[from] ipvlan::InvalidOption),
}

impl InvalidOption {
    /// What kind of failure Docker takes it for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Bridge(bridge::InvalidOption::Isolated) | Self::Macvlan(_) | Self::Ipvlan(_) => {
                ErrorClass::Internal
            }
            Self::Bridge(_) => ErrorClass::InvalidArgument,
        }
    }
}

impl DriverOptions {
    /// Reads the options of a network.
    pub fn of(network: &Network) -> Result<Self, InvalidOption> {
        Ok(match network.spec.driver {
            DriverKind::Bridge => Self::Bridge(BridgeOptions::of(network)?),
            DriverKind::Host => Self::Host,
            DriverKind::Null => Self::Null,
            DriverKind::Macvlan => Self::Macvlan(MacvlanOptions::of(network)?),
            DriverKind::Ipvlan => Self::Ipvlan(IpvlanOptions::of(network)?),
        })
    }

    /// The link of the host that endpoints sit on, for the drivers that have one.
    pub fn parent(&self) -> Option<&Parent> {
        match self {
            Self::Bridge(_) | Self::Host | Self::Null => None,
            Self::Macvlan(options) => Some(&options.parent),
            Self::Ipvlan(options) => Some(&options.parent),
        }
    }

    /// The link that endpoints sit on, where they and the host are to reach each other.
    pub fn shared_with_host(&self) -> Option<&InterfaceName> {
        let shim = match self {
            Self::Bridge(_) | Self::Host | Self::Null => None,
            Self::Macvlan(options) => options.shim.as_ref(),
            Self::Ipvlan(options) => options.shim.as_ref(),
        };
        shim.and(self.parent()).map(Parent::name)
    }

    /// The links that the network itself has on the host, but for its parent.
    pub fn links(&self, network: &Network) -> Vec<InterfaceName> {
        match self {
            Self::Bridge(options) => bridge::links(network, options),
            Self::Macvlan(options) => options.shim.iter().cloned().collect(),
            Self::Ipvlan(options) => options.shim.iter().cloned().collect(),
            Self::Host | Self::Null => vec![],
        }
    }

    /// Whether its endpoints can route through a gateway.
    pub fn has_gateway(&self, network: &Network) -> bool {
        self.leads_out(network) && !self.routes_by_link()
    }

    /// Whether its endpoints route everything to their link, and no gateway is asked.
    pub fn routes_by_link(&self) -> bool {
        match self {
            Self::Bridge(_) | Self::Host | Self::Null | Self::Macvlan(_) => false,
            Self::Ipvlan(options) => options.routes(),
        }
    }

    /// Whether anything outside can be reached by it.
    pub fn leads_out(&self, network: &Network) -> bool {
        let nowhere = self.parent().is_some_and(Parent::leads_nowhere);
        !network.spec.internal && !nowhere
    }
}

/// Returns the kernel objects of a network that no other one shares.
pub fn plan_network(network: &Network, facts: &Facts) -> Result<Plan, InvalidOption> {
    if network.spec.config_only {
        return Ok(Plan::default());
    }
    Ok(match DriverOptions::of(network)? {
        DriverOptions::Bridge(options) => bridge::plan_network(network, &options, facts),
        DriverOptions::Host => host::plan_network(),
        DriverOptions::Null => null::plan_network(),
        DriverOptions::Macvlan(options) => macvlan::plan_network(network, &options),
        DriverOptions::Ipvlan(options) => ipvlan::plan_network(&options),
    })
}

/// Returns what a network needs of the host and may share with others: the link that its endpoints
/// sit on, where that is ours to make.
pub fn plan_parent(network: &Network) -> Result<Plan, InvalidOption> {
    let has_one = [DriverKind::Macvlan, DriverKind::Ipvlan].contains(&network.spec.driver);
    if network.spec.config_only || !has_one {
        return Ok(Plan::default());
    }
    let options = DriverOptions::of(network)?;
    Ok(options.parent().map(Parent::plan).unwrap_or_default())
}
