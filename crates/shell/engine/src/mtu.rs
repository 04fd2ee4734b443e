//! How large packets have to be for IPv6: the kernel takes it off a link that carries less, and then
//! refuses addresses with a number that says nothing.

use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::drivers::parent::Parent;
use sealane_core::model::{EndpointSpec, InterfaceName, NetworkSpec, Sandbox};

/// The least MTU with which a link can have IPv6 (RFC 8200).
const IPV6_MTU: u32 = 1280;

impl Engine {
    /// Refuses an endpoint with IPv6 on a link of the host that is too small for it.
    pub(crate) fn check_endpoint_mtu(
        &self,
        sandbox: &Sandbox,
        network: &Driven,
        spec: &EndpointSpec,
    ) -> Result<(), EngineError> {
        let without = sandbox.ipv6_disabled || spec.disables_ipv6() || !network.spec.enable_ipv6;
        match network.settings().parent().map(Parent::name) {
            Some(parent) if !without => self.check_link_mtu(&network.spec, parent),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a network with IPv6 on a link of the host that is too small for it.
    pub(crate) fn check_link_mtu(
        &self,
        spec: &NetworkSpec,
        link: &InterfaceName,
    ) -> Result<(), EngineError> {
        let found = self.executor.kernel().link_mtu(link);
        let found = found.map_err(|error| {
            EngineError::failed(format!("cannot read the MTU of {link}"), error)
        })?;
        match found.filter(|mtu| spec.enable_ipv6 && *mtu < IPV6_MTU) {
            None => Ok(()),
            Some(mtu) => Err(EngineError::Invalid(format!(
                "network {} has IPv6, which needs an MTU of {IPV6_MTU} or more, and {link} has \
                 {mtu}: ip link set {link} mtu {IPV6_MTU}, or use a network without IPv6",
                spec.name
            ))),
        }
    }
}

/// Refuses an MTU of a network's own that is too small for its IPv6.
pub(crate) fn check_mtu(spec: &NetworkSpec, mtu: u32) -> Result<(), EngineError> {
    if !spec.enable_ipv6 || mtu >= IPV6_MTU {
        return Ok(());
    }
    Err(EngineError::Invalid(format!(
        "invalid MTU: {mtu}: a network with IPv6 needs {IPV6_MTU} or more; set \
         com.docker.network.driver.mtu of {} to that, or do without IPv6",
        spec.name
    )))
}

/// The same for a network that is made, whatever its driver.
pub(crate) fn check_network_mtu(network: &Driven) -> Result<(), EngineError> {
    let own = network.settings().mtu();
    match own.filter(|_| !network.spec.config_only) {
        Some(mtu) => check_mtu(&network.spec, mtu),
        None => Ok(()),
    }
}
