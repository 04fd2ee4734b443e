//! The parts of a daemon, opened in the order they need each other.

use super::error::{DaemonError, Result};
use crate::config::Config;
use sealane_containers::{Containers, ContainersConfig, EventBus, network_sink};
use sealane_engine::Engine;
use sealane_images::Images;
use sealane_runtime::{Runtime, RuntimeConfig};
use sealane_session::make_exec_root;
use sealane_store::Store;
use sealane_store::private::{self, PASSABLE};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How many past events a client can still ask for.
const REMEMBERED_EVENTS: usize = 1024;

/// Everything that requests are answered from.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) containers: Arc<Containers>,
    pub(crate) images: Arc<Images>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) events: EventBus,
}

/// Makes the folders that everything is kept in.
pub(crate) fn make_roots(config: &Config) -> Result<()> {
    make_folder(config.data_root(), PASSABLE)?;
    tighten_containers(&config.data_root().join("containers"))?;
    make_exec_root(config.exec_root()).map_err(DaemonError::Territory)
}

/// Closes the folders of containers that an earlier version left open.
fn tighten_containers(folder: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(()); // there are none yet
    };
    make_folder(folder, PASSABLE)?;
    for entry in entries {
        let path = entry.map_err(of_folder(folder))?.path();
        if path.is_dir() {
            make_folder(&path, PASSABLE)?;
        }
    }
    Ok(())
}

/// Opens the store. From now on no other daemon uses the data root.
pub(crate) fn open_store(config: &Config) -> Result<Arc<Store>> {
    Store::open(config.data_root())
        .map(Arc::new)
        .map_err(DaemonError::Store)
}

/// Opens the runtime: finds the programs and tries them.
pub(crate) fn open_runtime(config: &Config) -> Result<Arc<Runtime>> {
    let runtime = Runtime::open(RuntimeConfig {
        exec_root: config.exec_root().into(),
        data_root: config.data_root().into(),
        cgroup_parent: config.cgroup_parent.clone(),
        runtime: config
            .runtimes
            .default
            .as_ref()
            .map(|(_, path)| path.clone()),
        conmon: config.conmon.clone(),
        ..RuntimeConfig::default()
    });
    runtime.map(Arc::new).map_err(DaemonError::Runtime)
}

impl Parts {
    /// Opens all parts. Reads what is saved, and changes nothing yet.
    pub(crate) fn open(config: &Config, store: Arc<Store>) -> Result<Self> {
        let images = Images::open(config.data_root()).map_err(DaemonError::Images)?;
        let images = Arc::new(images);
        let runtime = open_runtime(config)?;
        let events = EventBus::new(REMEMBERED_EVENTS);
        let sink = network_sink(&events);
        let engine = Engine::open(config.engine.clone(), Arc::clone(&store), sink)
            .map_err(DaemonError::Engine)?;
        let containers = Containers::open(
            containers_config(config),
            Arc::clone(&engine),
            Arc::clone(&images),
            Arc::clone(&runtime),
            store,
            events.clone(),
        );
        let containers = containers.map_err(DaemonError::Containers)?;
        Ok(Self {
            engine,
            containers,
            images,
            runtime,
            events,
        })
    }
}

/// Docker's own switch for what it has given up.
fn link_environment() -> bool {
    std::env::var("DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS").is_ok_and(|value| value == "1")
}

fn containers_config(config: &Config) -> ContainersConfig {
    ContainersConfig {
        data_root: config.data_root().into(),
        // A reload may change the flag, so it is looked at when the daemon ends.
        live_restore: false,
        link_environment: link_environment(),
        init: config.init,
    }
}

/// Makes a folder, or closes one that is there to others.
fn make_folder(path: &Path, mode: u32) -> Result<()> {
    private::make_folder(path, mode).map_err(of_folder(path))
}

fn of_folder(path: &Path) -> impl FnOnce(io::Error) -> DaemonError {
    let path = path.to_owned();
    move |source| DaemonError::Folder { path, source }
}
