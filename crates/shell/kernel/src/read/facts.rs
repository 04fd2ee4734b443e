//! Facts about the host that plans depend on.

use super::passage::{FORWARD, TABLE as IPTABLES};
use super::{HostLink, address, link, table as table_reading};
use crate::kernel::Kernel;
use crate::mark;
use crate::nft::{decode, table};
use crate::sysctl;
use ipnet::IpNet;
use sealane_core::model::{Facts, InterfaceName, IpFamily, Policy};
use sealane_core::nft::Family;
use sealane_core::plan::{Netns, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// `NF_INET_LOCAL_IN`, `NF_INET_FORWARD`
const HOOKS: [u32; 2] = [1, 2];

/// The metric that the kernel gives a route of IPv6 that names none (`IP6_RT_PRIO_USER`).
const METRIC6: u32 = 1024;

/// What the names of the chains of a Docker Engine begin with.
const DOCKER_CHAINS: &str = "DOCKER";

/// A link that others made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignLink {
    /// The owner it belongs to, if another daemon of ours made it.
    pub owner: Option<String>,
    /// Whether it is a bridge.
    pub bridge: bool,
    /// Whether it is up.
    pub up: bool,
}

/// Kinds of links that lead out of the host; hardware has none.
const CARDS: [&str; 4] = ["", "bond", "team", "vlan"];

/// A base chain that others made, where packets for this host or through it may be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignChain {
    /// The family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// Whether packets that no rule in it accepts are dropped.
    pub policy_drop: bool,
}

/// A prefix that the host reaches directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnLink {
    /// The prefix.
    pub prefix: IpNet,
    /// The link that it is on.
    pub link: String,
}

/// A route of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRoute {
    /// Where to.
    pub prefix: IpNet,
    /// By which link.
    pub link: String,
    /// Whether destinations are on the link, and not behind a gateway.
    pub on_link: bool,
}

/// An address of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The address with the length of its prefix.
    pub address: IpNet,
    /// The link that has it.
    pub link: String,
}

impl Kernel {
    /// Gathers what plans have to know of the host.
    pub fn facts(&self) -> io::Result<Facts> {
        let forward = self.dropping_forward_chains()?;
        let drops = |family| {
            let by_iptables = |chain: &ForeignChain| {
                chain.family == family && chain.table == IPTABLES && chain.chain == FORWARD
            };
            forward.iter().any(by_iptables)
        };
        let docker = (
            self.docker_filters(Family::Ip)?,
            self.docker_filters(Family::Ip6)?,
        );
        let links = self.host_links()?;
        let advertised = self.links_that_listen(&links)?;
        let of_others = self.forwarding_of_other_owners()?;
        self.in_namespace(Netns::Host, || {
            let on = |setting| -> io::Result<bool> {
                Ok(sysctl::read(setting)?.is_some_and(|value| value != "0"))
            };
            Ok(Facts {
                policy: Policy::default(),
                bridge_netfilter: on("bridge/bridge-nf-call-iptables")?,
                ipv4_forwarding: on("ipv4/ip_forward")? && !of_others.v4,
                ipv6_forwarding: on("ipv6/conf/all/forwarding")? && !of_others.v6,
                ipv6: Path::new("/proc/sys/net/ipv6").is_dir(),
                ipv4_forward_drops: drops(Family::Ip) || docker.0,
                ipv6_forward_drops: drops(Family::Ip6) || docker.1,
                advertised,
                foreign_bridges: foreign_bridges(&links),
            })
        })
    }

    /// The links that take what routers advertise as long as this host is none: network cards and
    /// what stands for them, and any other link on which a router has advertised itself.
    fn links_that_listen(&self, links: &[HostLink]) -> io::Result<BTreeSet<InterfaceName>> {
        let mut listening = BTreeSet::new();
        let ways = self.ways_out()?;
        for link in links {
            let advertised = ways
                .iter()
                .any(|way| way.advertised && way.link == link.name);
            let card = CARDS.contains(&link.kind.as_str()) && link.name != "lo";
            if link.ours || !(card || advertised) {
                continue;
            }
            let setting = format!("ipv6/conf/{}/accept_ra", link.name);
            let unless_router = self.host_setting(&setting)?.as_deref() == Some("1");
            if unless_router && let Ok(name) = InterfaceName::try_from(link.name.as_str()) {
                listening.insert(name);
            }
        }
        Ok(listening)
    }

    /// The base chains of the forward and input hooks that are not ours and drop by policy.
    pub fn dropping_forward_chains(&self) -> io::Result<Vec<ForeignChain>> {
        let mut found = Vec::new();
        for family in [Family::Inet, Family::Ip, Family::Ip6] {
            let chains = self.chains_of(family)?.into_iter();
            found.extend(chains.filter(drops).map(|chain| ForeignChain {
                family,
                table: chain.table,
                chain: chain.name,
                policy_drop: chain.policy_drop,
            }));
        }
        Ok(found)
    }

    /// Whether the chains of a Docker Engine are in the table that iptables made. Whatever the policy,
    /// they drop what its bridges forward, and `docker0` may be ours now.
    fn docker_filters(&self, family: Family) -> io::Result<bool> {
        let mut chains = self.chains_of(family)?.into_iter();
        Ok(chains.any(|chain| chain.table == IPTABLES && chain.name.starts_with(DOCKER_CHAINS)))
    }

    /// Whether the host has a table of nftables of this name, ours or not.
    pub fn has_table(&self, family: Family, name: &str) -> io::Result<bool> {
        let channel = self.channel(Netns::Host)?;
        let mut socket = channel.netfilter();
        Ok(table_reading::present(&mut socket, crate::nft::number(family), name)?.is_some())
    }

    pub(super) fn chains_of(&self, family: Family) -> io::Result<Vec<decode::Chain>> {
        let channel = self.channel(Netns::Host)?;
        let request = table::chains(crate::nft::number(family));
        let replies = channel.netfilter().dump(&request)?;
        let chains = replies
            .iter()
            .filter_map(|reply| decode::chain(&reply.payload));
        Ok(chains.collect())
    }

    /// The prefixes that the host reaches directly, default routes and routes through gateways
    /// excepted: what new subnets must not overlap.
    pub fn routes(&self) -> io::Result<Vec<OnLink>> {
        let routes = self.routes_by_link()?.into_iter();
        let on_link = routes.filter(|route| route.on_link).map(|route| OnLink {
            prefix: route.prefix,
            link: route.link,
        });
        Ok(on_link.collect())
    }

    /// The routes of the host, but for default routes.
    pub fn routes_by_link(&self) -> io::Result<Vec<LinkRoute>> {
        let channel = self.channel(Netns::Host)?;
        let names = self.link_names()?;
        let mut all = Vec::new();
        for family in IpFamily::BOTH {
            let routes = address::routes(&channel, family)?.into_iter();
            let routes = routes.filter(|route| route.to.prefix_len() > 0);
            all.extend(routes.filter_map(|route| {
                Some(LinkRoute {
                    prefix: route.to,
                    link: names.get(&route.link)?.clone(),
                    on_link: route.on_link,
                })
            }));
        }
        Ok(all)
    }

    /// The default route of a namespace that one of ours would replace: of the same metric.
    pub fn default_route(&self, netns: Netns, family: IpFamily) -> io::Result<Option<Route>> {
        let channel = self.channel(netns)?;
        let ours = family.pick(0, METRIC6);
        let mut routes = address::routes(&channel, family)?.into_iter();
        let found = routes.find(|route| route.to.prefix_len() == 0 && route.metric == ours);
        let Some(found) = found else {
            return Ok(None);
        };
        let interface = link::name_of(&channel, found.link)?;
        Ok(interface.map(|interface| Route::by(interface, found.via)))
    }

    /// The name of a link of the host, by its number; `None` if there is none.
    pub fn link_name(&self, index: u32) -> io::Result<Option<String>> {
        let name = link::name_of(&*self.channel(Netns::Host)?, index)?;
        Ok(name.map(|name| name.to_string()))
    }

    /// The addresses of the host.
    pub fn addresses(&self) -> io::Result<Vec<HostAddress>> {
        let channel = self.channel(Netns::Host)?;
        let names = self.link_names()?;
        let mut all = address::addresses(&channel, 0, IpFamily::V4)?;
        all.extend(address::addresses(&channel, 0, IpFamily::V6)?);
        let named = all.into_iter().filter_map(|(link, address)| {
            Some(HostAddress {
                address,
                link: names.get(&link)?.clone(),
            })
        });
        Ok(named.collect())
    }

    /// Whether a namespace has a link of this name, ours or foreign.
    pub fn link_exists(&self, netns: Netns, name: &InterfaceName) -> io::Result<bool> {
        let channel = self.channel(netns)?;
        let socket = channel.route();
        Ok(channel.index(&socket, name.as_str())?.is_some())
    }

    /// Whether a link of the host bears our mark; `None` if there is none of this name.
    pub fn link_is_ours(&self, name: &InterfaceName) -> io::Result<Option<bool>> {
        let channel = self.channel(Netns::Host)?;
        Ok(link::look(&channel, name)?.map(|found| found.bears(self.marks())))
    }

    /// A link of the host that does not bear our mark; `None` if there is none of this name.
    pub fn foreign_link(&self, name: &InterfaceName) -> io::Result<Option<ForeignLink>> {
        let channel = self.channel(Netns::Host)?;
        let found = link::look(&channel, name)?.filter(|found| !found.bears(self.marks()));
        Ok(found.map(|found| ForeignLink {
            owner: found.owner().map(str::to_owned),
            bridge: found.kind == link::Kind::Bridge,
            up: found.up,
        }))
    }

    /// The MTU of a link of the host; `None` if there is none of this name.
    pub fn link_mtu(&self, name: &InterfaceName) -> io::Result<Option<u32>> {
        let channel = self.channel(Netns::Host)?;
        Ok(link::look(&channel, name)?.and_then(|found| found.mtu))
    }

    /// The MTU of the link with the host's default route, IPv4 first; `None` without such a route.
    pub fn uplink_mtu(&self) -> io::Result<Option<u32>> {
        let channel = self.channel(Netns::Host)?;
        let names = self.link_names()?;
        for family in IpFamily::BOTH {
            let routes = address::routes(&channel, family)?;
            let default = routes.iter().find(|route| route.to.prefix_len() == 0);
            let name = default.and_then(|route| names.get(&route.link));
            if let Some(name) = name {
                let found = link::look_at(&channel, &[name])?.pop().flatten();
                return Ok(found.and_then(|found| found.mtu));
            }
        }
        Ok(None)
    }

    pub(crate) fn link_names(&self) -> io::Result<BTreeMap<u32, String>> {
        let channel = self.channel(Netns::Host)?;
        let replies = channel.route().dump(&link::request_all())?;
        let links = replies.iter().map(link::from_reply);
        links
            .map(|link| link.map(|link| (link.index, link.name)))
            .collect()
    }
}

fn foreign_bridges(links: &[HostLink]) -> BTreeSet<InterfaceName> {
    let foreign = links
        .iter()
        .filter(|link| !link.ours && link.kind == "bridge");
    foreign
        .filter_map(|link| InterfaceName::try_from(link.name.as_str()).ok())
        .collect()
}

fn drops(chain: &decode::Chain) -> bool {
    let hooked = chain
        .hook
        .as_ref()
        .is_some_and(|hook| HOOKS.contains(&hook.point));
    let ours = mark::is_table(&chain.table) || mark::is_passage_chain(&chain.name);
    hooked && chain.policy_drop && !ours
}
