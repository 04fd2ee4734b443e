//! Docker's events: what happened to containers, networks and images, kept for a while and told
//! to whoever listens.

use jiff::Timestamp;
use sealane_engine::EventSink;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// An image.
    Image,
    /// The daemon itself.
    Daemon,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// Docker's word for what happened: `create`, `die`, `exec_create: sh` ...
    pub action: String,
    /// The id of the object.
    pub id: String,
    /// Its attributes: name, image, labels, `exitCode` ...
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Where events go. Clones share one stream.
#[derive(Clone)]
pub struct EventBus {}

impl EventBus {
    /// A bus that remembers the last `capacity` events.
    pub fn new(_capacity: usize) -> Self {
        todo!()
    }

    /// Tells everybody, now.
    pub fn publish(
        &self,
        _kind: EventKind,
        _action: &str,
        _id: &str,
        _attributes: BTreeMap<String, String>,
    ) {
        todo!()
    }

    /// The events since then that are remembered (none without `since`), and all that follow,
    /// without a gap. A listener that falls behind by the bus's capacity is told how many it missed.
    pub fn subscribe(
        &self,
        _since: Option<Timestamp>,
    ) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        todo!()
    }
}

/// What the engine calls with its events: they are published as Docker words them.
pub fn network_sink(_bus: &EventBus) -> EventSink {
    todo!()
}
