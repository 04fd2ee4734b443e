//! `GET /events`: what happened, and what happens from now on.

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::time;
use crate::version::ApiVersion;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use hyper::HeaderMap;
use hyper::header::ACCEPT;
use jiff::Timestamp;
use sealane_containers::{Event, EventKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How events are put one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A line each.
    Lines(&'static str),
    /// A record separator in front of each (RFC 7464).
    Sequence,
}

#[derive(Serialize)]
struct WireEvent<'a> {
    /// What clients before 1.52 read instead of the fields below.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: WireActor<'a>,
    scope: &'static str,
    time: i64,
    #[serde(rename = "timeNano")]
    time_nano: i128,
}

#[derive(Serialize)]
struct WireActor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: &'a BTreeMap<String, String>,
}

/// Sends the events of a span of time, as they come.
pub(crate) fn events(call: &Call) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let since = time::optional(call.query.text("since"), now)?;
    let until = time::optional(call.query.text("until"), now)?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        let [since, until] = ["since", "until"].map(|key| call.query.text(key).unwrap_or_default());
        return Err(ApiError::invalid(format!(
            "`since` time ({since}) cannot be after `until` time ({until})"
        )));
    }
    let filters = Filters::unchecked(&call.query)?;
    let format = Format::of(&call.headers, call.version);
    let version = call.version;

    // Without `since`, Docker tells the past only if the end is past too.
    let since = since.or(until
        .is_some_and(|until| until <= now)
        .then_some(Timestamp::UNIX_EPOCH));
    let (past, coming) = call.api.events.subscribe(since);
    let past = past
        .into_iter()
        .filter(move |event| until.is_none_or(|end| event.time <= end));
    let coming = until_then(coming, until.map(|until| remaining(now, until)));
    let chosen = stream::iter(past)
        .chain(coming)
        .filter(move |event| std::future::ready(matches(&filters, event)))
        .filter_map(move |event| std::future::ready(format.encode(&event, version)));
    Ok(respond::stream(format.content_type(), chosen))
}

/// How long it is until then; nothing if it is past.
fn remaining(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// The events to come, for a while or for ever.
fn until_then(
    receiver: Receiver<Arc<Event>>,
    left: Option<Duration>,
) -> impl Stream<Item = Arc<Event>> {
    let events = stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((event, receiver)),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a client reads events too slowly and missed some");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let end = async move {
        match left {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
    };
    events.take_until(Box::pin(end))
}

impl Format {
    /// The format that a client asks for; older ones got plain JSON.
    fn of(headers: &HeaderMap, version: ApiVersion) -> Self {
        let accepts = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let named = accepts.flat_map(|text| text.split(',')).find_map(|part| {
            match part.split(';').next().unwrap_or_default().trim() {
                "application/jsonl" => Some(Self::Lines("application/jsonl")),
                "application/x-ndjson" => Some(Self::Lines("application/x-ndjson")),
                "application/json-seq" => Some(Self::Sequence),
                _ => None,
            }
        });
        let usual = if version.at_least(52) {
            "application/jsonl"
        } else {
            "application/json"
        };
        named.unwrap_or(Self::Lines(usual))
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Lines(name) => name,
            Self::Sequence => "application/json-seq",
        }
    }

    fn encode(self, event: &Event, version: ApiVersion) -> Option<Bytes> {
        let mut bytes = match self {
            Self::Lines(_) => Vec::new(),
            Self::Sequence => vec![0x1e],
        };
        serde_json::to_writer(&mut bytes, &wire(event, version)).ok()?;
        bytes.push(b'\n');
        Some(bytes.into())
    }
}

fn wire(event: &Event, version: ApiVersion) -> WireEvent<'_> {
    let legacy =
        !version.at_least(52) && matches!(event.kind, EventKind::Container | EventKind::Image);
    let from = event.attributes.get("image").map(String::as_str);
    WireEvent {
        status: legacy.then_some(&event.action),
        id: legacy.then_some(&event.id),
        from: from.filter(|_| legacy && event.kind == EventKind::Container),
        kind: kind_name(event.kind),
        action: &event.action,
        actor: WireActor {
            id: &event.id,
            attributes: &event.attributes,
        },
        scope: "local",
        time: event.time.as_second(),
        time_nano: event.time.as_nanosecond(),
    }
}

fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Container => "container",
        EventKind::Network => "network",
        EventKind::Image => "image",
        EventKind::Volume => "volume",
        EventKind::Daemon => "daemon",
    }
}

/// Whether a client wants to hear of an event.
fn matches(filters: &Filters, event: &Event) -> bool {
    let action = event.action.split(':').next().unwrap_or_default();
    (filters.exact("event", &event.action) || filters.exact("event", action))
        && filters.exact("type", kind_name(event.kind))
        && filters.exact("scope", "local")
        && filters.labels("label", &event.attributes)
        && ["container", "network", "daemon"]
            .iter()
            .all(|kind| named(filters, kind, event))
        && image_matches(filters, event)
}

/// Whether the event is about an object that a filter names, by a prefix of its id or name.
fn named(filters: &Filters, kind: &str, event: &Event) -> bool {
    let wanted = filters.values(kind);
    let name = event.attributes.get("name").map_or("", String::as_str);
    wanted.is_empty()
        || kind == kind_name(event.kind)
            && wanted
                .iter()
                .any(|text| event.id.starts_with(text.as_str()) || name.starts_with(text.as_str()))
}

/// Whether the event is about an image that a filter names, or about a container of it.
fn image_matches(filters: &Filters, event: &Event) -> bool {
    let wanted = filters.values("image");
    let attribute = if event.kind == EventKind::Image {
        "name"
    } else {
        "image"
    };
    let name = event.attributes.get(attribute).map_or("", String::as_str);
    wanted.is_empty()
        || wanted.iter().any(|text| {
            (event.kind == EventKind::Image && event.id.starts_with(text.as_str()))
                || (!name.is_empty() && name.starts_with(text.as_str()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn die() -> Event {
        let attributes = [("exitCode", "0"), ("image", "busybox"), ("name", "web")];
        Event {
            kind: EventKind::Container,
            action: "die".into(),
            id: "4f2e".into(),
            attributes: attributes
                .map(|(key, value)| (key.into(), value.into()))
                .into(),
            time: Timestamp::new(1_700_000_000, 1).unwrap(),
        }
    }

    fn encoded(version: ApiVersion) -> String {
        let bytes = Format::Lines("").encode(&die(), version).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_a_line() {
        expect![[r#"
            {"Type":"container","Action":"die","Actor":{"ID":"4f2e","Attributes":{"exitCode":"0","image":"busybox","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000000000001}
        "#]]
        .assert_eq(&encoded(ApiVersion::MAX));
    }

    #[test]
    fn older_clients_get_the_older_fields_too() {
        expect![[r#"
            {"status":"die","id":"4f2e","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"4f2e","Attributes":{"exitCode":"0","image":"busybox","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000000000001}
        "#]]
        .assert_eq(&encoded(ApiVersion::new(1, 51)));
    }

    #[test]
    fn filters_choose_events() {
        let chosen = |key: &str, value: &str| {
            matches(
                &Filters(BTreeMap::from([(key.into(), vec![value.into()])])),
                &die(),
            )
        };
        let hits = [
            ("event", "die"),
            ("type", "container"),
            ("container", "web"),
            ("container", "4f"),
            ("image", "busybox"),
            ("label", "exitCode=0"),
        ];
        for (key, value) in hits {
            assert!(chosen(key, value), "{key}={value}");
        }
        let misses = [
            ("event", "start"),
            ("type", "network"),
            ("container", "xweb"),
            ("network", "web"),
            ("image", "alpine"),
            ("scope", "swarm"),
        ];
        for (key, value) in misses {
            assert!(!chosen(key, value), "{key}={value}");
        }
    }

    #[test]
    fn an_exec_is_found_by_the_word_before_the_colon() {
        let event = Event {
            action: "exec_create: sh -c x".into(),
            ..die()
        };
        let filters = Filters(BTreeMap::from([(
            "event".into(),
            vec!["exec_create".into()],
        )]));
        assert!(matches(&filters, &event));
    }
}
