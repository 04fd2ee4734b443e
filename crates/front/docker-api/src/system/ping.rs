//! `GET` and `HEAD /_ping`: what every client asks first.

use crate::respond::{self, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};

/// Says that the daemon is there; the headers tell the client which builder to use.
pub(crate) fn ping(head: bool) -> Response {
    let mut response = respond::text(StatusCode::OK, if head { "" } else { "OK" });
    let headers = response.headers_mut();
    let no_cache = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.insert(CACHE_CONTROL, no_cache);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    // The classic builder: asked to build, it finds by one request that there is none.
    headers.insert(
        HeaderName::from_static("builder-version"),
        HeaderValue::from_static("1"),
    );
    headers.insert(
        HeaderName::from_static("swarm"),
        HeaderValue::from_static("inactive"),
    );
    response
}
