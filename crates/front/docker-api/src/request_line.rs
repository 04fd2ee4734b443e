//! Request lines as people type them: `curl -g '.../networks?filters={"name":["x"]}'`.
//!
//! Go, and so Docker, takes quotes and the like in a URL; hyper refuses them before a handler can
//! look. So the first line of a connection passes through here and has them percent-encoded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A longer line is handed on as it is; hyper has its own limit.
const LONGEST_LINE: usize = 64 << 10;

/// A stream whose first line is one that hyper reads.
pub(crate) struct WithRequestLine<S> {
    stream: S,
    /// What was read of the first line; `None` once it has been handed on.
    line: Option<Vec<u8>>,
    /// What was read and not handed on yet, and how far it was.
    read: (Vec<u8>, usize),
}

impl<S> WithRequestLine<S> {
    /// Wraps a connection before its first byte.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            line: Some(Vec::new()),
            read: (Vec::new(), 0),
        }
    }

    /// The connection after its first line, and what was read of it and not handed on.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        let (mut bytes, from) = self.read;
        (self.stream, bytes.split_off(from))
    }

    fn hand_on(&mut self, into: &mut ReadBuf<'_>) {
        let (bytes, from) = &mut self.read;
        let length = into.remaining().min(bytes.len() - *from);
        into.put_slice(&bytes[*from..*from + length]);
        *from += length;
        if *from == bytes.len() {
            self.read = (Vec::new(), 0);
        }
    }
}

impl<S: AsyncRead + Unpin> WithRequestLine<S> {
    /// Reads until the line is whole, and then has it ready to be handed on.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(line) = &mut self.line {
            let mut piece = [0; 4096];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            line.extend_from_slice(piece.filled());
            let ended = piece.filled().is_empty();
            if ended || piece.filled().contains(&b'\n') || line.len() > LONGEST_LINE {
                self.read = (encode_line(line), 0);
                self.line = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Encodes what may not stand in a URL, up to the end of the first line.
pub(crate) fn encode_line(bytes: &[u8]) -> Vec<u8> {
    let end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let mut encoded = Vec::with_capacity(bytes.len() + 16);
    for &byte in line {
        if matches!(
            byte,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..
        ) {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            encoded.push(byte);
        }
    }
    encoded.extend_from_slice(rest);
    encoded
}

impl<S: AsyncRead + Unpin> AsyncRead for WithRequestLine<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_line(cx))?;
        if self.read.0.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        self.hand_on(into);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithRequestLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn through(pieces: &[&[u8]]) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(8);
            let reading = tokio::spawn(async move {
                let mut got = Vec::new();
                WithRequestLine::new(server)
                    .read_to_end(&mut got)
                    .await
                    .unwrap();
                got
            });
            for piece in pieces {
                client.write_all(piece).await.unwrap();
            }
            drop(client);
            reading.await.unwrap()
        })
    }

    #[test]
    fn quotes_in_the_first_line_are_encoded() {
        let got = through(&[
            b"GET /x?f={\"a\":[\"b",
            b"\"]} HTTP/1.1\r\nA: \"b\"\r\n\r\n{\"c\":1}",
        ]);
        let expected =
            b"GET /x?f=%7B%22a%22:[%22b%22]%7D HTTP/1.1\r\nA: \"b\"\r\n\r\n{\"c\":1}".as_slice();
        assert_eq!(got, expected);
    }

    #[test]
    fn what_is_no_line_passes() {
        assert_eq!(through(&[]), b"");
        assert_eq!(through(&[b"abc"]), b"abc");
        let long = vec![b'a'; 3 * LONGEST_LINE];
        assert_eq!(through(&[&long]), long);
    }
}
