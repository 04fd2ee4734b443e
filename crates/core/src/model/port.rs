//! Published ports.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The number of the protocol in an IP header (IANA protocol numbers).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;

    /// Reads a protocol name, in any case; the error is Docker's text.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(format!("invalid proto: {text}")),
        }
    }
}

/// A port to publish, as asked for: the host side may still be open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRequest {
    /// The protocol.
    pub protocol: Protocol,
    /// The port in the container.
    pub container_port: u16,
    /// The host address to bind; `None` for all, of both families. `0.0.0.0` is all of IPv4 only,
    /// `::` all of IPv6 only.
    pub host_ip: Option<IpAddr>,
    /// The first and last host port to try; `None` takes an ephemeral one.
    pub host_ports: Option<(u16, u16)>,
}

/// A published port: a reserved host port that leads to a container's port; or, on a routed
/// network, the container's port alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortMapping {
    /// The protocol.
    pub protocol: Protocol,
    /// The host address bound; `None` for all, of both families.
    pub host_ip: Option<IpAddr>,
    /// The host port bound; 0 where there is none, because nothing is translated.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
}

impl PortMapping {
    /// Whether a port of the host leads there.
    pub fn is_translated(&self) -> bool {
        self.host_port != 0
    }

    /// Whether it concerns the family of an address.
    pub fn is_for(&self, address: IpAddr) -> bool {
        self.host_ip
            .is_none_or(|ip| ip.is_ipv6() == address.is_ipv6())
    }
}
