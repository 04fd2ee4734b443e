//! Diagnosis: what the daemon knows of networks, for people and scripts on the host.

use crate::api::Api;
use crate::respond::{self, Response};
use hyper::StatusCode;
use serde_json::{Value, json};

/// What there is, in Docker's manner: one path a line.
const HELP: &str = "OK\n/help\n/networks\n/plan\n/ready\n/sandboxes\n";

/// Answers a path.
pub(super) fn tell(api: &Api, path: &str) -> Response {
    match path {
        "/help" => respond::text(StatusCode::OK, HELP),
        "/ready" => respond::text(StatusCode::OK, "OK\n"),
        "/networks" => respond::ok(&networks(api)),
        "/sandboxes" => respond::ok(&sandboxes(api)),
        "/plan" => respond::text(StatusCode::OK, api.engine.wanted()),
        _ => respond::text(
            StatusCode::NOT_FOUND,
            format!("not implemented: {path}\n{HELP}"),
        ),
    }
}

fn networks(api: &Api) -> Value {
    let networks = api.engine.networks();
    json!(
        networks
            .iter()
            .map(|network| json!(&***network))
            .collect::<Vec<_>>()
    )
}

fn sandboxes(api: &Api) -> Value {
    let sandboxes = api.engine.sandboxes();
    json!(
        sandboxes
            .iter()
            .map(|sandbox| json!(&**sandbox))
            .collect::<Vec<_>>()
    )
}
