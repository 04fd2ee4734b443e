//! The name of a driver, which is all that the model knows of it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// A driver's name as users and the API write it: lower-case letters, digits and dashes.
///
/// What it stands for, [`drivers::find`](crate::drivers::find) says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DriverName(Cow<'static, str>);

/// A text that names no driver, whatever drivers there are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" cannot be the name of a driver: write it in lower-case letters, digits and dashes"
)]
pub struct InvalidDriverName(String);

impl DriverName {
    /// A name that stands in the source. One of the wrong form does not compile as a constant.
    pub const fn known(name: &'static str) -> Self {
        assert!(is_well_formed(name), "not of the form of a driver's name");
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_well_formed(name: &str) -> bool {
    let (bytes, mut at) = (name.as_bytes(), 0);
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty()
}

impl TryFrom<String> for DriverName {
    type Error = InvalidDriverName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if is_well_formed(&name) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(InvalidDriverName(name))
        }
    }
}

impl From<DriverName> for String {
    fn from(name: DriverName) -> Self {
        name.0.into_owned()
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;

    fn read(name: &str) -> Result<DriverName, Error> {
        DriverName::deserialize(name.to_owned().into_deserializer())
    }

    #[test]
    fn it_is_stored_as_the_text_that_it_always_was() {
        for name in ["bridge", "host", "null", "macvlan", "ipvlan", "my-driver2"] {
            let read = read(name).unwrap();
            assert_eq!(
                (read.as_str(), String::from(read.clone()).as_str()),
                (name, name)
            );
        }
        for other in ["", "Bridge", "a b", "a/b"] {
            assert!(read(other).is_err());
        }
    }
}
