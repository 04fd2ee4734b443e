//! What a fake kernel answers: a host with nothing of others' on it.

use super::{FakeKernel, veth_peer};
use crate::ask::{Ask, Visit};
use crate::read::{ForeignLink, HostAddress, LinkCounters, LinkRoute};
use crate::watch::{Notices, RouteNotices};
use ipnet::IpNet;
use sealane_core::explain::HostFacts;
use sealane_core::model::{
    Facts, GivenNamespace, InterfaceName, IpFamily, PerFamily, Policy, Protocol, SandboxId,
};
use sealane_core::nft::Family;
use sealane_core::plan::{Key, Netns, Object, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where namespaces are said to be bound.
const NAMESPACES: &str = "/fake/netns";
/// Digits of a sandbox's id that name its namespace.
const DIGITS: usize = 12;

impl FakeKernel {
    /// The addresses that a namespace has.
    fn addresses_in(&self, netns: Netns) -> Vec<(InterfaceName, IpNet)> {
        let state = self.state();
        let own = state.objects.keys().filter_map(|key| {
            let Key::Address(of, link, address) = key else {
                return None;
            };
            (*of == netns).then(|| (link.clone(), *address))
        });
        own.collect()
    }

    /// The namespace that is bound to a file.
    fn namespace_at(&self, path: &Path) -> Option<Key> {
        let state = self.state();
        let mut keys = state.objects.keys();
        let found =
            keys.find(|key| matches!(key, Key::Namespace(id) if self.namespace_path(id) == path));
        found.cloned()
    }
}

impl Ask for FakeKernel {
    fn facts(&self) -> io::Result<Facts> {
        Ok(Facts {
            bridge_netfilter: false,
            ipv4_forwarding: false,
            ipv6_forwarding: false,
            ipv6: true,
            ipv4_forward_drops: false,
            ipv6_forward_drops: false,
            advertised: BTreeSet::new(),
            foreign_bridges: BTreeSet::new(),
            policy: Policy::default(),
        })
    }

    fn forwarding_of_other_owners(&self) -> io::Result<PerFamily<bool>> {
        Ok(PerFamily::default())
    }

    fn host_facts(&self) -> io::Result<HostFacts> {
        let addresses = self.addresses_in(Netns::Host).into_iter();
        Ok(HostFacts {
            addresses: addresses
                .map(|(link, address)| (link.to_string(), address))
                .collect(),
            ..HostFacts::default()
        })
    }

    fn owns_tables(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn free_tables(&self) -> io::Result<()> {
        Ok(())
    }

    fn has_table(&self, _family: Family, _name: &str) -> io::Result<bool> {
        Ok(false)
    }

    fn addresses(&self) -> io::Result<Vec<HostAddress>> {
        let addresses = self.addresses_in(Netns::Host).into_iter();
        Ok(addresses
            .map(|(link, address)| HostAddress {
                address,
                link: link.to_string(),
            })
            .collect())
    }

    /// Those that the real one makes with addresses.
    fn routes_by_link(&self) -> io::Result<Vec<LinkRoute>> {
        let addresses = self.addresses_in(Netns::Host).into_iter();
        Ok(addresses
            .map(|(link, address)| LinkRoute {
                prefix: address.trunc(),
                link: link.to_string(),
                on_link: true,
            })
            .collect())
    }

    fn default_route(&self, netns: Netns, family: IpFamily) -> io::Result<Option<Route>> {
        let state = self.state();
        let mut objects = state.objects.iter();
        Ok(objects.find_map(|(key, object)| {
            let (Key::Route(of, id), Object::Route(route)) = (key, object) else {
                return None;
            };
            let found = *of == netns && id.to.prefix_len() == 0 && id.family() == family;
            found.then(|| route.clone())
        }))
    }

    fn link_name(&self, _index: u32) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn link_exists(&self, netns: Netns, name: &InterfaceName) -> io::Result<bool> {
        let wanted = Key::Link(netns, name.clone());
        Ok(self.state().has_link(&wanted))
    }

    fn link_is_ours(&self, name: &InterfaceName) -> io::Result<Option<bool>> {
        let found = self.link_exists(Netns::Host, name)?;
        Ok(found.then_some(true))
    }

    fn foreign_link(&self, _name: &InterfaceName) -> io::Result<Option<ForeignLink>> {
        Ok(None)
    }

    fn link_mtu(&self, name: &InterfaceName) -> io::Result<Option<u32>> {
        let state = self.state();
        let found = state.objects.get(&Key::Link(Netns::Host, name.clone()));
        let Some(Object::Link(link)) = found else {
            return Ok(None);
        };
        Ok(link.mtu)
    }

    /// Nothing ever passes.
    fn link_counters(&self, netns: Netns) -> io::Result<BTreeMap<String, LinkCounters>> {
        let state = self.state();
        let own = state.objects.iter().flat_map(|(key, object)| {
            let ends = [Some(key.clone()), veth_peer(object)];
            ends.into_iter().flatten().filter_map(|end| {
                let Key::Link(of, name) = end else {
                    return None;
                };
                (of == netns).then(|| name.to_string())
            })
        });
        Ok(own.map(|name| (name, LinkCounters::default())).collect())
    }

    fn listens(&self, _: Netns, _: Protocol, _: SocketAddr) -> io::Result<bool> {
        Ok(false)
    }

    fn runs_here(&self, _program: &str) -> io::Result<bool> {
        Ok(false)
    }

    fn namespace_path(&self, sandbox: &SandboxId) -> PathBuf {
        Path::new(NAMESPACES).join(sandbox.short(DIGITS))
    }

    fn bound_to(&self, netns: Netns) -> Option<PathBuf> {
        match netns {
            Netns::Sandbox(id) => Some(self.namespace_path(&id)),
            Netns::Network(id) => Some(Path::new(NAMESPACES).join(format!("net-{id}"))),
            Netns::Host => None,
        }
    }

    fn namespace_files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let state = self.state();
        let own = state.objects.keys().filter_map(|key| {
            let Key::Namespace(id) = key else {
                return None;
            };
            Some((id.short(DIGITS), self.namespace_path(id)))
        });
        Ok(own.collect())
    }

    /// There are no namespaces of others.
    fn identify(&self, _path: &Path) -> io::Result<Option<(u64, u64)>> {
        Ok(None)
    }

    fn host_identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, 0))
    }

    fn give(&self, _sandbox: SandboxId, _namespace: &GivenNamespace) {}

    fn forget_given(&self, _sandbox: &SandboxId) {}

    /// There is nowhere to go.
    fn visit(&self, netns: Netns, _work: Visit<'_>) -> io::Result<()> {
        let why = format!("{netns:?} has no inside");
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    fn watch(&self) -> io::Result<Option<Box<dyn Notices>>> {
        Ok(None)
    }

    fn watch_routes(&self) -> io::Result<Box<dyn RouteNotices>> {
        Ok(Box::new(Quiet))
    }
}

impl FakeKernel {
    /// Removes the namespace that is bound to a file.
    pub(super) fn unbind(&self, path: &Path) -> io::Result<()> {
        match self.namespace_at(path) {
            Some(key) => {
                self.lose(&key);
                Ok(())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// No other process changes anything.
struct Quiet;

impl RouteNotices for Quiet {
    fn changed(&mut self, _expected: &dyn Fn(IpNet) -> bool) -> io::Result<bool> {
        Ok(false)
    }
}
