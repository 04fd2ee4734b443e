//! The container use cases: create, start, stop, connect, exec, remove.
//!
//! Composes the engine (sandboxes and endpoints), the runtime (processes) and the images; keeps
//! each container's record durably before it answers. Blocks; may be called from many threads at
//! once; each container has its own lock, see `container`.
//!
//! A use case is a method of [`Containers`] in the module of its name: `create`, `start`, `stop`
//! (with restart and kill), `connect` (with disconnect), `update`, `rename`, `remove` (with prune),
//! `list`, `inspect`, `logs`, `attach`, `wait`, `terminal` (resize, top), `stats`, `exec`, `plan`,
//! and, for the daemon's own start and end, `recover` and `shutdown`. Read `start` and `exit` first,
//! which have the order of work; `parts` says what is asked of the others.

mod attach;
mod connect;
mod container;
mod create;
mod detach;
mod endpoint;
mod error;
mod events;
mod exec;
mod exit;
#[cfg(test)]
mod fake;
mod fault;
mod filter;
mod inspect;
mod links;
mod list;
mod locks;
mod logs;
mod merge;
mod mounts;
mod names;
mod network_mode;
pub mod options;
mod parts;
mod plan;
mod ports;
mod process;
mod publish;
mod record;
mod recover;
mod registry;
mod remove;
mod rename;
mod request;
mod restart;
mod sandbox;
mod security;
mod settings;
mod shutdown;
mod signals;
mod start;
mod stats;
mod stop;
mod terminal;
#[cfg(test)]
mod tests;
mod update;
mod versions;
mod view;
mod wait;
mod wake;

pub use detach::DetachKeys;
pub use error::ContainerError;
pub use events::{Event, EventBus, EventKind, network_sink};
pub use ports::ContainerPort;
pub use record::{State, Status};
pub use request::{
    ApiVersion, AttachOptions, Attached, Chunk, ContainersConfig, Counts, CreateRequest, Created,
    ExecRequest, ExecStart, Exit, ListOptions, LogOptions, Logs, PlanRequest, PortChange, Pruned,
    RemoveOptions, StopOptions, Stream, TerminalSize, UpdateRequest, WaitCondition,
};
pub use sealane_engine::LinkCounters;
pub use sealane_runtime::{
    BlockUsage, CpuUsage, MemoryUsage, PidsUsage, ProcessTable, Propagation, Usage,
};
pub use stats::Stats;
pub use view::{
    ContainerSummary, ContainerView, EndpointView, ExecView, HostSide, MountView, PortView,
    ShownPorts, StackView,
};
pub use wait::Waiter;

use container::Container;
use parts::Parts;
use record::Record;
use registry::Registry;
use sealane_core::model::Id;
use sealane_engine::Engine;
use sealane_images::Images;
use sealane_runtime::Runtime;
use sealane_store::Store;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// All containers of one daemon. A `reference` is an id, a name or a unique prefix of an id.
pub struct Containers {
    config: ContainersConfig,
    parts: Parts,
    events: EventBus,
    registry: Registry,
    execs: exec::Execs,
    shutting_down: AtomicBool,
}

impl Containers {
    /// Reads the records. Changes nothing yet: see [`Containers::recover`].
    pub fn open(
        config: ContainersConfig,
        engine: Arc<Engine>,
        images: Arc<Images>,
        runtime: Arc<Runtime>,
        store: Arc<Store>,
        events: EventBus,
    ) -> Result<Arc<Self>, ContainerError> {
        let parts = Parts {
            networks: Arc::new(engine),
            processes: runtime,
            files: images,
            records: store,
        };
        Self::with_parts(config, parts, events)
    }

    fn with_parts(
        config: ContainersConfig,
        parts: Parts,
        events: EventBus,
    ) -> Result<Arc<Self>, ContainerError> {
        let containers = Self {
            config,
            parts,
            events,
            registry: Registry::default(),
            execs: exec::Execs::default(),
            shutting_down: AtomicBool::new(false),
        };
        for record in containers.parts.records.load()? {
            containers.registry.reserve(&record.name, record.id)?;
            containers.registry.insert(Arc::new(Container::new(record)));
        }
        Ok(Arc::new(containers))
    }

    /// The id that a reference stands for.
    pub fn resolve(&self, reference: &str) -> Result<Id, ContainerError> {
        self.registry.find(reference).map(|container| container.id)
    }

    /// Whether a container runs.
    pub fn is_running(&self, reference: &str) -> Result<bool, ContainerError> {
        let container = self.registry.find(reference)?;
        Ok(container.record().state.is_running())
    }

    /// Tells what happened to a container, with its labels, image and name.
    fn tell<'a>(
        &self,
        record: &Record,
        action: &str,
        more: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        events::tell(&self.events, record, action, more);
    }
}
