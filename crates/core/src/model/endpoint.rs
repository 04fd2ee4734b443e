//! Endpoints: the joining of one sandbox to one network.

use super::{EndpointId, InterfaceName, Mac, NetworkId, SandboxId, derive_id};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the addresses are by which the host calls endpoints whose own may be another network's, too.
/// They are kept for tests of routers (RFC 2544) and never met elsewhere.
pub const ALIASES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// An endpoint as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The address wanted.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address wanted.
    pub ipv6: Option<Ipv6Addr>,
    /// Link-local addresses to add.
    pub link_local: Vec<IpAddr>,
    /// The MAC address wanted.
    pub mac: Option<Mac>,
    /// Further names on this network.
    pub aliases: Vec<String>,
    /// Names that this sandbox alone knows other containers by: target name, alias.
    pub links: Vec<(String, String)>,
    /// Driver options of the endpoint.
    pub driver_opts: BTreeMap<String, String>,
    /// The highest priority gives the default route.
    pub gw_priority: i64,
}

/// `com.docker.network.endpoint.sysctls`: sysctls of the link, `net.ipv4.conf.IFNAME.NAME=VALUE`
/// with a comma between them.
pub const ENDPOINT_SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

impl EndpointSpec {
    /// Whether a sysctl of its link switches IPv6 off: then it has no address of that family.
    pub fn disables_ipv6(&self) -> bool {
        let asked = self.driver_opts.get(ENDPOINT_SYSCTLS);
        let mut each = asked.into_iter().flat_map(|list| list.split(','));
        each.any(|sysctl| {
            let (name, value) = sysctl.split_once('=').unwrap_or((sysctl, ""));
            let off = value.trim().parse::<i64>().is_ok_and(|value| value != 0);
            off && name.starts_with("net.ipv6.conf.") && name.ends_with(".disable_ipv6")
        })
    }

    /// The sysctls asked for a link that is called `interface`, as paths below /proc/sys/net and
    /// values. What names no sysctl of a link is left out: it was refused before.
    pub fn sysctls(&self, interface: &InterfaceName) -> Vec<(String, String)> {
        let asked = self.driver_opts.get(ENDPOINT_SYSCTLS);
        let each = asked.into_iter().flat_map(|list| list.split(','));
        each.filter_map(|sysctl| {
            let (name, value) = sysctl.split_once('=')?;
            let parts: Vec<&str> = name.splitn(5, '.').collect();
            let [_, family, group, _, setting] = parts[..] else {
                return None;
            };
            let path = format!("{family}/{group}/{interface}/{setting}");
            Some((path, value.to_owned()))
        })
        .collect()
    }
}

/// An endpoint with everything reserved: nothing is left to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The network joined.
    pub network: NetworkId,
    /// The name of the link in the sandbox.
    pub interface: InterfaceName,
    /// The name of the link's other end, in the host.
    pub host_interface: InterfaceName,
    /// The MAC address in the sandbox; [`Mac::NONE`] where it has none of its own.
    pub mac: Mac,
    /// Which bridge of its network it is on; the first is 0.
    #[serde(default)]
    pub segment: u16,
    /// Its address and prefix length.
    pub ipv4: Option<Ipv4Net>,
    /// Its IPv6 address and prefix length.
    pub ipv6: Option<Ipv6Net>,
    /// The gateway it would route through.
    pub gateway4: Option<Ipv4Addr>,
    /// The IPv6 gateway it would route through.
    pub gateway6: Option<Ipv6Addr>,
    /// The host's own IPv6 addresses on the link it sits on, where it is to reach the host.
    #[serde(default)]
    pub host6: Vec<Ipv6Addr>,
    /// What the host calls its IPv4 address, where another network may have the same.
    #[serde(default)]
    pub alias: Option<Ipv4Addr>,
    /// What was asked for.
    pub spec: EndpointSpec,
}

impl Endpoint {
    /// The id of the endpoint that joins `sandbox` to `network`. It is the same each time, so that
    /// a dry run prints the names that the operation will use.
    pub fn id_of(sandbox: &SandboxId, network: &NetworkId) -> EndpointId {
        derive_id(&[b"endpoint", sandbox.as_bytes(), network.as_bytes()])
    }

    /// The name of the host end: `veth` and seven digits of the endpoint's id.
    pub fn host_interface_of(id: &EndpointId) -> InterfaceName {
        InterfaceName::from_id("veth", id, 7)
    }

    /// What its link gets: its addresses with their prefix lengths, then link-local ones asked for.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        let own = self.ipv4.map(IpNet::V4).into_iter();
        let own = own.chain(self.ipv6.map(IpNet::V6));
        own.chain(self.spec.link_local.iter().map(|ip| IpNet::from(*ip)))
    }

    /// The IPv4 address by which the host reaches it.
    pub fn host_ipv4(&self) -> Option<Ipv4Addr> {
        self.alias.or(self.ipv4.map(|net| net.addr()))
    }

    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ipv4.map(|net| IpAddr::V4(net.addr()));
        v4.into_iter()
            .chain(self.ipv6.map(|net| IpAddr::V6(net.addr())))
    }
}
