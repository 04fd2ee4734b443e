//! The container use cases: create, start, stop, connect, exec, remove.
//!
//! Composes the engine (sandboxes and endpoints), the runtime (processes) and the images; keeps
//! each container's record durably before it answers. Blocks; may be called from many threads at
//! once; each container has its own lock. Start at [`Containers`], then `start` and `exit`.

mod error;
mod events;
mod request;
mod wait;

pub use error::ContainerError;
pub use events::{Event, EventBus, EventKind, network_sink};
pub use request::{
    ApiVersion, AttachOptions, Attached, Chunk, ContainersConfig, CreateRequest, Created,
    ExecStart, Exit, ListOptions, LogOptions, Logs, PlanRequest, Pruned, RemoveOptions,
    StopOptions, Stream, TerminalSize, WaitCondition,
};
pub use wait::Waiter;

use bollard_stubs::models::{
    ContainerInspectResponse, ContainerSummary, ContainerTopResponse, ContainerUpdateBody,
    EndpointSettings, ExecConfig, ExecInspectResponse,
};
use sealane_core::model::Id;
use sealane_images::{ImageId, ImageUser};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All containers of one daemon. A `reference` is an id, a name or a unique prefix of an id.
pub struct Containers {}

type Result<T, E = ContainerError> = std::result::Result<T, E>;

impl Containers {
    // open(config: ContainersConfig, engine: Arc<Engine>, images: Arc<Images>, runtime: Arc<Runtime>,
    //      store: Arc<Store>, events: EventBus) -> Result<Arc<Self>>: reads the records, does nothing else

    /// Takes up where the last daemon ended: adopts what runs, learns what ended meanwhile, sweeps
    /// what is half made, restarts what its policy says.
    pub fn recover(self: &Arc<Self>) -> Result<()> {
        todo!()
    }

    /// An orderly end: stops containers as the daemon's flags say, and waits for them.
    pub fn shut_down(self: &Arc<Self>) {
        todo!()
    }

    /// Makes a container; starts nothing.
    pub fn create(&self, _request: CreateRequest) -> Result<Created> {
        todo!()
    }

    /// Starts a container.
    pub fn start(&self, _reference: &str) -> Result<()> {
        todo!()
    }

    /// Asks a container to end, and kills it after a while.
    pub fn stop(&self, _reference: &str, _options: &StopOptions) -> Result<()> {
        todo!()
    }

    /// Stops and starts a container.
    pub fn restart(&self, _reference: &str, _options: &StopOptions) -> Result<()> {
        todo!()
    }

    /// Sends a signal, by name or number; SIGKILL without one.
    pub fn kill(&self, _reference: &str, _signal: Option<&str>) -> Result<()> {
        todo!()
    }

    /// Removes a container.
    pub fn remove(&self, _reference: &str, _options: RemoveOptions) -> Result<()> {
        todo!()
    }

    /// Gives a container another name.
    pub fn rename(&self, _reference: &str, _name: &str) -> Result<()> {
        todo!()
    }

    /// Subscribes to a container's end.
    pub fn wait(&self, _reference: &str, _condition: WaitCondition) -> Result<Waiter> {
        todo!()
    }

    /// Changes the restart policy; other fields of the request are refused. Returns warnings.
    pub fn update(&self, _reference: &str, _request: &ContainerUpdateBody) -> Result<Vec<String>> {
        todo!()
    }

    /// The id that a reference stands for.
    pub fn resolve(&self, _reference: &str) -> Result<Id> {
        todo!()
    }

    /// The containers that are chosen, newest first.
    pub fn list(&self, _options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        todo!()
    }

    /// All about one container.
    pub fn inspect(&self, _reference: &str) -> Result<ContainerInspectResponse> {
        todo!()
    }

    /// Removes all containers that do not run; filters `label`, `label!`, `until`.
    pub fn prune(&self, _filters: &BTreeMap<String, Vec<String>>) -> Result<Pruned> {
        todo!()
    }

    /// Reads a container's log.
    pub fn logs(&self, _reference: &str, _options: &LogOptions) -> Result<Logs> {
        todo!()
    }

    /// Opens a container's streams. One that does not run yet is attached to when it starts, so
    /// that nothing it writes is lost.
    pub fn attach(&self, _reference: &str, _options: AttachOptions) -> Result<Attached> {
        todo!()
    }

    /// Tells a container's terminal its size.
    pub fn resize(&self, _reference: &str, _size: TerminalSize) -> Result<()> {
        todo!()
    }

    /// The processes in a container, as `ps` with these arguments shows them.
    pub fn top(&self, _reference: &str, _ps_args: Option<&str>) -> Result<ContainerTopResponse> {
        todo!()
    }

    /// Prepares a further process in a running container; returns the exec's id.
    pub fn exec_create(&self, _reference: &str, _config: ExecConfig) -> Result<String> {
        todo!()
    }

    /// Starts it. `None` if detached.
    pub fn exec_start(&self, _exec: &str, _options: ExecStart) -> Result<Option<Attached>> {
        todo!()
    }

    /// All about one exec.
    pub fn exec_inspect(&self, _exec: &str) -> Result<ExecInspectResponse> {
        todo!()
    }

    /// Tells an exec's terminal its size.
    pub fn exec_resize(&self, _exec: &str, _size: TerminalSize) -> Result<()> {
        todo!()
    }

    /// Joins a container to a network: at once if it runs, else at its next start.
    pub fn connect(
        &self,
        _network: &str,
        _container: &str,
        _settings: EndpointSettings,
        _api_version: ApiVersion,
    ) -> Result<()> {
        todo!()
    }

    /// Parts a container from a network.
    pub fn disconnect(&self, _network: &str, _container: &str, _force: bool) -> Result<()> {
        todo!()
    }

    /// What an operation would change on the host, one object a line; changes nothing.
    pub fn plan(&self, _request: &PlanRequest) -> Result<String> {
        todo!()
    }

    /// The containers made from an image: for [`sealane_images::Images::remove`].
    pub fn image_users(&self, _image: &ImageId) -> Vec<ImageUser> {
        todo!()
    }

    /// How many containers exist, run, are paused, and are stopped.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}

/// How many containers there are, by state (`GET /info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Those that run.
    pub running: usize,
    /// Those that are paused.
    pub paused: usize,
    /// Those that do not run.
    pub stopped: usize,
}
