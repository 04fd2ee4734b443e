//! What to do when a link or an address is there already, or is not.

use super::address;
use super::link::{self, Surroundings};
use crate::ack::{errno, explained};
use crate::channel::Channel;
use crate::fault;
use crate::kernel::Kernel;
use crate::mark::Marks;
use crate::message::Message;
use crate::read::link::{self as reading, Found, Kind};
use ipnet::IpNet;
use sealane_core::model::{InterfaceName, IpFamily, Mac};
use sealane_core::plan::{Change, Key, Link, LinkKind, Netns, Object, Step};
use std::io;
use std::sync::Arc;

/// A namespace, to write in.
pub(super) struct Place<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) netns: Netns,
    pub(super) channel: Arc<Channel>,
}

impl Place<'_> {
    fn marks(&self) -> &Marks {
        self.kernel.marks()
    }

    /// Decides what a refusal means: often, that the work is done already.
    pub(super) fn settle(&self, change: &Change, refusal: io::Error) -> io::Result<()> {
        let exists = errno(&refusal) == Some(libc::EEXIST);
        match change {
            Change::Delete(..) if is_absence(&refusal) => Ok(()),
            Change::Create(Key::Link(_, name), Object::Link(link)) if exists => {
                self.settle_link(name, link)
            }
            Change::Create(Key::Address(_, link, net), _) if exists => {
                self.settle_address(link, *net)
            }
            Change::Create(..) | Change::Alter(..) | Change::Replace(..) | Change::Delete(..) => {
                Err(refusal)
            }
        }
    }

    /// Makes a link that exists as wanted, or another in its place.
    pub(super) fn settle_link(&self, name: &InterfaceName, link: &Link) -> io::Result<()> {
        let Some(found) = reading::look(&self.channel, name)? else {
            return self.make_link(name, link);
        };
        if !found.bears(self.marks()) {
            let why = match found.owner() {
                Some(owner) => format!("the link {name} exists, and its owner is {owner}"),
                None => format!("the link {name} exists, and Sealane did not make it"),
            };
            return Err(explained(libc::EEXIST, why));
        }
        if let Some(peer) = link.kind.peer() {
            return match reading::peer_at(self.kernel, self.netns, &found, peer)? {
                Some(there) if found.kind == Kind::Veth => {
                    self.alter_veth(name, link, (&found, &there))
                }
                _ => self.remake_link(name, link),
            };
        }
        let present = reading::describe(self.kernel, self.netns, name, &found)?;
        match present.map(|present| link.step_from(&present)) {
            Some(Step::Keep | Step::Change) => {
                let altered = link::alter(self.marks(), name, link, self.master(link)?, &found);
                self.send("link alter", &altered)
            }
            Some(Step::Replace) | None => self.remake_link(name, link),
        }
    }

    /// The end in the sandbox first: observing the host's end alone shows what is left to do.
    fn alter_veth(
        &self,
        name: &InterfaceName,
        link: &Link,
        (here, there): (&Found, &Found),
    ) -> io::Result<()> {
        if let LinkKind::Veth {
            peer: (netns, peer),
            peer_mac,
        } = &link.kind
            && (there.mac != Some(*peer_mac) || (link.mtu.is_some() && there.mtu != link.mtu))
        {
            fault::point("rtnetlink peer alter");
            let channel = self.kernel.channel(*netns)?;
            let message = link::alter_peer(peer, *peer_mac, link.mtu, there);
            refuse(&channel, &[message])?;
        }
        let altered = link::alter(self.marks(), name, link, self.master(link)?, here);
        self.send("link alter", &altered)
    }

    /// Makes a link in place of the one that is there, if that is ours.
    pub(super) fn replace_link(&self, name: &InterfaceName, link: &Link) -> io::Result<()> {
        match reading::look(&self.channel, name)? {
            Some(found) if found.bears(self.marks()) => self.remake_link(name, link),
            Some(_) | None => self.settle_link(name, link),
        }
    }

    fn remake_link(&self, name: &InterfaceName, link: &Link) -> io::Result<()> {
        match self.send("link delete", &[link::delete(name)]) {
            Err(error) if !is_absence(&error) => Err(error),
            _ => self.make_link(name, link),
        }
    }

    fn make_link(&self, name: &InterfaceName, link: &Link) -> io::Result<()> {
        if self.is_asked_of_host(link) {
            return self.make_from_host(name, link);
        }
        let elsewhere = self.elsewhere(link)?;
        let around = Surroundings {
            master: self.master(link)?,
            parent: None,
            elsewhere: elsewhere.as_deref(),
        };
        let messages = [
            link::create(self.marks(), name, link, &around),
            link::finish(self.marks(), name, link),
        ];
        self.send("link create", &messages)
    }

    /// Whether the host has to be asked for a link: it sits on one of the host's, or its packets go
    /// on from there although it is elsewhere.
    pub(super) fn is_asked_of_host(&self, link: &Link) -> bool {
        link.kind.parent().is_some() || link.kind.has_underlay() && self.netns != Netns::Host
    }

    /// Makes such a link: the host names where it is to be born.
    fn make_from_host(&self, name: &InterfaceName, link: &Link) -> io::Result<()> {
        let host = self.kernel.channel(Netns::Host)?;
        let away = self.netns != Netns::Host;
        let around = Surroundings {
            master: None, // it is looked for where the link is, not where it is asked for
            parent: self.parent(&host, link)?,
            elsewhere: away.then_some(&*self.channel),
        };
        fault::point_at(|| format!("rtnetlink {:?} link create", self.netns));
        refuse(&host, &[link::create(self.marks(), name, link, &around)])?;
        let joined = self.master(link)?.map(|master| link::join(name, master));
        let messages: Vec<Message> = joined
            .into_iter()
            .chain([link::finish(self.marks(), name, link)])
            .collect();
        self.send("link finish", &messages)
    }

    fn parent(&self, host: &Channel, link: &Link) -> io::Result<Option<u32>> {
        let Some(parent) = link.kind.parent() else {
            return Ok(None);
        };
        let index = {
            let socket = host.route();
            host.index(&socket, parent.as_str())?
        };
        let missing = || {
            let why = format!("there is no link {parent} on the host");
            explained(libc::ENODEV, why)
        };
        index.ok_or_else(missing).map(Some)
    }

    /// The kernel identifies an IPv6 address without its prefix length.
    fn settle_address(&self, link: &InterfaceName, net: IpNet) -> io::Result<()> {
        let index = self.index(link)?;
        let present =
            crate::read::address::of_link(&self.channel, index, IpFamily::of(net.addr()))?;
        if present.contains(&net) {
            return Ok(());
        }
        let Some(other) = present.iter().find(|other| other.addr() == net.addr()) else {
            return self.send("address create", &[address::add(index, net)]);
        };
        self.send("address remove", &[address::remove(index, *other)])?;
        self.send("address create", &[address::add(index, net)])
    }

    pub(super) fn send(&self, what: &str, messages: &[Message]) -> io::Result<()> {
        fault::point_at(|| format!("rtnetlink {:?} {what}", self.netns));
        refuse(&self.channel, messages)
    }

    /// Asked first, although the kernel would say so: of the messages that make a link the second
    /// would change one of another program.
    pub(super) fn exists(&self, link: &InterfaceName) -> io::Result<bool> {
        let socket = self.channel.route();
        Ok(self.channel.index(&socket, link.as_str())?.is_some())
    }

    pub(super) fn index(&self, link: &InterfaceName) -> io::Result<u32> {
        let socket = self.channel.route();
        self.channel
            .index(&socket, link.as_str())?
            .ok_or_else(|| explained(libc::ENODEV, format!("there is no link {link}")))
    }

    /// The hardware address to know a neighbor by: where it has none of its own, the link's.
    pub(super) fn neighbor_address(&self, link: &InterfaceName, mac: Mac) -> io::Result<Mac> {
        if mac != Mac::NONE {
            return Ok(mac);
        }
        let found = reading::look(&self.channel, link)?.and_then(|found| found.mac);
        let missing = || explained(libc::ENODEV, format!("there is no link {link}"));
        found.ok_or_else(missing)
    }

    pub(super) fn master(&self, link: &Link) -> io::Result<Option<u32>> {
        let port = link.port.as_ref();
        port.map(|port| self.index(&port.bridge)).transpose()
    }

    /// The namespace of a veth's other end, if it is another.
    pub(super) fn elsewhere(&self, link: &Link) -> io::Result<Option<Arc<Channel>>> {
        match link.kind.peer() {
            Some((netns, _)) if *netns != self.netns => self.kernel.channel(*netns).map(Some),
            Some(_) | None => Ok(None),
        }
    }
}

/// Sends messages of which each must succeed.
pub(super) fn refuse(channel: &Channel, messages: &[Message]) -> io::Result<()> {
    let answers = channel.route().exchange(messages)?;
    match answers.into_iter().find_map(|answer| answer.refusal) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// Whether an error says that there is nothing to remove.
pub(super) fn is_absence(error: &io::Error) -> bool {
    let absent = [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL];
    errno(error).is_some_and(|errno| absent.contains(&errno))
}
