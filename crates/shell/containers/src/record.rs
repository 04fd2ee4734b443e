//! What is remembered of a container: what was asked for, and what became of it.
//!
//! Stored as it is before the API answers. Nothing in it can be asked of the kernel or of the engine:
//! addresses and bound ports are the sandbox's. What clients send and see is Docker's, and its types
//! change with the API; a record outlives both, and has types of its own, see [`crate::options`].

use crate::network_mode::NetworkMode;
use crate::options::{EndpointOptions, HostOptions, Program};
use jiff::Timestamp;
use sealane_core::model::Id;
use sealane_images::ImageId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its id, which is its sandbox's too.
    pub(crate) id: Id,
    /// Its name, without the slash that Docker shows.
    pub(crate) name: String,
    /// Whether the user chose the name: then another container of that name takes over what the
    /// name had on its networks.
    #[serde(default)]
    pub(crate) name_given: bool,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// The image it was made from.
    pub(crate) image: Option<ImageId>,
    /// The program.
    pub(crate) path: String,
    /// The program's arguments.
    pub(crate) args: Vec<String>,
    /// What runs in it, the image's settings merged in.
    pub(crate) config: Program,
    /// How it sits on the host.
    pub(crate) host_config: HostOptions,
    /// The endpoints wanted, by network: its name, or what was given where it did not exist yet.
    pub(crate) endpoints: BTreeMap<String, EndpointOptions>,
    /// Links on the default bridge.
    pub(crate) links: Vec<Link>,
    /// How often its restart policy has started it.
    pub(crate) restart_count: i64,
    /// What became of it.
    pub(crate) state: State,
}

/// A link on the default bridge: this container knows another by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The other container.
    pub(crate) target: Id,
    /// The name.
    pub(crate) alias: String,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    #[default]
    Created,
    /// Its process lives.
    Running,
    /// Its process ended and will be started again.
    Restarting,
    /// Its process ended.
    Exited,
}

/// What became of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is in its life.
    pub status: Status,
    /// Its process; 0 if there is none.
    pub pid: i32,
    /// The process's start in clock ticks since boot.
    pub start_time: u64,
    /// How its process ended last.
    pub exit_code: i64,
    /// Why it could not be started last; empty if it could.
    pub error: String,
    /// Whether the kernel killed something in it for want of memory.
    pub oom_killed: bool,
    /// When it was started last.
    pub started_at: Option<Timestamp>,
    /// When it ended last.
    pub finished_at: Option<Timestamp>,
    /// Whether a user stopped it: then `unless-stopped` leaves it alone.
    pub manually_stopped: bool,
}

impl State {
    /// Whether the API calls it running: also between two runs of a restart policy.
    pub fn is_running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Restarting)
    }

    /// The word that messages use.
    pub(crate) fn word(&self) -> &'static str {
        match self.status {
            Status::Created => "created",
            Status::Running => "running",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
        }
    }
}

impl Record {
    /// How the container is networked.
    pub(crate) fn network_mode(&self) -> NetworkMode<'_> {
        NetworkMode::of(&self.host_config)
    }

    /// Whether it is removed when it ends.
    pub(crate) fn auto_remove(&self) -> bool {
        self.host_config.auto_remove.unwrap_or_default()
    }

    /// Whether it has a terminal.
    pub(crate) fn tty(&self) -> bool {
        self.config.tty.unwrap_or_default()
    }

    /// The host name in it.
    pub(crate) fn hostname(&self) -> &str {
        self.config.hostname.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
