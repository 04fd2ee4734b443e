//! A client of the daemon's socket, for the operator commands.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::env;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use tokio::net::UnixStream;

const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// Why the daemon gave no answer, or a refusal.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Not a unix socket.
    #[error("{0}: only unix:// sockets are supported here; use -H unix://PATH")]
    Address(String),
    /// Nobody there.
    #[error("no daemon answers on {}; start one with: sealane daemon", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
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
    let socket = socket(host)?;
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
    event_loop.block_on(exchange(socket, request))
}

async fn exchange(socket: PathBuf, request: Request<Full<Bytes>>) -> Result<Value, ClientError> {
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|source| ClientError::Connect {
            path: socket,
            source,
        })?;
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

/// The socket that a flag, `DOCKER_HOST` or habit names.
fn socket(host: Option<&str>) -> Result<PathBuf, ClientError> {
    let variable = env::var("DOCKER_HOST").ok().filter(|text| !text.is_empty());
    let Some(text) = host.map(str::to_owned).or(variable) else {
        return Ok(USUAL_SOCKET.into());
    };
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(path.into()),
        None if text.starts_with('/') => Ok(text.into()),
        Some(_) | None => Err(ClientError::Address(text)),
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
        assert_eq!(socket(Some("unix:///a")).unwrap(), PathBuf::from("/a"));
        assert_eq!(socket(Some("/b")).unwrap(), PathBuf::from("/b"));
        assert!(socket(Some("tcp://h:1")).is_err());
    }
}
