//! From a request to its handler, and from its result to an answer.
//!
//! Start at [`answer`]. Nothing a client sends may end the daemon: a panic becomes a 500.

use crate::api::Api;
use crate::body::RequestBody;
use crate::call::Call;
use crate::error::ApiError;
use crate::query::{Query, decode};
use crate::respond::{self, Response};
use crate::route::{
    ContainerRoute, ExecRoute, ImageRoute, NetworkRoute, OwnRoute, Route, SystemRoute, find,
};
use crate::version::ApiVersion;
use crate::{absent, containers, exec, explain, images, networks, own, span, system, unread};
use futures_util::FutureExt;
use hyper::header::{HeaderName, HeaderValue, SERVER, UPGRADE};
use hyper::{Request, StatusCode};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tracing::Instrument;

/// Answers one request.
pub(crate) async fn answer(api: Arc<Api>, request: Request<RequestBody>) -> Response {
    let label = format!("{} {}", request.method(), request.uri());
    // What a handler shares with others, it locks; a panic leaves nothing half changed here.
    let span = span::begin(request.method(), request.uri().path(), request.headers());
    let (head, body) = request.into_parts();
    let (body, unread) = unread::lend(body);
    let request = Request::from_parts(head, body);
    let handled = AssertUnwindSafe(handle(&api, request)).catch_unwind();
    let handled = handled.instrument(span.clone()).await;
    let result = handled.unwrap_or_else(|_| {
        Err(ApiError::internal(
            "the daemon failed at this request; see its log",
        ))
    });
    let mut response = result.unwrap_or_else(|error| {
        if error.status().is_server_error() && error.status() != StatusCode::NOT_IMPLEMENTED {
            tracing::error!(request = label, %error, "request failed");
        } else {
            tracing::debug!(request = label, %error, "request refused");
        }
        error.into_response()
    });
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        unread.drain().await;
    }
    span::end(&span, response.status());
    add_common_headers(&mut response);
    response
}

async fn handle(api: &Arc<Api>, mut request: Request<RequestBody>) -> Result<Response, ApiError> {
    let asks_upgrade = request.headers().contains_key(UPGRADE);
    let upgrade = asks_upgrade.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();

    let (version, path) = split_version(parts.uri.path());
    let path = decode(path, false)?;
    let Some(route) = find(&parts.method, &path) else {
        return Err(ApiError::not_found("page not found"));
    };
    let version = match version {
        Some(text) => ApiVersion::negotiate(text, api.oldest_version())?,
        None => ApiVersion::MAX,
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let call = Call {
        api: Arc::clone(api),
        version,
        query,
        headers: parts.headers,
        body,
        upgrade,
    };
    dispatch(route, call).await
}

async fn dispatch(route: Route, call: Call) -> Result<Response, ApiError> {
    match route {
        Route::Options => Ok(respond::empty(StatusCode::OK)),
        Route::Absent(route) => absent::answer(route, call).await,
        Route::System(route) => system_route(route, call).await,
        Route::Network(route) => network_route(route, call).await,
        Route::Container(route) => container_route(route, call).await,
        Route::Exec(route) => exec_route(route, call).await,
        Route::Image(route) => image_route(route, call).await,
        Route::Own(route) => own_route(route, call).await,
    }
}

async fn system_route(route: SystemRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        SystemRoute::Ping { head } => Ok(system::ping(head)),
        SystemRoute::Version => Ok(system::version(&call)),
        SystemRoute::Info => system::info(call).await,
        SystemRoute::Events => system::events(&call),
        SystemRoute::DiskUsage => system::disk_usage(call).await,
    }
}

async fn network_route(route: NetworkRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        NetworkRoute::List => networks::list(call).await,
        NetworkRoute::Create => networks::create(call).await,
        NetworkRoute::Prune => networks::prune(call).await,
        NetworkRoute::Inspect(name) => networks::inspect(call, name).await,
        NetworkRoute::Remove(name) => networks::remove(call, name).await,
        NetworkRoute::Connect(name) => networks::connect(call, name).await,
        NetworkRoute::Disconnect(name) => networks::disconnect(call, name).await,
        NetworkRoute::Update(name) => networks::update(call, name).await,
        NetworkRoute::Reservations(name) => networks::reservations(call, name).await,
        NetworkRoute::Reserve(name) => networks::reserve(call, name).await,
        NetworkRoute::Release(name) => networks::release(call, name).await,
    }
}

async fn container_route(route: ContainerRoute, call: Call) -> Result<Response, ApiError> {
    use ContainerRoute as R;
    match route {
        R::List => containers::list(call).await,
        R::Create => containers::create(call).await,
        R::Prune => containers::prune(call).await,
        R::Inspect(name) => containers::inspect(call, name).await,
        R::Top(name) => containers::top(call, name).await,
        R::Stats(name) => containers::stats(call, name).await,
        R::Logs(name) => containers::logs(call, name).await,
        R::Start(name) => containers::start(call, name).await,
        R::Stop(name) => containers::stop(call, name).await,
        R::Restart(name) => containers::restart(call, name).await,
        R::Kill(name) => containers::kill(call, name).await,
        R::Wait(name) => containers::wait(call, name).await,
        R::Attach(name) => containers::attach(call, name).await,
        R::Resize(name) => containers::resize(call, name).await,
        R::Rename(name) => containers::rename(call, name).await,
        R::Update(name) => containers::update(call, name).await,
        R::Remove(name) => containers::remove(call, name).await,
        R::Exec(name) => exec::create(call, name).await,
    }
}

async fn exec_route(route: ExecRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        ExecRoute::Start(id) => exec::start(call, id).await,
        ExecRoute::Resize(id) => exec::resize(call, id).await,
        ExecRoute::Inspect(id) => exec::inspect(call, id).await,
    }
}

async fn image_route(route: ImageRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        ImageRoute::List => images::list(call).await,
        ImageRoute::Import => images::import(call).await,
        ImageRoute::Load => images::load(call).await,
        ImageRoute::SaveMany => images::save_many(call).await,
        ImageRoute::Prune => images::prune(call).await,
        ImageRoute::Inspect(name) => images::inspect(call, name).await,
        ImageRoute::History(name) => images::history(call, name).await,
        ImageRoute::Save(name) => images::save(call, name).await,
        ImageRoute::Tag(name) => images::tag(call, name).await,
        ImageRoute::Remove(name) => images::remove(call, name).await,
    }
}

async fn own_route(route: OwnRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        OwnRoute::Status => own::status(call).await,
        OwnRoute::Plan => own::plan(call).await,
        OwnRoute::Firewall => own::firewall(call).await,
        OwnRoute::Health => own::health(call).await,
        OwnRoute::Explain => explain::explain(call).await,
        OwnRoute::Repair => own::repair(call).await,
        OwnRoute::SetRepair => own::set_repair(call).await,
    }
}

/// Takes `/vX.Y` off a path.
pub(crate) fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/')?;
        let (version, path) = rest.split_at(end);
        let digits = version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        (digits && !version.is_empty()).then_some((Some(version), path))
    });
    versioned.unwrap_or((None, path))
}

/// The headers that clients negotiate by; every answer has them, refusals too.
fn add_common_headers(response: &mut Response) {
    // Lower case here, as hyper wants it; header names have no case on the wire.
    const API_VERSION: HeaderName = HeaderName::from_static("api-version");
    const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
    const OSTYPE: HeaderName = HeaderName::from_static("ostype");
    let headers = response.headers_mut();
    if let Ok(version) = HeaderValue::from_str(&ApiVersion::MAX.to_string()) {
        headers.insert(API_VERSION, version);
    }
    headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
    headers.insert(OSTYPE, HeaderValue::from_static("linux"));
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("Sealane/", env!("CARGO_PKG_VERSION"), " (linux)")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_first_segment_of_digits_and_dots() {
        assert_eq!(
            split_version("/v1.50/networks"),
            (Some("1.50"), "/networks")
        );
        assert_eq!(split_version("/volumes"), (None, "/volumes"));
        assert_eq!(split_version("/v/x"), (None, "/v/x"));
        assert_eq!(split_version("/v1.50"), (None, "/v1.50"));
        assert_eq!(split_version("/v1.5x/networks"), (None, "/v1.5x/networks"));
    }
}
