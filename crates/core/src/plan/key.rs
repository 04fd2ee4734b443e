//! The identity of a kernel object, and when in an operation it is written.

use super::{Links, Object, RouteId};
use crate::model::{InterfaceName, IpFamily, Mac, NetworkId, SandboxId};
use crate::nft::{Datum, Family, SetName, TableName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Netns {
    /// The daemon's own.
    Host,
    /// A sandbox's: one that we made for it, or one of others' that it was given.
    Sandbox(SandboxId),
    /// A network's own, where what its sandboxes share is kept from the host.
    Network(NetworkId),
}

impl Netns {
    /// Whether what we made in it is put back when it differs. What is in a sandbox is its container's
    /// to change.
    pub fn is_kept(self) -> bool {
        match self {
            Self::Host | Self::Network(_) => true,
            Self::Sandbox(_) => false,
        }
    }
}

/// What identifies a kernel object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A sandbox's network namespace, with the bind mount that keeps it.
    Namespace(SandboxId),
    /// A network's own network namespace, likewise.
    NetworkNamespace(NetworkId),
    /// A link.
    Link(Netns, InterfaceName),
    /// A network sysctl, as the path below /proc/sys/net, such as `ipv4/ip_forward`.
    Setting(Netns, String),
    /// An nftables table of ours, with its sets, chains and rules, but not the sets' elements.
    Table(Netns, TableName),
    /// An element of a set or map.
    Element(SetId, Vec<Datum>),
    /// An accept for a bridge in the FORWARD chain that iptables made and whose policy drops.
    Passage(InterfaceName, IpFamily),
    /// An address of a link.
    Address(Netns, InterfaceName, IpNet),
    /// That a link is up.
    Up(Netns, InterfaceName),
    /// The hardware address of a neighbor.
    Neighbor(Netns, InterfaceName, IpAddr),
    /// A route.
    Route(Netns, RouteId),
    /// Where frames to a hardware address go from a tunnel, or from the bridge that a link is a
    /// port of.
    Forwarding(Netns, InterfaceName, Mac),
    /// A tunnel end to which frames to a hardware address go from a tunnel, as to others: that of a
    /// multicast group, or [`Mac::NONE`] for all that the tunnel knows no end of.
    Flooding(Netns, InterfaceName, Mac, IpAddr),
}

/// The name of our table on the host.
pub const HOST_TABLE: &str = "sealane";

/// A set or map of a table of ours. A name alone is one of the host's table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SetId {
    /// Its name.
    pub name: SetName,
    /// The table, if it is not the host's: there are many elements, and nearly all are of that.
    table: Option<Box<TableId>>,
}

/// What identifies a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct TableId {
    netns: Netns,
    family: Family,
    name: TableName,
}

impl SetId {
    /// A set or map of any table.
    pub fn of(netns: Netns, family: Family, table: TableName, set: SetName) -> Self {
        let table = TableId {
            netns,
            family,
            name: table,
        };
        let of_host =
            (netns, family, table.name.as_str()) == (Netns::Host, Family::Inet, HOST_TABLE);
        Self {
            name: set,
            table: (!of_host).then(|| Box::new(table)),
        }
    }

    /// Whether it is of the host's table.
    pub fn is_of_host_table(&self) -> bool {
        self.table.is_none()
    }

    /// Where the table is.
    pub fn netns(&self) -> Netns {
        self.table.as_ref().map_or(Netns::Host, |table| table.netns)
    }

    /// The family of the table.
    pub fn family(&self) -> Family {
        self.table
            .as_ref()
            .map_or(Family::Inet, |table| table.family)
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        self.table.as_ref().map_or(HOST_TABLE, |table| &table.name)
    }
}

impl From<SetName> for SetId {
    fn from(name: SetName) -> Self {
        Self { name, table: None }
    }
}

impl From<&str> for SetId {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
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
            Self::Namespace(_) | Self::NetworkNamespace(_) => Phase::Namespace,
            Self::Link(..) => Phase::Link,
            Self::Setting(_, path) if path.ends_with("/accept_ra") => Phase::Caution,
            Self::Setting(..) => Phase::Setting,
            Self::Table(..) | Self::Element(..) | Self::Passage(..) => Phase::Filter,
            Self::Address(..) => Phase::Address,
            Self::Up(..) => Phase::Up,
            Self::Neighbor(..) | Self::Forwarding(..) | Self::Flooding(..) => Phase::Neighbor,
            Self::Route(..) => Phase::Route,
        }
    }

    /// Whether an object of this key goes when one of these links does.
    pub fn is_on_any(&self, object: &Object, links: &Links) -> bool {
        let on = |netns: &Netns, name: &InterfaceName| links.contains(&(*netns, name.clone()));
        match (self, object) {
            (
                Self::Link(netns, name)
                | Self::Address(netns, name, _)
                | Self::Up(netns, name)
                | Self::Neighbor(netns, name, _)
                | Self::Forwarding(netns, name, _)
                | Self::Flooding(netns, name, ..),
                _,
            ) => on(netns, name),
            (Self::Route(netns, _), Object::Route(route)) => {
                route.interface().is_some_and(|link| on(netns, link))
            }
            (Self::Setting(netns, path), _) => links
                .iter()
                .any(|(at, name)| at == netns && path.split('/').any(|part| part == name.as_str())),
            (_, _) => false,
        }
    }

    /// The namespace that the object is.
    pub fn as_namespace(&self) -> Option<Netns> {
        if let Self::Namespace(id) = self {
            return Some(Netns::Sandbox(*id));
        }
        if let Self::NetworkNamespace(id) = self {
            return Some(Netns::Network(*id));
        }
        None
    }

    /// The namespace the object lives in; a namespace itself belongs to the host.
    pub fn netns(&self) -> Netns {
        match self {
            Self::Namespace(_) | Self::NetworkNamespace(_) | Self::Passage(..) => Netns::Host,
            Self::Element(set, _) => set.netns(),
            Self::Link(netns, _)
            | Self::Setting(netns, _)
            | Self::Table(netns, _)
            | Self::Address(netns, ..)
            | Self::Up(netns, _)
            | Self::Neighbor(netns, ..)
            | Self::Route(netns, _)
            | Self::Forwarding(netns, ..)
            | Self::Flooding(netns, ..) => *netns,
        }
    }
}
