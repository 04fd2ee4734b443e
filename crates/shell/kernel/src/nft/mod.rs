//! nftables in the words of its netlink family: our tables, sets and rules as messages, and back.
//!
//! No library does this (see the design notes on nftables); the numbers are those of
//! linux/netfilter/nf_tables.h. [`rule`] turns the matches of the core into [`expression`]s,
//! [`set`] and [`table`] write messages, [`decode`] reads what the kernel reports.

pub(crate) mod decode;
pub(crate) mod expression;
pub(crate) mod rule;
pub(crate) mod set;
pub(crate) mod table;

use crate::message::{Attributes, Message, NFTABLES};
use sealane_core::nft::Family;

/// `NFT_MSG_*`
pub(crate) mod kind {
    pub(crate) const NEW_TABLE: u8 = 0;
    pub(crate) const GET_TABLE: u8 = 1;
    pub(crate) const DELETE_TABLE: u8 = 2;
    pub(crate) const NEW_CHAIN: u8 = 3;
    pub(crate) const GET_CHAIN: u8 = 4;
    pub(crate) const DELETE_CHAIN: u8 = 5;
    pub(crate) const NEW_RULE: u8 = 6;
    pub(crate) const GET_RULE: u8 = 7;
    pub(crate) const DELETE_RULE: u8 = 8;
    pub(crate) const NEW_SET: u8 = 9;
    pub(crate) const GET_SET: u8 = 10;
    pub(crate) const DELETE_SET: u8 = 11;
    pub(crate) const NEW_ELEMENT: u8 = 12;
    pub(crate) const GET_ELEMENT: u8 = 13;
    pub(crate) const DELETE_ELEMENT: u8 = 14;
    pub(crate) const NEW_GENERATION: u8 = 15;
}

/// `NFPROTO_*` (linux/netfilter.h)
pub(crate) fn number(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Bridge => 7,
        Family::Ip6 => 10,
    }
}

/// A message about something in a table of this family.
pub(crate) fn message(
    family: u8,
    kind: u8,
    flags: u16,
    fill: impl FnOnce(&mut Attributes),
) -> Message {
    Message::netfilter(NFTABLES, kind, flags, family, fill)
}

/// What `nft list` shows as a comment: type 0 of the user data of tables, chains and rules.
pub(crate) fn comment(text: &str) -> Vec<u8> {
    const MAX: usize = 254; // the length is one byte and counts the closing NUL
    let mut end = text.len().min(MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = vec![0, end as u8 + 1];
    bytes.extend_from_slice(&text.as_bytes()[..end]);
    bytes.push(0);
    bytes
}
