//! Ports for those who do not care which.

use crate::PortError;
use std::fs;
use std::io;
use std::ops::RangeInclusive;

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// The dynamic ports by IANA, where the kernel does not say.
const FALLBACK: RangeInclusive<u16> = 49153..=65535;

/// The ports to choose from, in this namespace, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ephemeral {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl Ephemeral {
    /// Asks the kernel. A kernel without these files has the fallback range and reserves nothing.
    pub(crate) fn read() -> Result<Self, PortError> {
        let range = read(RANGE)?
            .and_then(|text| parse_range(&text))
            .unwrap_or(FALLBACK);
        let reserved = read(RESERVED)?
            .map(|text| parse_reserved(&text))
            .unwrap_or_default();
        Ok(Self { range, reserved })
    }

    /// Every port once, beginning after `last`.
    pub(crate) fn after(&self, last: Option<u16>) -> impl Iterator<Item = u16> {
        let (first, end) = (*self.range.start(), *self.range.end());
        let last = last.filter(|port| self.range.contains(port)).unwrap_or(end);
        let ports = (last..=end).skip(1).chain(first..=last);
        ports.filter(|port| !self.reserved.iter().any(|reserved| reserved.contains(port)))
    }
}

fn read(path: &'static str) -> Result<Option<String>, PortError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PortError::EphemeralRange { path, source }),
    }
}

/// Reads `32768 60999`, with any white space between.
fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    let (first, last) = (first.parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

/// Reads `8080,9148-9150`; what is none of it reserves nothing.
fn parse_reserved(text: &str) -> Vec<RangeInclusive<u16>> {
    let part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral(range: &str, reserved: &str) -> Ephemeral {
        Ephemeral {
            range: parse_range(range).unwrap(),
            reserved: parse_reserved(reserved),
        }
    }

    #[test]
    fn every_port_comes_once_beginning_after_the_last() {
        let four = ephemeral("5000\t5003\n", "\n");
        let after = |last| four.after(last).collect::<Vec<_>>();
        assert_eq!(after(None), [5000, 5001, 5002, 5003]);
        assert_eq!(after(Some(5001)), [5002, 5003, 5000, 5001]);
        assert_eq!(after(Some(5003)), [5000, 5001, 5002, 5003]);
        assert_eq!(
            after(Some(80)),
            [5000, 5001, 5002, 5003],
            "the range was another one"
        );
    }

    #[test]
    fn the_highest_port_is_no_special_case() {
        let all = ephemeral("65534 65535", "");
        assert_eq!(all.after(Some(65535)).collect::<Vec<_>>(), [65534, 65535]);
        assert_eq!(all.after(Some(65534)).collect::<Vec<_>>(), [65535, 65534]);
    }

    #[test]
    fn reserved_ports_are_left_out() {
        let some = ephemeral("5000 5006", "80,5001-5003,5005\n");
        assert_eq!(some.after(None).collect::<Vec<_>>(), [5000, 5004, 5006]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "5000", "0 10", "10 5", "a b"] {
            assert_eq!(parse_range(text), None, "{text:?}");
        }
    }
}
