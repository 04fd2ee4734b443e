//! Names the kernel accepts for a link.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A link name the kernel accepts. Holding one is proof that the check was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

/// Why a text is not an [`InterfaceName`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidInterfaceName {
    /// Longer than IFNAMSIZ allows.
    #[error("interface name \"{name}\" is {bytes} bytes; shorten it to 15 or fewer")]
    TooLong {
        /// The refused text.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// Holds a character the kernel or its tools give a meaning of their own.
    #[error("interface name \"{name}\" holds {character:?}; use letters, digits, '-', '_' or '.'")]
    Forbidden {
        /// The refused text.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// Empty, `.` or `..`.
    #[error("interface name \"{name}\" is reserved; choose another")]
    Reserved {
        /// The refused text.
        name: String,
    },
}

impl InterfaceName {
    /// IFNAMSIZ (linux/if.h) less the closing NUL.
    pub const MAX_BYTES: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of every namespace's loopback.
    pub fn loopback() -> Self {
        Self("lo".into())
    }

    /// `prefix` followed by as many digits of `id` as fit a name of `prefix.len() + digits`.
    /// The prefix is ours, so the result is always valid.
    pub(crate) fn from_id(prefix: &str, id: &super::Id, digits: usize) -> Self {
        debug_assert!(prefix.len() + digits <= Self::MAX_BYTES);
        Self(format!("{prefix}{}", id.short(digits)))
    }
}

impl TryFrom<&str> for InterfaceName {
    type Error = InvalidInterfaceName;

    fn try_from(name: &str) -> Result<Self, InvalidInterfaceName> {
        if name.len() > Self::MAX_BYTES {
            return Err(InvalidInterfaceName::TooLong {
                name: name.into(),
                bytes: name.len(),
            });
        }
        // `%` is refused although legal: the kernel reads "veth%d" as a template to number.
        let forbidden = |c: char| !c.is_ascii_graphic() || "/:%".contains(c);
        if let Some(character) = name.chars().find(|&c| forbidden(c)) {
            return Err(InvalidInterfaceName::Forbidden {
                name: name.into(),
                character,
            });
        }
        match name {
            "" | "." | ".." => Err(InvalidInterfaceName::Reserved { name: name.into() }),
            _ => Ok(Self(name.into())),
        }
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = InvalidInterfaceName;

    fn try_from(name: String) -> Result<Self, InvalidInterfaceName> {
        Self::try_from(name.as_str())
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_misread_is_refused() {
        for name in [
            "",
            ".",
            "..",
            "veth%d",
            "a b",
            "a/b",
            "a:b",
            "0123456789abcdef",
            "é",
        ] {
            assert!(InterfaceName::try_from(name).is_err(), "{name:?}");
        }
        assert_eq!(
            InterfaceName::try_from("br-0123456789ab").unwrap().as_str(),
            "br-0123456789ab"
        );
    }
}
