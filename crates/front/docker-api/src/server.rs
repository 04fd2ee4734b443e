//! The sockets: accepts connections and hands their requests to the router.
//!
//! A connection is a task; one that is slow, silent or broken costs nobody else anything.

use crate::api::Api;
use crate::body::RequestBody;
use crate::request_line::WithRequestLine;
use crate::router;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How many connections are open at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for a request's head, or be silent between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the host has no file descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A socket to serve on.
pub enum Listener {
    /// A unix socket; who may connect is the file's mode.
    Unix(UnixListener),
    /// A TCP socket; who may connect is who has a certificate.
    Tls(TcpListener, TlsAcceptor),
}

/// A connection before any byte was read.
enum Accepted {
    Unix(UnixStream),
    Tls(TcpStream, TlsAcceptor),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(socket) => Ok(Accepted::Unix(socket.accept().await?.0)),
            Self::Tls(socket, tls) => Ok(Accepted::Tls(socket.accept().await?.0, tls.clone())),
        }
    }
}

/// Serves until `stop` completes. Requests under way go on as long as the runtime lives.
pub async fn serve(api: Arc<Api>, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept_all(Arc::clone(&api), listener, Arc::clone(&room)));
    }
    stop.await;
    accepting.abort_all();
}

async fn accept_all(api: Arc<Api>, listener: Listener, room: Arc<Semaphore>) {
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            match accepted {
                Accepted::Unix(stream) => converse(api, stream).await,
                Accepted::Tls(stream, tls) => converse_secretly(api, stream, tls).await,
            }
            drop(place);
        });
    }
}

async fn converse_secretly(api: Arc<Api>, stream: TcpStream, tls: TlsAcceptor) {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(api, stream).await,
        Ok(Err(error)) => tracing::info!(%error, "a TLS client was turned away"),
        Err(_) => tracing::info!("a TLS client was silent and turned away"),
    }
}

/// Answers the requests of one connection.
pub(crate) async fn converse(
    api: Arc<Api>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let api = Arc::clone(&api);
        async move {
            let request = request.map(|body| -> RequestBody { body.boxed() });
            Ok::<_, Infallible>(router::answer(api, request).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(WithRequestLine::new(stream)), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
