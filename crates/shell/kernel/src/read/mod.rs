//! Looking at the kernel: the objects of a plan by their keys, everything of ours for a sweep, and
//! the facts that plans depend on.
//!
//! Changes nothing. Start at [`Observe`].

pub(crate) mod address;
pub(crate) mod counters;
pub(crate) mod facts;
mod forwarding;
mod inventory;
pub(crate) mod link;
pub(crate) mod listening;
pub(crate) mod observe;
mod other_owners;
pub(crate) mod owned;
pub(crate) mod passage;
mod processes;
mod routes;
mod surroundings;
pub(crate) mod table;

pub use counters::LinkCounters;
pub use facts::{ForeignChain, ForeignLink, HostAddress, LinkRoute, OnLink};
pub use inventory::{HostChain, HostHook, HostLink, WayOut};
pub use listening::{BoundSocket, BoundSockets};
pub(crate) use observe::meets;
pub use processes::runs_here;

use crate::kernel::Kernel;
use crate::socket::Reply;
use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use sealane_core::nft::Table;
use sealane_core::plan::{Key, Netns, Object};
use std::collections::BTreeMap;
use std::io;

/// What tells how objects are in the kernel.
pub trait Observe {
    /// Looks at the named objects only, and returns those that are there. What a plan cannot ask
    /// for is not reported; what it leaves open is reported as it is, so that results are to be
    /// compared with [`Object::satisfied_by`].
    ///
    /// A table is reported as [`Object::Present`], since the kernel tells its rules in words of
    /// its own; [`Observe::differing`] knows whether it is the wanted one. A setting is there if
    /// the kernel has it.
    fn observe(&self, keys: &[&Key]) -> io::Result<BTreeMap<Key, Object>>;

    /// Returns the keys of the objects that are missing or other than wanted; for a veth, also if
    /// its other end is elsewhere or has another name, which a container may have done.
    fn differing(&self, wanted: &[(&Key, &Object)]) -> io::Result<Vec<Key>>;

    /// Everything in the host's namespace that bears its owner's mark: links, our table as
    /// [`Object::Present`], the elements in it, passages.
    fn owned(&self) -> io::Result<Vec<(Key, Object)>>;
}

impl Observe for Kernel {
    fn observe(&self, keys: &[&Key]) -> io::Result<BTreeMap<Key, Object>> {
        observe::observe(self, keys)
    }

    fn differing(&self, wanted: &[(&Key, &Object)]) -> io::Result<Vec<Key>> {
        observe::differing(self, wanted)
    }

    fn owned(&self) -> io::Result<Vec<(Key, Object)>> {
        owned::owned(self)
    }
}

/// The digest that a table of ours bears of what it was made from; `None` if there is no such
/// table, or it is not one of ours. Compare with [`fingerprint_of`].
pub fn table_fingerprint(
    kernel: &Kernel,
    netns: Netns,
    wanted: &Table,
) -> io::Result<Option<String>> {
    let channel = kernel.channel(netns)?;
    let family = crate::nft::number(wanted.family);
    let name = kernel.marks().table(&wanted.name);
    let chains = table::chains(&mut channel.netfilter(), family, &name)?;
    Ok(crate::nft::table::fingerprint_among(&chains).map(str::to_string))
}

/// The digest that a table will bear; an error if it has a rule that cannot be written.
pub fn fingerprint_of(wanted: &Table) -> io::Result<String> {
    crate::nft::table::fingerprint(wanted)
}

/// Reads a message of rtnetlink.
pub(crate) fn parse(reply: &Reply) -> io::Result<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = reply.kind;
    RouteNetlinkMessage::deserialize(&header, &reply.payload)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_message_is_fatal(kind in 16u16..120, payload: Vec<u8>) {
            let _nothing_to_say = parse(&Reply::of(kind, payload));
        }
    }
}
