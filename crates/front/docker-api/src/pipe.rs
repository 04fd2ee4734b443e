//! Between bodies, which arrive by events, and readers and writers, which block.

use crate::body::RequestBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::io::{self, Read, Write};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many pieces wait between the two sides.
const PIECES: usize = 4;
/// How large the pieces are that a writer makes.
const PIECE_BYTES: usize = 64 << 10;

/// A body as something to read from, on a thread that may block.
pub(crate) struct BodyReader {
    pieces: Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// Something to write to, on a thread that may block; what is written can be received.
pub(crate) struct PieceWriter {
    pieces: Sender<Bytes>,
    pending: Vec<u8>,
}

/// Starts to read a body.
pub(crate) fn reader(mut body: RequestBody) -> BodyReader {
    let (sender, pieces) = channel(PIECES);
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    Err(_trailers) => continue,
                },
                Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
            };
            let failed = piece.is_err();
            if sender.send(piece).await.is_err() || failed {
                return;
            }
        }
    });
    BodyReader {
        pieces,
        current: Bytes::new(),
    }
}

/// Makes a writer and what receives the pieces.
pub(crate) fn writer() -> (PieceWriter, Receiver<Bytes>) {
    let (pieces, receiver) = channel(PIECES);
    (
        PieceWriter {
            pieces,
            pending: Vec::new(),
        },
        receiver,
    )
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
        }
        let length = into.len().min(self.current.len());
        into[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.pending);
        self.pieces
            .blocking_send(piece.into())
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client left"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let data: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let sent = data.clone();
        runtime.block_on(async move {
            let body = Full::new(Bytes::from(sent))
                .map_err(|never| match never {})
                .boxed();
            let mut reader = reader(body);
            let (mut writer, mut pieces) = writer();
            let copying = tokio::task::spawn_blocking(move || {
                io::copy(&mut reader, &mut writer).unwrap();
                writer.flush().unwrap();
            });
            let mut got = Vec::new();
            while let Some(piece) = pieces.recv().await {
                got.extend_from_slice(&piece);
            }
            copying.await.unwrap();
            assert!(got == data);
        });
    }
}
