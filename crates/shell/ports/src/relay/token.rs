//! What an event of the relay is about, in the 64 bits that the kernel keeps for us.

use rustix::event::epoll::EventData;
use std::os::fd::RawFd;

const KIND_SHIFT: u32 = 62;
const NUMBER: u64 = (1 << KIND_SHIFT) - 1;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The thread has been woken.
    Waker,
    /// A peer came to the port with this socket.
    Port(RawFd),
    /// The peer's end of a stream.
    Peer(u64),
    /// The container's end of a stream.
    Container(u64),
    /// A datagram session.
    Session(u64),
}

impl Token {
    pub(super) fn data(self) -> EventData {
        let (kind, number) = match self {
            Self::Waker => (0, NUMBER),
            // The number of an open file is not negative.
            Self::Port(socket) => (0, socket as u64),
            Self::Peer(number) => (1, number),
            Self::Container(number) => (2, number),
            Self::Session(number) => (3, number),
        };
        EventData::new_u64(kind << KIND_SHIFT | number)
    }

    pub(super) fn read(data: EventData) -> Self {
        let number = data.u64() & NUMBER;
        match data.u64() >> KIND_SHIFT {
            0 if number == NUMBER => Self::Waker,
            0 => Self::Port(number as RawFd),
            1 => Self::Peer(number),
            2 => Self::Container(number),
            _ => Self::Session(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        let tokens = [
            Token::Waker,
            Token::Port(7),
            Token::Peer(0),
            Token::Container(9),
            Token::Session(3),
        ];
        for token in tokens {
            assert_eq!(Token::read(token.data()), token);
        }
    }
}
