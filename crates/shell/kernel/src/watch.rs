//! Noticing what others change in the host's namespace.
//!
//! Notifications say only where to look again: they may be lost, merged, or be about something
//! that has changed again since. Start at [`Watcher`].

mod links;

use crate::channel::Channel;
use crate::kernel::Kernel;
use crate::message::NFTABLES;
use crate::nft::decode;
use crate::nft::kind::NEW_GENERATION;
use crate::read::{address, link, parse};
use crate::socket::{Reply, Socket};
use ipnet::IpNet;
use links::{Change, Links};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteHeader, RouteMessage};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::event::{Timespec, epoll};
use sealane_core::model::IpFamily;
use sealane_core::plan::Netns;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`, `_IPV4_NETCONF`,
/// `_IPV6_NETCONF`
const ROUTE_GROUPS: [u32; 7] = [1, 5, 7, 9, 11, 24, 25];
/// `NFNLGRP_NFTABLES`
const NFTABLES_GROUP: u32 = 7;

/// `RTM_NEWLINK`, `RTM_DELLINK`
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
/// `RTM_NEWNETCONF`, `RTM_DELNETCONF`; the second goes with each link that does.
const NEW_CONFIGURATION: u16 = 80;
const DELETED_CONFIGURATION: u16 = 81;

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// A link appeared, changed or vanished.
    Link {
        /// Its name.
        name: String,
        /// Whether it is gone.
        gone: bool,
        /// Whether it is a bridge.
        bridge: bool,
        /// Whether it went down, left its bridge or got another MTU.
        worse: bool,
        /// Whether it is the port of a bridge and became another kind of port: isolated, say.
        other_port: bool,
    },
    /// Forwarding was switched off.
    ForwardingOff(IpFamily),
    /// An address was removed.
    Address(IpNet),
    /// A route of the main table was removed.
    Route(IpNet),
    /// A route of the main table was made, by the link with this number.
    NewRoute(IpNet, Option<u32>),
    /// A transaction of nftables was carried out.
    Nftables,
    /// Notifications were lost: anything may have changed.
    Overrun,
}

/// Notifications, one after the other: iteration waits for the next.
pub trait Notices: Iterator<Item = io::Result<Noticed>> + Send {
    /// Returns what was noticed and not yet returned; `None` if nothing was.
    fn poll(&mut self) -> io::Result<Option<Noticed>>;

    /// Waits until something can be read, or for so long.
    fn wait_for(&self, longest: Duration) -> io::Result<()>;
}

/// What tells whether the host's routes changed since it was last asked.
pub trait RouteNotices: Send {
    /// Whether a route of the main table came or went, but for link-local ones and those that are
    /// `expected`.
    fn changed(&mut self, expected: &dyn Fn(IpNet) -> bool) -> io::Result<bool>;
}

/// Notifications from the host's namespace, but for those of our own messages. What the kernel
/// does by itself in consequence of ours, such as a bridge going up, is noticed all the same.
///
/// Its file descriptor is readable when something waits; reading is with [`Watcher::poll`], or,
/// waiting, by iteration.
#[derive(Debug)]
pub struct Watcher {
    ready: OwnedFd,
    route: Socket,
    netfilter: Socket,
    /// The way into the namespace, whose sockets' changes are our own.
    channel: Arc<Channel>,
    /// The port of its rtnetlink socket.
    own: u32,
    /// The links as last seen, by number.
    links: Links,
    queue: VecDeque<Noticed>,
}

impl Watcher {
    /// Begins to watch the namespace that is the kernel's host.
    pub fn open(kernel: &Kernel) -> io::Result<Self> {
        let channel = kernel.channel(Netns::Host)?;
        let own = channel.route().port();
        let (route, netfilter) = kernel.in_namespace(Netns::Host, || {
            let route = subscribed(NETLINK_ROUTE, &ROUTE_GROUPS)?;
            Ok((route, subscribed(NETLINK_NETFILTER, &[NFTABLES_GROUP])?))
        })?;
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for socket in [&route, &netfilter] {
            epoll::add(
                &ready,
                socket,
                epoll::EventData::new_u64(0),
                epoll::EventFlags::IN,
            )?;
        }
        Ok(Self {
            ready,
            route,
            netfilter,
            links: Links::look(&channel)?,
            channel,
            own,
            queue: VecDeque::new(),
        })
    }

    /// Returns what was noticed and not yet returned; `None` if nothing was.
    pub fn poll(&mut self) -> io::Result<Option<Noticed>> {
        loop {
            if let Some(noticed) = self.queue.pop_front() {
                return Ok(Some(noticed));
            }
            if !self.take_in()? {
                return Ok(None);
            }
        }
    }

    /// Reads a datagram of each socket; whether there was one.
    fn take_in(&mut self) -> io::Result<bool> {
        let own = [self.own, self.channel.netfilter_port()];
        let mut any = false;
        for socket in [&mut self.route, &mut self.netfilter] {
            match socket.receive() {
                Ok(replies) => {
                    for reply in &replies {
                        let change = self.links.learn(reply);
                        if !own.contains(&reply.port) {
                            self.queue.extend(notice(reply, change));
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.queue.push_back(Noticed::Overrun);
                }
                Err(error) => return Err(error),
            }
            any = true;
        }
        Ok(any)
    }

    /// Waits until something can be read, or for so long.
    pub fn wait_for(&self, longest: Duration) -> io::Result<()> {
        let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
        self.wait(Some(&longest))
    }

    fn wait(&self, longest: Option<&Timespec>) -> io::Result<()> {
        let mut events = Vec::with_capacity(2);
        loop {
            match epoll::wait(
                &self.ready,
                rustix::buffer::spare_capacity(&mut events),
                longest,
            ) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

impl Iterator for Watcher {
    type Item = io::Result<Noticed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.poll() {
                Ok(Some(noticed)) => return Some(Ok(noticed)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
            if let Err(error) = self.wait(None) {
                return Some(Err(error));
            }
        }
    }
}

impl Notices for Watcher {
    fn poll(&mut self) -> io::Result<Option<Noticed>> {
        Watcher::poll(self)
    }

    fn wait_for(&self, longest: Duration) -> io::Result<()> {
        Watcher::wait_for(self, longest)
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

/// Tells whether the host's routes changed since it was last asked.
#[derive(Debug)]
pub struct RouteWatch(Socket);

impl RouteWatch {
    /// Begins to watch. The first answer is that they changed.
    pub fn open(kernel: &Kernel) -> io::Result<Self> {
        let groups = [ROUTE_GROUPS[2], ROUTE_GROUPS[4]];
        let open = || subscribed(NETLINK_ROUTE, &groups);
        kernel.in_namespace(Netns::Host, open).map(Self)
    }

    /// Whether a route of the main table came or went, but for link-local ones and those that are
    /// `expected`.
    pub fn changed(&mut self, expected: &dyn Fn(IpNet) -> bool) -> io::Result<bool> {
        let mut changed = false;
        loop {
            match self.0.receive() {
                Ok(replies) => {
                    changed = changed || replies.iter().any(|reply| matters(reply, expected));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(changed),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                Err(error) => return Err(error),
            }
        }
    }
}

impl RouteNotices for RouteWatch {
    fn changed(&mut self, expected: &dyn Fn(IpNet) -> bool) -> io::Result<bool> {
        RouteWatch::changed(self, expected)
    }
}

fn matters(reply: &Reply, expected: &dyn Fn(IpNet) -> bool) -> bool {
    match notice(reply, Change::default()) {
        Some(Noticed::Route(to) | Noticed::NewRoute(to, _)) => match to {
            IpNet::V6(net) if net.addr().is_unicast_link_local() => false,
            IpNet::V6(net) if net.addr().is_multicast() => false,
            IpNet::V4(_) | IpNet::V6(_) => !expected(to),
        },
        Some(Noticed::Overrun) => true,
        Some(
            Noticed::Link { .. }
            | Noticed::Address(_)
            | Noticed::ForwardingOff(_)
            | Noticed::Nftables,
        )
        | None => false,
    }
}

fn subscribed(protocol: isize, groups: &[u32]) -> io::Result<Socket> {
    let mut socket = Socket::open(protocol)?;
    groups
        .iter()
        .try_for_each(|group| socket.subscribe(*group))?;
    socket.never_wait()?;
    Ok(socket)
}

/// What a notification is about. One that cannot be read is taken for a lost one.
pub(crate) fn notice(reply: &Reply, change: Change) -> Option<Noticed> {
    if reply.kind == NEW_CONFIGURATION {
        return forwarding_off(&reply.payload).map(Noticed::ForwardingOff);
    }
    if reply.kind == DELETED_CONFIGURATION {
        return None;
    }
    if let [NFTABLES, kind] = reply.kind.to_be_bytes() {
        // Each transaction ends with a new generation.
        return (kind == NEW_GENERATION).then_some(Noticed::Nftables);
    }
    if matches!(reply.kind, NEW_LINK | DELETED_LINK) {
        let (_, name) = link::identity(&reply.payload)?;
        // A port that leaves its bridge is "deleted" in the bridge's family.
        let of_bridge = reply.payload.first() == Some(&(libc::AF_BRIDGE as u8));
        let gone = reply.kind == DELETED_LINK && !of_bridge;
        let bridge = link::kind_of(&reply.payload).as_deref() == Some("bridge");
        return Some(Noticed::Link {
            name,
            gone,
            bridge,
            worse: change.worse,
            other_port: change.other_port,
        });
    }
    match parse(reply) {
        Ok(RouteNetlinkMessage::DelAddress(message)) => {
            address::address(&message).map(Noticed::Address)
        }
        Ok(RouteNetlinkMessage::DelRoute(message)) => route(&message).map(Noticed::Route),
        Ok(RouteNetlinkMessage::NewRoute(message)) => {
            let link = address::leaves_by(&message);
            route(&message).map(|to| Noticed::NewRoute(to, link))
        }
        Ok(_) => None,
        Err(_) => Some(Noticed::Overrun),
    }
}

/// The family of which forwarding is off, for all links or those to come (linux/netconf.h).
fn forwarding_off(payload: &[u8]) -> Option<IpFamily> {
    const INDEX: u16 = 1;
    const FORWARDING: u16 = 2;
    const ALL: i32 = -1;
    const DEFAULT: i32 = -2;
    let (head, attributes) = payload.split_first_chunk::<4>()?;
    let number = |kind| {
        let bytes = decode::find(attributes, kind)?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let general = [ALL, DEFAULT].contains(&number(INDEX)?);
    let off = number(FORWARDING)? == 0;
    let family = match i32::from(head[0]) {
        libc::AF_INET => IpFamily::V4,
        libc::AF_INET6 => IpFamily::V6,
        _ => return None,
    };
    (general && off).then_some(family)
}

/// The destination of a route of the main table; others the kernel keeps for itself.
fn route(message: &RouteMessage) -> Option<IpNet> {
    let main = message.header.table == RouteHeader::RT_TABLE_MAIN;
    main.then(|| address::destination(message)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_notification_is_fatal(kind in 0u16..3000, payload: Vec<u8>) {
            let reply = Reply::of(kind, payload);
            let change = Links::default().learn(&reply);
            notice(&reply, change);
        }
    }
}
