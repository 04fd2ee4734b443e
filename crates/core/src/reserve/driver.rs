//! What reserving asks of a network's driver.

use super::Refusal;
use crate::model::{DriverKind, InterfaceName, Network};
use crate::scopes::DriverOptions;

/// The links that a network has on the host; none where its options cannot be read, as it was
/// refused then.
pub(super) fn links(network: &Network) -> Vec<InterfaceName> {
    DriverOptions::of(network).map_or_else(|_| vec![], |options| options.links(network))
}

/// Whether a network sits on a link of the host, or has adopted one.
pub(super) fn uses_the_hosts_links(network: &Network) -> bool {
    network.users_device.is_some()
        || DriverOptions::of(network).is_ok_and(|options| options.parent().is_some())
}

/// For IPv4 and IPv6: whether the host forwards for a network.
pub(super) fn forwards(network: &Network) -> [bool; 2] {
    let spec = &network.spec;
    let forwards = spec.driver == DriverKind::Bridge && !spec.config_only;
    [forwards && spec.enable_ipv4, forwards && spec.enable_ipv6]
}

/// What a driver gives an endpoint.
pub(super) struct Offer {
    /// How many endpoints share one of its devices.
    pub(super) per_device: Option<u16>,
    /// Whether the host calls an endpoint by an alias.
    pub(super) aliases: bool,
    /// Whether endpoints have hardware addresses of their own.
    pub(super) has_macs: bool,
    /// Whether they route through a gateway.
    pub(super) has_gateway: bool,
}

/// What a network's driver gives an endpoint.
pub(super) fn offer(network: &Network) -> Result<Offer, Refusal> {
    let options = DriverOptions::of(network)?;
    let bridge = match &options {
        DriverOptions::Bridge(options) => Some(options),
        DriverOptions::Host
        | DriverOptions::Null
        | DriverOptions::Macvlan(_)
        | DriverOptions::Ipvlan(_) => None,
    };
    Ok(Offer {
        per_device: bridge.map(|options| options.ports),
        aliases: bridge.is_some_and(|options| options.overlapping),
        has_macs: !matches!(options, DriverOptions::Ipvlan(_)),
        has_gateway: options.has_gateway(network),
    })
}
