//! The network use cases: create and remove networks and sandboxes, connect and disconnect them.
//!
//! Composes the network side of the shell: IPAM and ports are reserved, a driver plans, the plan is
//! checked, the executor claims and applies it. Knows nothing of containers; a face hands it
//! sandboxes.
//!
//! A use case is a method of [`Engine`] in the module of its name. Start at `sandboxes`, which has
//! the order of work, then `connect`, `networks`, `update`, `publish`. `view` has what is shown,
//! `preview` what an operation would do, `explain` why a packet passes, `leases` the addresses that
//! are expected or reserved. `open` and `recover` begin a daemon's session, `session` that of one
//! call; `watch` keeps to what was saved, `purge` removes all of it. What is asked for is in `request`.

mod adopt;
mod alter;
mod config;
mod connect;
mod counters;
mod defaults;
mod environment;
mod error;
mod event;
mod explain;
mod files;
mod firewall;
mod flights;
mod given;
mod held;
mod host;
mod inherited;
mod inside;
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
mod purge;
mod recover;
mod request;
mod reserve;
mod resolver;
mod room;
mod routes;
mod sandboxes;
mod session;
mod specify;
mod unannounced;
mod update;
mod view;
mod watch;
mod ways_in;

pub use config::{AddressPool, DefaultBridge, EngineConfig};
pub use environment::{Clock, Environment};
pub use error::EngineError;
pub use event::{EventSink, NetworkAction, NetworkEvent};
pub use measure::{Action, Durations, Measured};
pub use names::dns_names;
pub use request::{
    CreateNetwork, CreatedNetwork, HostTarget, NetworkChange, PlannedOperation, RequestedSubnet,
    SandboxSpec,
};
pub use resolver::{Changed, Resolver, Rezoned};
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
use sealane_core::ipam::AddressPools;
use sealane_core::model::{Facts, GivenNamespace, InterfaceName, Sandbox, SandboxId};
use sealane_core::plan::Plan;
use sealane_executor::Executor;
use sealane_firewalld::Firewalld;
use sealane_kernel::AnyKernel;
use sealane_ports::Ports;
use sealane_store::{Disk, Records, Store};
use session::Ended;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

/// The engine: every network, sandbox and endpoint of one daemon. All calls block; all may be made
/// at once from many threads.
pub struct Engine {
    config: EngineConfig,
    events: EventSink,
    executor: Executor<dyn AnyKernel>,
    disk: Arc<dyn Disk>,
    store: Arc<Store>,
    records: Records<Sandbox>,
    facts_record: Records<Facts>,
    /// Where the namespaces are that sandboxes were given.
    given: Records<GivenNamespace>,
    /// Of which sandboxes that was written down when the session began.
    given_at_start: Mutex<BTreeSet<SandboxId>>,
    ended_record: Records<Ended>,
    /// How the last session ended, if in order, until this one begins.
    ended: Mutex<Option<Ended>>,
    ports: Ports,
    resolver: Box<dyn Resolver>,
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
    clock: Box<dyn Clock>,
    measures: Measures,
}
