//! The identity of a kernel object, and when in an operation it is written.

use crate::model::{InterfaceName, SandboxId};
use crate::nft::{Datum, SetName, TableName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Netns {
    /// The daemon's own.
    Host,
    /// A sandbox's.
    Sandbox(SandboxId),
}

/// What identifies a kernel object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A sandbox's network namespace, with the bind mount that keeps it.
    Namespace(SandboxId),
    /// A link.
    Link(Netns, InterfaceName),
    /// A network sysctl, as the path below /proc/sys/net, such as `ipv4/ip_forward`.
    Setting(Netns, String),
    /// An nftables table of ours, with its sets, chains and rules, but not the sets' elements.
    Table(Netns, TableName),
    /// An element of a set or map of our host table.
    Element(SetName, Vec<Datum>),
    /// An accept for a bridge in the FORWARD chain that iptables made and whose policy drops:
    /// the address family is IPv6 if true.
    Passage(InterfaceName, bool),
    /// An address of a link.
    Address(Netns, InterfaceName, IpNet),
    /// That a link is up.
    Up(Netns, InterfaceName),
    /// The hardware address of a neighbor.
    Neighbor(Netns, InterfaceName, IpAddr),
    /// A route to a prefix.
    Route(Netns, IpNet),
}

/// The order the kernel needs: a filter exists before the traffic it filters. Removal walks
/// backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Network namespaces.
    Namespace,
    /// Links, still without traffic.
    Link,
    /// Filters and translations, in one transaction. Before the settings, because a guard must
    /// stand before `route_localnet` or forwarding are switched on.
    Filter,
    /// Sysctls that keep what a later one would take away.
    Caution,
    /// All other sysctls.
    Setting,
    /// Addresses.
    Address,
    /// Links go up.
    Up,
    /// Neighbors.
    Neighbor,
    /// Routes.
    Route,
}

impl Key {
    /// When in an operation the object is made.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Namespace(_) => Phase::Namespace,
            Self::Link(..) => Phase::Link,
            Self::Setting(_, path) if path.ends_with("/accept_ra") => Phase::Caution,
            Self::Setting(..) => Phase::Setting,
            Self::Table(..) | Self::Element(..) | Self::Passage(..) => Phase::Filter,
            Self::Address(..) => Phase::Address,
            Self::Up(..) => Phase::Up,
            Self::Neighbor(..) => Phase::Neighbor,
            Self::Route(..) => Phase::Route,
        }
    }

    /// The namespace the object lives in; a namespace itself belongs to the host.
    pub fn netns(&self) -> Netns {
        match self {
            Self::Namespace(_) | Self::Element(..) | Self::Passage(..) => Netns::Host,
            Self::Link(netns, _)
            | Self::Setting(netns, _)
            | Self::Table(netns, _)
            | Self::Address(netns, ..)
            | Self::Up(netns, _)
            | Self::Neighbor(netns, ..)
            | Self::Route(netns, _) => *netns,
        }
    }
}
