//! Sandboxes: one container's network stack.

use super::{Endpoint, NetworkId, PortMapping, Protocol, SandboxId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// What a sandbox's resolver and resolv.conf are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameserverConfig {
    /// DNS servers asked for; the host's where empty.
    pub servers: Vec<IpAddr>,
    /// Search domains asked for; `.` alone means none.
    pub search: Vec<String>,
    /// resolv.conf options asked for.
    pub options: Vec<String>,
}

/// A link on the default bridge: another sandbox, known by lines in /etc/hosts, whose ports are
/// open to this one even where containers are kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyLink {
    /// The other sandbox.
    pub target: SandboxId,
    /// The network that both are on.
    pub network: NetworkId,
    /// What the other is called.
    pub names: Vec<String>,
    /// Its ports.
    pub ports: Vec<(Protocol, u16)>,
    /// Its addresses there now; none while it does not run.
    pub addresses: Vec<IpAddr>,
}

impl LegacyLink {
    /// The lines for /etc/hosts: name, address.
    pub fn hosts(&self) -> impl Iterator<Item = (String, IpAddr)> {
        self.addresses
            .iter()
            .flat_map(|address| self.names.iter().map(|name| (name.clone(), *address)))
    }
}

/// A network namespace that others made: where it is bound, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenNamespace {
    /// Where others bound it.
    pub path: PathBuf,
    /// The device and the inode that tell it from one that is bound there later.
    pub identity: (u64, u64),
}

/// A network stack with its endpoints. Everything in it is reserved: a plan leaves nothing open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its id, which is the container's.
    pub id: SandboxId,
    /// The container's name, without a slash: its first name in DNS.
    pub name: String,
    /// The host name in it.
    pub hostname: String,
    /// The domain in it, empty if none.
    pub domainname: String,
    /// Whether it is the host's own network stack.
    pub host: bool,
    /// The namespace of others that it was given; `None` where we made it.
    #[serde(default)]
    pub given: Option<GivenNamespace>,
    /// Its endpoints, by network.
    pub endpoints: BTreeMap<NetworkId, Endpoint>,
    /// The published ports; they lead to the endpoint that has the gateway.
    pub ports: Vec<PortMapping>,
    /// The TCP ports in it of which one was taken back while it ran.
    #[serde(default)]
    pub closed: BTreeSet<u16>,
    /// Resolver settings.
    pub nameserver: NameserverConfig,
    /// Lines for /etc/hosts: name, address.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Links to others on the default bridge.
    #[serde(default)]
    pub links: Vec<LegacyLink>,
    /// The ports its resolver listens on, on 127.0.0.11: UDP, TCP. `None` without a resolver.
    pub resolver_ports: Option<(u16, u16)>,
    /// Whether IPv6 is switched off in it by the user's sysctls.
    pub ipv6_disabled: bool,
    /// Whether its name shall get the same addresses again.
    #[serde(default)]
    pub sticky: bool,
    /// The folder with its hosts, hostname and resolv.conf.
    pub files: PathBuf,
}
