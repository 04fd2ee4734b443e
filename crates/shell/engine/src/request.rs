//! What a face asks of the engine.

use sealane_core::model::{
    EndpointSpec, LegacyLink, NameserverConfig, NetworkId, PortMapping, PortRequest, SandboxId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// A subnet as asked for: texts, for the engine words their faults as Docker does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedSubnet {
    /// The prefix; empty to let the engine choose.
    pub subnet: String,
    /// The subpool for dynamic addresses; empty if none.
    pub ip_range: String,
    /// The gateway; empty if none.
    pub gateway: String,
    /// Addresses to keep out of use, by name.
    pub auxiliary: BTreeMap<String, String>,
}

/// A network to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    /// Its name.
    pub name: String,
    /// Its driver; empty for `bridge`.
    pub driver: String,
    /// Its scope; empty for the driver's own.
    pub scope: String,
    /// No way out.
    pub internal: bool,
    /// Whether standalone containers may join.
    pub attachable: bool,
    /// Whether it is a routing mesh.
    pub ingress: bool,
    /// Whether it only holds configuration.
    pub config_only: bool,
    /// The configuration network to take settings from.
    pub config_from: Option<String>,
    /// IPv4 addresses; `None` for the default.
    pub enable_ipv4: Option<bool>,
    /// IPv6 addresses; `None` for the default.
    pub enable_ipv6: Option<bool>,
    /// The IPAM driver; empty for `default`.
    pub ipam_driver: String,
    /// Options of the IPAM driver.
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Its subnets.
    pub subnets: Vec<RequestedSubnet>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What of a network is to change in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkChange {
    /// Labels to set; without a value, to remove.
    pub labels: BTreeMap<String, Option<String>>,
    /// Options to set; without a value, to leave to their defaults.
    pub options: BTreeMap<String, Option<String>>,
    /// Whether it has IPv6 from now on.
    pub enable_ipv6: Option<bool>,
    /// Subnets in place of the smaller ones there are, or of a family there is none of.
    pub subnets: Vec<RequestedSubnet>,
}

/// A network that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedNetwork {
    /// Its id.
    pub id: NetworkId,
    /// Something the user should know, or empty.
    pub warning: String,
}

/// What an extra host name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostTarget {
    /// An address.
    Address(IpAddr),
    /// `host-gateway`: the address of the host as containers see it.
    Gateway,
}

/// A sandbox to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Its id: the container's.
    pub id: SandboxId,
    /// The container's name.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// Its domain, or empty.
    pub domainname: String,
    /// Whether it is the host's own network stack.
    pub host: bool,
    /// The namespace of others that it is to use, by its path; `None` for one of its own.
    pub given: Option<PathBuf>,
    /// The networks to join, by id, name or prefix. None, and there is only loopback.
    pub endpoints: Vec<(String, EndpointSpec)>,
    /// The ports to publish.
    pub ports: Vec<PortRequest>,
    /// Resolver settings; what is empty falls back to the daemon's.
    pub nameserver: NameserverConfig,
    /// Further names: name, target.
    pub extra_hosts: Vec<(String, HostTarget)>,
    /// Links to others on the default bridge; where those are is found out.
    pub links: Vec<LegacyLink>,
    /// Whether IPv6 is switched off in it by the user's sysctls.
    pub ipv6_disabled: bool,
    /// Whether its name shall get the same addresses again, whatever its id.
    pub sticky: bool,
    /// The folder that the files hosts, hostname and resolv.conf are written to.
    pub files: PathBuf,
}

impl SandboxSpec {
    /// One of this name that has nothing yet.
    pub fn named(name: &str, id: SandboxId) -> Self {
        Self {
            id,
            name: name.into(),
            hostname: name.into(),
            domainname: String::new(),
            host: false,
            given: None,
            endpoints: vec![],
            ports: vec![],
            nameserver: NameserverConfig::default(),
            extra_hosts: vec![],
            links: vec![],
            ipv6_disabled: false,
            sticky: false,
            files: PathBuf::new(),
        }
    }
}

/// An operation to be planned only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlannedOperation {
    /// To make a network.
    CreateNetwork(CreateNetwork),
    /// To remove one.
    RemoveNetwork(String),
    /// To make a sandbox.
    CreateSandbox(SandboxSpec),
    /// To remove one.
    RemoveSandbox(SandboxId),
    /// To connect a sandbox to a network.
    Connect(SandboxId, String, EndpointSpec),
    /// To disconnect it.
    Disconnect(SandboxId, String),
    /// To have these ports published, and no others, while it runs; and those taken back that are
    /// named last.
    Publish(SandboxId, Vec<PortRequest>, Vec<PortMapping>),
    /// To change a network in place.
    UpdateNetwork(String, NetworkChange),
}
