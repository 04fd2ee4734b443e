//! A packet, as far as anything decides by it.

use crate::model::{IpFamily, Protocol};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP: the packet that opens a connection, or its answer.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// An echo request or its answer; it has no ports.
    Icmp,
}

impl Transport {
    /// The protocol with ports, if it is one.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Tcp => Some(Protocol::Tcp),
            Self::Udp => Some(Protocol::Udp),
            Self::Sctp => Some(Protocol::Sctp),
            Self::Icmp => None,
        }
    }
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::Sctp,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol() {
            Some(protocol) => protocol.fmt(f),
            None => f.write_str("icmp"),
        }
    }
}

/// A packet. Where there are no ports, they are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it carries.
    pub transport: Transport,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
}

impl Packet {
    /// Its family.
    pub fn family(&self) -> IpFamily {
        IpFamily::of(self.destination.ip())
    }

    /// The packet that answers this one.
    #[must_use]
    pub fn answer(&self) -> Self {
        Self {
            transport: self.transport,
            source: self.destination,
            destination: self.source,
        }
    }

    /// Where it goes, as people write it.
    pub fn target(&self) -> String {
        written(self.destination.ip(), self.destination.port())
    }
}

/// An address with its port, or alone where there is none.
pub(super) fn written(address: IpAddr, port: u16) -> String {
    match port {
        0 => address.to_string(),
        port => SocketAddr::new(address, port).to_string(),
    }
}
