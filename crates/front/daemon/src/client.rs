//! A client of the daemon's socket, for the operator commands.

mod tls;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use std::{env, future::Future};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// Why the daemon gave no answer, or a refusal.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Not an address that can be asked.
    #[error("{0} is no daemon's address; use -H unix://PATH or -H tcp://HOST:PORT")]
    Address(String),
    /// The certificates of $DOCKER_TLS_VERIFY.
    #[error("{} cannot be read; $DOCKER_CERT_PATH must name a folder with ca.pem, cert.pem and key.pem", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: tokio_rustls::rustls::pki_types::pem::Error,
    },
    /// The daemon and we do not trust each other.
    #[error(
        "no TLS with this daemon; it must have a certificate that ca.pem has signed, for the name it is called by"
    )]
    Tls {
        /// Why not.
        source: io::Error,
    },
    /// No daemon listens there.
    #[error("no daemon answers on {place}; start one with: sealane daemon")]
    Connect {
        /// The socket.
        place: Place,
        /// Why not.
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the daemon's answer broke off")]
    Broken(#[source] hyper::Error),
    /// The answer makes no sense.
    #[error("the daemon's answer is not understood; is it sealane that serves this socket?")]
    NotUnderstood,
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] hyper::http::Error),
    /// The event loop cannot be made.
    #[error("the event loop cannot be made")]
    Loop(#[source] io::Error),
    /// The daemon refused; its own words.
    #[error("{0}")]
    Refused(String),
}

/// Asks the daemon and returns its JSON answer.
pub(crate) fn ask(
    host: Option<&str>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, ClientError> {
    let place = place(host)?;
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ClientError::Loop)?;
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "sealane")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(ClientError::Request)?;
    event_loop.block_on(with_patience(exchange(place, request)))
}

/// A name as it stands in a path.
pub(crate) fn segment(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}

/// Says on a terminal that an answer takes its time.
async fn with_patience<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    let mut waited = 0;
    loop {
        match timeout(Duration::from_secs(1), &mut answer).await {
            Ok(answer) => {
                if waited > 0 && io::stderr().is_terminal() {
                    eprint!("\r\x1b[K");
                }
                return answer;
            }
            Err(_) => waited += 1,
        }
        if io::stderr().is_terminal() {
            eprint!("\rwaiting for the daemon, {waited} s");
        }
    }
}

async fn exchange(place: Place, request: Request<Full<Bytes>>) -> Result<Value, ClientError> {
    let stream = connect(&place).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(ClientError::Broken)?;
    // It owns the sender: when it is done, the connection ends too.
    let conversation = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    };
    let (answer, _) = tokio::join!(conversation, connection);
    let (status, bytes) = answer.map_err(ClientError::Broken)?;
    read(status, &bytes)
}

async fn connect(place: &Place) -> Result<Box<dyn Duplex>, ClientError> {
    let nobody = |source| ClientError::Connect {
        place: place.clone(),
        source,
    };
    match place {
        Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(nobody)?)),
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(nobody)?;
            if tls::is_wanted() {
                return Ok(Box::new(tls::connect(stream, address).await?));
            }
            Ok(Box::new(stream))
        }
    }
}

fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, ClientError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| ClientError::NotUnderstood)?;
    if status.is_success() {
        return Ok(value);
    }
    let message = value.get("message").and_then(Value::as_str);
    Err(message.map_or(ClientError::NotUnderstood, |text| {
        ClientError::Refused(text.into())
    }))
}

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// What a conversation needs.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// The place that a flag, `DOCKER_HOST` or habit names.
fn place(host: Option<&str>) -> Result<Place, ClientError> {
    let variable = |name| env::var(name).ok().filter(|text| !text.is_empty());
    let Some(text) = host.map(str::to_owned).or_else(|| variable("DOCKER_HOST")) else {
        return Ok(Place::Unix(USUAL_SOCKET.into()));
    };
    if let Some(address) = text
        .strip_prefix("tcp://")
        .filter(|rest| rest.contains(':'))
    {
        return Ok(Place::Tcp(address.trim_end_matches('/').into()));
    }
    match text.strip_prefix("unix://").unwrap_or(&text) {
        path if path.starts_with('/') => Ok(Place::Unix(path.into())),
        _ => Err(ClientError::Address(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_daemon_s_words() {
        let refused = read(
            StatusCode::NOT_FOUND,
            br#"{"message":"network x not found"}"#,
        );
        assert_eq!(refused.unwrap_err().to_string(), "network x not found");
        assert!(matches!(
            read(StatusCode::OK, b"hello"),
            Err(ClientError::NotUnderstood)
        ));
    }

    #[test]
    fn sockets_are_named_as_for_docker() {
        let unix = |path: &str| Place::Unix(path.into());
        assert_eq!(place(Some("unix:///a")).unwrap(), unix("/a"));
        assert_eq!(place(Some("/b")).unwrap(), unix("/b"));
        let tcp = Place::Tcp("h:2375".into());
        assert_eq!(place(Some("tcp://h:2375/")).unwrap(), tcp);
        for wrong in ["tcp://h", "ssh://h", "x", ""] {
            assert!(place(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
