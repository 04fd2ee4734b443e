//! The links of the host that macvlan and ipvlan networks sit on: whose they are, who shares them,
//! and what happens when one is missing.

use crate::event::HOST;
use crate::locks::LockIgnoringPoison;
use crate::{CreateNetwork, Engine, EngineError, NetworkAction, NetworkEvent};
use sealane_core::drivers::parent::Parent;
use sealane_core::drivers::{self, Driven};
use sealane_core::model::{InterfaceName, IpFamily, NetworkSpec, Sandbox};
use sealane_core::reserve::Snapshot;
use sealane_executor::WithoutParent;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// Links of the host that are there, and whether they are ours.
pub(crate) type LinksThere = BTreeMap<InterfaceName, bool>;

impl Engine {
    /// Of the links that a new network may sit on, those that are there. Asked before the state is
    /// locked: the kernel may take its time.
    pub(crate) fn links_to_sit_on(
        &self,
        request: &CreateNetwork,
    ) -> Result<LinksThere, EngineError> {
        let mut named = links_named(&request.options);
        let defaults = self.config.default_network_options.values();
        named.extend(defaults.flat_map(links_named));
        if let Some(source) = &request.config_from {
            let source = self.find_network(source).ok();
            named.extend(
                source
                    .iter()
                    .flat_map(|source| links_named(&source.spec.options)),
            );
        }
        let below = |name: &String| Some(name.split_once('.')?.0.to_owned());
        named.extend(named.iter().filter_map(below).collect::<Vec<_>>());
        let mut links = LinksThere::new();
        for name in named {
            // A name that no link can have is refused when the options are read.
            if let Ok(name) = InterfaceName::try_from(name.as_str())
                && let Some(ours) = self.find_link(&name)?
            {
                links.insert(name, ours);
            }
        }
        Ok(links)
    }

    /// Refuses an endpoint whose network's parent is gone.
    pub(crate) fn check_parent_is_there(&self, network: &Driven) -> Result<(), EngineError> {
        match network.settings().parent().map(Parent::name) {
            Some(parent) if self.find_link(parent)?.is_none() => Err(failed(format!(
                "the requested parent interface {parent} was not found on the Docker host"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// The host's own IPv6 addresses that endpoints find on their wire, where they are to reach it.
    pub(crate) fn host_addresses(&self, network: &Driven) -> Result<Vec<Ipv6Addr>, EngineError> {
        let settings = network.settings();
        let Some(parent) = settings
            .shared_with_host()
            .filter(|_| network.spec.enable_ipv6)
        else {
            return Ok(vec![]);
        };
        let addresses = self.executor.kernel().addresses().map_err(|error| {
            EngineError::failed(format!("cannot read the addresses of {parent}"), error)
        })?;
        let own = addresses
            .into_iter()
            .filter(|own| own.link == parent.as_str());
        let on_wire = |ip: &IpAddr| {
            network
                .subnets(IpFamily::V6)
                .any(|subnet| subnet.subnet.contains(ip))
        };
        let own = own.map(|own| own.address.addr()).filter(on_wire);
        Ok(own
            .filter_map(|ip| match ip {
                IpAddr::V6(ip) => Some(ip),
                IpAddr::V4(_) => None,
            })
            .collect())
    }

    /// Whether a link of the host carries networks.
    pub(crate) fn is_parent(&self, name: &str) -> bool {
        let state = self.state();
        let mut parents = parents(&state);
        parents.any(|(_, parent)| {
            parent.name().as_str() == name || parent.given().is_some_and(|n| n.as_str() == name)
        })
    }

    /// Whether something could not be made for want of this link.
    pub(crate) fn waits_for_parent(&self, name: &str) -> bool {
        let waiting = self.waiting.lock_ignoring_poison();
        waiting.iter().any(|parent| parent.as_str() == name)
    }

    /// Says which links are gone with their parents, once for each parent that goes.
    pub(crate) fn note_without_parent(&self, refused: &[WithoutParent]) {
        let now: BTreeSet<InterfaceName> = refused.iter().map(|r| r.parent.clone()).collect();
        let before = std::mem::replace(&mut *self.waiting.lock_ignoring_poison(), now);
        for WithoutParent {
            key,
            parent,
            source,
        } in refused
        {
            if before.contains(parent) {
                continue;
            }
            let text = format!(
                "{key} is gone with its parent {parent}, and comes back when that does: {source}"
            );
            tracing::warn!("{text}");
            (self.events)(NetworkEvent {
                action: NetworkAction::Warn(text),
                network: None,
                name: "host".into(),
                driver: HOST,
            });
        }
    }

    /// Says that ports which were asked for are not published.
    pub(crate) fn warn_of_unpublished(&self, sandbox: &Sandbox) {
        let networks = self.state().joined(sandbox);
        for network in networks
            .values()
            .filter(|n| n.settings().parent().is_some())
        {
            tracing::warn!(
                container = sandbox.name,
                network = network.spec.name,
                "{} driver does not support port mappings",
                network.spec.driver
            );
        }
    }

    /// Whether a link of this name is ours; `None` if there is none.
    fn find_link(&self, name: &InterfaceName) -> Result<Option<bool>, EngineError> {
        let found = self.executor.kernel().link_is_ours(name);
        found.map_err(|error| {
            EngineError::failed(format!("cannot look for a link named {name}"), error)
        })
    }
}

/// Whether the parent that a new network names is there and not made by us.
pub(crate) fn is_parent_given(spec: &NetworkSpec, links: &LinksThere, state: &Snapshot) -> bool {
    let driver = drivers::find(spec.driver.as_str());
    let Some(name) = driver.and_then(|driver| driver.sits_on(&spec.options)) else {
        return false;
    };
    let made = parents(state).any(|(_, parent)| {
        matches!(parent, Parent::Vlan { .. } | Parent::Dummy(_)) && parent.name().as_str() == name
    });
    // One of ours may be about to go with its network.
    let foreign = |(link, ours): (&InterfaceName, &bool)| link.as_str() == name && !ours;
    !made && links.iter().any(foreign)
}

/// Refuses a new network whose parent is missing, or that cannot be beside others.
pub(crate) fn check_beside_others(
    network: &Driven,
    links: &LinksThere,
    state: &Snapshot,
) -> Result<(), EngineError> {
    let settings = network.settings();
    let given = settings.parent().and_then(Parent::given);
    if let Some(missing) = given.filter(|given| !links.contains_key(given)) {
        return Err(failed(format!(
            "-o parent interface was not found on the host: {missing}"
        )));
    }
    // Two networks are in each other's way by a link: by one that they make, or by one of the host's.
    let links = settings.links(network);
    let by_link = links.iter().flat_map(|link| state.with_link(link));
    let mut others = by_link.chain(state.on_the_hosts_links());
    others.try_for_each(|other| Ok(settings.check_beside(network, &other.network)?))
}

/// The links of the host that options name as what endpoints sit on, whatever the driver.
fn links_named(options: &BTreeMap<String, String>) -> Vec<String> {
    let named = drivers::all().filter_map(|driver| driver.sits_on(options));
    named.map(ToOwned::to_owned).collect()
}

/// The networks that have a parent, with it.
fn parents(state: &Snapshot) -> impl Iterator<Item = (&Driven, &Parent)> {
    let networks = state.networks().map(|found| &*found.network);
    networks.filter_map(|network| Some((network, network.settings().parent()?)))
}

fn failed(message: impl Into<String>) -> EngineError {
    EngineError::Failed {
        message: message.into(),
        source: None,
    }
}
