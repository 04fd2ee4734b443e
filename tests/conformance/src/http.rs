//! Requests that the stock CLI does not send, and refusals.

use sealane_testkit::Daemon;
use serde_json::{Value, json};

/// A refusal: its status and message.
pub type Refused = (u16, String);

/// Sends a request that should be refused and returns how it was.
#[track_caller]
pub fn refused(daemon: &Daemon, method: &str, path: &str, body: &Value) -> Refused {
    let (status, answer) = daemon.api(method, path, body);
    assert!(
        status >= 400,
        "{method} {path} {body} should be refused: {status} {answer}"
    );
    let message = answer["message"].as_str();
    let message = message.unwrap_or_else(|| panic!("no message in {status} {answer}"));
    let fields = answer.as_object().map_or(0, |fields| fields.len());
    assert!(
        fields == 1,
        "an error has a message and nothing else: {answer}"
    );
    (status, message.to_owned())
}

/// Creates a network over the API, with further fields, and returns its id.
#[track_caller]
pub fn create_network(daemon: &Daemon, name: &str, fields: Value) -> String {
    let mut body = json!({ "Name": name });
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    let (status, answer) = daemon.api("POST", "/networks/create", &body);
    assert!(status == 201, "create of {body}: {status} {answer}");
    answer["Id"].as_str().expect("an id").to_owned()
}

/// A path with `?filters=`, encoded as clients do.
pub fn filtered(path: &str, filters: &Value) -> String {
    format!("{path}?filters={}", encoded(&filters.to_string()))
}

/// Text as it stands in a query.
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
