//! Which addresses of the host a reservation covers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that one reservation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// All, of both families.
    Any,
    /// All of IPv4.
    AnyV4,
    /// All of IPv6.
    AnyV6,
    /// One address.
    One(IpAddr),
}

impl Binding {
    /// What a host address of a request means.
    pub(crate) fn of(host_ip: Option<IpAddr>) -> Self {
        match host_ip.map(|address| address.to_canonical()) {
            None => Self::Any,
            Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Self::AnyV4,
            Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Self::AnyV6,
            Some(address) => Self::One(address),
        }
    }

    /// The first address of this one that stands in the way of `wanted`, as Docker names it: the
    /// unspecified address of one family or one address.
    pub(crate) fn clash(self, wanted: Self) -> Option<IpAddr> {
        let mine = self.by_family();
        let theirs = wanted.by_family();
        mine.into_iter().zip(theirs).find_map(|(mine, theirs)| {
            let (mine, theirs) = (mine?, theirs?);
            let meet = mine == theirs || mine.is_unspecified() || theirs.is_unspecified();
            meet.then_some(mine)
        })
    }

    /// The address to bind, by family.
    pub(crate) fn by_family(self) -> [Option<IpAddr>; 2] {
        let v4 = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let v6 = Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        match self {
            Self::Any => [v4, v6],
            Self::AnyV4 => [v4, None],
            Self::AnyV6 => [None, v6],
            Self::One(address) if address.is_ipv4() => [Some(address), None],
            Self::One(address) => [None, Some(address)],
        }
    }
}
