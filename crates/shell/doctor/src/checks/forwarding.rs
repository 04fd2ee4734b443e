//! Settings of the kernel by which packets pass, or do not.

use super::{Verdict, error, listed, ok, or_else, warn};
use crate::{Daemon, DaemonNetwork, Host};
use sealane_core::drivers::Driver;
use sealane_core::model::IpFamily;

/// Whether the host forwards packets where its networks need it.
pub(super) fn forwarding(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let has_networks = daemon.is_some_and(|daemon| {
        let mut drivers = daemon.networks.iter().filter_map(DaemonNetwork::driver);
        drivers.any(Driver::forwards)
    });
    let needs_ipv6 = daemon.is_some_and(|daemon| {
        let mut subnets = daemon.networks.iter().flat_map(|n| &n.subnets);
        subnets.any(|subnet| matches!(subnet, ipnet::IpNet::V6(_)))
    });
    let mut found = Vec::new();
    for (family, setting, needed) in [
        ("IPv4", "ipv4/ip_forward", has_networks),
        ("IPv6", "ipv6/conf/all/forwarding", needs_ipv6),
    ] {
        if needed && !host.is_on(setting) {
            found.push(error(
                format!("{family} forwarding is off, so no container reaches anything outside"),
                format!(
                    "set net.{} = 1, and look who turns it off in /etc/sysctl.d",
                    setting.replace('/', ".")
                ),
            ));
        }
    }
    or_else(found, || {
        ok(if host.is_on("ipv4/ip_forward") {
            "packets are forwarded"
        } else {
            "packets are not forwarded yet; the daemon turns that on with the first network"
        })
    })
}

/// Whether an uplink keeps the default route that it has from its router.
pub(super) fn router_advertisements(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let forwards = host.is_on("ipv6/conf/all/forwarding");
    // 1: take them unless this host is a router, and one that forwards is.
    let deaf = |name: &&str| host.number(&format!("ipv6/conf/{name}/accept_ra")) == Some(1);
    let mut uplinks: Vec<&str> = host
        .ways_out
        .iter()
        .filter(|way| way.family == IpFamily::V6 && way.advertised)
        .map(|way| way.link.as_str())
        .filter(deaf)
        .collect();
    uplinks.dedup();
    if !forwards || uplinks.is_empty() {
        return vec![ok("routes that routers advertise are kept")];
    }
    let name = uplinks[0];
    vec![warn(
        format!(
            "IPv6 is forwarded, so {} will lose the default route that its router advertises",
            listed(&uplinks)
        ),
        format!("set net.ipv6.conf.{name}.accept_ra = 2"),
    )]
}

/// Whether bridged frames pass the IP hooks.
pub(super) fn bridge_netfilter(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let (v4, v6) = (
        host.is_on("bridge/bridge-nf-call-iptables"),
        host.is_on("bridge/bridge-nf-call-ip6tables"),
    );
    vec![match (v4, v6) {
        (true, true) => ok(
            "bridged packets pass the firewall (br_netfilter is on); networks work with it on or off",
        ),
        (false, false) => ok(
            "bridged packets do not pass the firewall (br_netfilter is off); networks work with it on or off",
        ),
        (true, false) | (false, true) => warn(
            "bridged packets pass the firewall in one family only, so that rules mean different things for IPv4 and IPv6",
            "set net.bridge.bridge-nf-call-iptables and -ip6tables to the same value",
        ),
    }]
}

/// Whether answers may come back by another uplink.
pub(super) fn reverse_path(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let all = host.number("ipv4/conf/all/rp_filter").unwrap_or_default();
    let strict = |name: &str| {
        let own = host.number(&format!("ipv4/conf/{name}/rp_filter"));
        all.max(own.unwrap_or_default()) == 1
    };
    let uplinks = host.uplinks();
    let filtered: Vec<&str> = uplinks
        .iter()
        .map(|link| link.name.as_str())
        .filter(|name| strict(name))
        .collect();
    if uplinks.len() < 2 || filtered.is_empty() {
        return vec![ok("no uplink drops answers that come back another way")];
    }
    vec![warn(
        format!(
            "there are {} uplinks, and {} drops packets whose answer would leave by another (rp_filter 1)",
            uplinks.len(),
            listed(&filtered)
        ),
        format!(
            "set net.ipv4.conf.{}.rp_filter = 2, which drops only what has no way back at all",
            filtered[0]
        ),
    )]
}
