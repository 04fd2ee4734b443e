//! What each link was like when it was last seen, to tell what a notification changes.

use super::{DELETED_LINK, NEW_LINK};
use crate::channel::Channel;
use crate::nft::decode::find;
use crate::read::link;
use crate::socket::Reply;
use netlink_packet_route::link::LinkFlags;
use std::collections::HashMap;
use std::io;

/// The attributes of a bridge port that others rely on: hairpin, learning, neighbor suppression,
/// isolation (`IFLA_BRPORT_*`, linux/if_link.h).
const OF_PORT: [u16; 4] = [4, 8, 32, 33];

/// What of a link others rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    up: bool,
    mtu: Option<u32>,
    master: Option<u32>,
    port: Option<Port>,
}

/// The attributes of a port.
type Port = [Option<u8>; OF_PORT.len()];

/// What a notification changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether the link does less than before, or otherwise.
    pub(crate) worse: bool,
    /// Whether it is another kind of port of its bridge.
    pub(crate) other_port: bool,
}

/// The condition of each link, by number.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<u32, Condition>);

impl Links {
    pub(super) fn look(channel: &Channel) -> io::Result<Self> {
        let mut links = Self::default();
        for reply in channel.route().dump(&link::request_all())? {
            links.learn(&reply);
        }
        Ok(links)
    }

    /// Takes in what a message says of a link.
    pub(crate) fn learn(&mut self, reply: &Reply) -> Change {
        if !matches!(reply.kind, NEW_LINK | DELETED_LINK) {
            return Change::default();
        }
        let Some((index, _)) = link::identity(&reply.payload) else {
            return Change::default();
        };
        let of_bridge = is_of_bridge(&reply.payload);
        match (reply.kind, of_bridge) {
            // It left its bridge, as its own message says, too.
            (DELETED_LINK, true) => Change::default(),
            (DELETED_LINK, false) => {
                self.0.remove(&index);
                Change::default()
            }
            (_, true) => self.learn_port(index, &reply.payload),
            (_, false) => self.learn_link(index, &reply.payload),
        }
    }

    fn learn_link(&mut self, index: u32, payload: &[u8]) -> Change {
        let Some(now) = Condition::of(payload) else {
            return Change::default();
        };
        match self.0.insert(index, now) {
            Some(before) => now.since(&before),
            None => Change::default(),
        }
    }

    /// A bridge speaks of its port: all else is in the link's own messages.
    fn learn_port(&mut self, index: u32, payload: &[u8]) -> Change {
        const PORT: u16 = 12; // IFLA_PROTINFO
        let Some(before) = self.0.get(&index).copied() else {
            return Change::default();
        };
        let attributes = payload.get(16..).unwrap_or_default();
        let Some(port) = find(attributes, PORT).map(port) else {
            return Change::default();
        };
        let now = Condition {
            port: Some(port),
            ..before
        };
        self.0.insert(index, now);
        now.since(&before)
    }
}

impl Condition {
    /// The condition of the link that a message is about.
    fn of(payload: &[u8]) -> Option<Self> {
        const MTU: u16 = 4;
        const MASTER: u16 = 10;
        const INFO: u16 = 18; // IFLA_LINKINFO
        const PORT: u16 = 5; // IFLA_INFO_SLAVE_DATA
        let (header, attributes) = payload.split_first_chunk::<16>()?;
        let flags = u32::from_ne_bytes(*header.last_chunk::<8>()?.first_chunk()?);
        let number = |kind| {
            let bytes = find(attributes, kind)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            up: flags & LinkFlags::Up.bits() != 0,
            mtu: number(MTU),
            master: number(MASTER),
            port: find(attributes, INFO)
                .and_then(|info| find(info, PORT))
                .map(port),
        })
    }

    fn since(&self, before: &Self) -> Change {
        let left = before.master.is_some() && self.master != before.master;
        let stays = self.master == before.master;
        let both = before.port.zip(self.port);
        Change {
            worse: (before.up && !self.up) || left || self.mtu != before.mtu,
            other_port: stays && both.is_some_and(|(before, now)| before != now),
        }
    }
}

fn port(attributes: &[u8]) -> Port {
    OF_PORT.map(|kind| find(attributes, kind)?.first().copied())
}

fn is_of_bridge(payload: &[u8]) -> bool {
    payload.first() == Some(&(libc::AF_BRIDGE as u8))
}
