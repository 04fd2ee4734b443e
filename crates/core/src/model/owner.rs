//! Whose the kernel objects are, where several of our daemons share a network namespace.

use super::Mark;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The name under which a daemon marks what it makes, so that another one leaves it alone. Holding
/// one is proof that it fits everywhere: a chain of iptables has the least room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner(String);

/// What the links of all owners have in common: low bits of their group, of which one is left open.
/// The high bits say whose a link is, and are zero for the usual owner's.
pub const LINK_GROUP: Mark = Mark {
    value: 0x5ea1,
    mask: 0xfffd,
};

/// What the bridges of networks have in common, whichever daemon's: all low bits of their group.
pub const BRIDGE_GROUP: Mark = Mark {
    value: 0x5ea3,
    mask: 0xffff,
};

/// Why a text is not an [`Owner`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" cannot be an owner; use 1 to 12 lower-case letters, digits and '-', a letter first, and not \"user\""
)]
pub struct InvalidOwner(String);

impl Owner {
    /// The most bytes of a name.
    pub const MAX_BYTES: usize = 12;
    const USUAL: &str = "sealane";
    /// Its table would be called like the one that is the user's.
    const TAKEN: &str = "user";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the owner of whatever was made without naming one.
    pub fn is_usual(&self) -> bool {
        self.0 == Self::USUAL
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self(Self::USUAL.into())
    }
}

impl TryFrom<&str> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: &str) -> Result<Self, InvalidOwner> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        let fits = begins && text.len() <= Self::MAX_BYTES && text.chars().all(allowed);
        if fits && text != Self::TAKEN {
            Ok(Self(text.into()))
        } else {
            Err(InvalidOwner(text.into()))
        }
    }
}

impl TryFrom<String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: String) -> Result<Self, InvalidOwner> {
        Self::try_from(text.as_str())
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_fits_into_every_mark() {
        for good in ["sealane", "a", "ci-2", "twelve-bytes"] {
            assert_eq!(Owner::try_from(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "2a",
            "Ci",
            "a b",
            "a/b",
            "a@b",
            "thirteen-byte",
            "user",
            "é",
        ] {
            assert_eq!(Owner::try_from(bad), Err(InvalidOwner(bad.into())));
        }
        assert!(Owner::default().is_usual());
        assert!(!Owner::try_from("other").unwrap().is_usual());
    }
}
