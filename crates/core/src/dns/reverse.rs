//! Reverse names: the address, or the run of addresses, that a name below `in-addr.arpa` or
//! `ip6.arpa` stands for.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a reverse name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reverse {
    /// The addresses that share the labels read: one, if the name has them all.
    pub(super) net: IpNet,
    /// Whether labels are left that belong to no address, as in `_x.4.3.2.1.in-addr.arpa`.
    pub(super) is_below: bool,
}

impl Reverse {
    /// Reads a name in lower case; `None` if it is no reverse name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
            let (octets, count, is_below) = read::<4>(labels, octet);
            let address = IpAddr::V4(Ipv4Addr::from(octets));
            return Self::new(address, 8 * count, is_below);
        }
        let labels = name.strip_suffix(".ip6.arpa")?;
        let (nibbles, count, is_below) = read::<32>(labels, nibble);
        let octets: [u8; 16] = std::array::from_fn(|i| nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
        Self::new(IpAddr::V6(Ipv6Addr::from(octets)), 4 * count, is_below)
    }

    fn new(address: IpAddr, bits: u8, is_below: bool) -> Option<Self> {
        let net = IpNet::new(address, bits).ok().filter(|_| bits > 0)?;
        Some(Self { net, is_below })
    }

    /// The one address it stands for or lies below.
    pub(super) fn address(&self) -> Option<IpAddr> {
        (self.net.prefix_len() == self.net.max_prefix_len()).then(|| self.net.addr())
    }
}

/// Reads labels from the right as long as they are numbers and there is room for them: the numbers,
/// how many there are, and whether labels are left.
fn read<const N: usize>(labels: &str, number: fn(&str) -> Option<u8>) -> ([u8; N], u8, bool) {
    let mut numbers = [0; N];
    let mut count = 0;
    let mut labels = labels.rsplit('.');
    for label in labels.by_ref() {
        let place = numbers.get_mut(usize::from(count));
        match (place, number(label)) {
            (Some(place), Some(number)) => *place = number,
            (None, _) | (_, None) => return (numbers, count, true),
        }
        count += 1;
    }
    (numbers, count, false)
}

/// A decimal number as it is written in a reverse name: without signs and leading zeros.
fn octet(label: &str) -> Option<u8> {
    let number: u8 = label.parse().ok()?;
    (number.to_string() == label).then_some(number)
}

/// One hexadecimal digit.
fn nibble(label: &str) -> Option<u8> {
    let mut characters = label.chars();
    let digit = characters.next()?.to_digit(16)?;
    u8::try_from(digit)
        .ok()
        .filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str) -> Option<(String, bool)> {
        Reverse::parse(name).map(|reverse| (reverse.net.to_string(), reverse.is_below))
    }

    #[test]
    fn a_reverse_name_may_stand_for_one_address_or_many() {
        let is = |net: &str, is_below| Some((net.to_owned(), is_below));
        assert_eq!(read_as("4.3.2.1.in-addr.arpa"), is("1.2.3.4/32", false));
        assert_eq!(read_as("2.1.in-addr.arpa"), is("1.2.0.0/16", false));
        assert_eq!(
            read_as("b._dns-sd._udp.0.3.2.1.in-addr.arpa"),
            is("1.2.3.0/32", true)
        );
        assert_eq!(read_as("5.4.3.2.1.in-addr.arpa"), is("1.2.3.4/32", true));
        assert_eq!(read_as("01.3.2.1.in-addr.arpa"), is("1.2.3.0/24", true));
        assert_eq!(read_as("+4.3.2.1.in-addr.arpa"), is("1.2.3.0/24", true));
        assert_eq!(read_as("0.0.d.f.ip6.arpa"), is("fd00::/16", false));
        assert_eq!(read_as("10.d.f.ip6.arpa"), is("fd00::/8", true));
        assert_eq!(read_as("in-addr.arpa"), None);
        assert_eq!(read_as("x.in-addr.arpa"), None);
        assert_eq!(read_as("4.3.2.1.example"), None);
    }

    #[test]
    fn all_digits_of_an_ipv6_address_are_one_address() {
        let name = format!("2.{}d.f.ip6.arpa", "0.".repeat(29));
        let reverse = Reverse::parse(&name).unwrap();
        assert_eq!(reverse.address(), Some("fd00::2".parse().unwrap()));
        assert_eq!(Reverse::parse("d.f.ip6.arpa").unwrap().address(), None);
    }
}
