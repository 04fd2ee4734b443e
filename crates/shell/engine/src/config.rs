//! What the daemon's flags decide about networks.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sealane_core::model::{NameserverConfig, Owner, Policy};
use sealane_ports::Depot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// A range that subnets of one size are cut from (`--default-address-pool`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPool {
    /// The range.
    pub base: IpNet,
    /// The prefix length of each subnet.
    pub size: u8,
}

/// The network that containers join when they name none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultBridge {
    /// `--bridge`: a bridge of the user's to adopt instead of `docker0`.
    pub device: Option<String>,
    /// False with `--bridge none`: there is no default network.
    pub enabled: bool,
    /// `--bip`
    pub address: Option<Ipv4Net>,
    /// `--bip6`
    pub address6: Option<Ipv6Net>,
    /// `--fixed-cidr`
    pub range: Option<Ipv4Net>,
    /// `--fixed-cidr-v6`
    pub range6: Option<Ipv6Net>,
    /// `--default-gateway`
    pub gateway: Option<Ipv4Addr>,
    /// `--default-gateway-v6`
    pub gateway6: Option<Ipv6Addr>,
    /// `--mtu`, in bytes.
    pub mtu: Option<u32>,
    /// `--icc`: whether its containers may talk to each other.
    pub icc: bool,
    /// `--ip-masq`
    pub masquerade: bool,
    /// `--ip`: the host address that ports are published on if none is given.
    pub host_binding: Option<IpAddr>,
    /// `--ipv6`
    pub ipv6: bool,
}

impl Default for DefaultBridge {
    fn default() -> Self {
        Self {
            device: None,
            enabled: true,
            address: None,
            address6: None,
            range: None,
            range6: None,
            gateway: None,
            gateway6: None,
            mtu: None,
            icc: true,
            masquerade: true,
            host_binding: None,
            ipv6: false,
        }
    }
}

/// Everything the engine is given at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineConfig {
    /// `--owner`: whose the objects in the kernel are.
    pub owner: Owner,
    /// Where desired state is kept, durably.
    pub data_root: PathBuf,
    /// Where runtime state is kept, until the next boot.
    pub exec_root: PathBuf,
    /// `--default-address-pool`; empty for Docker's.
    pub pools: Vec<AddressPool>,
    /// The default bridge.
    pub default_bridge: DefaultBridge,
    /// `--ip-forward`: switch forwarding on where it is off.
    pub ip_forward: bool,
    /// `--ip-forward-no-drop`: where forwarding was switched on for us, others may use it, too.
    pub ip_forward_no_drop: bool,
    /// `--default-network-opt`, by driver.
    pub default_network_options: BTreeMap<String, BTreeMap<String, String>>,
    /// `--userland-proxy`: relay what the kernel path cannot reach.
    pub userland_proxy: bool,
    /// `--dns`, `--dns-search`, `--dns-opt`.
    pub nameserver: NameserverConfig,
    /// `--host-gateway-ip`; empty for the default bridge's addresses.
    pub host_gateway: Vec<IpAddr>,
    /// `--firewall-integration`: meet foreign firewalls that drop.
    pub firewall_integration: bool,
    /// What the flags decide about the firewall.
    pub policy: Policy,
    /// The host's resolver configuration, `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Where the sockets of published ports are kept while no daemon runs.
    #[serde(skip)]
    pub depot: Depot,
    /// Whether the session lasts for one call: no names are served then, no ports are held, and
    /// nothing is watched.
    #[serde(skip)]
    pub one_call: bool,
}

impl EngineConfig {
    /// What a daemon without flags has, but for its roots.
    pub fn usual(owner: Owner, data_root: PathBuf, exec_root: PathBuf) -> Self {
        Self {
            owner,
            data_root,
            exec_root,
            pools: Vec::new(),
            default_bridge: DefaultBridge::default(),
            ip_forward: true,
            ip_forward_no_drop: false,
            default_network_options: BTreeMap::new(),
            userland_proxy: true,
            nameserver: NameserverConfig::default(),
            host_gateway: Vec::new(),
            firewall_integration: true,
            policy: Policy {
                owned_table: true,
                ..Policy::default()
            },
            resolv_conf: "/etc/resolv.conf".into(),
            depot: Depot::default(),
            one_call: false,
        }
    }
}
