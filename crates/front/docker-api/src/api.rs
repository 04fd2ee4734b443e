//! What requests are answered from.

use crate::version::ApiVersion;
use sealane_containers::{Containers, EventBus};
use sealane_engine::Engine;
use sealane_images::Images;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The parts of a daemon that requests are answered from.
#[derive(Clone)]
pub struct Parts {
    /// Networks.
    pub engine: Arc<Engine>,
    /// Containers.
    pub containers: Arc<Containers>,
    /// Images.
    pub images: Arc<Images>,
    /// What happened.
    pub events: EventBus,
}

/// What the daemon says of itself and its host (`GET /info`, `/version`).
#[derive(Clone, Debug, Default)]
pub struct DaemonFacts {
    /// The id of the daemon, the same over restarts.
    pub id: String,
    /// The product's version.
    pub version: String,
    /// The commit it was built from, or empty.
    pub commit: String,
    /// When it was built, RFC 3339, or empty.
    pub build_time: String,
    /// The host's name.
    pub hostname: String,
    /// The distribution: `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// The distribution's version: `12`.
    pub os_version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor architecture, as `uname -m` says it.
    pub machine: String,
    /// Processors.
    pub processors: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// `--data-root`
    pub data_root: PathBuf,
    /// `cgroupfs`, `systemd` or `none`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Runtimes by name, each with its path.
    pub runtimes: BTreeMap<String, String>,
    /// The name of the runtime used unless a container asks for another.
    pub default_runtime: String,
    /// The version that the runtime tells of itself.
    pub runtime_version: String,
    /// How root file systems are made: `overlay2` or `vfs`.
    pub storage_driver: String,
    /// `--default-address-pool`, as base and size.
    pub address_pools: Vec<(String, u8)>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What is set and cannot be used, a sentence each: the doctor tells it.
    pub unready: Vec<String>,
    /// What a reload may change.
    pub reloadable: Reloadable,
}

/// The settings that SIGHUP reads again and requests show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloadable {
    /// `--debug`
    pub debug: bool,
    /// `--live-restore`
    pub live_restore: bool,
    /// `--label`
    pub labels: Vec<String>,
    /// `--shutdown-timeout`
    pub shutdown_timeout: Duration,
}

/// The API: everything a request can be answered from.
pub struct Api {
    pub(crate) engine: Arc<Engine>,
    pub(crate) containers: Arc<Containers>,
    pub(crate) images: Arc<Images>,
    pub(crate) events: EventBus,
    /// Whether a prune of networks is under way: Docker refuses a second one.
    pub(crate) pruning_networks: AtomicBool,
    /// Likewise of containers.
    pub(crate) pruning_containers: AtomicBool,
    /// Likewise of volumes, of which there are none.
    pub(crate) pruning_volumes: AtomicBool,
    facts: RwLock<Arc<DaemonFacts>>,
    oldest: ApiVersion,
}

impl Api {
    /// An API over a daemon's parts that refuses versions older than `oldest`.
    pub fn new(parts: Parts, facts: DaemonFacts, oldest: ApiVersion) -> Arc<Self> {
        Arc::new(Self {
            engine: parts.engine,
            containers: parts.containers,
            images: parts.images,
            events: parts.events,
            pruning_networks: AtomicBool::new(false),
            pruning_containers: AtomicBool::new(false),
            pruning_volumes: AtomicBool::new(false),
            facts: RwLock::new(Arc::new(facts)),
            oldest,
        })
    }

    /// Takes over settings that were read again.
    pub fn reload(&self, reloadable: Reloadable) {
        let mut facts = self.facts.write().unwrap_or_else(PoisonError::into_inner);
        *facts = Arc::new(DaemonFacts {
            reloadable,
            ..DaemonFacts::clone(&facts)
        });
    }

    /// Whether containers are to outlive the daemon, as was said last.
    pub fn live_restore(&self) -> bool {
        self.facts().reloadable.live_restore
    }

    /// How long an orderly end waits for containers, as was said last.
    pub fn shutdown_timeout(&self) -> Duration {
        self.facts().reloadable.shutdown_timeout
    }

    /// What the daemon says of itself now.
    pub(crate) fn facts(&self) -> Arc<DaemonFacts> {
        Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The oldest version served.
    pub(crate) fn oldest_version(&self) -> ApiVersion {
        self.oldest
    }
}
