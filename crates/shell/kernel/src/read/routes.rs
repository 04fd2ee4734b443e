//! Routes of any table and kind, by their identity. Those of the main table that lead onwards have
//! a shorter way, in [`super::address`].

use super::{address, link, parse};
use crate::ack::errno;
use crate::channel::Channel;
use crate::message::Message;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use sealane_core::model::IpFamily;
use sealane_core::plan::{Object, Route, RouteId};
use std::io;

/// The kernel's own metric for IPv6 routes that name none (`IP6_RT_PRIO_USER`).
const USUAL_METRIC6: u32 = 1024;

/// Looks for a route.
pub(super) fn look(channel: &Channel, id: &RouteId) -> io::Result<Option<Object>> {
    let mut message = RouteMessage::default();
    message.header.address_family = address::number(id.family());
    message.attributes.push(RouteAttribute::Table(id.table));
    let request = Message::route(RouteNetlinkMessage::GetRoute(message), 0);
    let replies = match channel.route().dump(&request) {
        // There is no such table yet.
        Err(error) if matches!(errno(&error), Some(libc::ENOENT | libc::ENODEV)) => Vec::new(),
        other => other?,
    };
    for reply in &replies {
        // One that the library cannot read is of a kind that we do not make.
        if let Ok(RouteNetlinkMessage::NewRoute(message)) = parse(reply)
            && is(&message, id)
            && let Some(route) = describe(channel, &message)?
        {
            return Ok(Some(Object::Route(route)));
        }
    }
    Ok(None)
}

/// Kernels that do not know the question answer with the routes of all tables.
fn is(message: &RouteMessage, id: &RouteId) -> bool {
    let (mut table, mut metric) = (u32::from(message.header.table), 0);
    for attribute in &message.attributes {
        if let RouteAttribute::Table(number) = attribute {
            table = *number;
        } else if let RouteAttribute::Priority(number) = attribute {
            metric = *number;
        }
    }
    let usual = id.metric == 0 && id.family() == IpFamily::V6 && metric == USUAL_METRIC6;
    table == id.table
        && (metric == id.metric || usual)
        && address::destination(message) == Some(id.to)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel knows more kinds of routes than we make"
)]
fn describe(channel: &Channel, message: &RouteMessage) -> io::Result<Option<Route>> {
    Ok(match message.header.kind {
        RouteType::BlackHole => Some(Route::Blackhole),
        RouteType::Unreachable => Some(Route::Unreachable),
        RouteType::Prohibit => Some(Route::Prohibit),
        RouteType::Unicast => {
            let index = address::leaves_by(message);
            let interface = match index {
                Some(index) => link::name_of(channel, index)?,
                None => None,
            };
            let (via, source) = address::next_hop(message);
            interface.map(|interface| Route::Unicast {
                interface,
                via,
                source,
            })
        }
        _ => None,
    })
}
