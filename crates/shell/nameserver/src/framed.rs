//! Framed streams: DNS messages over TCP, each behind two bytes of length.

use sealane_core::dns::take_messages;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// How much is read at one event, so that one stream cannot keep the others waiting.
const READ_AT_ONCE: usize = 64 * 1024;
/// How much may wait for a peer that does not read.
const MAX_UNSENT: usize = 256 * 1024;

/// A non-blocking stream with what came in part and what could not be sent yet.
#[derive(Debug)]
pub(crate) struct Framed {
    stream: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    ended: bool,
}

impl Framed {
    /// The stream must be non-blocking.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            received: vec![],
            unsent: vec![],
            ended: false,
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether the peer will send nothing more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads what is there and returns the messages that are now complete.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut budget = READ_AT_ONCE;
        while budget > 0 && !self.ended {
            match self.stream.read(buffer) {
                Ok(0) => self.ended = true,
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    budget = budget.saturating_sub(length);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(take_messages(&mut self.received))
    }

    /// Sends a message, as much of it as goes now.
    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u16::try_from(message.len())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "message over 64 KiB"))?;
        if self.unsent.len() + message.len() > MAX_UNSENT {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                "the peer does not read its replies",
            ));
        }
        self.unsent.extend_from_slice(&length.to_be_bytes());
        self.unsent.extend_from_slice(message);
        self.flush()
    }

    /// Sends what waits, as much as goes now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            if sent == self.unsent.len() {
                break Ok(());
            }
            match self.stream.write(&self.unsent[sent..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.unsent.drain(..sent);
        result
    }
}
