//! What containers are made with: the engine's sandboxes, the runtime's processes, the images'
//! root file systems, the store's records.
//!
//! Each is named by the few operations used here, so that the use cases can be tested without a
//! kernel.

use crate::ContainerError;
use crate::record::Record;
use sealane_core::drivers::Driven;
use sealane_core::model::{
    Endpoint, EndpointSpec, Id, NetworkId, PortMapping, PortRequest, Sandbox, SandboxId,
};
use sealane_engine::{Engine, EngineError, LinkCounters, PlannedOperation, SandboxSpec};
use sealane_images::{Backend, Image, ImageError, ImageId, Images};
use sealane_runtime::{
    Created, ExecSpec, Exit, LogQuery, LogReader, ProcessSpec, ProcessTable, Runtime, RuntimeError,
    State, Usage,
};
use sealane_store::{Batch, Store, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Where containers are stored.
const CONTAINERS: Table = Table("containers");

/// The engine, as far as containers need it.
pub(crate) trait Networks: Send + Sync {
    fn recover(&self, alive: &BTreeSet<SandboxId>) -> Result<(), EngineError>;
    fn find_network(&self, reference: &str) -> Result<Arc<Driven>, EngineError>;
    fn check_endpoint(&self, network: &str, spec: &EndpointSpec) -> Vec<String>;
    fn create_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError>;
    fn remove_sandbox(&self, id: &SandboxId) -> Result<(), EngineError>;
    fn sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>>;
    fn namespace_path(&self, id: &SandboxId) -> Option<PathBuf>;
    fn connect(
        &self,
        id: &SandboxId,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError>;
    fn disconnect(&self, id: &SandboxId, network: &str) -> Result<(), EngineError>;
    fn publish(
        &self,
        id: &SandboxId,
        ports: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError>;
    fn expect(
        &self,
        network: &str,
        name: &str,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(), EngineError>;
    fn forget_name(&self, name: &str) -> Result<(), EngineError>;
    fn rename_sandbox(&self, id: &SandboxId, name: &str) -> Result<(), EngineError>;
    fn unlink(&self, id: &SandboxId, target: &SandboxId, alias: &str) -> Result<(), EngineError>;
    fn leads_out(&self, id: &SandboxId, network: &NetworkId) -> bool;
    fn plan(&self, operation: &PlannedOperation) -> Result<String, EngineError>;
    fn counters(&self, id: &SandboxId) -> Result<BTreeMap<String, LinkCounters>, EngineError>;
}

/// The runtime, likewise. An attachment is its socket: see [`sealane_runtime::decode_frame`].
pub(crate) trait Processes: Send + Sync {
    fn create(&self, spec: &ProcessSpec) -> Result<Created, RuntimeError>;
    fn start(&self, id: &Id) -> Result<(), RuntimeError>;
    fn attach(&self, id: &Id) -> Result<OwnedFd, RuntimeError>;
    fn resize(&self, id: &Id, height: u16, width: u16) -> Result<(), RuntimeError>;
    fn exec_start(&self, spec: &ExecSpec) -> Result<(i32, OwnedFd), RuntimeError>;
    fn exec_resize(&self, exec: &Id, height: u16, width: u16) -> Result<(), RuntimeError>;
    fn exec_exit_code(&self, exec: &Id) -> Result<Option<Exit>, RuntimeError>;
    fn exec_delete(&self, exec: &Id) -> Result<(), RuntimeError>;
    fn read_logs(&self, id: &Id, query: LogQuery) -> Result<LogReader, RuntimeError>;
    fn remove_logs(&self, id: &Id) -> Result<(), RuntimeError>;
    fn kill(&self, id: &Id, signal: i32) -> Result<(), RuntimeError>;
    fn state(&self, id: &Id) -> Result<Option<State>, RuntimeError>;
    fn top(&self, id: &Id, ps_args: &[String]) -> Result<ProcessTable, RuntimeError>;
    fn usage(&self, id: &Id) -> Result<Usage, RuntimeError>;
    fn exit_code(&self, id: &Id) -> Result<Option<Exit>, RuntimeError>;
    fn watch_exits(&self) -> Result<Receiver<Exit>, RuntimeError>;
    fn delete(&self, id: &Id) -> Result<(), RuntimeError>;
    fn list(&self) -> Result<Vec<Id>, RuntimeError>;
    fn stop_strays(&self, ours: &dyn Fn(&Id) -> bool) -> Result<Vec<Id>, RuntimeError>;
}

/// The images, likewise.
pub(crate) trait RootFiles: Send + Sync {
    fn backend(&self) -> Backend;
    fn inspect(&self, reference: &str) -> Result<Image, ImageError>;
    fn prepare(&self, image: &ImageId, container: &Id) -> Result<(), ImageError>;
    fn mount(&self, container: &Id) -> Result<PathBuf, ImageError>;
    fn unmount(&self, container: &Id) -> Result<(), ImageError>;
    fn remove_root(&self, container: &Id) -> Result<(), ImageError>;
    fn roots(&self) -> Result<Vec<Id>, ImageError>;
}

/// The stored records. What was put is on the disk when the call returns.
pub(crate) trait Records: Send + Sync {
    fn load(&self) -> Result<Vec<Record>, ContainerError>;
    fn put(&self, record: &Record) -> Result<(), ContainerError>;
    fn delete(&self, id: &Id) -> Result<(), ContainerError>;
}

/// All of them together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) networks: Arc<dyn Networks>,
    pub(crate) processes: Arc<dyn Processes>,
    pub(crate) files: Arc<dyn RootFiles>,
    pub(crate) records: Arc<dyn Records>,
}

impl Networks for Arc<Engine> {
    fn recover(&self, alive: &BTreeSet<SandboxId>) -> Result<(), EngineError> {
        Engine::recover(self, alive)
    }

    fn find_network(&self, reference: &str) -> Result<Arc<Driven>, EngineError> {
        Engine::find_network(self, reference)
    }

    fn check_endpoint(&self, network: &str, spec: &EndpointSpec) -> Vec<String> {
        Engine::check_endpoint(self, network, spec)
    }

    fn create_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        Engine::create_sandbox(self, spec)
    }

    fn remove_sandbox(&self, id: &SandboxId) -> Result<(), EngineError> {
        Engine::remove_sandbox(self, id)
    }

    fn sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        Engine::sandbox(self, id)
    }

    fn namespace_path(&self, id: &SandboxId) -> Option<PathBuf> {
        Engine::namespace_path(self, id)
    }

    fn connect(
        &self,
        id: &SandboxId,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        Engine::connect(self, id, network, spec)
    }

    fn disconnect(&self, id: &SandboxId, network: &str) -> Result<(), EngineError> {
        Engine::disconnect(self, id, network)
    }

    fn publish(
        &self,
        id: &SandboxId,
        ports: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError> {
        Engine::publish(self, id, ports, closing)
    }

    fn expect(
        &self,
        network: &str,
        name: &str,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(), EngineError> {
        Engine::expect(self, network, name, ipv4, ipv6)
    }

    fn forget_name(&self, name: &str) -> Result<(), EngineError> {
        Engine::forget_name(self, name)
    }

    fn rename_sandbox(&self, id: &SandboxId, name: &str) -> Result<(), EngineError> {
        Engine::rename_sandbox(self, id, name)
    }

    fn unlink(&self, id: &SandboxId, target: &SandboxId, alias: &str) -> Result<(), EngineError> {
        Engine::unlink(self, id, target, alias)
    }

    fn leads_out(&self, id: &SandboxId, network: &NetworkId) -> bool {
        let Some(sandbox) = Engine::sandbox(self, id) else {
            return false;
        };
        let (v4, v6) = self.gateways(&sandbox);
        [v4, v6].contains(&Some(*network))
    }

    fn plan(&self, operation: &PlannedOperation) -> Result<String, EngineError> {
        Engine::plan(self, operation)
    }

    fn counters(&self, id: &SandboxId) -> Result<BTreeMap<String, LinkCounters>, EngineError> {
        Engine::counters(self, id)
    }
}

impl Processes for Runtime {
    fn create(&self, spec: &ProcessSpec) -> Result<Created, RuntimeError> {
        Runtime::create(self, spec)
    }

    fn start(&self, id: &Id) -> Result<(), RuntimeError> {
        Runtime::start(self, id)
    }

    fn attach(&self, id: &Id) -> Result<OwnedFd, RuntimeError> {
        Runtime::attach(self, id).map(sealane_runtime::Attach::into_fd)
    }

    fn resize(&self, id: &Id, height: u16, width: u16) -> Result<(), RuntimeError> {
        Runtime::resize(self, id, height, width)
    }

    fn exec_start(&self, spec: &ExecSpec) -> Result<(i32, OwnedFd), RuntimeError> {
        Runtime::exec_start(self, spec).map(|exec| (exec.pid, exec.attach.into_fd()))
    }

    fn exec_resize(&self, exec: &Id, height: u16, width: u16) -> Result<(), RuntimeError> {
        Runtime::exec_resize(self, exec, height, width)
    }

    fn exec_exit_code(&self, exec: &Id) -> Result<Option<Exit>, RuntimeError> {
        Runtime::exec_exit_code(self, exec)
    }

    fn exec_delete(&self, exec: &Id) -> Result<(), RuntimeError> {
        Runtime::exec_delete(self, exec)
    }

    fn read_logs(&self, id: &Id, query: LogQuery) -> Result<LogReader, RuntimeError> {
        Runtime::read_logs(self, id, query)
    }

    fn remove_logs(&self, id: &Id) -> Result<(), RuntimeError> {
        Runtime::remove_logs(self, id)
    }

    fn kill(&self, id: &Id, signal: i32) -> Result<(), RuntimeError> {
        Runtime::kill(self, id, signal)
    }

    fn state(&self, id: &Id) -> Result<Option<State>, RuntimeError> {
        Runtime::state(self, id)
    }

    fn top(&self, id: &Id, ps_args: &[String]) -> Result<ProcessTable, RuntimeError> {
        Runtime::top(self, id, ps_args)
    }

    fn usage(&self, id: &Id) -> Result<Usage, RuntimeError> {
        Runtime::usage(self, id)
    }

    fn exit_code(&self, id: &Id) -> Result<Option<Exit>, RuntimeError> {
        Runtime::exit_code(self, id)
    }

    fn watch_exits(&self) -> Result<Receiver<Exit>, RuntimeError> {
        Runtime::watch_exits(self)
    }

    fn delete(&self, id: &Id) -> Result<(), RuntimeError> {
        Runtime::delete(self, id)
    }

    fn list(&self) -> Result<Vec<Id>, RuntimeError> {
        Runtime::list(self)
    }

    fn stop_strays(&self, ours: &dyn Fn(&Id) -> bool) -> Result<Vec<Id>, RuntimeError> {
        Runtime::stop_strays(self, ours)
    }
}

impl RootFiles for Images {
    fn backend(&self) -> Backend {
        Images::backend(self)
    }

    fn inspect(&self, reference: &str) -> Result<Image, ImageError> {
        Images::inspect(self, reference)
    }

    fn prepare(&self, image: &ImageId, container: &Id) -> Result<(), ImageError> {
        Images::prepare(self, image, container).map(drop)
    }

    fn mount(&self, container: &Id) -> Result<PathBuf, ImageError> {
        Images::mount(self, container)
    }

    fn unmount(&self, container: &Id) -> Result<(), ImageError> {
        Images::unmount(self, container)
    }

    fn remove_root(&self, container: &Id) -> Result<(), ImageError> {
        Images::remove_root(self, container)
    }

    fn roots(&self) -> Result<Vec<Id>, ImageError> {
        Images::roots(self)
    }
}

impl Records for Store {
    fn load(&self) -> Result<Vec<Record>, ContainerError> {
        let unreadable = "the stored containers cannot be read";
        let rows: BTreeMap<String, Record> = self
            .load_all(CONTAINERS)
            .map_err(|error| ContainerError::failed(unreadable, error))?;
        Ok(rows.into_values().collect())
    }

    fn put(&self, record: &Record) -> Result<(), ContainerError> {
        let mut batch = Batch::default();
        let put = batch.put(CONTAINERS, record.id, record);
        put.and_then(|()| self.commit(&batch))
            .map_err(|error| not_stored(&record.id, error))
    }

    fn delete(&self, id: &Id) -> Result<(), ContainerError> {
        let mut batch = Batch::default();
        batch.delete(CONTAINERS, id);
        self.commit(&batch).map_err(|error| not_stored(id, error))
    }
}

fn not_stored(id: &Id, error: impl Error + Send + Sync + 'static) -> ContainerError {
    let text = format!(
        "the change of container {} could not be stored",
        id.short(12)
    );
    ContainerError::failed(text, error)
}
