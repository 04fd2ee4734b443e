//! Ethernet addresses.

use super::Id;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// Why a text is not a [`Mac`]; the words are those of Go's `net.ParseMAC`, which users know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("address {0}: invalid MAC address")]
pub struct InvalidMac(String);

impl Mac {
    /// No address: what a link has that uses its parent's.
    pub const NONE: Self = Self([0; 6]);

    /// A locally administered unicast address made from an object's id.
    pub fn from_id(id: &Id) -> Self {
        let bytes = id.as_bytes();
        let first = bytes[0] & 0b1111_1100 | 0b0000_0010;
        Self([first, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
    }

    /// The address of the port of a bridge that leads to an object. A bridge takes frames for any of
    /// its ports for the host's own, so these addresses must be known as such: they begin alike.
    pub fn of_port(id: &Id) -> Self {
        let [a, b, c] = PORTS;
        let bytes = id.as_bytes();
        Self([a, b, c, bytes[0], bytes[1], bytes[2]])
    }
}

/// How the addresses of ports of ours begin. It is locally administered, and of one host.
pub const PORTS: [u8; 3] = [0x5e, 0xa1, 0x4e];

impl Mac {
    /// The address as the API shows it: empty where there is none.
    pub fn shown(&self) -> String {
        if *self == Self::NONE {
            return String::new();
        }
        self.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<&str> for Mac {
    type Error = InvalidMac;

    fn try_from(text: &str) -> Result<Self, InvalidMac> {
        let invalid = || InvalidMac(text.chars().take(40).collect());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(invalid)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(invalid());
        }
        Ok(Self(bytes))
    }
}

/// As records have it: a request may not ask for [`Mac::NONE`], but an endpoint can have it.
impl TryFrom<String> for Mac {
    type Error = InvalidMac;

    fn try_from(text: String) -> Result<Self, InvalidMac> {
        match text.as_str() {
            "" => Ok(Self::NONE),
            text => Self::try_from(text),
        }
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;

    #[test]
    fn a_derived_address_is_local_and_unicast() {
        let id = derive_id(&[b"web"]);
        for mac in [Mac::from_id(&id), Mac::of_port(&id)] {
            assert_eq!(mac.0[0] & 0b11, 0b10);
            assert_eq!(Mac::try_from(mac.to_string().as_str()), Ok(mac));
        }
    }

    #[test]
    fn what_is_written_down_can_be_read_again() {
        for mac in [Mac::NONE, Mac([2, 66, 0, 0, 0, 1])] {
            assert_eq!(Mac::try_from(String::from(mac)), Ok(mac));
        }
    }

    #[test]
    fn group_and_malformed_addresses_are_refused() {
        for text in [
            "",
            "02:42",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "2:42:ac:11:0:2",
        ] {
            assert!(Mac::try_from(text).is_err(), "{text:?}");
        }
    }
}
