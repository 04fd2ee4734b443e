//! Netlink messages as bytes: what is sent, attribute by attribute.
//!
//! Route messages come from netlink-packet-route; netfilter has no library worth the name, so its
//! attributes are written with [`Attributes`]. Start at [`Message`].

use netlink_packet_core::{
    NLA_F_NESTED, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use std::ops::Range;

/// `NFNETLINK_V0` (linux/netfilter/nfnetlink.h).
const NFNETLINK_V0: u8 = 0;
/// `NFNL_SUBSYS_NFTABLES`
pub(crate) const NFTABLES: u8 = 10;
/// `NFNL_SUBSYS_CTNETLINK`
pub(crate) const CTNETLINK: u8 = 1;

const LENGTH: Range<usize> = 0..4;
const FLAGS: Range<usize> = 6..8;
const SEQUENCE: Range<usize> = 8..12;

/// A request, complete but for its sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// A request to rtnetlink.
    pub(crate) fn route(message: RouteNetlinkMessage, flags: u16) -> Self {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
        message.serialize(&mut bytes);
        Self(bytes)
    }

    /// A request to a subsystem of netfilter.
    pub(crate) fn netfilter(
        subsystem: u8,
        kind: u8,
        flags: u16,
        family: u8,
        fill: impl FnOnce(&mut Attributes),
    ) -> Self {
        let kind = u16::from_be_bytes([subsystem, kind]);
        Self::framed(kind, flags, [family, NFNETLINK_V0, 0, 0], fill)
    }

    /// A request to netfilter with this `struct nfgenmsg`: family, version, resource id.
    pub(crate) fn framed(
        kind: u16,
        flags: u16,
        head: [u8; 4],
        fill: impl FnOnce(&mut Attributes),
    ) -> Self {
        let mut attributes = Attributes(Vec::with_capacity(128));
        let flags = NLM_F_REQUEST | flags;
        attributes.0.extend_from_slice(&[0; 4]);
        attributes.0.extend_from_slice(&kind.to_ne_bytes());
        attributes.0.extend_from_slice(&flags.to_ne_bytes());
        attributes.0.extend_from_slice(&[0; 8]);
        attributes.0.extend_from_slice(&head);
        fill(&mut attributes);
        let length = attributes.0.len() as u32;
        attributes.0[LENGTH].copy_from_slice(&length.to_ne_bytes());
        Self(attributes.0)
    }

    /// The bytes, the sequence number still zero.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the message to a datagram, under a sequence number and with further flags.
    pub(crate) fn append_to(&self, datagram: &mut Vec<u8>, sequence: u32, flags: u16) {
        let start = datagram.len();
        datagram.extend_from_slice(&self.0);
        let message = &mut datagram[start..];
        message[SEQUENCE].copy_from_slice(&sequence.to_ne_bytes());
        let flags = flags | u16::from_ne_bytes([message[FLAGS.start], message[FLAGS.start + 1]]);
        message[FLAGS].copy_from_slice(&flags.to_ne_bytes());
    }
}

/// Attributes under construction. Integers are in network order, as netfilter wants them.
#[derive(Debug)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// More of a head that is longer than four bytes; before any attribute.
    pub(crate) fn head(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An attribute of raw bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.open(kind, |attributes| attributes.0.extend_from_slice(value))
    }

    /// A text with its closing NUL.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.open(kind, |attributes| {
            attributes.0.extend_from_slice(value.as_bytes());
            attributes.0.push(0);
        })
    }

    /// A 32-bit number.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A 64-bit number.
    pub(crate) fn long(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute of attributes.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.open(kind | NLA_F_NESTED, fill)
    }

    /// Attributes that were read, as an attribute.
    pub(crate) fn nested_bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.bytes(kind | NLA_F_NESTED, value)
    }

    /// Writes the head of an attribute, then what `fill` writes, then its length and padding.
    fn open(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_but_their_length_is_not() {
        let message = Message::netfilter(NFTABLES, 1, 0, 2, |attributes| {
            attributes.nested(3, |inner| {
                inner.text(1, "ab");
            });
        });
        assert_eq!(message.bytes()[0], 32);
        let nested = [12, 0, 3, 0x80, 7, 0, 1, 0, b'a', b'b', 0, 0];
        assert_eq!(message.bytes()[20..], nested);
    }
}
