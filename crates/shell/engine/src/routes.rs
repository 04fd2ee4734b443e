//! The host's own routes: what new subnets keep away from, and what came later and is in the way.
//!
//! Read again only after the kernel told of a change: a list of all of them for every new network
//! would cost more than the network.

use crate::host::bridges_of;
use crate::inherited::is_link_local;
use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError, NetworkAction};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::model::NetworkId;
use sealane_kernel::read::LinkRoute;
use sealane_kernel::watch::RouteNotices;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Routes to larger prefixes lead to the rest of the world, not to one network.
const LARGEST: u8 = 8;

/// What new subnets should not overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Avoid {
    /// On the host's links, and its name servers: never.
    pub(crate) near: Vec<IpNet>,
    /// Behind gateways, as VPNs set them: as long as there are others.
    pub(crate) far: Vec<IpNet>,
}

/// The routes as last read.
#[derive(Default)]
pub(crate) struct KnownRoutes {
    watch: Option<Box<dyn RouteNotices>>,
    routes: Option<Arc<Vec<LinkRoute>>>,
    /// The prefixes of the addresses of others, which have no routes while their links are down.
    addressed: Vec<IpNet>,
}

/// A route of the host that overlaps a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The network.
    pub network: NetworkId,
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: IpNet,
    /// The route.
    pub route: IpNet,
    /// The link that the route leads over.
    pub link: String,
}

impl Conflict {
    /// What it means, and what to do.
    pub fn text(&self) -> String {
        let Self {
            name,
            subnet,
            route,
            link,
            ..
        } = self;
        format!(
            "the host has a route to {route} by {link}, which overlaps subnet {subnet} of network \
             {name}: its containers cannot reach who is there; make the network again, and it gets \
             another subnet"
        )
    }
}

impl Engine {
    /// What a new subnet should not overlap.
    pub(crate) fn prefixes_to_avoid(&self) -> Result<Avoid, EngineError> {
        let routes = self.host_routes()?;
        let mut avoid = Avoid::default();
        for route in routes.iter() {
            if route.on_link {
                avoid.near.push(route.prefix);
            } else if route.prefix.prefix_len() >= LARGEST {
                avoid.far.push(route.prefix);
            }
        }
        let known = self.routes.lock_ignoring_poison();
        avoid.near.extend(known.addressed.iter().copied());
        drop(known);
        let servers = self.host_resolv_conf().servers.into_iter();
        let servers = servers.map(|server| server.address);
        let servers = servers.filter(|server| !server.is_loopback());
        avoid.near.extend(servers.map(IpNet::from));
        Ok(avoid)
    }

    /// The routes of others than us.
    fn host_routes(&self) -> Result<Arc<Vec<LinkRoute>>, EngineError> {
        let failed = |error| EngineError::failed("cannot read the routes of the host", error);
        let kernel = self.executor.kernel();
        let mut known = self.routes.lock_ignoring_poison();
        if known.watch.is_none() {
            known.watch = Some(kernel.watch_routes().map_err(failed)?);
        }
        let changed = match &mut known.watch {
            Some(watch) => watch
                .changed(&|prefix| self.is_ours(prefix))
                .map_err(failed)?,
            None => true,
        };
        if let Some(routes) = known.routes.as_ref().filter(|_| !changed) {
            return Ok(routes.clone());
        }
        let ours = self.subnets_by_bridge();
        let mut routes = kernel.routes_by_link().map_err(failed)?;
        routes.retain(|route| !is_of_network(&ours, &route.link, &route.prefix));
        let routes = Arc::new(routes);
        known.routes = Some(routes.clone());
        let addresses = kernel.addresses().map_err(failed)?.into_iter();
        let others = addresses.filter(|address| {
            let net = &address.address;
            net.prefix_len() < net.max_prefix_len() && !is_of_network(&ours, &address.link, net)
        });
        known.addressed = others.map(|address| address.address.trunc()).collect();
        Ok(routes)
    }

    /// The devices of our bridge networks, with the subnets that belong there.
    fn subnets_by_bridge(&self) -> BTreeMap<String, Vec<IpNet>> {
        let state = self.state();
        let mut ours = BTreeMap::new();
        for found in state.networks() {
            let subnets = found.pools.iter().map(|(subnet, _)| *subnet);
            let subnets: Vec<IpNet> = subnets.collect();
            for bridge in bridges_of(&found.network) {
                ours.insert(bridge, subnets.clone());
            }
        }
        ours
    }

    /// Has the routes read again: what was ours may be another program's from now on.
    pub(crate) fn forget_routes(&self) {
        self.routes.lock_ignoring_poison().routes = None;
    }

    /// Whether a prefix lies in a network's subnet.
    fn is_ours(&self, prefix: IpNet) -> bool {
        let state = self.state();
        let mut overlapped = state.overlapped(&prefix);
        overlapped.any(|subnet| subnet.contains(&prefix))
    }

    /// Whether a route that appeared could be in the way of a network: it overlaps its subnet and is
    /// not by its own bridge.
    pub(crate) fn may_conflict(&self, prefix: IpNet, link: Option<u32>) -> bool {
        let overlapped: Vec<Arc<Driven>> = {
            let state = self.state();
            let found = state.overlapping(&prefix);
            found.map(|found| found.network.clone()).collect()
        };
        if overlapped.is_empty() {
            return false;
        }
        let name = link.and_then(|link| self.executor.kernel().link_name(link).ok().flatten());
        !overlapped
            .iter()
            .any(|network| device(network) == name && name.is_some())
    }

    /// Looks which routes of the host overlap networks, and tells of those that are new.
    pub(crate) fn look_for_conflicts(&self) -> Result<(), EngineError> {
        self.forget_routes();
        let found = self.find_conflicts()?;
        let before = std::mem::replace(&mut *self.conflicts.lock_ignoring_poison(), found.clone());
        for conflict in found.difference(&before) {
            let text = conflict.text();
            tracing::warn!(network = conflict.name, "{text}");
            let network = self
                .state()
                .network(&conflict.network)
                .map(|found| found.network.clone());
            if let Some(network) = network {
                self.tell(NetworkAction::Warn(text), &network);
            }
        }
        for conflict in before.difference(&found) {
            tracing::info!(network = conflict.name, route = %conflict.route, "no longer in the way");
        }
        Ok(())
    }

    /// The routes of the host that overlap networks, now.
    pub(crate) fn find_conflicts(&self) -> Result<BTreeSet<Conflict>, EngineError> {
        let routes = self.host_routes()?;
        let near = routes
            .iter()
            .filter(|route| route.on_link || route.prefix.prefix_len() >= LARGEST);
        let near: Vec<&LinkRoute> = near.collect();
        let state = self.state();
        let mut conflicts = BTreeSet::new();
        for found in state.networks() {
            let network = &found.network;
            if network.settings().device().is_none() {
                continue; // the others are on the host's own links
            }
            for (subnet, _) in &found.pools {
                for route in near.iter().filter(|route| overlap(subnet, &route.prefix)) {
                    conflicts.insert(Conflict {
                        network: network.id,
                        name: network.spec.name.clone(),
                        subnet: *subnet,
                        route: route.prefix,
                        link: route.link.clone(),
                    });
                }
            }
        }
        Ok(conflicts)
    }

    /// What is known to be in the way of a network.
    pub(crate) fn conflicts_of(&self, network: &NetworkId) -> Vec<Conflict> {
        let conflicts = self.conflicts.lock_ignoring_poison();
        let of = conflicts
            .iter()
            .filter(|conflict| conflict.network == *network);
        of.cloned().collect()
    }

    /// Whether anything is in the way, so that a route that goes matters.
    pub(crate) fn has_conflicts(&self) -> bool {
        !self.conflicts.lock_ignoring_poison().is_empty()
    }
}

/// Whether a prefix on a link is there because of the network that the link belongs to. Another
/// subnet on a bridge of ours was put there by others, or by an engine before us.
fn is_of_network(ours: &BTreeMap<String, Vec<IpNet>>, link: &str, prefix: &IpNet) -> bool {
    ours.get(link).is_some_and(|subnets| {
        let alone = prefix.prefix_len() == prefix.max_prefix_len();
        alone || is_link_local(prefix) || subnets.iter().any(|subnet| subnet.contains(prefix))
    })
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn device(network: &Driven) -> Option<String> {
    network.settings().device().map(ToString::to_string)
}
