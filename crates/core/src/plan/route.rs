//! Routes: which one it is, and where it leads.

use crate::model::{InterfaceName, IpFamily};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What identifies a route in a namespace. A prefix alone is a route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct RouteId {
    /// The destination.
    pub to: IpNet,
    /// The table.
    pub table: u32,
    /// The metric: the lower, the better; 0 leaves it to the kernel.
    pub metric: u32,
}

/// As journals have it: a route of the main table as the prefix alone, as it always was.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Main(IpNet),
    Any { to: IpNet, table: u32, metric: u32 },
}

impl RouteId {
    /// `RT_TABLE_MAIN` (linux/rtnetlink.h)
    pub const MAIN: u32 = 254;

    /// Whether it is in the main table.
    pub fn is_main(&self) -> bool {
        self.table == Self::MAIN
    }

    /// Its family.
    pub fn family(&self) -> IpFamily {
        IpFamily::of(self.to.addr())
    }
}

impl From<IpNet> for RouteId {
    fn from(to: IpNet) -> Self {
        Self {
            to,
            table: Self::MAIN,
            metric: 0,
        }
    }
}

impl From<Form> for RouteId {
    fn from(form: Form) -> Self {
        match form {
            Form::Main(to) => to.into(),
            Form::Any { to, table, metric } => Self { to, table, metric },
        }
    }
}

impl From<RouteId> for Form {
    fn from(id: RouteId) -> Self {
        let RouteId { to, table, metric } = id;
        if id == to.into() {
            Self::Main(to)
        } else {
            Self::Any { to, table, metric }
        }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.to.prefix_len(), self.family()) {
            (0, IpFamily::V6) => f.write_str("-6 default")?,
            (0, IpFamily::V4) => f.write_str("default")?,
            (_, _) => write!(f, "{}", self.to)?,
        }
        if !self.is_main() {
            write!(f, " table {}", self.table)?;
        }
        match self.metric {
            0 => Ok(()),
            metric => write!(f, " metric {metric}"),
        }
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// Onwards.
    Unicast {
        /// The link to leave by.
        interface: InterfaceName,
        /// The next hop; `None` where the destination is on the link.
        via: Option<IpAddr>,
        /// The source of the host's own packets; `None` leaves it to the kernel.
        source: Option<IpAddr>,
    },
    /// Nowhere, without a word.
    Blackhole,
    /// Nowhere: the sender gets an ICMP error, host unreachable.
    Unreachable,
    /// Nowhere: the sender gets an ICMP error, administratively prohibited.
    Prohibit,
}

impl Route {
    /// A route by a link, to a next hop if there is one.
    pub fn by(interface: InterfaceName, via: Option<IpAddr>) -> Self {
        Self::Unicast {
            interface,
            via,
            source: None,
        }
    }

    /// The link to leave by, if it leads anywhere.
    pub fn interface(&self) -> Option<&InterfaceName> {
        match self {
            Self::Unicast { interface, .. } => Some(interface),
            Self::Blackhole | Self::Unreachable | Self::Prohibit => None,
        }
    }

    /// Whether a route as it was found is good enough: a source that is not asked for is not
    /// compared.
    pub(crate) fn satisfied_by(&self, found: &Route) -> bool {
        match (self, found) {
            (
                Self::Unicast {
                    interface,
                    via,
                    source: None,
                },
                Self::Unicast {
                    interface: link,
                    via: hop,
                    ..
                },
            ) => (interface, via) == (link, hop),
            _ => self == found,
        }
    }
}

impl fmt::Display for Route {
    /// With a leading space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unicast {
            interface,
            via,
            source,
        } = self
        else {
            return f.write_str(match self {
                Self::Blackhole => " blackhole",
                Self::Unreachable => " unreachable",
                Self::Prohibit | Self::Unicast { .. } => " prohibit",
            });
        };
        if let Some(via) = via {
            write!(f, " via {via}")?;
        }
        write!(f, " dev {interface}")?;
        source.map_or(Ok(()), |source| write!(f, " src {source}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_the_main_table_is_written_as_before_there_were_others() {
        let id = |to: &str| RouteId::from(to.parse::<IpNet>().unwrap());
        let policy = RouteId {
            table: 77,
            metric: 5,
            ..id("::/0")
        };
        for (id, text, shown) in [
            (id("10.1.0.0/24"), "\"10.1.0.0/24\"", "10.1.0.0/24"),
            (id("0.0.0.0/0"), "\"0.0.0.0/0\"", "default"),
            (
                policy,
                "{\"to\":\"::/0\",\"table\":77,\"metric\":5}",
                "-6 default table 77 metric 5",
            ),
        ] {
            assert_eq!(serde_json::to_string(&id).unwrap(), text);
            assert_eq!(serde_json::from_str::<RouteId>(text).unwrap(), id);
            assert_eq!(id.to_string(), shown);
        }
    }
}
