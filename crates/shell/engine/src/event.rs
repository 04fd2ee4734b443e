//! Events: what the engine reports to its sink.

use sealane_core::model::{DriverName, NetworkId, SandboxId};
use std::sync::Arc;

/// The driver that events of the host itself are reported under.
pub(crate) const HOST: DriverName = DriverName::known("host");

/// What happened to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkAction {
    /// It was made.
    Create,
    /// It was changed in place.
    Update,
    /// It was removed.
    Destroy,
    /// A sandbox was attached.
    Connect(SandboxId),
    /// A sandbox was detached.
    Disconnect(SandboxId),
    /// Objects that something else had changed were put back; the text says which.
    Repair(String),
    /// A foreign firewall or a conflict needs the operator's attention; the text says what to do.
    Warn(String),
}

/// An event of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEvent {
    /// What happened.
    pub action: NetworkAction,
    /// The network concerned; `None` where it is the whole host.
    pub network: Option<NetworkId>,
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: DriverName,
}

/// Takes events, at once, in order.
pub type EventSink = Arc<dyn Fn(NetworkEvent) + Send + Sync>;
