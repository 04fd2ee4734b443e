//! A connection that a client has taken over: both its halves, and word of when the client is gone.

use crate::request_line::WithRequestLine;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::future::pending;
use std::io::{Cursor, ErrorKind};
use std::os::fd::AsFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest};
use tokio::net::UnixStream;

/// The two halves of a connection.
pub(crate) struct Taken {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(crate) departure: Departure,
}

/// When the client is gone, where that differs from one that has only closed its half.
/// The kernel tells for unix sockets; over TCP the next write finds out.
pub(crate) struct Departure(Option<UnixStream>);

/// The connection, once the client has the answer's head; `None` if it left.
pub(crate) async fn take(upgrade: OnUpgrade) -> Option<Taken> {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a client left before its connection was taken over");
            return None;
        }
    };
    match upgraded.downcast::<TokioIo<WithRequestLine<UnixStream>>>() {
        Ok(parts) => {
            let (stream, unread) = parts.io.into_inner().into_parts();
            let departure = Departure::of(&stream);
            let (reader, writer) = stream.into_split();
            // The client may have sent more than its request already.
            let early = Cursor::new(parts.read_buf).chain(Cursor::new(unread));
            let reader = Box::new(early.chain(reader));
            Some(Taken {
                reader,
                writer: Box::new(writer),
                departure,
            })
        }
        Err(upgraded) => Some(of_other(upgraded)),
    }
}

fn of_other(upgraded: Upgraded) -> Taken {
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    Taken {
        reader: Box::new(reader),
        writer: Box::new(writer),
        departure: Departure(None),
    }
}

impl Departure {
    /// Watches by a descriptor of its own, so that readiness seen here is not missed elsewhere.
    fn of(stream: &UnixStream) -> Self {
        let watched = stream
            .as_fd()
            .try_clone_to_owned()
            .and_then(|descriptor| UnixStream::from_std(descriptor.into()));
        if let Err(error) = &watched {
            tracing::warn!(%error, "a client's departure will be noticed late");
        }
        Self(watched.ok())
    }

    /// Waits until both halves are closed.
    pub(crate) async fn wait(&self) {
        let Some(watched) = &self.0 else {
            return pending().await;
        };
        // Hanging up makes a socket writable, and is reported with that.
        while let Ok(ready) = watched.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Nothing is written here: this only says that the next change is waited for.
            let waits = || Err::<(), _>(ErrorKind::WouldBlock.into());
            if watched.try_io(Interest::WRITABLE, waits).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    #[test]
    fn a_closed_half_is_no_departure() {
        let event_loop = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        event_loop.block_on(async {
            let (mut client, server) = UnixStream::pair().unwrap();
            let departure = Departure::of(&server);
            client.write_all(b"x").await.unwrap();
            client.shutdown().await.unwrap();
            let early = timeout(Duration::from_millis(50), departure.wait()).await;
            assert!(early.is_err(), "it still reads");
            drop(client);
            timeout(Duration::from_secs(20), departure.wait())
                .await
                .expect("it is gone");
        });
    }
}
