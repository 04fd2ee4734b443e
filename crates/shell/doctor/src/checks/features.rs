//! What the kernel can do.

use super::{Verdict, error, listed, ok};
use crate::{Daemon, DaemonNetwork, Host};
use sealane_kernel::probe::Feature;

/// What every network needs.
const NEEDED: [(Feature, &str, &str); 5] = [
    (Feature::Bridge, "bridges", "CONFIG_BRIDGE"),
    (Feature::Veth, "veth pairs", "CONFIG_VETH"),
    (
        Feature::NftSets,
        "sets and maps of nftables",
        "CONFIG_NF_TABLES",
    ),
    (Feature::Conntrack, "connection tracking", "CONFIG_NFT_CT"),
    (Feature::Nat, "address translation", "CONFIG_NFT_MASQ"),
];

/// What networks of one kind need.
const OPTIONAL: [(Feature, &str); 5] = [
    (Feature::Macvlan, "macvlan"),
    (Feature::Ipvlan, "ipvlan"),
    (Feature::Vlan, "802.1q"),
    (Feature::Vxlan, "vxlan"),
    (Feature::Wireguard, "wireguard"),
];

/// Whether it has what networks are built of.
pub(super) fn kernel(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let lacks = |feature: Feature| host.features.contains(&(feature, false));
    let mut found: Vec<Verdict> = NEEDED
        .into_iter()
        .filter(|(feature, ..)| lacks(*feature))
        .map(|(_, name, option)| {
            error(
                format!("the kernel has no {name}, which every network needs"),
                format!("use a kernel with {option}, or load its module with modprobe"),
            )
        })
        .collect();
    let (mut has, mut has_not) = (Vec::new(), Vec::new());
    for (feature, name) in OPTIONAL {
        let list = if lacks(feature) {
            &mut has_not
        } else {
            &mut has
        };
        list.push(name);
    }
    for name in &has_not {
        let of_kind = |daemon: &&Daemon| {
            let mut drivers = daemon.networks.iter().filter_map(DaemonNetwork::driver);
            drivers.any(|driver| driver.kind_of_upper() == Some(*name))
        };
        if daemon.filter(of_kind).is_some() {
            found.push(error(
                format!("the kernel has no {name}, and there are networks of that kind"),
                format!("use a kernel with {name}, or load its module with modprobe"),
            ));
        }
    }
    if !found.is_empty() {
        return found;
    }
    let without = if has_not.is_empty() {
        String::new()
    } else {
        format!(
            "; {}, which only networks of these kinds need, it has not",
            listed(&has_not)
        )
    };
    let has = if has.is_empty() {
        String::new()
    } else {
        format!(", and {} besides", listed(&has))
    };
    vec![ok(format!(
        "the kernel has all that bridge networks need{has}{without}"
    ))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn what_is_needed_and_lacking_is_an_error() {
        let host = |features: &[(Feature, bool)]| Host {
            features: features.to_vec(),
            ..Host::default()
        };
        let found = kernel(&host(&[(Feature::Veth, false), (Feature::Nat, true)]), None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].level, Level::Error);
        assert!(found[0].finding.contains("veth"), "{}", found[0].finding);
        let found = kernel(&host(&[(Feature::Ipvlan, false)]), None);
        assert_eq!(found[0].level, Level::Ok);
        assert!(found[0].finding.contains("ipvlan"), "{}", found[0].finding);
    }
}
