//! What reserving asks of a network's driver.

use crate::drivers::{Driven, WayOut};

/// Whether a network sits on a link of the host, or has adopted one.
pub(super) fn uses_the_hosts_links(network: &Driven) -> bool {
    network.users_device.is_some() || network.settings().parent().is_some()
}

/// For IPv4 and IPv6: whether the host forwards for a network.
pub(super) fn forwards(network: &Driven) -> [bool; 2] {
    [false, true].map(|ipv6| network.settings().forwards(network, ipv6))
}

/// Whether endpoints route through a gateway.
pub(super) fn has_gateway(network: &Driven) -> bool {
    network.settings().way_out(network) == WayOut::Gateway
}

/// How many endpoints share one of its devices, where that has an end.
pub(super) fn per_device(network: &Driven) -> Option<u16> {
    let capacity = network.settings().capacity();
    capacity.map(|capacity| capacity.endpoints)
}
