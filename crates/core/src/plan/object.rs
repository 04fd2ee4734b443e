//! The settings of a kernel object.

use crate::model::{InterfaceName, Mac, PortMapping, Protocol};
use crate::nft::{Data, Table};
use crate::plan::{Link, Netns};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What an object should be like. Only what we ask for is compared: the kernel adds settings,
/// addresses and routes of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// It exists, and that is all there is to it (namespaces, addresses, links that are up).
    Present,
    /// A link.
    Link(Link),
    /// The value of a sysctl, as written to it.
    Setting(String),
    /// An nftables table.
    Table(Table),
    /// What a map leads to; [`Data::None`] for a set.
    Element(Data),
    /// The hardware address of a neighbor, permanent; [`Mac::NONE`] for that of the link it is
    /// reached by.
    Neighbor(Mac),
    /// Where a route leads.
    Route(Route),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The link to leave by.
    pub interface: InterfaceName,
    /// The next hop; `None` where the destination is on the link.
    pub via: Option<IpAddr>,
}

impl Object {
    /// Whether an object as it was found is good enough for this wanted one. Only what we ask for
    /// counts: the kernel and others may have added to it.
    pub fn satisfied_by(&self, found: &Object) -> bool {
        match (self, found) {
            (Self::Link(wanted), Self::Link(found)) => wanted.satisfied_by(found),
            (Self::Neighbor(Mac::NONE), Self::Neighbor(_)) => true,
            _ => self == found,
        }
    }
}

/// What leads from an object as it is to one as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is as wanted.
    Keep,
    /// Other settings for the object that is there.
    Change,
    /// Another object in place of the one that is there, which goes.
    Replace,
}

/// How often an announcement is made, as neighbors may miss one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// How often in all; 0 is not at all.
    pub times: u8,
    /// Milliseconds from one to the next.
    pub interval_ms: u16,
}

/// Something done once when an operation changed something; not state, never compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make the kernel finish its pending work for a link, so that the first packet does not wait.
    SyncLink(Netns, InterfaceName),
    /// Tell neighbors whose address this is: gratuitous ARP or unsolicited neighbor advertisement.
    /// With no hardware address given, it is the link's own.
    Announce(Netns, InterfaceName, IpAddr, Option<Mac>, Repeat),
    /// Forget tracked connections to or from an address of an endpoint.
    ForgetAddress(IpAddr),
    /// Forget tracked connections to a host port.
    ForgetPort(Protocol, u16),
    /// Forget tracked connections to the host's side of published ports, in one go: on the address
    /// that a port names, whoever has it, else on every address of this host.
    ForgetPublished(Vec<PortMapping>),
}
