//! A network stack's addresses and routes: which way a packet goes, and with which source.

use super::host::{HostFacts, HostRoute};
use crate::model::IpFamily;
use crate::plan::{Key, Netns, Object, Plan, Route};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The addresses and routes of one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    addresses: Vec<(String, IpNet)>,
    routes: Vec<HostRoute>,
}

impl Stack {
    /// Every namespace's: the host's as found and as planned, the sandboxes' as planned.
    pub(super) fn all(plan: &Plan, facts: &HostFacts) -> BTreeMap<Netns, Self> {
        let host = Self {
            addresses: facts.addresses.clone(),
            routes: facts.routes.clone(),
        };
        let mut all = BTreeMap::from([(Netns::Host, host)]);
        for (key, object) in plan.objects() {
            if let Key::Address(netns, link, address) = key {
                let stack = all.entry(*netns).or_default();
                stack.add_address(link.as_str(), *address);
            }
            if let (Key::Route(netns, id), Object::Route(Route::Unicast { interface, via, .. })) =
                (key, object)
                && id.is_main()
            {
                let stack = all.entry(*netns).or_default();
                stack.add_route(id.to, *via, interface.as_str());
            }
        }
        all
    }

    /// An address, and the route to its neighbors that the kernel makes of it.
    fn add_address(&mut self, link: &str, address: IpNet) {
        let present = (link.to_owned(), address);
        if !self.addresses.contains(&present) {
            self.addresses.push(present);
        }
        self.add_route(address.trunc(), None, link);
    }

    fn add_route(&mut self, to: IpNet, via: Option<IpAddr>, link: &str) {
        let same = |route: &HostRoute| route.to == to && route.link == link;
        if !self.routes.iter().any(same) {
            self.routes.push(HostRoute {
                to,
                via,
                link: link.to_owned(),
                source: None,
                metric: 0,
            });
        }
    }

    /// Whether packets to an address end here.
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().any(|(_, own)| own.addr() == address)
    }

    /// Whether it has an address of a family.
    pub(super) fn speaks(&self, family: IpFamily) -> bool {
        let mut own = self.addresses.iter();
        own.any(|(_, own)| family.has(own.addr()))
    }

    /// Whether a link has an address.
    pub(super) fn has(&self, link: &str, address: IpAddr) -> bool {
        let mut own = self.addresses.iter();
        own.any(|(name, own)| name == link && own.addr() == address)
    }

    /// The first address of one family on a link.
    pub(super) fn first_on(&self, link: &str, family: IpFamily) -> Option<IpAddr> {
        let mut own = self.addresses.iter().filter(|(name, _)| name == link);
        own.find(|(_, own)| family.has(own.addr()) && !is_link_local(own.addr()))
            .map(|(_, own)| own.addr())
    }

    /// The source of a packet to an address of this very stack: for IPv4, the first one that the
    /// link has of the same prefix.
    pub(super) fn own_source(&self, to: IpAddr) -> IpAddr {
        let own = self.addresses.iter().find(|(_, own)| own.addr() == to);
        let Some((link, own)) = own.filter(|_| to.is_ipv4()) else {
            return to;
        };
        let same = |(name, other): &&(String, IpNet)| name == link && other.trunc() == own.trunc();
        let first = self.addresses.iter().find(same);
        first.map_or(to, |(_, first)| first.addr())
    }

    /// The next hop of the default route.
    pub(super) fn router(&self, family: IpFamily) -> Option<IpAddr> {
        let default =
            |route: &&HostRoute| route.to.prefix_len() == 0 && family.has(route.to.addr());
        self.routes.iter().find(default).and_then(|route| route.via)
    }

    /// Any route of one family.
    pub(super) fn first_route(&self, family: IpFamily) -> Option<&HostRoute> {
        let mut routes = self.routes.iter();
        routes.find(|route| family.has(route.to.addr()))
    }

    /// The route to an address: the longest prefix, then the lowest metric.
    pub(super) fn route(&self, to: IpAddr) -> Option<&HostRoute> {
        let mut best: Option<&HostRoute> = None;
        for route in self.routes.iter().filter(|route| route.to.contains(&to)) {
            let rank = |route: &HostRoute| (route.to.prefix_len(), u32::MAX - route.metric);
            if best.is_none_or(|best| rank(route) > rank(best)) {
                best = Some(route);
            }
        }
        best
    }

    /// Whether an answer to `source` would leave by a link, if no other were asked.
    pub(super) fn routes_back(&self, source: IpAddr, link: &str) -> bool {
        let mut by_link = self.routes.iter().filter(|route| route.link == link);
        is_link_local(source) && source.is_ipv6() || by_link.any(|route| route.to.contains(&source))
    }

    /// The address that a packet of this stack's own has which goes to `to` by a route: what the
    /// route says, else one of the link.
    pub(super) fn source(&self, route: &HostRoute, to: IpAddr) -> Option<IpAddr> {
        let by_link = || self.leaving_by(&route.link, route.via.unwrap_or(to));
        route.source.or_else(by_link)
    }

    /// The address that fits a packet which leaves by a link to a next hop: one on the link, of
    /// the next hop's prefix if there is such; else one of another link.
    pub(super) fn leaving_by(&self, link: &str, next_hop: IpAddr) -> Option<IpAddr> {
        let usable = |address: &IpNet| {
            address.addr().is_ipv6() == next_hop.is_ipv6()
                && is_link_local(address.addr()) == is_link_local(next_hop)
        };
        let here = |(name, address): &&(String, IpNet)| name == link && usable(address);
        let near = |(_, address): &&(String, IpNet)| address.contains(&next_hop);
        let elsewhere =
            |(_, address): &&(String, IpNet)| usable(address) && !address.addr().is_loopback();
        let own = || self.addresses.iter();
        let near = own().filter(here).find(near);
        let found = near
            .or_else(|| own().find(here))
            .or_else(|| own().find(elsewhere));
        found.map(|(_, address)| address.addr())
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
