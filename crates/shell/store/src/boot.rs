//! Which boot of the machine this is.

use serde::{Deserialize, Serialize};
use std::{fs, io};
use thiserror::Error;

const PATH: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's name for the current boot: runtime state with another one is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(String);

/// The kernel does not say which boot this is.
#[derive(Debug, Error)]
#[error("cannot read {PATH}; is /proc mounted?")]
pub struct BootIdError(#[source] io::Error);

impl BootId {
    /// Asks the kernel.
    pub fn current() -> Result<Self, BootIdError> {
        let text = fs::read_to_string(PATH).map_err(BootIdError)?;
        Ok(Self(text.trim().to_owned()))
    }

    /// A boot by name, for tests of what a reboot does.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
