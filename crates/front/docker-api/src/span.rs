//! The span of a request, for those who collect traces.

use hyper::{HeaderMap, Method};
use opentelemetry::global;
use opentelemetry_http::HeaderExtractor;
use sealane_engine::SPANS;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Begins the span of a request, as part of the client's if that told one (`traceparent`).
pub(crate) fn begin(method: &Method, path: &str, headers: &HeaderMap) -> Span {
    let span = info_span!(
        target: SPANS,
        "request",
        otel.name = format!("{method} {}", without_names(path)),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        url.path = path,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        let headers = HeaderExtractor(headers);
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        // Only a span that is not collected cannot have a parent.
        drop(span.set_parent(parent));
    }
    span
}

/// Notes how a request was answered.
pub(crate) fn end(span: &Span, status: hyper::StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// A path as spans are called: without the version, and with a word for what differs from request
/// to request.
fn without_names(path: &str) -> String {
    let path = crate::router::split_version(path).1;
    let words = path.split('/').enumerate().map(|(index, word)| {
        let verb = ["create", "json", "prune", "load", "get", "update"].contains(&word);
        let fixed = index != 2 || verb;
        if fixed { word } else { "{name}" }
    });
    words.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_one_kind_of_request_have_one_name() {
        for (path, name) in [
            ("/v1.50/containers/create", "/containers/create"),
            ("/containers/web/start", "/containers/{name}/start"),
            ("/networks/blue", "/networks/{name}"),
            ("/v1.54/networks", "/networks"),
            ("/_ping", "/_ping"),
        ] {
            assert_eq!(without_names(path), name);
        }
    }
}
