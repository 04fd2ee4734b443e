//! One netlink socket: several requests in one datagram, and an answer to each.
//!
//! The kernel does the work of a request before `send` returns; the answers wait in the socket.
//! [`Socket::exchange`] is for rtnetlink and single requests, [`Socket::commit`] for a transaction
//! of nftables, [`Socket::dump`] for lists.

use crate::ack;
use crate::message::Message;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
};
use rustix::net::sockopt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Room for a transaction of tens of thousands of elements, and for as many refusals.
const BUFFERS: usize = 16 << 20;
/// The kernel fills dumps by 32 KiB at most; a single object is smaller.
const DATAGRAM: usize = 64 << 10;
/// So many requests are sent at once, so that their answers never overrun the buffer.
const BATCH: usize = 256;
/// How often a dump is begun again that a change interrupted.
const DUMP_ATTEMPTS: usize = 8;

/// `NFNL_MSG_BATCH_BEGIN` and `_END` (linux/netfilter/nfnetlink.h).
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// A socket into one namespace.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
    sequence: u32,
    outgoing: Vec<u8>,
}

/// What came of one request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The objects it returned.
    pub(crate) objects: Vec<Reply>,
    /// Why it was refused.
    pub(crate) refusal: Option<io::Error>,
}

/// A message from the kernel.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its type.
    pub(crate) kind: u16,
    /// The port of the socket that caused it, or the request's.
    pub(crate) port: u32,
    /// What follows the header.
    pub(crate) payload: Vec<u8>,
    flags: u16,
    sequence: u32,
}

impl Socket {
    /// Opens a socket into the namespace of the calling thread.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        let port = inner.bind_auto()?.port_number();
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        if protocol == netlink_sys::protocols::NETLINK_ROUTE {
            inner.set_netlink_get_strict_chk(true)?;
        }
        sockopt::set_socket_recv_buffer_size_force(&inner, BUFFERS)?;
        sockopt::set_socket_send_buffer_size_force(&inner, BUFFERS)?;
        Ok(Self {
            inner,
            port,
            sequence: 0,
            outgoing: Vec::new(),
        })
    }

    /// The number that notifications name as their cause.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sends requests in as few datagrams as will do, and returns the answer to each. A refused
    /// one does not keep the kernel from the following ones.
    pub(crate) fn exchange(&mut self, requests: &[Message]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(requests.len());
        for batch in requests.chunks(BATCH) {
            self.exchange_batch(batch, &mut answers)?;
        }
        Ok(answers)
    }

    fn exchange_batch(&mut self, batch: &[Message], all: &mut Vec<Answer>) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        self.outgoing.clear();
        for message in batch {
            self.sequence = self.sequence.wrapping_add(1);
            message.append_to(&mut self.outgoing, self.sequence, NLM_F_ACK);
        }
        self.send()?;
        let mut answers: Vec<Answer> = batch.iter().map(|_| Answer::default()).collect();
        let mut pending = batch.len();
        while pending > 0 {
            for reply in self.receive()? {
                let place = reply.sequence.wrapping_sub(first) as usize;
                let Some(answer) = answers.get_mut(place) else {
                    continue; // a late answer to a request whose exchange was broken off
                };
                if reply.kind == NLMSG_ERROR {
                    answer.refusal = ack::decode(reply.flags, &reply.payload);
                    pending -= 1;
                } else {
                    answer.objects.push(reply);
                }
            }
        }
        all.append(&mut answers);
        Ok(())
    }

    /// Sends one request and returns the object it asked for.
    pub(crate) fn get(&mut self, request: Message) -> io::Result<Option<Reply>> {
        let answer = self.exchange(&[request])?.pop().unwrap_or_default();
        match answer.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(answer.objects.into_iter().next()),
        }
    }

    /// Sends a transaction of netfilter: everything, or nothing and the refusals by the place of
    /// the message. A refusal of the transaction as a whole is an error.
    ///
    /// Answers come in the order of the messages and errors always come, so that an
    /// acknowledgement is asked of the last message only.
    pub(crate) fn commit(
        &mut self,
        subsystem: u8,
        messages: &[Message],
    ) -> io::Result<Vec<(usize, io::Error)>> {
        let begin = self.sequence.wrapping_add(1);
        let last = messages.len() as u32;
        self.outgoing.clear();
        frame(subsystem, BATCH_BEGIN).append_to(&mut self.outgoing, begin, 0);
        for (place, message) in (1..).zip(messages) {
            let acknowledged = if place == last { NLM_F_ACK } else { 0 };
            message.append_to(&mut self.outgoing, begin.wrapping_add(place), acknowledged);
        }
        self.sequence = begin.wrapping_add(last).wrapping_add(1);
        frame(subsystem, BATCH_END).append_to(&mut self.outgoing, self.sequence, 0);
        self.send()?;
        self.verdict(begin, last)
    }

    fn verdict(&mut self, begin: u32, last: u32) -> io::Result<Vec<(usize, io::Error)>> {
        let mut refusals = Vec::new();
        loop {
            for reply in self.receive()? {
                let place = reply.sequence.wrapping_sub(begin);
                if reply.kind != NLMSG_ERROR || place > last {
                    continue;
                }
                match ack::decode(reply.flags, &reply.payload) {
                    Some(whole) if place == 0 => return Err(whole),
                    Some(refusal) => refusals.push((place as usize - 1, refusal)),
                    None => {}
                }
                if place == last {
                    return Ok(refusals);
                }
            }
        }
    }

    /// Lists objects.
    pub(crate) fn dump(&mut self, request: &Message) -> io::Result<Vec<Reply>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(objects) = self.dump_once(request)? {
                return Ok(objects);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Interrupted,
            "the list changed each time it was read",
        ))
    }

    /// Lists objects, or returns `None` if a change came in between.
    fn dump_once(&mut self, request: &Message) -> io::Result<Option<Vec<Reply>>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.outgoing.clear();
        request.append_to(&mut self.outgoing, self.sequence, NLM_F_DUMP);
        self.send()?;
        let (mut objects, mut interrupted) = (Vec::new(), false);
        loop {
            for reply in self.receive()? {
                if reply.sequence != self.sequence {
                    continue;
                }
                interrupted |= reply.flags & NLM_F_DUMP_INTR != 0;
                match reply.kind {
                    NLMSG_DONE | NLMSG_ERROR => match ack::decode(reply.flags, &reply.payload) {
                        Some(refusal) => return Err(refusal),
                        None => return Ok((!interrupted).then_some(objects)),
                    },
                    NLMSG_NOOP => {}
                    _ => objects.push(reply),
                }
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.inner.send(&self.outgoing, 0);
        self.outgoing.shrink_to(DATAGRAM);
        sent.map(drop)
    }

    /// Waits for a datagram and returns the messages in it.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<Reply>> {
        // Not kept: there are two sockets for each sandbox, and most of the time they are idle.
        let mut incoming = Vec::with_capacity(DATAGRAM);
        let length = loop {
            match self.inner.recv(&mut incoming, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if length > incoming.len() {
            let why = "an oversized netlink answer";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(split(&incoming))
    }

    /// Subscribes to a group of notifications.
    pub(crate) fn subscribe(&mut self, group: u32) -> io::Result<()> {
        self.inner.add_membership(group)
    }

    /// Makes [`Socket::receive`] return `WouldBlock` when nothing waits.
    pub(crate) fn never_wait(&mut self) -> io::Result<()> {
        self.inner.set_non_blocking(true)
    }
}

#[cfg(test)]
impl Reply {
    /// A message as if received.
    pub(crate) fn of(kind: u16, payload: Vec<u8>) -> Self {
        Self {
            kind,
            port: 0,
            payload,
            flags: 0,
            sequence: 0,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// The begin or end of a transaction.
fn frame(subsystem: u8, kind: u16) -> Message {
    Message::framed(kind, 0, [libc::AF_UNSPEC as u8, 0, 0, subsystem], |_| {})
}

/// Splits a datagram into messages; what is malformed ends it.
pub(crate) fn split(mut datagram: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let length = message.length() as usize;
        replies.push(Reply {
            kind: message.message_type(),
            port: message.port_number(),
            payload: message.payload().to_vec(),
            flags: message.flags(),
            sequence: message.sequence_number(),
        });
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_datagram_is_fatal(bytes: Vec<u8>) {
            split(&bytes);
        }
    }
}
