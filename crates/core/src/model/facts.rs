//! What was found on the host, gathered once in the shell and passed in.

use super::{InterfaceName, IpFamily};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Properties of the host that plans depend on. The sweep reads them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Whether bridged frames pass the IP hooks (`net.bridge.bridge-nf-call-iptables`). With it on,
    /// isolated bridge ports would also cut published ports between siblings.
    pub bridge_netfilter: bool,
    /// Whether the host forwarded IPv4 before we came: we, or another daemon of ours.
    pub ipv4_forwarding: bool,
    /// Whether the host forwarded IPv6 before we came: we, or another daemon of ours.
    pub ipv6_forwarding: bool,
    /// Whether the kernel has IPv6 at all.
    pub ipv6: bool,
    /// Whether an iptables FORWARD chain for IPv4 drops what no rule accepts, as ufw leaves it.
    pub ipv4_forward_drops: bool,
    /// The same for IPv6.
    pub ipv6_forward_drops: bool,
    /// The links that take addresses and routes from routers as long as this host is none itself
    /// (`accept_ra` 1).
    #[serde(default)]
    pub advertised: BTreeSet<InterfaceName>,
    /// The bridges of others.
    #[serde(default)]
    pub foreign_bridges: BTreeSet<InterfaceName>,
    /// What the operator's flags say of the firewall.
    #[serde(default)]
    pub policy: Policy,
}

/// What the operator decided about the firewall, once for all networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// IPv4 is not ours to filter or translate (`--iptables=false`).
    pub ipv4_unmanaged: bool,
    /// IPv6 is not ours to filter or translate (`--ip6tables=false`).
    pub ipv6_unmanaged: bool,
    /// Published ports of containers may be reached at the containers' own addresses, by any
    /// link (`--allow-direct-routing`).
    pub direct_routing: bool,
    /// A packet with this mark may enter any network that is not internal
    /// (`--bridge-accept-fwmark`).
    pub accept_mark: Option<Mark>,
    /// No other process may change our table (`--firewall-table=owned`), where the kernel can do that.
    #[serde(default)]
    pub owned_table: bool,
}

/// A packet mark: the bits of `mask` have `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits that are compared.
    pub mask: u32,
}

impl Facts {
    /// Whether the packets of a family are left alone.
    pub fn unmanaged(&self, family: IpFamily) -> bool {
        self.policy.unmanaged(family)
    }

    /// Whether the host forwarded a family before we came.
    pub fn forwarded(&self, family: IpFamily) -> bool {
        family.pick(self.ipv4_forwarding, self.ipv6_forwarding)
    }

    /// Whether an iptables FORWARD chain for a family drops what no rule accepts.
    pub fn forward_drops(&self, family: IpFamily) -> bool {
        family.pick(self.ipv4_forward_drops, self.ipv6_forward_drops)
    }
}

impl Policy {
    /// Whether a family is not ours to filter or translate.
    pub fn unmanaged(&self, family: IpFamily) -> bool {
        family.pick(self.ipv4_unmanaged, self.ipv6_unmanaged)
    }
}
