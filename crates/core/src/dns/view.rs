//! Views: what one sandbox sees of the zones, and the order it looks in.

use super::{EndpointNames, Zones};
use crate::model::NetworkId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What the resolver of one sandbox looks in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The sandbox's networks, in the order they are searched.
    pub networks: Vec<NetworkView>,
    /// Whom unknown names may be asked of.
    pub forwarding: Forwarding,
    /// Whether `ndots` was set by the user or the host. The client then appends search domains by
    /// itself, so names of one label are not asked of anybody else.
    pub ndots_set: bool,
}

/// Which upstreams a sandbox may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// All: one of its networks has a way out.
    Anywhere,
    /// Those reached from the sandbox itself. Its networks are all internal, so the host must not
    /// ask for it; but a server may be on such a network.
    FromSandboxOnly,
}

/// One network, as a sandbox on it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkView {
    network: NetworkId,
    name: String,
    lower_name: String,
    aliases: BTreeMap<String, String>,
}

impl NetworkView {
    /// The network called `name`, on which the sandbox alone knows `links` (target, alias).
    pub fn new<'a>(
        network: NetworkId,
        name: &str,
        links: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let lower = |(target, alias): (&str, &str)| {
            (alias.to_ascii_lowercase(), target.to_ascii_lowercase())
        };
        Self {
            network,
            name: name.into(),
            lower_name: name.to_ascii_lowercase(),
            aliases: links.into_iter().map(lower).collect(),
        }
    }
}

impl View {
    /// The endpoints a name stands for; `None` if nobody here has it. `name` is in lower case.
    ///
    /// Dots are allowed in the names of containers and of networks, so `a.b.c` is tried as such,
    /// then as `a.b` on network `c`, then as `a` on network `b.c`.
    pub fn find<'a>(&self, zones: &'a Zones, name: &str) -> Option<&'a [Arc<EndpointNames>]> {
        let whole = (name, None);
        let dots = name
            .rmatch_indices('.')
            .map(|(dot, _)| (&name[..dot], Some(&name[dot + 1..])));
        std::iter::once(whole)
            .chain(dots)
            .find_map(|(name, network)| {
                let networks = || self.networks.iter().filter(move |n| n.is_called(network));
                let alias = networks().find_map(|n| n.find(zones, n.aliases.get(name)?));
                alias.or_else(|| {
                    // An alias hides the name of the same spelling on its network.
                    networks()
                        .filter(|n| !n.aliases.contains_key(name))
                        .find_map(|n| n.find(zones, name))
                })
            })
    }

    /// `NAME.NETWORK` of the endpoint that has this address.
    pub fn name_of(&self, zones: &Zones, address: &IpAddr) -> Option<String> {
        self.networks.iter().find_map(|network| {
            let name = zones.zone(&network.network)?.name_of(address)?;
            Some(format!("{name}.{}", network.name))
        })
    }
}

impl NetworkView {
    fn is_called(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| name == self.lower_name)
    }

    fn find<'a>(&self, zones: &'a Zones, name: &str) -> Option<&'a [Arc<EndpointNames>]> {
        Some(zones.zone(&self.network)?.named(name)).filter(|endpoints| !endpoints.is_empty())
    }
}
