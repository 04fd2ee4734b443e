//! The sockets: accepts connections and hands their requests to the router.
//!
//! A connection is a task; one that is slow, silent or broken costs no other anything: those
//! that say nothing are kept in bounds by the `crowd`.

use crate::api::Api;
use crate::body::RequestBody;
use crate::crowd::{Busy, Crowd, Guest, Peer};
use crate::request_line::WithRequestLine;
use crate::respond::Response;
use crate::router;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How many connections are open at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for a further request's head, or be silent before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);
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
    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Self::Unix(socket) => Ok((Accepted::Unix(socket.accept().await?.0), Peer::Unix)),
            Self::Tls(socket, tls) => {
                let (stream, address) = socket.accept().await?;
                Ok((Accepted::Tls(stream, tls.clone()), Peer::of(address.ip())))
            }
        }
    }
}

/// Serves until `stop` completes. Requests under way go on as long as the runtime lives.
pub async fn serve(api: Arc<Api>, listeners: Vec<Listener>, stop: impl Future<Output = ()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let crowd = Arc::new(Crowd::default());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (api, room, crowd) = (Arc::clone(&api), Arc::clone(&room), Arc::clone(&crowd));
        accepting.spawn(accept_all(api, listener, room, crowd));
    }
    stop.await;
    accepting.abort_all();
}

async fn accept_all(api: Arc<Api>, listener: Listener, room: Arc<Semaphore>, crowd: Arc<Crowd>) {
    // The semaphore is never closed.
    while let Ok(place) = place_in(&room, &crowd).await {
        let (accepted, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        let api = Arc::clone(&api);
        let guest = Arc::new(crowd.arrive(peer));
        tokio::spawn(async move {
            let conversation = async {
                match accepted {
                    Accepted::Unix(stream) => converse(api, stream, &guest).await,
                    Accepted::Tls(stream, tls) => {
                        converse_secretly(api, stream, tls, &guest).await;
                    }
                }
            };
            tokio::select! {
                () = conversation => {}
                () = guest.turned_away() => tracing::debug!("a silent client was turned away"),
            }
            guest.gone();
            drop(place);
        });
    }
}

/// A place for one more connection. Where there is none, one that says nothing gives way.
async fn place_in(
    room: &Arc<Semaphore>,
    crowd: &Crowd,
) -> Result<OwnedSemaphorePermit, AcquireError> {
    match Arc::clone(room).try_acquire_owned() {
        Ok(place) => Ok(place),
        Err(_) => {
            crowd.make_room();
            Arc::clone(room).acquire_owned().await
        }
    }
}

async fn converse_secretly(api: Arc<Api>, stream: TcpStream, tls: TlsAcceptor, guest: &Arc<Guest>) {
    match tls.accept(stream).await {
        Ok(stream) => converse(api, stream, guest).await,
        Err(error) => tracing::info!(%error, "a TLS client was turned away"),
    }
}

/// Answers the requests of one connection.
async fn converse(
    api: Arc<Api>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    guest: &Arc<Guest>,
) {
    let guest = Arc::clone(guest);
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, busy) = (Arc::clone(&api), guest.begin());
        async move {
            let request = request.map(|body| -> RequestBody { body.boxed() });
            let response = router::answer(api, request).await;
            Ok::<_, Infallible>(while_sent(response, busy))
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

/// An answer whose connection is busy until all of it is sent.
fn while_sent(response: Response, busy: Busy) -> hyper::Response<Sending> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        busy.for_good();
    }
    response.map(|body| Sending { body, _busy: busy })
}

/// A body that is being sent.
struct Sending {
    body: UnsyncBoxBody<Bytes, Infallible>,
    _busy: Busy,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
