//! Subnets that are in two places.

use super::{Verdict, error, ok, or_else};
use crate::{Daemon, Host};
use ipnet::IpNet;
use sealane_core::drivers::Driver;
use sealane_kernel::read::OnLink;

/// Whether a network's subnet is also somewhere else on the host.
pub(super) fn addresses(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let Some(daemon) = daemon else {
        return vec![ok(
            "whether subnets overlap is known to a daemon, and none answers",
        )];
    };
    let ours = |route: &OnLink| {
        let mut links = host.links.iter();
        links.any(|link| link.name == route.link && link.ours)
    };
    let foreign: Vec<&OnLink> = host.on_link.iter().filter(|route| !ours(route)).collect();
    let mut found = Vec::new();
    for network in &daemon.networks {
        // These have the addresses of the LAN they are on.
        let upper = network.driver().and_then(Driver::kind_of_upper);
        if upper.is_some() {
            continue;
        }
        for subnet in &network.subnets {
            let clash = foreign.iter().find(|route| overlap(&route.prefix, subnet));
            found.extend(clash.map(|route| {
                error(
                    format!(
                        "{subnet} of network {} and {} on {} overlap, so that one of them is not reached",
                        network.name, route.prefix, route.link
                    ),
                    "make the network anew with another --subnet; the daemon avoids what is there when it \
                     chooses one itself",
                )
            }));
        }
    }
    or_else(found, || {
        ok("no network's subnet is anywhere else on the host")
    })
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
