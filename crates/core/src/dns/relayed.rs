//! Relayed messages: what an upstream is asked for a client, and what the client is given of the
//! reply.
//!
//! One question to an upstream serves all clients that ask the same at the time, so it is written
//! anew: what only concerns one client and its next server (cookies, a subnet, padding) stays here.
//! A query that has more in it than a question, such as a signature, is passed on as it is.

use super::Transport;
use super::query::Query;
use super::wire::{self, HEADER, Reply, TYPE_OPT};

/// The size of UDP replies that we take, and tell others that we take.
const UDP_PAYLOAD: u16 = 1232;

const RD: u8 = 0x01;
const TC: u8 = 0x02;
/// Authentic data, and checking disabled.
const AD: u8 = 0x20;
const CD: u8 = 0x10;
const DNSSEC_OK: u8 = 0x80;

/// What an upstream is asked for the sake of a query, the question written in these letters.
pub fn outgoing(query: &Query<'_>, id: u16, question: &[u8]) -> Vec<u8> {
    let mut bytes = query.bytes().to_vec();
    if query.is_plain() {
        bytes.truncate(HEADER);
        bytes[2] &= RD;
        bytes[3] &= AD | CD;
        bytes[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(question);
        speak_edns(&mut bytes, query);
    }
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    bytes
}

/// What a client is given of a reply to its question: under its id, in its letters, with EDNS if it
/// speaks that, and no longer than it takes.
pub fn incoming(reply: &Reply<'_>, query: &Query<'_>, transport: Transport) -> Vec<u8> {
    let mut bytes = match without_edns(reply.bytes()) {
        Some((_, true)) if query.edns().is_some() => reply.bytes().to_vec(),
        Some((mut bare, _)) => {
            speak_edns(&mut bare, query);
            bare
        }
        None => reply.bytes().to_vec(),
    };
    address_to(&mut bytes, query);
    fit(bytes, query, transport)
}

/// Makes the message one to this client: its id and its letters. That data is authentic is for
/// those who asked.
pub(super) fn address_to(reply: &mut [u8], query: &Query<'_>) {
    reply[..2].copy_from_slice(&query.id().to_be_bytes());
    let end = HEADER + query.question().len();
    if let Some(question) = reply.get_mut(HEADER..end) {
        question.copy_from_slice(query.question());
    }
    if !query.authentic_data() && !query.edns().is_some_and(|edns| edns.dnssec_ok) {
        reply[3] &= !AD;
    }
}

/// Adds an EDNS record if the client speaks EDNS.
pub(super) fn speak_edns(message: &mut Vec<u8>, query: &Query<'_>) {
    let Some(edns) = query.edns() else {
        return;
    };
    let flags = if edns.dnssec_ok { DNSSEC_OK } else { 0 };
    message.push(0); // the root
    message.extend_from_slice(&TYPE_OPT.to_be_bytes());
    message.extend_from_slice(&UDP_PAYLOAD.to_be_bytes());
    message.extend_from_slice(&[0, 0, flags, 0, 0, 0]);
    let additional = wire::count(message, 3).saturating_add(1);
    message[10..HEADER].copy_from_slice(&additional.to_be_bytes());
}

/// The message, or as much of it as says that there is more.
pub(super) fn fit(reply: Vec<u8>, query: &Query<'_>, transport: Transport) -> Vec<u8> {
    let whole = reply.len() <= query.udp_payload() && reply[2] & TC == 0;
    if transport == Transport::Tcp || whole {
        return reply;
    }
    let mut short = reply[..HEADER + query.question().len()].to_vec();
    short[2] |= TC;
    short[6..HEADER].fill(0);
    short
}

/// The message without its EDNS record and what follows its records, and whether it had one.
/// `None` if it cannot be read, or the record is not the last one: that would be too unusual to be
/// taken apart.
pub(super) fn without_edns(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (mut end, mut opt) = (HEADER + wire::question(bytes).ok()?.len(), None);
    wire::records(bytes, |_, record| {
        end = record.data.end;
        if record.kind == TYPE_OPT {
            opt = Some(record.start..record.data.end);
        }
    })
    .ok()?;
    let Some(opt) = opt else {
        return Some((bytes[..end].to_vec(), false));
    };
    let mut kept = bytes[..opt.start].to_vec();
    let additional = wire::count(&kept, 3).checked_sub(1)?;
    kept[10..HEADER].copy_from_slice(&additional.to_be_bytes());
    Some((kept, true)).filter(|_| opt.end == end)
}

#[cfg(test)]
mod tests;
