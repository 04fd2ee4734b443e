//! Connections that clients take over: attach and exec.
//!
//! With `Upgrade`, the connection becomes a byte stream in both directions after a 101. Without,
//! the output is the answer's body and the request's body is the input. Either way the client may
//! close its half and still read the rest.

use crate::body::RequestBody;
use crate::call::Call;
use crate::error::ApiError;
use crate::frames::Framing;
use crate::respond::{self, Response};
use crate::taken::{self, Taken};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use sealane_containers::{Attached, Chunk, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender};

/// The largest piece of input that is handed on at once.
const INPUT_BYTES: usize = 32 << 10;

/// Joins the client to open streams, in whichever way it asked for.
pub(crate) fn join(mut call: Call, attached: Attached) -> Response {
    let framing = Framing::of(attached.tty);
    match call.upgrade.take() {
        Some(upgrade) => {
            tokio::spawn(async move {
                if let Some(taken) = taken::take(upgrade).await {
                    relay(taken, attached, framing).await;
                }
            });
            switching(framing.content_type(call.version))
        }
        None => as_body(call, attached),
    }
}

/// Joins the client to streams that are opened only when it has seen the answer's head. Some
/// clients read the head with more than belongs to it and lose what comes in the same breath.
///
/// What `open` fails with goes down the stream, as with Docker; without `Upgrade` it is an answer.
pub(crate) async fn join_later(
    mut call: Call,
    tty: bool,
    open: impl Future<Output = Result<Attached, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    let Some(upgrade) = call.upgrade.take() else {
        let attached = open.await?;
        return Ok(as_body(call, attached));
    };
    let framing = Framing::of(tty);
    tokio::spawn(async move {
        let Some(mut taken) = taken::take(upgrade).await else {
            return;
        };
        match open.await {
            Ok(attached) => relay(taken, attached, framing).await,
            Err(error) => {
                let bytes = Bytes::from(format!("{error}\r\n"));
                let told = framing.encode(Chunk {
                    stream: Stream::Stdout,
                    bytes,
                });
                let sent = async {
                    taken.writer.write_all(&told).await?;
                    taken.writer.shutdown().await
                };
                log_early_leave(sent.await);
            }
        }
    });
    Ok(switching(framing.content_type(call.version)))
}

/// The output as the answer's body, the request's body as the input.
fn as_body(mut call: Call, attached: Attached) -> Response {
    let framing = Framing::of(attached.tty);
    tokio::spawn(feed(call.take_body(), attached.input));
    respond::stream(
        "application/vnd.docker.raw-stream",
        pieces(attached.output, framing),
    )
}

/// What a container writes, as it goes onto the wire.
pub(crate) fn pieces(
    output: Receiver<Chunk>,
    framing: Framing,
) -> impl futures_util::Stream<Item = Bytes> {
    stream::unfold(output, move |mut output| async move {
        let chunk = output.recv().await?;
        Some((framing.encode(chunk), output))
    })
}

fn switching(content_type: &'static str) -> Response {
    let mut response = respond::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response
}

/// Carries bytes both ways over a connection that was taken over.
async fn relay(taken: Taken, attached: Attached, framing: Framing) {
    let input = tokio::spawn(read_input(taken.reader, attached.input));
    tokio::select! {
        written = write_output(taken.writer, attached.output, framing) => log_early_leave(written),
        () = taken.departure.wait() => {}
    }
    // The process has ended or its input is closed: what is still typed has no reader.
    input.abort();
}

fn log_early_leave(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client left before the end of the output");
    }
}

async fn write_output(
    mut writer: impl AsyncWrite + Unpin,
    mut output: Receiver<Chunk>,
    framing: Framing,
) -> std::io::Result<()> {
    while let Some(chunk) = output.recv().await {
        writer.write_all(&framing.encode(chunk)).await?;
    }
    writer.shutdown().await
}

/// Hands on what the client writes, until it closes its half; then closes the input.
async fn read_input(mut reader: impl AsyncRead + Unpin, input: Option<Sender<Bytes>>) {
    let Some(input) = input else { return };
    loop {
        let mut buffer = BytesMut::with_capacity(INPUT_BYTES);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if input.send(buffer.freeze()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Hands on a request's body as input.
async fn feed(mut body: RequestBody, input: Option<Sender<Bytes>>) {
    let Some(input) = input else { return };
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(bytes) = frame.into_data()
            && input.send(bytes).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(test);
    }

    #[test]
    fn output_goes_on_after_the_client_closed_its_half() {
        run(async {
            let (client, server) = tokio::io::duplex(64);
            let (to_client, output) = mpsc::channel(1);
            let (input, mut from_client) = mpsc::channel(1);
            let (reader, writer) = tokio::io::split(server);
            let reading = tokio::spawn(read_input(reader, Some(input)));
            let writing = tokio::spawn(write_output(writer, output, Framing::Raw));

            let (mut client_reads, mut client_writes) = tokio::io::split(client);
            client_writes.write_all(b"in").await.unwrap();
            client_writes.shutdown().await.unwrap();
            assert_eq!(from_client.recv().await, Some(Bytes::from_static(b"in")));
            assert_eq!(from_client.recv().await, None, "the input is closed");

            let bytes = Bytes::from_static(b"out");
            to_client
                .send(Chunk {
                    stream: Stream::Stdout,
                    bytes,
                })
                .await
                .unwrap();
            drop(to_client);
            let mut got = Vec::new();
            client_reads.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"out");
            reading.await.unwrap();
            writing.await.unwrap().unwrap();
        });
    }
}
