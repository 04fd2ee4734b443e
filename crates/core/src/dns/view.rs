//! Views: what one sandbox sees of the zones, and the order it looks in.

use super::draft::encode_name;
use super::reverse::Reverse;
use super::{EndpointNames, Query, Service, Zones};
use crate::model::NetworkId;
use ipnet::IpNet;
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
    /// itself, so names of one label are not asked of other servers.
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
    subnets: Vec<IpNet>,
    lan_subnets: Vec<IpNet>,
}

/// What there is below a name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// Something, if not of the type asked for.
    Exists,
    /// Nothing at all.
    Nothing,
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
            subnets: vec![],
            lan_subnets: vec![],
        }
    }
}

impl View {
    /// The endpoints a name stands for; `None` if no endpoint here has it. `name` is in lower case.
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

    /// The endpoint that has this address, and the network on which it has it.
    pub(super) fn endpoint_at<'a>(
        &'a self,
        zones: &'a Zones,
        address: &IpAddr,
    ) -> Option<(&'a NetworkView, &'a EndpointNames)> {
        self.networks.iter().find_map(|network| {
            let zone = zones.zone(&network.network)?;
            Some((network, zone.at(address)?))
        })
    }

    /// Whether all these addresses are of networks that hold no others' addresses: no server
    /// outside can know their names.
    pub(super) fn owns(&self, addresses: &IpNet) -> bool {
        let subnets = || self.networks.iter().flat_map(|network| &network.subnets);
        subnets().any(|subnet| subnet.contains(addresses))
    }

    /// The network that a question for upstreams concerns more than others: the name lies below the
    /// network's, or is of an address in its subnets. Its servers are asked first.
    pub fn concerned(&self, query: &Query<'_>) -> Option<NetworkId> {
        let name = query.name()?;
        let network = match Reverse::parse(&name) {
            Some(Reverse { net, .. }) => {
                let mut networks = self.networks.iter();
                networks.find(|n| n.lan_subnets.iter().any(|subnet| subnet.contains(&net)))
            }
            None => {
                let networks = self.networks.iter().filter(|n| n.is_above(&name));
                networks.max_by_key(|network| network.lower_name.len())
            }
        };
        network.map(|network| network.network)
    }

    /// What there is at a name that no container here has, but that lies below one of ours by labels as
    /// `_http._tcp`, which tell of the name itself; `None` if it may exist outside.
    ///
    /// Other names below ours may: a container called `consul` or `internal` is no reason to cut
    /// its network off from a domain of that name. Nor does a name of several labels, which may
    /// stand for a host of a real domain, hide what that domain says of it.
    pub(super) fn below(&self, zones: &Zones, name: &str) -> Option<Below> {
        let mut host = name;
        while host.starts_with('_') {
            host = host.split_once('.')?.1;
        }
        let labels = name.strip_suffix(host)?.strip_suffix('.')?;
        let endpoints = self.find(zones, host)?;
        if !self.is_ours_alone(host) {
            return None;
        }
        let announced = |service: &Service| {
            let Service {
                port_name,
                protocol,
                ..
            } = service;
            labels.eq_ignore_ascii_case(protocol)
                || labels.eq_ignore_ascii_case(&format!("{port_name}.{protocol}"))
        };
        let exists = endpoints.iter().flat_map(|e| &e.services).any(announced);
        Some(if exists {
            Below::Exists
        } else {
            Below::Nothing
        })
    }

    /// Whether a name of ours is of a form that names outside have not: a single label, followed at
    /// most by a network's, if that is one too.
    fn is_ours_alone(&self, name: &str) -> bool {
        name.split_once('.').is_none_or(|(_, network)| {
            !network.contains('.') && self.networks.iter().any(|n| n.is_called(Some(network)))
        })
    }
}

impl NetworkView {
    /// The same network, where all addresses of these subnets are containers'.
    #[must_use]
    pub fn with_subnets(mut self, subnets: impl IntoIterator<Item = IpNet>) -> Self {
        self.subnets = subnets.into_iter().collect();
        self
    }

    /// The same network, where addresses of these subnets may be those of other machines.
    #[must_use]
    pub fn with_lan_subnets(mut self, subnets: impl IntoIterator<Item = IpNet>) -> Self {
        self.lan_subnets = subnets.into_iter().collect();
        self
    }

    /// What a reverse lookup of an endpoint says, as a message carries it: `NAME.NETWORK` with the
    /// first name that fits, or that name alone where the network's does not fit.
    pub(super) fn name_of(&self, endpoint: &EndpointNames) -> Option<Vec<u8>> {
        let with_network = |name: &String| encode_name(&format!("{name}.{}", self.name));
        let names = endpoint.names.iter();
        names
            .filter_map(|name| with_network(name).or_else(|| encode_name(name)))
            .next()
    }

    fn is_above(&self, name: &str) -> bool {
        let rest = name.strip_suffix(&self.lower_name);
        rest.is_some_and(|rest| rest.ends_with('.'))
    }

    fn is_called(&self, name: Option<&str>) -> bool {
        name.is_none_or(|name| name == self.lower_name)
    }

    fn find<'a>(&self, zones: &'a Zones, name: &str) -> Option<&'a [Arc<EndpointNames>]> {
        Some(zones.zone(&self.network)?.named(name)).filter(|endpoints| !endpoints.is_empty())
    }
}
