//! Prefixes as ranges of numbers.

use crate::model::IpFamily;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of a prefix, as numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) family: IpFamily,
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Span {
    /// The offset of an address from the first one; `None` if it is not in the span.
    pub(super) fn offset_of(&self, address: IpAddr) -> Option<u128> {
        let number = number_of(address);
        let inside = self.family.has(address) && (self.first..=self.last).contains(&number);
        inside.then(|| number - self.first)
    }

    /// The address at an offset from the first one.
    pub(super) fn address_at(&self, offset: u128) -> IpAddr {
        address_of(self.first + offset, self.family)
    }

    /// Whether both have an address in common.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.family == other.family && self.first <= other.last && other.first <= self.last
    }
}

impl From<&IpNet> for Span {
    fn from(net: &IpNet) -> Self {
        Self {
            family: IpFamily::of(net.addr()),
            first: number_of(net.network()),
            last: number_of(net.broadcast()),
        }
    }
}

/// The address with a number; an IPv4 number has 32 bits.
pub(super) fn address_of(number: u128, family: IpFamily) -> IpAddr {
    match family {
        // An IPv4 span is made from IPv4 addresses only, so that nothing is cut off.
        IpFamily::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        IpFamily::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
