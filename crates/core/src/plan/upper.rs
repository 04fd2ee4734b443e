//! Links over other links of the host: what they are and how they treat each other's packets.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of link it is that sits on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upper {
    /// A hardware address of its own on the wire of its parent.
    Macvlan(MacvlanMode),
    /// The parent's hardware address, shared and told apart by IP addresses.
    Ipvlan(IpvlanMode, IpvlanFlag),
    /// An 802.1q sub-interface: the frames with this tag.
    Vlan(u16),
}

/// How macvlan links on one parent reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MacvlanMode {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By way of a switch outside that sends frames back where they came from.
    Vepa,
    /// There is only one, and it has the parent to itself.
    Passthru,
}

/// What an ipvlan link does with packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpvlanMode {
    /// It switches them: ARP and broadcasts work.
    #[default]
    L2,
    /// It routes them, past the host's filters.
    L3,
    /// It routes them through the host's filters.
    L3s,
}

/// How ipvlan links on one parent reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpvlanFlag {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By way of a switch outside.
    Vepa,
}

impl fmt::Display for Upper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Macvlan(mode) => write!(f, "macvlan {mode}"),
            Self::Ipvlan(mode, flag) => write!(f, "ipvlan {mode} {flag}"),
            Self::Vlan(id) => write!(f, "vlan {id}"),
        }
    }
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthru => "passthru",
        })
    }
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        })
    }
}

impl fmt::Display for IpvlanFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        })
    }
}
