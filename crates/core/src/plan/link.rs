//! Links: what a plan asks of them, and what a difference to one that is there means.

use super::{Netns, Step, Upper};
use crate::model::{InterfaceName, Mac};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The settings of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Largest packet in bytes; `None` leaves it to the kernel, which takes a parent's.
    pub mtu: Option<u32>,
    /// The hardware address; `None` leaves it to the kernel.
    pub mac: Option<Mac>,
    /// The port of a bridge that it is; `None` for a link that is none.
    pub port: Option<BridgePort>,
    /// Whether it was found down although its kind is born up. Never wanted.
    pub down: bool,
    /// What rules can tell it by.
    #[serde(default)]
    pub group: LinkGroup,
    /// What kind of link.
    pub kind: LinkKind,
}

/// A number that links have in common, by which rules tell them from others at next to no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkGroup {
    /// That of every link of ours.
    #[default]
    Ours,
    /// That of the bridges of networks: what stays on one is not looked at.
    Bridges,
}

/// The port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePort {
    /// The bridge, in the link's own namespace.
    pub bridge: InterfaceName,
    /// Whether frames may leave by the port they came in by.
    pub hairpin: bool,
    /// Whether the port cannot talk to other isolated ports.
    pub isolated: bool,
    /// Whether the bridge learns from frames which addresses are behind the port.
    pub learning: bool,
    /// Whether the bridge answers ARP and neighbor solicitations that would leave by the port, as
    /// far as it knows the answer.
    pub neigh_suppress: bool,
}

/// What kind of link, with the settings of that kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// A veth pair; this end is made up, the other is born down in its namespace.
    Veth {
        /// Where the other end lives, and its name there.
        peer: (Netns, InterfaceName),
        /// The hardware address of the other end.
        peer_mac: Mac,
    },
    /// A link that sits on another one. The parent is always one of the host's; this one may be
    /// born in a sandbox.
    Upper {
        /// The link it sits on.
        parent: InterfaceName,
        /// What it is.
        kind: Upper,
    },
    /// A tunnel of Ethernet frames in UDP. The outer packets are always the host's; the link may
    /// be born elsewhere.
    Vxlan(Vxlan),
    /// A WireGuard tunnel, still without keys and peers. The outer packets are always the host's.
    WireGuard,
    /// A link to nowhere, for others to sit on.
    Dummy,
}

/// The settings of a VXLAN tunnel (RFC 7348), all of them for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// The network identifier, of 24 bits.
    pub vni: u32,
    /// The UDP port.
    pub port: u16,
    /// The source of outer packets; `None` leaves it to the host's routes.
    pub local: Option<IpAddr>,
    /// Whether the tunnel learns from packets which tunnel end an address is behind.
    pub learning: bool,
    /// Whether the tunnel answers ARP and neighbor solicitations itself, from its neighbors.
    pub proxy: bool,
}

impl Link {
    /// A link of a kind, with everything else left to the kernel.
    pub fn of(kind: LinkKind) -> Self {
        Self {
            mtu: None,
            mac: None,
            port: None,
            down: false,
            group: LinkGroup::default(),
            kind,
        }
    }

    /// Whether a link as it was found is good enough. Where the other end of a veth is does not
    /// count: a container may rename it.
    pub(super) fn satisfied_by(&self, found: &Link) -> bool {
        self.kind.resembles(&found.kind)
            && (&self.port, self.down, self.group) == (&found.port, found.down, found.group)
            && (self.mtu.is_none() || self.mtu == found.mtu)
            && (self.mac.is_none() || self.mac == found.mac)
    }

    /// What leads from a link as it is to this one. What kind of link it is, it is for life.
    pub fn step_from(&self, present: &Link) -> Step {
        if !self.kind.resembles(&present.kind) || self.kind.peer() != present.kind.peer() {
            Step::Replace
        } else if self == present {
            Step::Keep
        } else {
            Step::Change
        }
    }
}

impl BridgePort {
    /// A port as the kernel makes it.
    pub fn of(bridge: InterfaceName) -> Self {
        Self {
            bridge,
            hairpin: false,
            isolated: false,
            learning: true,
            neigh_suppress: false,
        }
    }
}

impl LinkKind {
    /// The link of the host that this one sits on, if it does.
    pub fn parent(&self) -> Option<&InterfaceName> {
        match self {
            Self::Upper { parent, .. } => Some(parent),
            Self::Bridge | Self::Veth { .. } | Self::Vxlan(_) | Self::WireGuard | Self::Dummy => {
                None
            }
        }
    }

    /// The other end of a veth pair.
    pub fn peer(&self) -> Option<&(Netns, InterfaceName)> {
        match self {
            Self::Veth { peer, .. } => Some(peer),
            Self::Bridge | Self::Upper { .. } | Self::Vxlan(_) | Self::WireGuard | Self::Dummy => {
                None
            }
        }
    }

    /// Whether its packets go on by way of the host, wherever the link itself is.
    pub fn has_underlay(&self) -> bool {
        match self {
            Self::Upper { .. } | Self::Vxlan(_) | Self::WireGuard => true,
            Self::Bridge | Self::Veth { .. } | Self::Dummy => false,
        }
    }

    /// Whether it is the same kind with the same settings, but for the other end of a veth.
    fn resembles(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Veth { .. }, Self::Veth { .. }) => true,
            _ => self == other,
        }
    }
}
