//! A plan as an operator reads it: one object a line, in the order it is made.

use super::{
    BridgePort, Change, Effect, Forwarding, Key, Link, LinkKind, Netns, Object, Plan, SetId, Vxlan,
};
use crate::model::Mac;
use std::fmt;

impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Sandbox(id) => f.write_str(&id.short(12)),
            Self::Network(id) => write!(f, "net-{}", id.short(12)),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(id) => write!(f, "netns  {}", id.short(12)),
            Self::NetworkNamespace(id) => write!(f, "netns  net-{}", id.short(12)),
            Self::Link(netns, name) => write!(f, "link   {netns}/{name}"),
            Self::Setting(netns, path) => write!(f, "sysctl {netns}/{path}"),
            Self::Table(netns, name) => write!(f, "table  {netns}/{name}"),
            Self::Element(set, key) => {
                write!(f, "nft    {set} ")?;
                for (index, field) in key.iter().enumerate() {
                    let dot = if index == 0 { "" } else { " . " };
                    write!(f, "{dot}{field}")?;
                }
                Ok(())
            }
            Self::Passage(bridge, family) => {
                let family = family.pick("ip", "ip6");
                write!(f, "pass   host/{bridge} in {family} filter FORWARD")
            }
            Self::Address(netns, name, address) => write!(f, "addr   {netns}/{name} {address}"),
            Self::Up(netns, name) => write!(f, "up     {netns}/{name}"),
            Self::Neighbor(netns, name, address) => write!(f, "neigh  {netns}/{name} {address}"),
            Self::Route(netns, route) => write!(f, "route  {netns} {route}"),
            Self::Forwarding(netns, name, mac) => write!(f, "fdb    {netns}/{name} {mac}"),
            Self::Flooding(netns, name, mac, to) => {
                write!(f, "fdb    {netns}/{name} {mac} dst {to}")
            }
        }
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_of_host_table() {
            write!(f, "host/{}", self.name)
        } else {
            write!(f, "{}/{}/{}", self.netns(), self.table(), self.name)
        }
    }
}

impl fmt::Display for Object {
    /// The settings, with a leading space; nothing where the key says it all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => Ok(()),
            Self::Link(link) => write!(f, " {link}"),
            Self::Setting(value) => write!(f, " = {value}"),
            Self::Table(table) => {
                write!(
                    f,
                    " {} sets, {} chains",
                    table.sets.len(),
                    table.chains.len()
                )
            }
            Self::Element(crate::nft::Data::None) => Ok(()),
            Self::Element(data) => write!(f, " : {data}"),
            Self::Neighbor(Mac::NONE) => f.write_str(" is at its own"),
            Self::Neighbor(mac) => write!(f, " is at {mac}"),
            Self::Route(route) => write!(f, "{route}"),
            Self::Forwarding(Forwarding::Port) => Ok(()),
            Self::Forwarding(Forwarding::Tunnel(to)) => write!(f, " dst {to}"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        self.mtu.map_or(Ok(()), |mtu| write!(f, " mtu {mtu}"))?;
        if let Some(port) = &self.port {
            write!(f, "{port}")?;
        }
        self.mac.map_or(Ok(()), |mac| write!(f, " mac {mac}"))
    }
}

impl fmt::Display for BridgePort {
    /// What differs from a port as the kernel makes it, with a leading space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " master {}", self.bridge)?;
        f.write_str(if self.hairpin { " hairpin" } else { "" })?;
        f.write_str(if self.isolated { " isolated" } else { "" })?;
        f.write_str(if self.learning { "" } else { " nolearning" })?;
        f.write_str(if self.neigh_suppress {
            " neigh_suppress"
        } else {
            ""
        })
    }
}

impl fmt::Display for Vxlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vxlan id {} dstport {}", self.vni, self.port)?;
        if let Some(local) = self.local {
            write!(f, " local {local}")?;
        }
        f.write_str(if self.learning { "" } else { " nolearning" })?;
        f.write_str(if self.proxy { " proxy" } else { "" })
    }
}

impl fmt::Display for LinkKind {
    /// What it is, without the settings that may change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::Dummy => f.write_str("dummy"),
            Self::WireGuard => f.write_str("wireguard"),
            Self::Upper { parent, kind } => write!(f, "{kind} on {parent}"),
            Self::Vxlan(vxlan) => write!(f, "{vxlan}"),
            Self::Veth {
                peer: (netns, name),
                peer_mac,
            } => write!(f, "veth peer {netns}/{name} {peer_mac}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyncLink(netns, name) => write!(f, "then   wait for {netns}/{name}"),
            Self::Announce(netns, name, address, mac, _) => {
                write!(f, "then   announce {address}")?;
                if let Some(mac) = mac {
                    write!(f, " at {mac}")?;
                }
                write!(f, " from {netns}/{name}")
            }
            Self::ForgetAddress(address) => write!(f, "then   forget connections of {address}"),
            Self::ForgetPort(protocol, port) => {
                write!(f, "then   forget connections to port {port}/{protocol}")
            }
            Self::ForgetPublished(ports) => {
                f.write_str("then   forget connections to ")?;
                match ports.as_slice() {
                    [one] => write!(f, "port {}/{}", one.host_port, one.protocol),
                    many => write!(f, "{} ports", many.len()),
                }
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(key, object) => write!(f, "+ {key}{object}"),
            Self::Alter(key, _, object) => write!(f, "~ {key}{object}"),
            Self::Replace(key, _, object) => write!(f, "! {key}{object}"),
            Self::Delete(key, object) => write!(f, "- {key}{object}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut objects: Vec<(&Key, &Object)> = self.objects().iter().collect();
        objects.sort_by_key(|(key, _)| key.phase());
        for (key, object) in objects {
            writeln!(f, "{key}{object}")?;
        }
        self.effects()
            .iter()
            .try_for_each(|effect| writeln!(f, "{effect}"))
    }
}
