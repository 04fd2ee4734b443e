//! Names: what each sandbox is called on its networks, and the resolver that says so inside it.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::dns::{
    EndpointNames, ExternalServer, Forwarding, NetworkView, ResolvConf, View, Zone, render_internal,
};
use sealane_core::drivers::{Driven, Networks};
use sealane_core::model::{Endpoint, NameserverConfig, NetworkId, Sandbox, SandboxId};
use sealane_core::scopes::Gateways;
use sealane_nameserver::{NetworkUpstreams, Upstream, UpstreamConfig};
use std::net::IpAddr;
use std::sync::Arc;

/// How many ports are tried in a sandbox whose own programs may have taken some.
const ATTEMPTS: u16 = 8;
/// The first choice: above the ephemeral range, so that no outgoing connection ever has it.
const PORT: u16 = 61_053;

/// The ports of a sandbox's resolver, UDP and TCP, before any attempt failed: a fresh namespace has
/// all ports free, so that a plan can name them before anything is bound.
pub(crate) const RESOLVER_PORTS: (u16, u16) = (PORT, PORT);

impl Engine {
    /// Whether a sandbox has a resolver of its own: with any endpoint but on the default bridge, and
    /// in a session that lasts.
    pub(crate) fn wants_resolver(&self, sandbox: &Sandbox) -> bool {
        if self.config.one_call {
            return false;
        }
        let networks = self.state().joined(sandbox);
        networks.values().any(|network| !network.is_predefined())
    }

    /// Opens the resolver's sockets in a sandbox that has a table for them.
    pub(crate) fn start_resolver(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let Some(ports) = sandbox.resolver_ports else {
            return Ok(());
        };
        let (view, upstreams) = self.view_of(sandbox);
        let served = self.resolver.serve(&sandbox.id, ports, view, upstreams);
        served.map_err(|error| {
            let text = format!("the resolver of {} cannot start", sandbox.name);
            EngineError::failed(text, error)
        })
    }

    /// Ports for the resolver of a sandbox that is running already: free ones, for its own
    /// programs may have taken the first choice.
    pub(crate) fn free_resolver_ports(&self, id: &SandboxId) -> (u16, u16) {
        let mut candidates = (PORT..PORT + ATTEMPTS).map(|port| (port, port));
        let free = candidates.find(|ports| self.resolver.is_free(id, *ports));
        free.unwrap_or(RESOLVER_PORTS)
    }

    /// Tells the resolver of a changed sandbox what it now sees.
    pub(crate) fn update_resolver(&self, sandbox: &Sandbox) {
        let (view, upstreams) = self.view_of(sandbox);
        self.resolver.update(&sandbox.id, view, upstreams);
    }

    /// The resolver settings of a sandbox: its own, else those of its networks, the one with the
    /// gateway first, else the daemon's.
    pub(crate) fn nameserver_of(&self, sandbox: &Sandbox) -> NameserverConfig {
        let mut own = sandbox.nameserver.clone();
        if own.servers.is_empty() {
            for server in self
                .network_servers(sandbox)
                .into_iter()
                .flat_map(|(_, s)| s)
            {
                if !own.servers.contains(&server) {
                    own.servers.push(server);
                }
            }
        }
        with_defaults(&own, &self.config.nameserver)
    }

    /// The DNS servers of a sandbox's networks that have any of their own, the network with the
    /// gateway first.
    fn network_servers(&self, sandbox: &Sandbox) -> Vec<(NetworkId, Vec<IpAddr>)> {
        let networks = self.state().joined(sandbox);
        let gateways = Gateways::choose(sandbox, &networks);
        let first = gateways.v4.or(gateways.v6).map(|endpoint| endpoint.network);
        let mut networks: Vec<&Arc<Driven>> = networks.values().collect();
        networks.sort_by_key(|network| (Some(network.id) != first, network.spec.name.clone()));
        // What cannot be read was refused when the network was made.
        let servers = |network: &Arc<Driven>| network.dns_servers().unwrap_or_default();
        let servers = networks
            .into_iter()
            .map(|network| (network.id, servers(network)));
        servers.filter(|(_, servers)| !servers.is_empty()).collect()
    }

    /// What the resolver of a sandbox sees, and whom it asks.
    pub(crate) fn view_of(&self, sandbox: &Sandbox) -> (Arc<View>, UpstreamConfig) {
        let networks = self.state().joined(sandbox);
        let host = self.host_resolv_conf();
        let asked = self.nameserver_of(sandbox);
        let internal = render_internal(&host, &self.resolv_conf_path(), &asked);
        let of_networks = match sandbox.nameserver.servers.is_empty() {
            true => self.network_servers(sandbox),
            false => vec![],
        };
        let upstreams = match asked.servers.is_empty() {
            true => UpstreamConfig::Host,
            false if !of_networks.is_empty() => {
                UpstreamConfig::OfNetworks(of_networks.into_iter().map(upstreams_of).collect())
            }
            false => UpstreamConfig::Own(internal.upstreams.iter().filter_map(resolved).collect()),
        };
        (
            Arc::new(view(sandbox, &networks, internal.ndots_set)),
            upstreams,
        )
    }

    /// Enters a sandbox's names in the zones of its networks.
    pub(crate) fn publish_names(&self, sandbox: &Sandbox) {
        let networks = self.state().joined(sandbox);
        for endpoint in sandbox.endpoints.values() {
            let Some(network) = networks.get(&endpoint.network) else {
                continue;
            };
            if network.is_predefined() {
                continue;
            }
            let names = EndpointNames {
                id: endpoint.id,
                names: dns_names(sandbox, endpoint),
                ipv4: endpoint.ipv4.map(|net| net.addr()),
                ipv6: endpoint.ipv6.map(|net| net.addr()),
                services: vec![],
            };
            let entered = |zone: &Zone| zone.with_endpoint(names);
            self.resolver.change_zone(network.id, Box::new(entered));
        }
    }

    /// Strikes a sandbox's names from all zones.
    pub(crate) fn withdraw_names(&self, sandbox: &Sandbox) {
        for endpoint in sandbox.endpoints.values() {
            let struck = |zone: &Zone| zone.without_endpoint(&endpoint.id);
            let network = endpoint.network;
            self.resolver.change_zone(network, Box::new(struck));
        }
    }

    /// The host's resolver configuration as it is now; empty if it cannot be read.
    pub(crate) fn host_resolv_conf(&self) -> ResolvConf {
        self.host_resolver.lock_ignoring_poison().clone()
    }
}

/// Settings that the container leaves open are the daemon's.
fn with_defaults(own: &NameserverConfig, daemon: &NameserverConfig) -> NameserverConfig {
    let or = |own: &Vec<String>, daemon: &Vec<String>| {
        if own.is_empty() {
            daemon.clone()
        } else {
            own.clone()
        }
    };
    NameserverConfig {
        servers: if own.servers.is_empty() {
            daemon.servers.clone()
        } else {
            own.servers.clone()
        },
        search: or(&own.search, &daemon.search),
        options: or(&own.options, &daemon.options),
    }
}

/// The servers of a network, as they are asked.
fn upstreams_of((network, servers): (NetworkId, Vec<IpAddr>)) -> NetworkUpstreams {
    let external = ExternalServer::of_network(&servers);
    let servers = external.iter().filter_map(resolved).collect();
    NetworkUpstreams { network, servers }
}

/// A server with the link of its address. One whose link is not there cannot be asked.
fn resolved(server: &ExternalServer) -> Option<Upstream> {
    let resolved = Upstream::resolve(server);
    if let Err(error) = &resolved {
        tracing::warn!(%server, %error, "a DNS server cannot be asked");
    }
    resolved.ok()
}

/// The names of an endpoint on a user-defined network, each once: the container's name, its
/// aliases, its short id, its host name.
pub fn dns_names(sandbox: &Sandbox, endpoint: &Endpoint) -> Vec<String> {
    let mut names = vec![sandbox.name.clone()];
    let further = endpoint.spec.aliases.iter().cloned();
    for name in further.chain([sandbox.id.short(12), sandbox.hostname.clone()]) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether only our containers have addresses in its subnets: it is a bridge that we made. A network
/// on the wire of the host's links shares its subnets with the LAN.
fn is_ours_alone(network: &Driven) -> bool {
    network.driver().publishes() && network.users_device.is_none()
}

/// What a sandbox sees: its user-defined networks by name, its links, and whether it may ask out.
fn view(sandbox: &Sandbox, networks: &Networks, ndots_set: bool) -> View {
    let mut joined: Vec<(&Driven, &Endpoint)> = sandbox
        .endpoints
        .values()
        .filter_map(|endpoint| Some((networks.get(&endpoint.network)?.as_ref(), endpoint)))
        .collect();
    joined.sort_by(|(a, _), (b, _)| a.spec.name.cmp(&b.spec.name));
    let leads_out = joined.iter().any(|(network, _)| !network.spec.internal);
    let network_view = |(network, endpoint): &(&Driven, &Endpoint)| {
        let links = endpoint.spec.links.iter();
        let links = links.map(|(target, alias)| (target.as_str(), alias.as_str()));
        let view = NetworkView::new(network.id, &network.spec.name, links);
        let subnets = network.subnets_in_use();
        let subnets = subnets.map(|subnet| subnet.subnet);
        match is_ours_alone(network) {
            true => view.with_subnets(subnets),
            false => view.with_lan_subnets(subnets),
        }
    };
    View {
        networks: joined.iter().map(network_view).collect(),
        forwarding: if leads_out {
            Forwarding::Anywhere
        } else {
            Forwarding::FromSandboxOnly
        },
        ndots_set,
    }
}
