//! What an engine works on: the kernel, the disk, the ports, the resolvers and the time of this
//! machine. A test in memory hands in its own, and has the engine behave on it as here.

use crate::resolver::{Resolver, Served};
use crate::{EngineConfig, EngineError};
use sealane_kernel::{AnyKernel, Ask, Kernel};
use sealane_ports::Ports;
use sealane_store::{BootId, Disk, LocalDisk, Store};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that an engine touches.
pub struct Environment {
    /// The kernel.
    pub kernel: Arc<dyn AnyKernel>,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// Which boot of the machine this is.
    pub boot: BootId,
    /// Where desired state is stored.
    pub store: Arc<Store>,
    /// The host's ports.
    pub ports: Ports,
    /// The resolvers of sandboxes.
    pub resolver: Box<dyn Resolver>,
    /// Time and chance.
    pub clock: Box<dyn Clock>,
}

/// What is never the same again: time, and chance.
pub trait Clock: Send + Sync {
    /// The time by the calendar.
    fn now(&self) -> jiff::Timestamp;
    /// The time since the engine was opened, whatever is done to the calendar.
    fn uptime(&self) -> Duration;
    /// Bytes that cannot be predicted.
    fn random(&self) -> io::Result<[u8; 32]>;
}

impl Environment {
    /// That of this machine.
    pub fn of_host(config: &EngineConfig, store: Arc<Store>) -> Result<Self, EngineError> {
        let root = &config.exec_root;
        let boot = BootId::current().map_err(because("cannot read the boot id for", root))?;
        let folder = root.join("netns");
        let kernel = Kernel::open(folder.clone()).map_err(because("cannot use", &folder))?;
        let kernel = Arc::new(kernel.owned_by(config.owner.clone()));
        let asked: Arc<dyn Ask> = kernel.clone();
        let ports = match config.one_call {
            true => Ok(Ports::unserved(config.userland_proxy)),
            false => Ports::open_with(config.userland_proxy, config.depot.clone()),
        };
        Ok(Self {
            resolver: Box::new(Served::start(asked)?),
            kernel,
            disk: Arc::new(LocalDisk),
            boot,
            store,
            ports: ports.map_err(because("cannot serve ports under", root))?,
            clock: Box::new(HostClock(Instant::now())),
        })
    }
}

/// The clock of this machine.
struct HostClock(Instant);

impl Clock for HostClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        self.0.elapsed()
    }

    fn random(&self) -> io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Says what could not be done with which file.
pub(crate) fn because<E: Error + Send + Sync + 'static>(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> EngineError {
    let path = path.display().to_string();
    move |error| EngineError::failed(format!("{what} {path}"), error)
}
