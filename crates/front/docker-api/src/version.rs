//! API versions: which ones are served, and how a client's choice is checked.

use crate::error::ApiError;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A version of the Docker Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u32,
    minor: u32,
}

/// Why a text is not a version that can be the oldest one served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidMinimum {
    /// Not two numbers with a dot between.
    #[error("\"{0}\" is not an API version; write it like 1.40, without a \"v\"")]
    Malformed(String),
    /// Not a version that this engine has.
    #[error(
        "minimum API version {0} is not served; choose one from {floor} to {max}",
        floor = ApiVersion::FLOOR,
        max = ApiVersion::MAX
    )]
    OutOfRange(ApiVersion),
}

impl ApiVersion {
    /// The newest version served.
    pub const MAX: Self = Self::new(1, 54);
    /// The oldest version served unless configured.
    pub const DEFAULT_MIN: Self = Self::new(1, 40);
    /// The oldest version that can be configured.
    pub const FLOOR: Self = Self::new(1, 24);

    /// The version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Whether this version is `1.minor` or newer.
    pub const fn at_least(self, minor: u32) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }

    /// The two numbers.
    pub(crate) fn parts(self) -> (u16, u16) {
        let short = |number| u16::try_from(number).unwrap_or(u16::MAX);
        (short(self.major), short(self.minor))
    }

    /// Reads what `DOCKER_MIN_API_VERSION` or `min-api-version` says.
    pub fn minimum(text: &str) -> Result<Self, InvalidMinimum> {
        let malformed = || InvalidMinimum::Malformed(text.chars().take(40).collect());
        let version: Self = text.parse().map_err(|_| malformed())?;
        if (Self::FLOOR..=Self::MAX).contains(&version) {
            Ok(version)
        } else {
            Err(InvalidMinimum::OutOfRange(version))
        }
    }

    /// Checks the version that a path asks for.
    pub(crate) fn negotiate(text: &str, oldest: Self) -> Result<Self, ApiError> {
        let version = Self::parse_lenient(text);
        let shown: String = text.chars().take(40).collect();
        if version < oldest {
            let message = format!(
                "client version {shown} is too old. Minimum supported API version is {oldest}, \
                 please upgrade your client to a newer version"
            );
            // Clients that old print the body as it is.
            return Err(match version < Self::FLOOR {
                true => ApiError::plain(message),
                false => ApiError::invalid(message),
            });
        }
        if version > Self::MAX {
            return Err(ApiError::invalid(format!(
                "client version {shown} is too new. Maximum supported API version is {}",
                Self::MAX
            )));
        }
        Ok(version)
    }

    /// The first two numbers of a text of digits and dots; what does not fit counts as too new.
    fn parse_lenient(text: &str) -> Self {
        let number = |part: Option<&str>| match part {
            None | Some("") => 0,
            Some(digits) => digits.parse().unwrap_or(u32::MAX),
        };
        let mut parts = text.split('.');
        Self {
            major: number(parts.next()),
            minor: number(parts.next()),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map_err(|_| ()),
            false => Err(()),
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        ApiVersion::negotiate(text, ApiVersion::DEFAULT_MIN)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn a_version_outside_the_range_is_refused_in_docker_words() {
        assert_eq!(
            refusal("9.99"),
            "client version 9.99 is too new. Maximum supported API version is 1.54"
        );
        assert_eq!(
            refusal("1.23"),
            "client version 1.23 is too old. Minimum supported API version is 1.40, please \
             upgrade your client to a newer version"
        );
        for text in [
            "",
            ".",
            "0",
            "99999999999999999999.1",
            "1.99999999999999",
            "....",
        ] {
            refusal(text);
        }
    }

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text| ApiVersion::negotiate(text, ApiVersion::FLOOR).expect("served");
        assert!(version("1.50").at_least(48) && !version("1.47").at_least(48));
        assert!(version("1.24") < version("1.40") && version("1.54.1") == ApiVersion::MAX);
    }

    #[test]
    fn a_minimum_is_a_served_version() {
        assert_eq!(ApiVersion::minimum("1.24"), Ok(ApiVersion::FLOOR));
        for text in ["", "v1.40", "1", "1.23", "1.99", "1.4x", "1.+40", "2.0"] {
            assert!(ApiVersion::minimum(text).is_err(), "{text:?}");
        }
    }
}
