//! Looking at objects by their keys.

use super::address::{self, Found as FoundRoute};
use super::{forwarding, link, passage, routes, table};
use crate::ack::errno;
use crate::channel::Channel;
use crate::kernel::Kernel;
use crate::nft::table::Ownership;
use crate::nft::{number, table as tables};
use crate::sysctl;
use ipnet::IpNet;
use sealane_core::model::{InterfaceName, IpFamily, Mac};
use sealane_core::plan::{Key, Link, Netns, Object, Route};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Whether an observed object is the wanted one, down to where the other end of a veth is.
pub(crate) fn meets(wanted: &Object, observed: &Object) -> bool {
    wanted.satisfied_by(observed) && peer(wanted) == peer(observed)
}

fn peer(object: &Object) -> Option<&(Netns, InterfaceName)> {
    let Object::Link(link) = object else {
        return None;
    };
    link.kind.peer()
}

/// Looks at the named objects.
pub(super) fn observe(kernel: &Kernel, keys: &[&Key]) -> io::Result<BTreeMap<Key, Object>> {
    let mut found = BTreeMap::new();
    for key in keys {
        if let Some(object) = one(kernel, key)? {
            found.insert((*key).clone(), object);
        }
    }
    Ok(found)
}

/// Looks at the named objects and returns the keys of those that are not as wanted.
pub(super) fn differing(kernel: &Kernel, wanted: &[(&Key, &Object)]) -> io::Result<Vec<Key>> {
    let (mut differing, mut routes) = (Vec::new(), Routes::default());
    let mut ends = Ends::default();
    for (key, object) in wanted {
        let same = match (key, object) {
            (Key::Route(netns, id), _) if *id == id.to.into() => match channel(kernel, *netns)? {
                Some(channel) => routes.meets(&channel, *netns, id.to, object)?,
                None => false,
            },
            (Key::Table(netns, _), Object::Table(wanted)) => match channel(kernel, *netns)? {
                Some(channel) => same_table(&channel, &kernel.marks().named(wanted))?,
                None => false,
            },
            (Key::Flooding(netns, link, mac, to), _) => match channel(kernel, *netns)? {
                Some(channel) => ends.has(&channel, (*netns, link), (*mac, *to))?,
                None => false,
            },
            (_, _) => one(kernel, key)?.is_some_and(|found| meets(object, &found)),
        };
        if !same {
            differing.push((*key).clone());
        }
    }
    Ok(differing)
}

fn same_table(channel: &Channel, wanted: &sealane_core::nft::Table) -> io::Result<bool> {
    let mut socket = channel.netfilter();
    match table::present(&mut socket, number(wanted.family), &wanted.name)? {
        Some(present) if wanted.owned && present.ownership != Ownership::Of(socket.port()) => {
            Ok(false)
        }
        Some(present) => tables::matches(wanted, &present),
        None => Ok(false),
    }
}

fn one(kernel: &Kernel, key: &Key) -> io::Result<Option<Object>> {
    let present = |there: bool| there.then_some(Object::Present);
    if let Some(netns) = key.as_namespace() {
        return match kernel.open_namespace(netns) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(|_| Some(Object::Present)),
        };
    }
    let Some(channel) = channel(kernel, key.netns())? else {
        return Ok(None);
    };
    match key {
        Key::Namespace(_) | Key::NetworkNamespace(_) => Ok(None), // answered above
        Key::Link(netns, name) => Ok(observe_link(kernel, &channel, *netns, name)?),
        Key::Setting(_, setting) => {
            let value = channel.handle().visit(|| sysctl::read(setting))?;
            Ok(value.map(Object::Setting))
        }
        Key::Table(_, name) => Ok(present(any_table(&channel, &kernel.marks().table(name))?)),
        Key::Element(set, key) => {
            let table = kernel.marks().table(set.table());
            let of = (number(set.family()), &*table, set.name.as_str());
            let found = table::element(&mut channel.netfilter(), of, key)?;
            Ok(found.map(Object::Element))
        }
        Key::Passage(bridge, family) => {
            let found = passage::look(&mut channel.netfilter(), kernel.marks(), *family)?;
            // Where iptables has no chain that could drop, every bridge passes.
            Ok(present(found.is_none_or(|found| found.passes(bridge))))
        }
        Key::Up(_, name) => Ok(present(
            link::look(&channel, name)?.is_some_and(|found| found.up),
        )),
        Key::Address(_, name, net) => match index(&channel, name)? {
            Some(link) => Ok(present(
                address::of_link(&channel, link, IpFamily::of(net.addr()))?.contains(net),
            )),
            None => Ok(None),
        },
        Key::Neighbor(_, name, to) => match index(&channel, name)? {
            Some(link) => Ok(address::neighbor(&channel, link, *to)?.map(Object::Neighbor)),
            None => Ok(None),
        },
        Key::Route(_, id) if *id == id.to.into() => {
            match observe_route(&channel, id.to)? {
                // It may lead nowhere.
                None => routes::look(&channel, id),
                found => Ok(found),
            }
        }
        Key::Route(_, id) => routes::look(&channel, id),
        Key::Forwarding(_, name, mac) => match index(&channel, name)? {
            Some(link) => Ok(forwarding::look(&channel, link, *mac)?.map(Object::Forwarding)),
            None => Ok(None),
        },
        Key::Flooding(_, name, mac, to) => match index(&channel, name)? {
            Some(link) => Ok(present(
                forwarding::ends(&channel, link)?.contains(&(*mac, *to)),
            )),
            None => Ok(None),
        },
    }
}

/// The sockets into a namespace, unless it is gone.
fn channel(kernel: &Kernel, netns: Netns) -> io::Result<Option<Arc<Channel>>> {
    match kernel.channel(netns) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn index(channel: &Channel, name: &InterfaceName) -> io::Result<Option<u32>> {
    let socket = channel.route();
    channel.index(&socket, name.as_str())
}

fn observe_link(
    kernel: &Kernel,
    channel: &Channel,
    netns: Netns,
    name: &InterfaceName,
) -> io::Result<Option<Object>> {
    let found: Option<Link> = match link::look(channel, name)? {
        Some(found) => link::describe(kernel, netns, name, &found)?,
        None => None,
    };
    Ok(found.map(Object::Link))
}

fn any_table(channel: &Channel, name: &str) -> io::Result<bool> {
    let mut socket = channel.netfilter();
    for family in tables::families() {
        match socket.get(tables::get(family, name)) {
            Err(error) if errno(&error) == Some(libc::ENOENT) => {}
            other => return other.map(|_| true),
        }
    }
    Ok(false)
}

/// The route to a prefix, however it came about.
fn observe_route(channel: &Channel, to: IpNet) -> io::Result<Option<Object>> {
    let routes = address::routes(channel, IpFamily::of(to.addr()))?;
    let found = routes.into_iter().find(|route| route.to == to);
    found.map_or(Ok(None), |found| described(channel, &found))
}

/// The same, if it leads over this link.
pub(crate) fn observe_route_over(
    channel: &Channel,
    link: u32,
    to: IpNet,
) -> io::Result<Option<Object>> {
    // To list the routes of one link takes a walk over those of all, so it is tried without first. One
    // of the two is not the host's own address, which another table has.
    for address in to.hosts().take(2) {
        let found = address::matching_route(channel, address)?;
        if let Some(found) = found.filter(|route| route.to == to && route.link == link) {
            return described(channel, &found);
        }
    }
    let routes = address::routes_over(channel, link, IpFamily::of(to.addr()))?;
    let found = routes.into_iter().find(|route| route.to == to);
    found.map_or(Ok(None), |found| described(channel, &found))
}

fn described(channel: &Channel, route: &FoundRoute) -> io::Result<Option<Object>> {
    let interface = link::name_of(channel, route.link)?;
    Ok(interface.map(|interface| {
        Object::Route(Route::Unicast {
            interface,
            via: route.via,
            source: route.source,
        })
    }))
}

/// The ends of tunnels, listed once for each tunnel: of one entry the kernel tells only the first.
#[derive(Default)]
struct Ends(BTreeMap<(Netns, InterfaceName), BTreeSet<(Mac, IpAddr)>>);

impl Ends {
    /// Whether frames to a hardware address go from a tunnel to an end.
    fn has(
        &mut self,
        channel: &Channel,
        (netns, name): (Netns, &InterfaceName),
        end: (Mac, IpAddr),
    ) -> io::Result<bool> {
        let list = match self.0.entry((netns, name.clone())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let link = index(channel, name)?;
                let list = link.map(|link| forwarding::ends(channel, link));
                unknown.insert(list.transpose()?.unwrap_or_default())
            }
        };
        Ok(list.contains(&end))
    }
}

/// Routes, listed once for each namespace and family: among thousands, asking for each would take
/// all of them every time.
#[derive(Default)]
struct Routes(BTreeMap<(Netns, IpFamily), BTreeMap<IpNet, FoundRoute>>);

impl Routes {
    /// Whether the route to a prefix is the wanted one.
    fn meets(
        &mut self,
        channel: &Channel,
        netns: Netns,
        to: IpNet,
        wanted: &Object,
    ) -> io::Result<bool> {
        let Some(found) = self.find(channel, netns, to)? else {
            let nowhere = routes::look(channel, &to.into())?;
            return Ok(nowhere.is_some_and(|found| meets(wanted, &found)));
        };
        let described = described(channel, found)?;
        Ok(described.is_some_and(|found| meets(wanted, &found)))
    }

    fn find(
        &mut self,
        channel: &Channel,
        netns: Netns,
        to: IpNet,
    ) -> io::Result<Option<&FoundRoute>> {
        let family = IpFamily::of(to.addr());
        let list = match self.0.entry((netns, family)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut list = BTreeMap::new();
                for route in address::routes(channel, family)? {
                    // The kernel takes the first.
                    list.entry(route.to).or_insert(route);
                }
                unknown.insert(list)
            }
        };
        Ok(list.get(&to))
    }
}
