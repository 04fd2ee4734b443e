//! The settings of a kernel object.

use crate::model::{InterfaceName, Mac, PortMapping, Protocol};
use crate::nft::{Data, Table};
use crate::plan::{Link, Netns, Route};
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
    /// Where frames to a hardware address go, until it is said otherwise.
    Forwarding(Forwarding),
}

/// Where frames to a hardware address go from a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forwarding {
    /// From a tunnel: to the tunnel end at this address.
    Tunnel(IpAddr),
    /// From a bridge: by the port that the link is.
    Port,
}

impl Object {
    /// What leads from an object as it is to this one: the one place that decides it.
    pub fn step_from(&self, present: &Object) -> Step {
        match (self, present) {
            (Self::Link(wanted), Self::Link(present)) => wanted.step_from(present),
            _ if self == present => Step::Keep,
            // Others keep them, so that one does not give way to the other.
            (Self::Forwarding(Forwarding::Tunnel(_)), Self::Forwarding(Forwarding::Port))
            | (Self::Forwarding(Forwarding::Port), Self::Forwarding(Forwarding::Tunnel(_))) => {
                Step::Replace
            }
            _ => Step::Change,
        }
    }

    /// The other end of a veth pair.
    pub fn peer(&self) -> Option<&(Netns, InterfaceName)> {
        match self {
            Self::Link(link) => link.kind.peer(),
            Self::Present
            | Self::Setting(_)
            | Self::Table(_)
            | Self::Element(_)
            | Self::Neighbor(_)
            | Self::Route(_)
            | Self::Forwarding(_) => None,
        }
    }

    /// Whether an object as it was found is good enough for this wanted one. Only what we ask for
    /// counts: the kernel and others may have added to it.
    pub fn satisfied_by(&self, found: &Object) -> bool {
        match (self, found) {
            (Self::Link(wanted), Self::Link(found)) => wanted.satisfied_by(found),
            (Self::Neighbor(Mac::NONE), Self::Neighbor(_)) => true,
            (Self::Route(wanted), Self::Route(found)) => wanted.satisfied_by(found),
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
    /// that a port names, ours or not, else on every address of this host.
    ForgetPublished(Vec<PortMapping>),
}
