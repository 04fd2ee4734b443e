//! Opening: every part of the engine put together, from what the disk says.

use crate::environment::because;
use crate::flights::Flights;
use crate::known::Known;
use crate::locks::Locks;
use crate::measure::Measures;
use crate::passages;
use crate::{Engine, EngineConfig, EngineError, Environment, EventSink};
use sealane_core::dns::ResolvConf;
use sealane_core::ipam::{AddressPool, AddressPools};
use sealane_core::model::{Facts, GivenNamespace, Policy, SandboxId};
use sealane_core::plan::Plan;
use sealane_executor::Executor;
use sealane_kernel::AnyKernel;
use sealane_store::private::{PASSABLE, PRIVATE, make_folder};
use sealane_store::{Disk, Journal, Records, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

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
    /// Loads what was saved on this machine. Changes nothing in the kernel yet: see
    /// [`Engine::recover`].
    pub fn open(
        config: EngineConfig,
        store: Arc<Store>,
        events: EventSink,
    ) -> Result<Arc<Self>, EngineError> {
        let root = &config.exec_root;
        if !root.exists() {
            make_folder(root, PRIVATE).map_err(because("cannot make", root))?;
        }
        let environment = Environment::of_host(&config, store)?;
        Self::open_in(environment, config, events)
    }

    /// The same in any environment.
    pub fn open_in(
        environment: Environment,
        config: EngineConfig,
        events: EventSink,
    ) -> Result<Arc<Self>, EngineError> {
        let Environment {
            kernel,
            disk,
            boot,
            store,
            ports,
            resolver,
            clock,
        } = environment;
        let exec_root = config.exec_root.clone();
        let folder = exec_root.join("sandboxes");
        let opened = Records::open_on(disk.clone(), &folder, boot.clone());
        let (records, saved) = opened.map_err(because("cannot open", &folder))?;
        for damaged in &saved.damaged {
            tracing::warn!(error = %damaged, "a saved sandbox cannot be read; it will be swept");
        }
        let folder = exec_root.join("host");
        let opened = Records::<Facts>::open_on(disk.clone(), &folder, boot.clone());
        let (facts_record, first) = opened.map_err(because("cannot open", &folder))?;
        let folder = exec_root.join("given");
        let opened = Records::open_on(disk.clone(), &folder, boot.clone());
        let (given, written) = opened.map_err(because("cannot open", &folder))?;
        let given_at_start = give_all(&*kernel, written.records);
        let folder = exec_root.join("session");
        let opened = Records::open_on(disk.clone(), &folder, boot.clone());
        let (ended_record, ended) = opened.map_err(because("cannot open", &folder))?;
        let path = exec_root.join("claims");
        let journal = Journal::open_on(disk.clone(), &path, boot, config.owner.as_str());
        let (journal, _claimed) = journal.map_err(because("cannot open", &path))?;
        let conf = disk.read(&config.resolv_conf).unwrap_or_default();
        let conf = ResolvConf::parse(&String::from_utf8_lossy(&conf));
        let engine = Arc::new(Self {
            pools: address_pools(&*disk, &config)?,
            executor: Executor::new(kernel, journal),
            disk,
            store,
            records,
            facts_record,
            given,
            given_at_start: Mutex::new(given_at_start),
            ended_record,
            ended: Mutex::new(ended.records.into_values().next()),
            ports,
            resolver,
            known: Known::default(),
            host_plan: Mutex::new(Plan::default()),
            facts: RwLock::new(UNREAD),
            first_facts: Mutex::new(first.records.into_values().next()),
            saved: Mutex::new(saved.records),
            host_resolver: Mutex::new(conf),
            flights: Flights::default(),
            missing_devices: Mutex::default(),
            routes: Mutex::default(),
            conflicts: Mutex::default(),
            pruning: Mutex::new(()),
            waiting: Mutex::default(),
            locks: Locks::default(),
            firewalld: passages::firewalld(config.firewall_integration)?,
            repair_paused: AtomicBool::new(false),
            clock,
            measures: Measures::default(),
            config,
            events,
        });
        engine.load_networks()?;
        Ok(engine)
    }
}

/// Has the kernel find the namespaces that sandboxes were given.
fn give_all(
    kernel: &dyn AnyKernel,
    written: BTreeMap<String, GivenNamespace>,
) -> BTreeSet<SandboxId> {
    let mut all = BTreeSet::new();
    for (name, given) in written {
        if let Ok(id) = SandboxId::try_from(name.as_str()) {
            kernel.give(id, &given);
            all.insert(id);
        }
    }
    all
}

/// The pools of the flags, or Docker's.
fn address_pools(disk: &dyn Disk, config: &EngineConfig) -> Result<AddressPools, EngineError> {
    let id = daemon_id(disk, &config.data_root)?;
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
fn daemon_id(disk: &dyn Disk, data_root: &Path) -> Result<Vec<u8>, EngineError> {
    let path = data_root.join("engine-id");
    match disk.read(&path) {
        Ok(id) if !id.is_empty() => Ok(id),
        Ok(_) | Err(_) => {
            let id = fs::read_to_string("/proc/sys/kernel/random/uuid")
                .map_err(because("cannot make an id for", &path))?;
            if !data_root.exists() {
                let made = disk.make_folder(data_root, PASSABLE);
                made.map_err(because("cannot make", data_root))?;
            }
            let written = disk.write(&path, id.trim().as_bytes());
            written.map_err(because("cannot write", &path))?;
            Ok(id.trim().into())
        }
    }
}
