//! The two versions of IP, and values that there is one of for each.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};

/// A version of IP. Records on the disk say whether it is IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Whether an address is of this family.
    pub fn has(self, address: IpAddr) -> bool {
        Self::of(address) == self
    }

    /// That of two values that belongs to this family.
    pub fn pick<T>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }
}

impl From<bool> for IpFamily {
    fn from(ipv6: bool) -> Self {
        if ipv6 { Self::V6 } else { Self::V4 }
    }
}

impl From<IpFamily> for bool {
    fn from(family: IpFamily) -> Self {
        family == IpFamily::V6
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.pick("IPv4", "IPv6"))
    }
}

/// A value for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerFamily<T> {
    /// That of IPv4.
    pub v4: T,
    /// That of IPv6.
    pub v6: T,
}

impl<T> PerFamily<T> {
    /// Asks for the value of each family.
    pub fn from_fn(mut value: impl FnMut(IpFamily) -> T) -> Self {
        Self {
            v4: value(IpFamily::V4),
            v6: value(IpFamily::V6),
        }
    }
}

impl<T> Index<IpFamily> for PerFamily<T> {
    type Output = T;

    fn index(&self, family: IpFamily) -> &T {
        family.pick(&self.v4, &self.v6)
    }
}

impl<T> IndexMut<IpFamily> for PerFamily<T> {
    fn index_mut(&mut self, family: IpFamily) -> &mut T {
        family.pick(&mut self.v4, &mut self.v6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_saved_as_the_flag_it_was_in_earlier_records() {
        for (family, saved) in [(IpFamily::V4, "false"), (IpFamily::V6, "true")] {
            assert_eq!(serde_json::to_string(&family).unwrap(), saved);
            assert_eq!(serde_json::from_str::<IpFamily>(saved).unwrap(), family);
        }
    }
}
