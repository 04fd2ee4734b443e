//! What was found on the host, gathered once in the shell and passed in.

use serde::{Deserialize, Serialize};

/// Properties of the host that plans depend on. The sweep reads them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Whether bridged frames pass the IP hooks (`net.bridge.bridge-nf-call-iptables`). With it on,
    /// isolated bridge ports would also cut published ports between siblings.
    pub bridge_netfilter: bool,
    /// Whether the host forwarded IPv4 before we came.
    pub ipv4_forwarding: bool,
    /// Whether the host forwarded IPv6 before we came.
    pub ipv6_forwarding: bool,
    /// Whether the kernel has IPv6 at all.
    pub ipv6: bool,
    /// Whether an iptables FORWARD chain for IPv4 drops what no rule accepts, as ufw leaves it.
    pub ipv4_forward_drops: bool,
    /// The same for IPv6.
    pub ipv6_forward_drops: bool,
}
