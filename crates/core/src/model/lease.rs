//! Addresses that a container is expected to come back to.

use super::{Mac, NetworkId};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a container's name had on a network, and gets again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The network.
    pub network: NetworkId,
    /// The container's name.
    pub name: String,
    /// Its address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// When it was written, in seconds since 1970.
    pub written: i64,
}

/// An address that is only given to one name, or to who asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The network.
    pub network: NetworkId,
    /// The address.
    pub address: IpAddr,
    /// The name it is for; `None` is for the container that asks for the address itself.
    pub holder: Option<String>,
}

impl Lease {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.ipv4.map(IpAddr::V4);
        v4.into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}
