//! Packets that are too large for the way out.

use super::{Verdict, ok, or_else, warn};
use crate::{Daemon, Host};

/// Whether networks let larger packets through than the uplink.
pub(super) fn mtu(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let smallest = host.uplinks().into_iter().min_by_key(|link| link.mtu);
    let Some(uplink) = smallest else {
        return vec![ok("there is no way out whose packets could be too small")];
    };
    let networks = host
        .links
        .iter()
        .filter(|link| link.ours && link.kind == "bridge" && link.mtu > uplink.mtu);
    let found = networks.map(|link| {
        let name = name_of(&link.name, daemon);
        warn(
            format!(
                "{name} lets packets of {} bytes through, and the uplink {} only {}",
                link.mtu, uplink.name, uplink.mtu
            ),
            format!(
                "where answers that say so are filtered, large transfers hang: make the network anew with \
                 -o com.docker.network.driver.mtu={0}, or start the daemon with --mtu {0} for the default one",
                uplink.mtu
            ),
        )
    });
    or_else(found.collect(), || {
        ok(format!(
            "no network lets larger packets through than the uplink {} ({} bytes)",
            uplink.name, uplink.mtu
        ))
    })
}

/// What people call the network of a bridge.
fn name_of(link: &str, daemon: Option<&Daemon>) -> String {
    let mut networks = daemon.into_iter().flat_map(|daemon| &daemon.networks);
    let network = networks.find(|network| {
        let of_id = link.strip_prefix("br-");
        of_id.is_some_and(|start| !start.is_empty() && network.id.starts_with(start))
            || (link == "docker0" && network.name == "bridge")
    });
    match network {
        Some(network) => format!("network {}", network.name),
        None => format!("the network of {link}"),
    }
}
