//! Explaining: the plan of everything, the facts of the host, and what is asked.

use crate::{Engine, EngineError};
use sealane_core::dns::{RESOLVER_ADDRESS, View, Zones, address_query, addresses_in};
use sealane_core::explain::{HostFacts, Names, Report, Sender, Target, World, explain};
use sealane_core::model::{IpFamily, NetworkId, Protocol, Sandbox, SandboxId};
use sealane_core::plan::Netns;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How long the resolver of a sandbox may take: it asks several servers, one after the other.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// Whether a packet passes, and what decides it; nothing is sent. `container` is whom the
    /// target's name means to people, whether or not the sender knows the name.
    pub fn explain(
        &self,
        from: Sender,
        to: &Target,
        container: Option<SandboxId>,
    ) -> Result<Report, EngineError> {
        let (plan, facts) = (self.everything(), self.host_facts()?);
        let (sandboxes, networks) = {
            let state = self.state();
            let sandboxes = state.sandboxes();
            let sandboxes: BTreeMap<SandboxId, Arc<Sandbox>> = sandboxes
                .map(|sandbox| (sandbox.id, sandbox.clone()))
                .collect();
            (sandboxes, state.made_networks())
        };
        let sender = match from {
            Sender::Sandbox(id) => Some(self.existing(&id)?),
            Sender::Host | Sender::Outside(_) | Sender::Lan => None,
        };
        let from = if sender.as_ref().is_some_and(|sandbox| sandbox.host) {
            Sender::Host
        } else {
            from
        };
        let zones = self.zones(sender.as_deref());
        let view = self.sender_view(sender.as_ref());
        let hosts = sender.as_ref().map(|sandbox| sandbox.files.join("hosts"));
        let hosts = hosts.and_then(|path| fs::read_to_string(path).ok());
        let listening = |id: Option<SandboxId>, protocol: Protocol, to: SocketAddr| {
            let netns = id.map_or(Netns::Host, Netns::Sandbox);
            self.executor
                .kernel()
                .listens(netns, protocol, to)
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "the sockets of a sandbox cannot be read");
                    false
                })
        };
        let mut names = Names {
            hosts: hosts.as_deref().unwrap_or_default(),
            view: view.as_deref().map(|view| (view, &zones)),
            upstream: None,
            container,
        };
        let upstream = match names.leave_open(&to.name) {
            true => self.ask_outside(from, view.is_some(), &to.name),
            false => None,
        };
        names.upstream = upstream.as_deref();
        let world = World {
            plan: &plan,
            facts: &facts,
            sandboxes: &sandboxes,
            networks: &networks,
            relays: self.config.userland_proxy,
            listening: &listening,
        };
        let mut report = explain(world, from, to, &names);
        let sender = sender
            .filter(|sandbox| !sandbox.host)
            .map(|sandbox| sandbox.id);
        self.tell_changed_inside(&mut report, &sender.into_iter().chain(container).collect())?;
        Ok(report)
    }

    fn host_facts(&self) -> Result<HostFacts, EngineError> {
        let read = self.executor.kernel().host_facts();
        read.map_err(|error| EngineError::failed("the facts of the host cannot be read", error))
    }

    /// The names on the networks of a sandbox.
    fn zones(&self, sender: Option<&Sandbox>) -> Zones {
        let joined = sender
            .into_iter()
            .flat_map(|sandbox| sandbox.endpoints.keys());
        let known = joined.filter_map(|id| Some((*id, self.resolver.zone(id)?)));
        let zones: BTreeMap<NetworkId, _> = known.collect();
        let with = |zones: Zones, (id, zone)| zones.with_zone(id, zone);
        zones.into_iter().fold(Zones::default(), with)
    }

    /// What the resolver of a sandbox sees; `None` where there is none.
    fn sender_view(&self, sender: Option<&Arc<Sandbox>>) -> Option<Arc<View>> {
        let sandbox = sender.filter(|sandbox| sandbox.resolver_ports.is_some())?;
        Some(self.view_of(sandbox).0)
    }

    /// What servers outside say of a name: asked as the sender would; `None` if we are not there.
    fn ask_outside(&self, from: Sender, resolver: bool, name: &str) -> Option<Vec<IpAddr>> {
        let answered = match from {
            Sender::Outside(_) | Sender::Lan => return None,
            Sender::Sandbox(id) if resolver => {
                let kernel = self.executor.kernel();
                kernel.in_namespace(Netns::Sandbox(id), || ask_resolver(name))
            }
            // Without a resolver of ours, a sandbox asks the servers that the host asks.
            Sender::Sandbox(_) | Sender::Host => (name, 0)
                .to_socket_addrs()
                .map(|found| found.map(|found| found.ip()).collect()),
        };
        let mut addresses = answered.unwrap_or_else(|error| {
            tracing::debug!(name, %error, "nobody outside knows a name");
            Vec::new()
        });
        addresses.sort();
        addresses.dedup();
        Some(addresses)
    }
}

/// Asks the resolver of the calling thread's namespace.
fn ask_resolver(name: &str) -> io::Result<Vec<IpAddr>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((RESOLVER_ADDRESS, 53))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut found = Vec::new();
    let mut buffer = [0; 1500];
    for (id, family) in (0..).zip(IpFamily::BOTH) {
        let query = address_query(id, name, family);
        let Some(query) = query else { break };
        socket.send(&query)?;
        let count = socket.recv(&mut buffer)?;
        let addresses = addresses_in(&buffer[..count]);
        found.extend(addresses.map_err(io::Error::other)?);
    }
    Ok(found)
}
