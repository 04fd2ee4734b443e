//! What is tried, and on what.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The port of another program.
pub(crate) const FOREIGN_PORT: u16 = 9_003;

/// What is tried. Numbers are names: network `n1`, sandbox 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create(u64),
    Remove(u64),
    RemoveDefault,
    Update(u64, u32, bool),
    Make(u64, Asked, BTreeSet<u16>),
    Drop(u64),
    Connect(u64, u64, Option<Ipv4Addr>),
    Disconnect(u64, u64),
    Publish(u64, BTreeSet<u16>),
    Rename(u64),
    Reserve(u64, IpAddr, Option<String>),
    Release(u64, IpAddr),
    Prune,
}

/// Networks to join, with the address asked for.
pub(crate) type Asked = BTreeMap<u64, Option<Ipv4Addr>>;
/// The networks that may be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) subnet: &'static str,
    pub(crate) subnet6: Option<&'static str>,
    pub(crate) internal: bool,
}

/// The first has few addresses, and the last overlaps it.
pub(crate) const SHAPES: [Shape; 4] = [
    Shape {
        subnet: "10.40.0.0/29",
        subnet6: None,
        internal: false,
    },
    Shape {
        subnet: "10.41.0.0/28",
        subnet6: None,
        internal: true,
    },
    Shape {
        subnet: "10.42.0.0/28",
        subnet6: Some("fd00:42::/64"),
        internal: false,
    },
    Shape {
        subnet: "10.40.0.0/26",
        subnet6: None,
        internal: false,
    },
];

impl Shape {
    pub(crate) fn subnet(&self) -> ipnet::IpNet {
        self.subnet.parse().expect("a subnet")
    }

    pub(crate) fn gateway(&self) -> IpAddr {
        self.subnet().hosts().next().expect("it has hosts")
    }
}

/// The name that a sandbox is given by a rename.
pub(crate) fn other_name(s: u64, name: &str) -> String {
    let first = if name.starts_with('c') { 'd' } else { 'c' };
    format!("{first}{s}")
}
