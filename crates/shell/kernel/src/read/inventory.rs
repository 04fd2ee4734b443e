//! What there is on the host, ours and foreign: links, chains, the ways out. For people who look
//! for what is in the way; no plan depends on it.

use super::{address, link, parse};
use crate::kernel::Kernel;
use crate::mark::{self, Marks};
use crate::nft::{self, decode, table};
use crate::sysctl;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo};
use sealane_core::model::IpFamily;
use sealane_core::nft::Family;
use sealane_core::plan::Netns;
use std::io;

/// A link of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLink {
    /// Its name.
    pub name: String,
    /// What kind of link, in the kernel's word; empty for hardware and the loopback.
    pub kind: String,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// Whether it bears our mark.
    pub ours: bool,
    /// Whether it bears the mark of another daemon of ours.
    pub other_owners: bool,
}

/// A chain of nftables on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostChain {
    /// The family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where it is attached, of a base chain.
    pub hook: Option<HostHook>,
    /// Whether packets that no rule in it accepts are dropped.
    pub policy_drop: bool,
    /// Whether it is ours.
    pub ours: bool,
}

/// Where packets meet a base chain, as far as they are for this host or through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHook {
    /// Packets for this host.
    Input,
    /// Packets through it.
    Forward,
    /// Any other place.
    Other,
}

/// A default route of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// Its family.
    pub family: IpFamily,
    /// The link that it leaves by.
    pub link: String,
    /// Whether a router advertised it.
    pub advertised: bool,
}

impl Kernel {
    /// All links of the host.
    pub fn host_links(&self) -> io::Result<Vec<HostLink>> {
        let channel = self.channel(Netns::Host)?;
        let replies = channel.route().dump(&link::request_all())?;
        replies
            .iter()
            .map(|reply| match parse(reply) {
                Ok(RouteNetlinkMessage::NewLink(message)) => {
                    let up = message.header.flags.contains(LinkFlags::Up);
                    Ok(described(self.marks(), up, message.attributes))
                }
                // One that the library cannot read still has a name.
                Ok(_) | Err(_) => {
                    let name = link::identity(&reply.payload)
                        .ok_or(io::ErrorKind::InvalidData)?
                        .1;
                    Ok(HostLink {
                        name,
                        ..HostLink::default()
                    })
                }
            })
            .collect()
    }

    /// All chains of the host.
    pub fn host_chains(&self) -> io::Result<Vec<HostChain>> {
        let channel = self.channel(Netns::Host)?;
        let mut found = Vec::new();
        for family in [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge] {
            let replies = channel
                .netfilter()
                .dump(&table::chains(nft::number(family)))?;
            let chains = replies
                .iter()
                .filter_map(|reply| decode::chain(&reply.payload));
            found.extend(chains.map(|chain| HostChain {
                family,
                ours: mark::is_table(&chain.table) || mark::is_passage_chain(&chain.name),
                hook: chain.hook.map(|hook| match hook.point {
                    1 => HostHook::Input,
                    2 => HostHook::Forward,
                    _ => HostHook::Other,
                }),
                table: chain.table,
                name: chain.name,
                policy_drop: chain.policy_drop,
            }));
        }
        Ok(found)
    }

    /// The default routes of the host.
    pub fn ways_out(&self) -> io::Result<Vec<WayOut>> {
        let channel = self.channel(Netns::Host)?;
        let mut found = Vec::new();
        for family in IpFamily::BOTH {
            let routes = address::routes(&channel, family)?.into_iter();
            for route in routes.filter(|route| route.to.prefix_len() == 0) {
                let link = link::name_of(&channel, route.link)?;
                found.extend(link.map(|link| WayOut {
                    family,
                    link: link.to_string(),
                    advertised: route.advertised,
                }));
            }
        }
        Ok(found)
    }

    /// A setting of the host, named as a path below /proc/sys/net; `None` where there is none such.
    pub fn host_setting(&self, path: &str) -> io::Result<Option<String>> {
        self.in_namespace(Netns::Host, || sysctl::read(path))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel tells more than we ask"
)]
fn described(marks: &Marks, up: bool, attributes: Vec<LinkAttribute>) -> HostLink {
    let mut link = HostLink {
        up,
        ..HostLink::default()
    };
    let (mut group, mut alias) = (0, String::new());
    for attribute in attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Group(number) => group = number,
            LinkAttribute::IfAlias(text) => alias = text,
            LinkAttribute::LinkInfo(infos) => {
                let mut kinds = infos.into_iter().filter_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
                link.kind = kinds.next().unwrap_or_default();
            }
            _ => {}
        }
    }
    link.ours = marks.bears(group, &alias);
    link.other_owners = !link.ours && mark::is_group(group);
    link
}
