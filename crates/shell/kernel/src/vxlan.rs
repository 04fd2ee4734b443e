//! The kernel's words for VXLAN tunnels.

use netlink_packet_route::link::InfoVxlan;
use sealane_core::plan::Vxlan;
use std::net::IpAddr;

/// The settings of a tunnel.
pub(crate) fn words(vxlan: &Vxlan) -> Vec<InfoVxlan> {
    let mut words = vec![
        InfoVxlan::Id(vxlan.vni),
        InfoVxlan::Port(vxlan.port),
        InfoVxlan::Learning(vxlan.learning),
        InfoVxlan::Proxy(vxlan.proxy),
    ];
    words.extend(vxlan.local.map(|local| match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }));
    words
}

/// Reads what the kernel says of a tunnel; `None` for one without identifier, as a link has that
/// takes it from elsewhere for every packet.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel tells more than we ask"
)]
pub(crate) fn read(words: &[InfoVxlan]) -> Option<Vxlan> {
    let mut vxlan = Vxlan {
        vni: words.iter().find_map(|word| match word {
            InfoVxlan::Id(vni) => Some(*vni),
            _ => None,
        })?,
        port: 0,
        local: None,
        learning: false,
        proxy: false,
    };
    for word in words {
        match word {
            InfoVxlan::Port(port) => vxlan.port = *port,
            InfoVxlan::Local(local) => vxlan.local = Some(IpAddr::V4(*local)),
            InfoVxlan::Local6(local) => vxlan.local = Some(IpAddr::V6(*local)),
            InfoVxlan::Learning(learning) => vxlan.learning = *learning,
            InfoVxlan::Proxy(proxy) => vxlan.proxy = *proxy,
            _ => {}
        }
    }
    Some(vxlan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for local in ["192.0.2.1", "2001:db8::1"].map(|local| local.parse().ok()) {
            let vxlan = Vxlan {
                vni: 0xab_cdef,
                port: 4789,
                local,
                learning: false,
                proxy: true,
            };
            assert_eq!(read(&words(&vxlan)), Some(vxlan));
        }
        assert_eq!(read(&[InfoVxlan::CollectMetadata(true)]), None);
    }
}
