//! `GET /sealane/explain?from=WHO&to=WHOM`: whether a packet passes, and what decides it.

use crate::api::Api;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use sealane_core::explain::{Report, Sender, Target};
use sealane_core::model::SandboxId;
use std::net::IpAddr;

/// Answers with the whole report.
pub(crate) async fn explain(call: Call) -> Result<Response, ApiError> {
    let asked = |name: &str| {
        let text = call.query.text(name).map(str::to_owned);
        text.ok_or_else(|| ApiError::invalid(format!("say {name} whom: ?from=WHO&to=WHOM:PORT")))
    };
    let (from, to) = (asked("from")?, asked("to")?);
    let to: Target = to
        .parse()
        .map_err(|error| ApiError::invalid(format!("{error}")))?;
    let report = call.blocking(move |api| report(api, &from, &to)).await?;
    Ok(respond::ok(&report))
}

/// The network stack that people mean by a name: a container's, or one that a call has made.
fn sandbox(api: &Api, reference: &str) -> Result<SandboxId, ApiError> {
    api.containers.stack_id(reference).or_else(|error| {
        let mut sandboxes = api.engine.sandboxes().into_iter();
        let named = sandboxes.find(|one| one.given.is_some() && one.name == reference);
        named.map(|one| one.id).ok_or_else(|| error.into())
    })
}

fn report(api: &Api, from: &str, to: &Target) -> Result<Report, ApiError> {
    let from = match (from, from.parse::<IpAddr>()) {
        ("host", _) => Sender::Host,
        ("lan", _) => Sender::Lan,
        (_, Ok(address)) => Sender::Outside(address),
        (reference, Err(_)) => Sender::Sandbox(sandbox(api, reference)?),
    };
    // Whether a container has the name is for the sender's resolver; this is the one that is meant.
    let container = sandbox(api, &to.name).ok();
    let running = container.filter(|id| api.engine.sandbox(id).is_some());
    Ok(api.engine.explain(from, to, running)?)
}
