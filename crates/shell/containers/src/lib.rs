//! The container use cases: create, start, stop, connect, exec, remove.
//!
//! Composes the engine (sandboxes and endpoints), the runtime (processes) and the images; keeps
//! each container's record durably before it answers. Blocks; may be called from many threads at
//! once; each container has its own lock, see `container`. Start at [`Containers`], then read
//! `start` and `exit`, which have the order of work.

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
mod status;
mod stop;
mod stored;
mod terminal;
#[cfg(test)]
mod tests;
mod update;
mod versions;
mod wait;
mod wake;

pub use detach::DetachKeys;
pub use error::ContainerError;
pub use events::{Event, EventBus, EventKind, network_sink};
pub use request::{
    ApiVersion, AttachOptions, Attached, Chunk, ContainersConfig, Counts, CreateRequest, Created,
    ExecStart, Exit, ListOptions, LogOptions, Logs, PlanRequest, PortChange, Pruned, RemoveOptions,
    StopOptions, Stream, TerminalSize, WaitCondition,
};
pub use sealane_engine::LinkCounters;
pub use sealane_runtime::{BlockUsage, CpuUsage, MemoryUsage, PidsUsage, Usage};
pub use stats::Stats;
pub use wait::Waiter;

use bollard_stubs::models::{
    ContainerInspectResponse, ContainerSummary, ContainerTopResponse, ContainerUpdateBody,
    EndpointSettings, ExecConfig, ExecInspectResponse,
};
use container::Container;
use parts::Parts;
use record::Record;
use registry::Registry;
use sealane_core::model::Id;
use sealane_engine::Engine;
use sealane_images::{ImageId, ImageUser, Images};
use sealane_runtime::Runtime;
use sealane_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

type Result<T, E = ContainerError> = std::result::Result<T, E>;

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
    ) -> Result<Arc<Self>> {
        let parts = Parts {
            networks: Arc::new(engine),
            processes: runtime,
            files: images,
            records: store,
        };
        Self::with_parts(config, parts, events)
    }

    fn with_parts(config: ContainersConfig, parts: Parts, events: EventBus) -> Result<Arc<Self>> {
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

    /// Takes up where the last daemon ended: recovers the engine with the sandboxes that live,
    /// adopts what runs, notes what ended meanwhile, sweeps what is half made, starts what its
    /// policy says.
    pub fn recover(self: &Arc<Self>) -> Result<()> {
        self.take_up()
    }

    /// An orderly end: stops containers unless they are to outlive the daemon, and waits for them,
    /// so long (`--shutdown-timeout`).
    pub fn shut_down(&self, patience: Duration) {
        self.end_orderly(patience);
    }

    /// Makes a container; starts nothing.
    pub fn create(&self, request: CreateRequest) -> Result<Created> {
        self.make(request)
    }

    /// Starts a container.
    pub fn start(&self, reference: &str) -> Result<()> {
        self.begin(reference)
    }

    /// Asks a container to end, and kills it after a while.
    pub fn stop(&self, reference: &str, options: &StopOptions) -> Result<()> {
        self.halt(reference, options)
    }

    /// Stops and starts a container.
    pub fn restart(&self, reference: &str, options: &StopOptions) -> Result<()> {
        self.halt_and_begin(reference, options)
    }

    /// Sends a signal, by name or number; SIGKILL without one, and then waits for the end.
    pub fn kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        self.signal(reference, signal)
    }

    /// Removes a container.
    pub fn remove(&self, reference: &str, options: RemoveOptions) -> Result<()> {
        self.discard(reference, options)
    }

    /// Gives a container another name.
    pub fn rename(&self, reference: &str, name: &str) -> Result<()> {
        self.give_name(reference, name)
    }

    /// Subscribes to a container's end.
    pub fn wait(&self, reference: &str, condition: WaitCondition) -> Result<Waiter> {
        let container = self.registry.find(reference)?;
        // Ends are published under this lock, after the record has them.
        let mut waiters = locks::lock(&container.waiters);
        let removed = locks::lock(&container.life).removed;
        let ended =
            condition == WaitCondition::NotRunning && !container.record().state.is_running();
        match removed || ended {
            true => Ok(Waiter::ready(container.last_exit())),
            false => Ok(waiters.add(condition)),
        }
    }

    /// Changes the restart policy and the published ports; other fields of the request are
    /// refused. Returns warnings.
    pub fn update(
        &self,
        reference: &str,
        request: &ContainerUpdateBody,
        ports: &PortChange,
    ) -> Result<Vec<String>> {
        self.change(reference, request, ports)
    }

    /// The id of the container whose network stack a container has: its own, or the one it shares.
    pub fn stack_id(&self, reference: &str) -> Result<Id> {
        self.stack_owner(reference)
    }

    /// The id that a reference stands for.
    pub fn resolve(&self, reference: &str) -> Result<Id> {
        self.registry.find(reference).map(|container| container.id)
    }

    /// Whether a container runs.
    pub fn is_running(&self, reference: &str) -> Result<bool> {
        let container = self.registry.find(reference)?;
        Ok(container.record().state.is_running())
    }

    /// The containers that are chosen, newest first.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        self.choose(options)
    }

    /// All about one container.
    pub fn inspect(&self, reference: &str) -> Result<ContainerInspectResponse> {
        self.show(reference)
    }

    /// The hardware address that was asked for on the network that a container is mainly on.
    pub fn wished_mac(&self, reference: &str) -> Result<Option<String>> {
        let record = self.registry.find(reference)?.record();
        Ok(self.main_mac(&record))
    }

    /// Removes all containers that do not run; filters `label`, `label!`, `until`.
    pub fn prune(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Pruned> {
        self.discard_unused(filters)
    }

    /// Reads a container's log.
    pub fn logs(&self, reference: &str, options: &LogOptions) -> Result<Logs> {
        self.read_log(reference, options)
    }

    /// Opens a container's streams. One that does not run yet is attached to when it starts, so
    /// that nothing it writes is lost.
    pub fn attach(&self, reference: &str, options: AttachOptions) -> Result<Attached> {
        self.open_streams(reference, options)
    }

    /// Tells a container's terminal its size.
    pub fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        self.set_size(reference, size)
    }

    /// The processes in a container, as `ps` with these arguments shows them.
    pub fn top(&self, reference: &str, ps_args: Option<&str>) -> Result<ContainerTopResponse> {
        self.process_table(reference, ps_args)
    }

    /// What a container uses now.
    pub fn stats(&self, reference: &str) -> Result<Stats> {
        self.look_at_usage(reference)
    }

    /// Prepares a further process in a running container; returns the exec's id.
    pub fn exec_create(&self, reference: &str, config: ExecConfig) -> Result<String> {
        self.prepare_exec(reference, config)
    }

    /// Starts it. `None` if detached. A program that cannot be started is reported on the streams.
    pub fn exec_start(
        self: &Arc<Self>,
        exec: &str,
        options: ExecStart,
    ) -> Result<Option<Attached>> {
        self.run_exec(exec, options)
    }

    /// All about one exec.
    pub fn exec_inspect(&self, exec: &str) -> Result<ExecInspectResponse> {
        self.show_exec(exec)
    }

    /// Tells an exec's terminal its size.
    pub fn exec_resize(&self, exec: &str, size: TerminalSize) -> Result<()> {
        self.resize_exec(exec, size)
    }

    /// Joins a container to a network: at once if it runs, else at its next start.
    pub fn connect(
        &self,
        network: &str,
        container: &str,
        settings: EndpointSettings,
        api_version: ApiVersion,
    ) -> Result<()> {
        let mut settings = settings;
        if api_version < ApiVersion(1, 54) {
            // Documented since 1.44, and ignored until then.
            settings.mac_address = None;
        }
        self.join_network(network, container, &settings)
    }

    /// Parts a container from a network.
    pub fn disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        self.part_from_network(network, container, force)
    }

    /// What an operation would change on the host, one object a line; changes nothing.
    pub fn plan(&self, request: &PlanRequest) -> Result<String> {
        self.plan_of(request)
    }

    /// The containers made from an image: for [`Images::remove`].
    pub fn image_users(&self, image: &ImageId) -> Vec<ImageUser> {
        remove::users_of(&self.registry.all(), image)
    }

    /// How many containers exist, run, and do not.
    pub fn counts(&self) -> Counts {
        let all = self.registry.all();
        let running = all
            .iter()
            .filter(|container| container.record().state.is_running());
        let running = running.count();
        Counts {
            total: all.len(),
            running,
            paused: 0,
            stopped: all.len() - running,
        }
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
