//! What those who watch over a daemon ask: metrics for Prometheus, and its networks as JSON.
//!
//! On sockets of their own, by plain HTTP, and nothing here changes anything.

mod diagnosis;
mod metrics;

use crate::api::Api;
use crate::respond::{self, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How many connections are open at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take for a request's head, or be silent between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait when the host has no file descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// `/metrics`
    Metrics,
    /// `/help` and what it names.
    Diagnosis,
}

/// Answers on a socket for ever.
pub async fn serve_monitor(api: Arc<Api>, socket: TcpListener, monitor: Monitor) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match socket.accept().await {
            Ok((stream, _)) => {
                let api = Arc::clone(&api);
                tokio::spawn(async move {
                    converse(api, stream, monitor).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

async fn converse(api: Arc<Api>, stream: TcpStream, monitor: Monitor) {
    let service = service_fn(move |request: Request<Incoming>| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(answer(api, &request, monitor).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(api: Arc<Api>, request: &Request<Incoming>, monitor: Monitor) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return respond::text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let path = request.uri().path().to_owned();
    let told = tokio::task::spawn_blocking(move || match monitor {
        Monitor::Metrics => metrics::tell(&api, &path),
        Monitor::Diagnosis => diagnosis::tell(&api, &path),
    });
    told.await.unwrap_or_else(|_| {
        let text = "the daemon failed at this request; see its log\n";
        respond::text(StatusCode::INTERNAL_SERVER_ERROR, text)
    })
}
