//! Looks at a host and says what is in the way of container networks, and what to do about it.
//!
//! First [`Host::look`] reads everything, once; then each check under `checks` is a pure function
//! from what was seen to [`Finding`]s, so that it can be tested without a host. Changes nothing;
//! the kernel's features are tried in a network namespace that ends with the attempt. Works with and
//! without a daemon: what only a daemon knows comes as [`Daemon`]. Start at [`examine`].

mod checks;
mod host;

pub use host::{Host, LookError, Roots};

use ipnet::IpNet;
use sealane_core::drivers::{self, Driver};
use serde::{Deserialize, Serialize};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It may hurt.
    Warn,
    /// It hurts.
    Error,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is the matter, one sentence.
    pub finding: String,
    /// What to do; empty where all is well.
    pub advice: String,
}

/// What the daemon tells about itself and its networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Daemon {
    /// Its process.
    pub pid: u32,
    /// Whether foreign changes are let stand.
    pub repair_paused: bool,
    /// Whether it meets foreign firewalls that drop.
    pub firewall_integration: bool,
    /// What is on the host otherwise than it wants it, a line for each object.
    pub drift: Vec<String>,
    /// What containers have changed inside of what they were given, a sentence for each.
    pub changed_inside: Vec<String>,
    /// What is set for it and cannot be used, a sentence each.
    pub unready: Vec<String>,
    /// Its networks.
    pub networks: Vec<DaemonNetwork>,
}

/// A network of the daemon's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DaemonNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
}

impl DaemonNetwork {
    /// What its driver is; `None` if it is one of another version.
    pub(crate) fn driver(&self) -> Option<&'static dyn Driver> {
        drivers::find(&self.driver)
    }
}

/// All findings about a host, each check at least one, in a fixed order.
pub fn examine(host: &Host, daemon: Option<&Daemon>) -> Vec<Finding> {
    checks::ALL
        .iter()
        .flat_map(|(name, check)| {
            let found = check(host, daemon);
            found.into_iter().map(|verdict| Finding {
                check: name,
                level: verdict.level,
                finding: verdict.finding,
                advice: verdict.advice,
            })
        })
        .collect()
}
