//! Docker's events: what happened to containers, networks and images, kept for a while and sent
//! to subscribers.

use crate::locks::lock;
use crate::record::Record;
use jiff::Timestamp;
use sealane_engine::{EventSink, NetworkAction, NetworkEvent};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
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
    /// A volume.
    Volume,
    /// The daemon itself.
    Daemon,
}

impl EventKind {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
        }
    }
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
pub struct EventBus(Arc<Mutex<Bus>>);

struct Bus {
    past: VecDeque<Arc<Event>>,
    capacity: usize,
    listeners: broadcast::Sender<Arc<Event>>,
}

impl EventBus {
    /// A bus that remembers the last `capacity` events.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let (listeners, _) = broadcast::channel(capacity);
        Self(Arc::new(Mutex::new(Bus {
            past: VecDeque::new(),
            capacity,
            listeners,
        })))
    }

    /// Sends an event to all subscribers, with the time of now.
    pub fn publish(
        &self,
        kind: EventKind,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let mut bus = lock(&self.0);
        // The clock may be set back; the order of events is not.
        let now = Timestamp::now();
        let time = bus.past.back().map_or(now, |last| last.time.max(now));
        let event = Event {
            kind,
            action: action.into(),
            id: id.into(),
            attributes,
            time,
        };
        let event = Arc::new(event);
        if bus.past.len() == bus.capacity {
            bus.past.pop_front();
        }
        bus.past.push_back(Arc::clone(&event));
        // There need not be a subscriber.
        drop(bus.listeners.send(event));
    }

    /// The events since then that are remembered (none without `since`), and all that follow,
    /// without a gap. A listener that falls behind by the bus's capacity gets the number of
    /// events it missed.
    pub fn subscribe(
        &self,
        since: Option<Timestamp>,
    ) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let bus = lock(&self.0);
        let wanted = |event: &&Arc<Event>| since.is_some_and(|since| event.time >= since);
        let past = bus.past.iter().filter(wanted).cloned().collect();
        (past, bus.listeners.subscribe())
    }
}

/// Tells what happened to a container, with its labels, image and name.
pub(crate) fn tell<'a>(
    events: &EventBus,
    record: &Record,
    action: &str,
    more: impl IntoIterator<Item = (&'a str, String)>,
) {
    let labels = record.config.labels.iter().flatten();
    let mut attributes: BTreeMap<String, String> = labels
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    attributes.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
    if let Some(image) = record
        .config
        .image
        .clone()
        .filter(|image| !image.is_empty())
    {
        attributes.insert("image".into(), image);
    }
    attributes.insert("name".into(), record.name.clone());
    events.publish(
        EventKind::Container,
        action,
        &record.id.to_string(),
        attributes,
    );
}

/// What the engine calls with its events: they are published as Docker words them.
pub fn network_sink(bus: &EventBus) -> EventSink {
    let bus = bus.clone();
    Arc::new(move |event| publish_network(&bus, event))
}

fn publish_network(bus: &EventBus, event: NetworkEvent) {
    let mut attributes = BTreeMap::from([
        ("name".to_owned(), event.name),
        ("type".to_owned(), event.driver.to_string()),
    ]);
    let mut with = |key: &str, value: String| attributes.insert(key.to_owned(), value);
    let action = match event.action {
        NetworkAction::Create => "create",
        NetworkAction::Update => "update",
        NetworkAction::Destroy => "destroy",
        NetworkAction::Connect(sandbox) => {
            with("container", sandbox.to_string());
            "connect"
        }
        NetworkAction::Disconnect(sandbox) => {
            with("container", sandbox.to_string());
            "disconnect"
        }
        NetworkAction::Repair(text) => {
            with("changes", text);
            "repair"
        }
        NetworkAction::Warn(text) => {
            with("message", text);
            "warn"
        }
    };
    let (kind, id) = match event.network {
        Some(network) => (EventKind::Network, network.to_string()),
        None => (EventKind::Daemon, String::new()),
    };
    bus.publish(kind, action, &id, attributes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::{DriverName, derive_id};

    fn publish(bus: &EventBus, action: &str) {
        bus.publish(EventKind::Container, action, "id", BTreeMap::new());
    }

    fn actions(events: &[Arc<Event>]) -> Vec<&str> {
        events.iter().map(|event| event.action.as_str()).collect()
    }

    #[test]
    fn the_last_events_are_remembered() {
        let bus = EventBus::new(2);
        for action in ["create", "start", "die"] {
            publish(&bus, action);
        }
        let (past, _) = bus.subscribe(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(actions(&past), ["start", "die"]);
        assert_eq!(
            actions(&bus.subscribe(Some(past[1].time)).0).last(),
            Some(&"die")
        );
        assert_eq!(actions(&bus.subscribe(None).0), [""; 0]);
    }

    #[test]
    fn a_listener_hears_what_follows() {
        let bus = EventBus::new(8);
        publish(&bus, "create");
        let (past, mut coming) = bus.subscribe(Some(Timestamp::UNIX_EPOCH));
        publish(&bus.clone(), "start");
        assert_eq!(actions(&past), ["create"]);
        assert_eq!(coming.try_recv().unwrap().action, "start");
    }

    #[test]
    fn a_network_event_names_network_and_container() {
        let bus = EventBus::new(8);
        let (network, container) = (derive_id(&[b"n"]), derive_id(&[b"c"]));
        network_sink(&bus)(NetworkEvent {
            action: NetworkAction::Connect(container),
            network: Some(network),
            name: "bridge".into(),
            driver: DriverName::known("bridge"),
        });
        let (past, _) = bus.subscribe(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(
            (past[0].kind, past[0].action.as_str()),
            (EventKind::Network, "connect")
        );
        assert_eq!(past[0].id, network.to_string());
        let expected = [
            ("container", container.to_string()),
            ("name", "bridge".into()),
            ("type", "bridge".into()),
        ];
        assert_eq!(
            past[0].attributes,
            expected.map(|(k, v)| (k.to_owned(), v)).into()
        );
    }
}
