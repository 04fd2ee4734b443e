//! Opening: every part of the engine put together, from what the disk says.

use crate::flights::Flights;
use crate::known::Known;
use crate::locks::Locks;
use crate::measure::Measures;
use crate::passages;
use crate::{Engine, EngineConfig, EngineError, EventSink};
use sealane_core::dns::ResolvConf;
use sealane_core::ipam::{AddressPool, AddressPools};
use sealane_core::model::{Facts, Policy, SandboxId};
use sealane_core::plan::{Netns, Plan};
use sealane_executor::Executor;
use sealane_kernel::Kernel;
use sealane_nameserver::{Nameserver, OpenSocket, SocketKind, open_socket};
use sealane_ports::Ports;
use sealane_store::private::{self, PASSABLE, PRIVATE, make_folder};
use sealane_store::{BootId, Journal, Records, Store};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

/// The host before anything was read.
const UNREAD: Facts = Facts {
    bridge_netfilter: false,
    ipv4_forwarding: true,
    ipv6_forwarding: true,
    ipv6: true,
    ipv4_forward_drops: false,
    ipv6_forward_drops: false,
    advertised: BTreeSet::new(),
    foreign_bridges: BTreeSet::new(),
    policy: Policy {
        ipv4_unmanaged: false,
        ipv6_unmanaged: false,
        direct_routing: false,
        accept_mark: None,
        owned_table: false,
    },
};

impl Engine {
    /// Loads what was saved. Changes nothing in the kernel yet: see [`Engine::recover`].
    pub fn open(
        config: EngineConfig,
        store: Arc<Store>,
        events: EventSink,
    ) -> Result<Arc<Self>, EngineError> {
        let exec_root = config.exec_root.clone();
        if !exec_root.exists() {
            make_folder(&exec_root, PRIVATE).map_err(because("cannot make", &exec_root))?;
        }
        let boot = BootId::current().map_err(because("cannot read the boot id for", &exec_root))?;
        let folder = exec_root.join("sandboxes");
        let (records, saved) =
            Records::open(&folder, boot.clone()).map_err(because("cannot open", &folder))?;
        for damaged in &saved.damaged {
            tracing::warn!(error = %damaged, "a saved sandbox cannot be read; it will be swept");
        }
        let folder = exec_root.join("host");
        let (facts_record, first) = Records::<Facts>::open(&folder, boot.clone())
            .map_err(because("cannot open", &folder))?;
        let path = exec_root.join("claims");
        let journal = Journal::open_of(&path, boot, config.owner.as_str());
        let (journal, _claimed) = journal.map_err(because("cannot open", &path))?;
        let folder = exec_root.join("netns");
        let kernel = Kernel::open(folder.clone()).map_err(because("cannot use", &folder))?;
        let kernel = Arc::new(kernel.owned_by(config.owner.clone()));
        let nameserver = start_nameserver(kernel.clone())?;
        let resolver = fs::read_to_string(&config.resolv_conf).unwrap_or_default();
        let engine = Arc::new(Self {
            pools: address_pools(&config)?,
            executor: Executor::new(kernel, journal),
            store,
            records,
            facts_record,
            ports: Ports::open_with(config.userland_proxy, config.depot.clone())
                .map_err(because("cannot serve ports under", &exec_root))?,
            nameserver,
            known: Known::default(),
            host_plan: Mutex::new(Plan::default()),
            facts: RwLock::new(UNREAD),
            first_facts: Mutex::new(first.records.into_values().next()),
            saved: Mutex::new(saved.records),
            host_resolver: Mutex::new(ResolvConf::parse(&resolver)),
            resolver_watch: Mutex::new(None),
            flights: Flights::default(),
            missing_devices: Mutex::default(),
            routes: Mutex::default(),
            conflicts: Mutex::default(),
            pruning: Mutex::new(()),
            waiting: Mutex::default(),
            locks: Locks::default(),
            firewalld: passages::firewalld(config.firewall_integration)?,
            repair_paused: AtomicBool::new(false),
            opened: Instant::now(),
            measures: Measures::default(),
            config,
            events,
        });
        engine.load_networks()?;
        Ok(engine)
    }
}

/// The resolver opens its sockets to upstreams in the sandbox that asks.
fn start_nameserver(kernel: Arc<Kernel>) -> Result<Nameserver, EngineError> {
    let open = move |id: &SandboxId, kind: SocketKind| -> io::Result<OwnedFd> {
        kernel.in_namespace(Netns::Sandbox(*id), move || open_socket(kind))
    };
    let open: OpenSocket = Arc::new(open);
    Nameserver::start(open)
        .map_err(|error| EngineError::failed("the name server cannot start", error))
}

/// The pools of the flags, or Docker's.
fn address_pools(config: &EngineConfig) -> Result<AddressPools, EngineError> {
    let id = daemon_id(&config.data_root)?;
    if config.pools.is_empty() {
        return Ok(AddressPools::predefined(&id));
    }
    let pools = config.pools.iter().map(|pool| AddressPool {
        base: pool.base,
        size: pool.size,
    });
    AddressPools::new(pools.collect(), &id).map_err(|error| EngineError::Invalid(error.to_string()))
}

/// What tells this daemon from all others: made once, kept in the data root.
fn daemon_id(data_root: &Path) -> Result<Vec<u8>, EngineError> {
    let path = data_root.join("engine-id");
    match fs::read(&path) {
        Ok(id) if !id.is_empty() => Ok(id),
        Ok(_) | Err(_) => {
            let id = fs::read_to_string("/proc/sys/kernel/random/uuid")
                .map_err(because("cannot make an id for", &path))?;
            if !data_root.exists() {
                make_folder(data_root, PASSABLE).map_err(because("cannot make", data_root))?;
            }
            private::write(&path, id.trim()).map_err(because("cannot write", &path))?;
            Ok(id.trim().into())
        }
    }
}

/// Says what could not be done with which file.
fn because<E: Error + Send + Sync + 'static>(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> EngineError {
    let path = path.display().to_string();
    move |error| EngineError::failed(format!("{what} {path}"), error)
}
