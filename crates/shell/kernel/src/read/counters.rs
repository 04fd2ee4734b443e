//! What has passed through the links of a namespace.

use crate::kernel::Kernel;
use crate::message::Message;
use crate::read::parse;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Stats64};
use sealane_core::plan::Netns;
use std::collections::BTreeMap;
use std::io;

/// What has passed through a link since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Bytes that came.
    pub rx_bytes: u64,
    /// Packets that came.
    pub rx_packets: u64,
    /// Packets that came and were bad.
    pub rx_errors: u64,
    /// Packets that came and were not taken.
    pub rx_dropped: u64,
    /// Bytes that went.
    pub tx_bytes: u64,
    /// Packets that went.
    pub tx_packets: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets that were not sent.
    pub tx_dropped: u64,
}

impl From<&Stats64> for LinkCounters {
    fn from(stats: &Stats64) -> Self {
        Self {
            rx_bytes: stats.rx_bytes,
            rx_packets: stats.rx_packets,
            rx_errors: stats.rx_errors,
            rx_dropped: stats.rx_dropped,
            tx_bytes: stats.tx_bytes,
            tx_packets: stats.tx_packets,
            tx_errors: stats.tx_errors,
            tx_dropped: stats.tx_dropped,
        }
    }
}

impl Kernel {
    /// The counters of every link in a namespace, by name.
    pub fn link_counters(&self, netns: Netns) -> io::Result<BTreeMap<String, LinkCounters>> {
        let channel = self.channel(netns)?;
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let replies = channel.route().dump(&Message::route(request, 0))?;
        // One that the library cannot read is of a kind that we do not make.
        let links = replies.iter().filter_map(|reply| match parse(reply) {
            Ok(RouteNetlinkMessage::NewLink(message)) => counters(&message),
            Ok(_) | Err(_) => None,
        });
        Ok(links.collect())
    }
}

/// The counters that a message tells, with the name of its link.
pub(crate) fn counters(message: &LinkMessage) -> Option<(String, LinkCounters)> {
    let (mut name, mut counters) = (None, None);
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(text) = attribute {
            name = Some(text.clone());
        } else if let LinkAttribute::Stats64(stats) = attribute {
            counters = Some(LinkCounters::from(stats));
        }
    }
    Some((name?, counters?))
}
