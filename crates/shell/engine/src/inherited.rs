//! The default bridge that an engine before us left on the host: Docker's, or our own from a daemon
//! with other roots. Its address is what scripts and firewalls of the host know, so it stays.

use crate::{Engine, EngineError};
use ipnet::IpNet;
use sealane_core::model::{InterfaceName, NetworkSpec};
use sealane_core::nft::Family;
use sealane_core::plan::{Key, Netns, Object, Plan};

/// The device of the default bridge, as every script expects it.
pub(crate) const DOCKER0: &str = "docker0";
/// Docker's own program.
const DOCKERD: &str = "dockerd";
/// Its tables, where it does without iptables. What they drop stays dropped, whatever another table accepts.
const DOCKER_TABLE: &str = "docker-bridges";

impl Engine {
    /// Why a `docker0` of others cannot be the default bridge; `None` if it can.
    pub(crate) fn keeps_docker0(&self) -> Result<Option<String>, EngineError> {
        let failed = |error| EngineError::failed("cannot look for another engine", error);
        if self.executor.kernel().runs_here(DOCKERD).map_err(failed)? {
            return Ok(Some(format!("{DOCKER0} belongs to dockerd, which runs")));
        }
        let kernel = self.executor.kernel();
        let link = kernel.foreign_link(&interface(DOCKER0)?).map_err(failed)?;
        if let Some(owner) = link.and_then(|link| link.owner) {
            return Ok(Some(format!(
                "{DOCKER0} belongs to the daemon of owner {owner}"
            )));
        }
        for (family, word) in [(Family::Ip, "ip"), (Family::Ip6, "ip6")] {
            if kernel.has_table(family, DOCKER_TABLE).map_err(failed)? {
                return Ok(Some(format!(
                    "{DOCKER0} belongs to another engine, whose rules for it are still there: \
                     nft delete table {word} {DOCKER_TABLE}"
                )));
            }
        }
        Ok(None)
    }

    /// The addresses that a bridge of ours has although no network is stored that wants them.
    pub(crate) fn addresses_left_on(&self, device: &str) -> Result<Vec<IpNet>, EngineError> {
        let name = interface(device)?;
        let failed = |error| EngineError::failed(format!("cannot look at {device}"), error);
        let kernel = self.executor.kernel();
        if kernel.link_is_ours(&name).map_err(failed)? != Some(true) {
            return Ok(Vec::new());
        }
        let addresses = kernel.addresses().map_err(failed)?.into_iter();
        let own = addresses.filter(|address| address.link == device);
        Ok(own
            .map(|address| address.address)
            .filter(|net| !is_link_local(net))
            .collect())
    }

    /// Takes those of the addresses away that the network does not want, as Docker does.
    pub(crate) fn remove_left(
        &self,
        device: &str,
        left: &[IpNet],
        spec: &NetworkSpec,
    ) -> Result<(), EngineError> {
        let wanted = |net: &IpNet| {
            let mut subnets = spec.ipam.subnets.iter();
            subnets.any(|subnet| subnet.gateway == Some(net.addr()) && subnet.subnet == net.trunc())
        };
        let mut unwanted = Plan::default();
        for net in left.iter().filter(|net| !wanted(net)) {
            let key = Key::Address(Netns::Host, interface(device)?, *net);
            unwanted.add(key, Object::Present);
        }
        let removed = self.executor.remove(&unwanted);
        removed.map(drop).map_err(|error| {
            EngineError::failed(format!("cannot take old addresses from {device}"), error)
        })
    }
}

/// Whether an address is one that every link has.
pub(crate) fn is_link_local(net: &IpNet) -> bool {
    match net.addr() {
        std::net::IpAddr::V4(ip) => ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn interface(name: &str) -> Result<InterfaceName, EngineError> {
    InterfaceName::try_from(name).map_err(|error| EngineError::Invalid(error.to_string()))
}
