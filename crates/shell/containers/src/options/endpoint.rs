//! What was asked for of an endpoint.

use super::{Pairs, Texts, settings};

settings! {
    /// What was asked for of an endpoint.
    EndpointOptions {
        ipam_config: IpamOptions = "IPAMConfig",
        links: Texts = "Links",
        mac_address: String = "MacAddress",
        aliases: Texts = "Aliases",
        driver_opts: Pairs = "DriverOpts",
        gw_priority: i64 = "GwPriority",
    }
}

settings! {
    /// The addresses asked for.
    IpamOptions {
        ipv4_address: String = "IPv4Address",
        ipv6_address: String = "IPv6Address",
        link_local_ips: Texts = "LinkLocalIPs",
    }
}
