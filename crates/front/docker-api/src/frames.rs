//! Standard output and error on one wire: eight bytes in front of each piece say which it is.

use bytes::{BufMut, Bytes, BytesMut};
use sealane_containers::{Chunk, Stream};

/// What the bytes of a container's output look like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As they are: there is a terminal, and so only one stream.
    Raw,
    /// With a header in front of each piece.
    Multiplexed,
}

impl Framing {
    /// The framing that goes with a terminal, or with none.
    pub(crate) fn of(tty: bool) -> Self {
        if tty { Self::Raw } else { Self::Multiplexed }
    }

    /// The content type that names it; clients before 1.42 know only one.
    pub(crate) fn content_type(self, version: crate::version::ApiVersion) -> &'static str {
        match self {
            Self::Multiplexed if version.at_least(42) => {
                "application/vnd.docker.multiplexed-stream"
            }
            Self::Multiplexed | Self::Raw => "application/vnd.docker.raw-stream",
        }
    }

    /// A piece of output as it goes onto the wire.
    pub(crate) fn encode(self, chunk: Chunk) -> Bytes {
        match self {
            Self::Raw => chunk.bytes,
            Self::Multiplexed => frame(&chunk),
        }
    }
}

/// Stream number, three zeros, length in network order, then the bytes.
fn frame(chunk: &Chunk) -> Bytes {
    let stream = match chunk.stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    let mut bytes = BytesMut::with_capacity(8 + chunk.bytes.len());
    // Longer than 4 GiB would need a second frame; pieces are what one read returned.
    let length = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX);
    bytes.put_slice(&[stream, 0, 0, 0]);
    bytes.put_u32(length);
    bytes.put_slice(&chunk.bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_which_stream_and_how_long() {
        let chunk = Chunk {
            stream: Stream::Stderr,
            bytes: Bytes::from_static(b"no\n"),
        };
        let framed = Framing::of(false).encode(chunk.clone());
        assert_eq!(&framed[..], b"\x02\0\0\0\0\0\0\x03no\n");
        assert_eq!(Framing::of(true).encode(chunk), Bytes::from_static(b"no\n"));
    }
}
