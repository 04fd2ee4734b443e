//! The network use cases: create and remove networks, make sandboxes, attach and detach them.
//!
//! Composes the network side of the shell: IPAM and ports are reserved, a driver plans, the plan is
//! checked, the executor claims and applies it. Knows nothing of containers; a face hands it
//! sandboxes. Start at [`Engine`], then `sandboxes`.

mod adopt;
mod alter;
mod config;
mod counters;
mod defaults;
mod error;
mod event;
mod explain;
mod files;
mod firewall;
mod flights;
mod host;
mod inherited;
mod known;
mod leases;
mod links;
mod locks;
mod measure;
mod mtu;
mod names;
mod networks;
mod open;
mod own_routes;
mod parents;
mod passages;
mod preview;
mod publish;
mod recover;
mod request;
mod reserve;
mod room;
mod routes;
mod sandboxes;
mod specify;
mod update;
mod view;
mod watch;
mod ways_in;

pub use config::{AddressPool, DefaultBridge, EngineConfig};
pub use error::EngineError;
pub use event::{EventSink, NetworkAction, NetworkEvent};
pub use measure::{Action, Durations, Measured};
pub use names::dns_names;
pub use request::{
    CreateNetwork, CreatedNetwork, HostTarget, NetworkChange, PlannedOperation, RequestedSubnet,
    SandboxSpec,
};
pub use routes::Conflict;
pub use sealane_executor::SPANS;
pub use sealane_kernel::read::LinkCounters;
pub use sealane_ports::Depot;
pub use view::{NetworkView, SubnetUsage};

use flights::Flights;
use known::Known;
use locks::Locks;
use measure::Measures;
use routes::KnownRoutes;
use sealane_core::dns::ResolvConf;
use sealane_core::drivers::Driven;
use sealane_core::explain::{Report, Sender, Target};
use sealane_core::ipam::AddressPools;
use sealane_core::model::{
    Endpoint, EndpointSpec, Facts, InterfaceName, Lease, Network, NetworkId, PortMapping,
    PortRequest, Reservation, Sandbox, SandboxId,
};
use sealane_core::plan::{Netns, Plan};
use sealane_executor::Executor;
use sealane_firewalld::Firewalld;
use sealane_kernel::Kernel;
use sealane_nameserver::{HostWatch, Nameserver};
use sealane_ports::Ports;
use sealane_store::{Records, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;
use tracing::info_span;

/// The engine: every network, sandbox and endpoint of one daemon. All calls block; all may be made
/// at once from many threads.
pub struct Engine {
    config: EngineConfig,
    events: EventSink,
    executor: Executor<Kernel>,
    store: Arc<Store>,
    records: Records<Sandbox>,
    facts_record: Records<Facts>,
    ports: Ports,
    nameserver: Nameserver,
    pools: AddressPools,
    known: Known,
    /// The plan of the host as last applied.
    host_plan: Mutex<Plan>,
    facts: RwLock<Facts>,
    /// The facts of the first start of this boot: what the host was like before us.
    first_facts: Mutex<Option<Facts>>,
    /// What an earlier run left, until [`Engine::recover`] decides about it.
    saved: Mutex<BTreeMap<String, Sandbox>>,
    host_resolver: Mutex<ResolvConf>,
    resolver_watch: Mutex<Option<HostWatch>>,
    /// What operations are about to change, which a sweep leaves alone.
    flights: Flights,
    /// Bridges of the user's that networks use and that are not there.
    missing_devices: Mutex<BTreeSet<String>>,
    /// The routes of the host, and those that are in the way of networks.
    routes: Mutex<KnownRoutes>,
    conflicts: Mutex<BTreeSet<Conflict>>,
    /// Held by the one prune that may run.
    pruning: Mutex<()>,
    /// The links without which a sweep could not make what sits on them.
    waiting: Mutex<BTreeSet<InterfaceName>>,
    locks: Locks<SandboxId>,
    /// `None` where foreign firewalls are left alone.
    firewalld: Option<Firewalld>,
    /// Whether foreign changes are let stand.
    repair_paused: AtomicBool,
    opened: Instant,
    measures: Measures,
}

impl Engine {
    /// Loads what was saved. Changes nothing in the kernel yet: see [`Engine::recover`].
    pub fn open(
        config: EngineConfig,
        store: Arc<Store>,
        events: EventSink,
    ) -> Result<Arc<Self>, EngineError> {
        open::open(config, store, events)
    }

    /// Takes the kernel to what was saved: keeps the sandboxes that are `alive`, sweeps the rest,
    /// makes the default networks, starts to watch for foreign changes.
    pub fn recover(self: &Arc<Self>, alive: &BTreeSet<SandboxId>) -> Result<(), EngineError> {
        self.recover_all(alive)
    }

    /// Makes a network.
    pub fn create_network(&self, request: CreateNetwork) -> Result<CreatedNetwork, EngineError> {
        let network = &*request.name;
        info_span!(target: SPANS, "create network", network)
            .in_scope(|| self.make_network(&request))
    }

    /// Changes a network in place, with all its endpoints, while they run. All or nothing.
    pub fn update_network(
        &self,
        reference: &str,
        change: &NetworkChange,
    ) -> Result<(), EngineError> {
        let update = || self.alter_network(reference, change);
        info_span!(target: SPANS, "update network", network = reference)
            .in_scope(|| self.measures.time(Action::Update, update))
    }

    /// Removes a network named by id, name or unique id prefix.
    pub fn remove_network(&self, reference: &str) -> Result<(), EngineError> {
        info_span!(target: SPANS, "remove network", network = reference)
            .in_scope(|| self.delete_network(reference))
    }

    /// Removes every user-made network without endpoints that `chosen` picks; returns their names.
    pub fn prune_networks(
        &self,
        chosen: &dyn Fn(&Network) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        self.prune(chosen)
    }

    /// One network by id, name or unique id prefix.
    pub fn network(&self, reference: &str) -> Result<NetworkView, EngineError> {
        self.view(reference)
    }

    /// One network by id, name or unique id prefix, without its endpoints.
    pub fn find_network(&self, reference: &str) -> Result<Arc<Driven>, EngineError> {
        Ok(self.state().find(reference)?.network.clone())
    }

    /// All networks, without their endpoints, by creation.
    pub fn networks(&self) -> Vec<Arc<Driven>> {
        let state = self.state();
        let found = state.networks().filter(|found| found.phase.is_found());
        let mut networks: Vec<Arc<Driven>> = found.map(|found| found.network.clone()).collect();
        networks.sort_by(|a, b| a.created.cmp(&b.created));
        networks
    }

    /// Whether any sandbox has an endpoint on the network.
    pub fn in_use(&self, network: &NetworkId) -> bool {
        self.state()
            .network(network)
            .is_some_and(|found| !found.members.is_empty())
    }

    /// Checks an endpoint against its network, as Docker does when a container is created. Each
    /// fault is one line; an unknown network is no fault yet.
    pub fn check_endpoint(&self, network: &str, spec: &EndpointSpec) -> Vec<String> {
        self.state().endpoint_faults(network, spec)
    }

    /// Makes a sandbox with all its endpoints and ports, in one operation: its namespace, links,
    /// addresses, routes, published ports, resolver, and the files hosts, hostname and resolv.conf.
    pub fn create_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        let _span = info_span!(target: SPANS, "create sandbox", container = spec.name).entered();
        let make = || self.make_sandbox(spec);
        let sandbox = self.measures.time(Action::Allocate, make)?;
        self.follow_target(&sandbox.id);
        Ok(sandbox)
    }

    /// Removes a sandbox and releases all that was reserved for it. One that does not exist is
    /// no error.
    pub fn remove_sandbox(&self, id: &SandboxId) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "remove sandbox", sandbox = %id).entered();
        let dropped = self.drop_sandbox(id);
        self.follow_target(id);
        dropped
    }

    /// A sandbox that exists.
    pub fn sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        self.state().sandbox(id).cloned()
    }

    /// The endpoints of a sandbox that its default routes lead through: IPv4, IPv6.
    pub fn gateways(&self, sandbox: &Sandbox) -> (Option<NetworkId>, Option<NetworkId>) {
        let networks = self.state().joined(sandbox);
        let gateways = sealane_core::scopes::Gateways::choose(sandbox, &networks);
        (
            gateways.v4.map(|endpoint| endpoint.network),
            gateways.v6.map(|endpoint| endpoint.network),
        )
    }

    /// Where the namespace of a sandbox is mounted; `None` for the host's.
    pub fn namespace_path(&self, id: &SandboxId) -> Option<PathBuf> {
        let sandbox = self.sandbox(id).filter(|sandbox| !sandbox.host)?;
        Some(self.executor.kernel().namespace_path(&sandbox.id))
    }

    /// What has passed through the interfaces of a sandbox; nothing for the host's own.
    pub fn counters(&self, id: &SandboxId) -> Result<BTreeMap<String, LinkCounters>, EngineError> {
        self.read_counters(id)
    }

    /// Attaches a running sandbox to a further network.
    pub fn attach(
        &self,
        sandbox: &SandboxId,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        let _span = info_span!(target: SPANS, "attach", %sandbox, network).entered();
        let join = || self.join(sandbox, network, spec);
        let endpoint = self.measures.time(Action::Connect, join)?;
        self.follow_target(sandbox);
        Ok(endpoint)
    }

    /// Detaches a running sandbox from a network.
    pub fn detach(&self, sandbox: &SandboxId, network: &str) -> Result<(), EngineError> {
        let _span = info_span!(target: SPANS, "detach", %sandbox, network).entered();
        self.leave(sandbox, network)?;
        self.follow_target(sandbox);
        Ok(())
    }

    /// Publishes just these ports of a running sandbox: those that are published already stay as
    /// they are with all their connections, the others of today go, and `closing` goes although a
    /// request would be content with it. All or nothing. Where no network publishes, those that are
    /// still asked for wait.
    pub fn publish(
        &self,
        sandbox: &SandboxId,
        ports: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError> {
        let _span = info_span!(target: SPANS, "publish", %sandbox, ports = ports.len()).entered();
        let republish = || self.republish(sandbox, ports, closing);
        self.measures.time(Action::Update, republish)
    }

    /// Holds the addresses that a container of this name will ask for, until it is there.
    pub fn expect(
        &self,
        network: &str,
        name: &str,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(), EngineError> {
        self.expect_addresses(network, name, (ipv4, ipv6))
    }

    /// Expects nobody of this name back.
    pub fn forget_name(&self, name: &str) -> Result<(), EngineError> {
        self.forget_leases(name)
    }

    /// Reserves an address, so that it is given to the container of this name only; without a name,
    /// to none that does not ask for it.
    pub fn reserve_address(
        &self,
        network: &str,
        address: IpAddr,
        name: Option<&str>,
    ) -> Result<(), EngineError> {
        self.reserve_for(network, address, name)
    }

    /// Ends the reservation of an address.
    pub fn release_address(&self, network: &str, address: IpAddr) -> Result<(), EngineError> {
        self.end_reservation(network, address)
    }

    /// The reserved addresses of a network, and those that names are expected to come back to.
    pub fn expected(&self, network: &str) -> Result<(Vec<Reservation>, Vec<Lease>), EngineError> {
        self.expected_on(network)
    }

    /// Gives a sandbox another name: in DNS, at once.
    pub fn rename_sandbox(&self, id: &SandboxId, name: &str) -> Result<(), EngineError> {
        self.rename(id, name)
    }

    /// What an operation would change, as text, one object a line; nothing is reserved or changed.
    pub fn plan(&self, operation: &PlannedOperation) -> Result<String, EngineError> {
        self.preview(operation)
    }

    /// How long operations took, and how much there is of everything.
    pub fn measured(&self) -> Measured {
        self.measure()
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.state().sandboxes().cloned().collect()
    }

    /// Everything that should be in the kernel because of us, one object a line.
    pub fn wanted(&self) -> String {
        self.everything().to_string()
    }

    /// Lets foreign changes stand, until [`Engine::resume_repair`] or another start.
    pub fn pause_repair(&self) {
        self.stop_repairing();
    }

    /// Puts back what was changed meanwhile, and watches again. Returns a line for each change.
    pub fn resume_repair(&self) -> Result<Vec<String>, EngineError> {
        self.start_repairing()
    }

    /// Whether foreign changes are let stand.
    pub fn repair_paused(&self) -> bool {
        self.repair_paused.load(Ordering::Acquire)
    }

    /// What is on the host otherwise than it was saved, a line for each object: what a repair would
    /// change. Nothing is changed.
    pub fn drift(&self) -> Result<Vec<String>, EngineError> {
        self.find_drift()
    }

    /// Whether foreign firewalls that drop are met.
    pub fn meets_firewalls(&self) -> bool {
        self.config.firewall_integration
    }

    /// Whether a packet passes, and what decides it; nothing is sent. `container` is whom the
    /// target's name means to people, whether or not the sender knows the name.
    pub fn explain(
        &self,
        from: Sender,
        to: &Target,
        container: Option<SandboxId>,
    ) -> Result<Report, EngineError> {
        self.explain_packet(from, to, container)
    }

    /// Our firewall as `nft` would list it, from the live kernel, or the way iptables would say it.
    pub fn firewall(&self, as_iptables: bool) -> Result<String, EngineError> {
        self.show_firewall(as_iptables)
    }

    /// Removes every object of ours from the host: networks, sandboxes, tables. For `purge`.
    pub fn purge(&self) -> Result<(), EngineError> {
        let nothing = Plan::default();
        let window = self.flights.open();
        let swept = self.executor.sweep(&nothing, &|keys| window.admit(keys));
        swept
            .and_then(|_| {
                self.executor
                    .sweep_namespaces(&nothing, &|| window.spared())
            })
            .map_err(|error| EngineError::failed("not everything could be removed", error))?;
        self.restore_settings()?;
        self.withdraw_from_firewalld()
    }

    /// The namespace of a sandbox, for what has to be done inside.
    pub fn in_namespace<T: Send>(
        &self,
        id: &SandboxId,
        work: impl FnOnce() -> std::io::Result<T> + Send,
    ) -> std::io::Result<T> {
        self.executor
            .kernel()
            .in_namespace(Netns::Sandbox(*id), work)
    }
}
