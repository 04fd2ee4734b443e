//! Networks: what was asked for, and what was made of it.

use super::{DriverName, IpFamily, NetworkId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// How far a network reaches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This host.
    #[default]
    Local,
    /// All hosts of a cluster.
    Global,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Global => "global",
        })
    }
}

/// One subnet of a network: its pool, and what of it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetSpec {
    /// The prefix, host bits zero.
    pub subnet: IpNet,
    /// The subpool that dynamic addresses come from; the whole subnet if `None`.
    pub ip_range: Option<IpNet>,
    /// The address that routes onward.
    pub gateway: Option<IpAddr>,
    /// Addresses kept out of use, by name.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// How a network gets its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamSpec {
    /// The IPAM driver, `default` unless said otherwise.
    pub driver: String,
    /// Options of the IPAM driver; `None` where the request had none (Docker tells the difference).
    pub options: Option<BTreeMap<String, String>>,
    /// The subnets, IPv4 before IPv6 as asked for.
    pub subnets: Vec<SubnetSpec>,
}

/// A network as asked for, already checked for form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The name.
    pub name: String,
    /// The driver.
    pub driver: DriverName,
    /// How far it reaches.
    pub scope: Scope,
    /// No way out, and no way in.
    pub internal: bool,
    /// Whether standalone containers may join a global network.
    pub attachable: bool,
    /// Whether it is a routing mesh.
    pub ingress: bool,
    /// Whether it only holds configuration for others.
    pub config_only: bool,
    /// The configuration network it takes its settings from.
    pub config_from: Option<String>,
    /// Whether endpoints have IPv4 addresses.
    pub enable_ipv4: bool,
    /// Whether endpoints have IPv6 addresses.
    pub enable_ipv6: bool,
    /// Where addresses come from.
    pub ipam: IpamSpec,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// The option `dns`: the servers that the resolver asks for containers of the network that name
/// none themselves, separated by commas.
pub const DNS: &str = "dns";
/// `com.docker.network.container_iface_prefix`: what links in containers are called, before a
/// number.
pub const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";

/// Reads a truth value in the spellings that Docker takes.
pub fn parse_flag(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A network that exists: every subnet chosen, every gateway known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// When it was made, as RFC 3339 with nanoseconds, as the API prints it.
    pub created: String,
    /// What it is. The subnets are the reserved ones.
    pub spec: NetworkSpec,
    /// How many further bridges it has, as it has more endpoints than one bridge has ports.
    #[serde(default)]
    pub segments: u16,
    /// The user's own device, or the parent that its endpoints sit on, if it was there before: it is
    /// used, and neither made nor removed.
    #[serde(default)]
    pub users_device: Option<UsersDevice>,
}

/// What a device of the user's was like when a network took it over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersDevice {
    /// Its addresses: not ours to make or remove.
    pub addresses: Vec<IpNet>,
    /// Whether it was up.
    pub up: bool,
}

impl Network {
    /// The subnets of one family that the network uses: IPv6 ones only where IPv6 is on.
    pub fn subnets(&self, family: IpFamily) -> impl Iterator<Item = &SubnetSpec> {
        let enabled = self.enables(family);
        let own = move |subnet: &&SubnetSpec| enabled && family.has(subnet.subnet.addr());
        self.spec.ipam.subnets.iter().filter(own)
    }

    /// The subnets that the network uses, those of IPv4 first.
    pub fn subnets_in_use(&self) -> impl Iterator<Item = &SubnetSpec> {
        let families = IpFamily::BOTH.into_iter();
        families.flat_map(|family| self.subnets(family))
    }

    /// Whether its endpoints have addresses of a family.
    pub fn enables(&self, family: IpFamily) -> bool {
        family.pick(self.spec.enable_ipv4, self.spec.enable_ipv6)
    }

    /// Whether it is one of the three that exist from the start and cannot be removed.
    pub fn is_predefined(&self) -> bool {
        matches!(self.spec.name.as_str(), "bridge" | "host" | "none")
    }

    /// The DNS servers of the network's own; the error is for the user.
    pub fn dns_servers(&self) -> Result<Vec<IpAddr>, String> {
        let texts = self.option(DNS).unwrap_or_default().split(',');
        let texts = texts.map(str::trim).filter(|text| !text.is_empty());
        let read = |text: &str| {
            text.parse().map_err(|_| {
                format!("failed to parse {DNS} value: {text:?} is no IP address of a DNS server")
            })
        };
        texts.map(read).collect()
    }

    /// The value of a driver option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.spec.option(key)
    }

    /// The address that endpoints route through: one that was kept for it among the auxiliary
    /// addresses, as another machine's may be, or the gateway of the first subnet.
    pub fn gateway(&self, family: IpFamily) -> Option<IpAddr> {
        let key = family.pick("DefaultGatewayIPv4", "DefaultGatewayIPv6");
        let chosen = self
            .subnets(family)
            .find_map(|subnet| subnet.auxiliary.get(key).copied());
        chosen.or_else(|| self.subnets(family).find_map(|subnet| subnet.gateway))
    }
}

impl NetworkSpec {
    /// The value of a driver option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }
}
