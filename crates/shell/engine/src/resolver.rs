//! The resolvers of sandboxes, as the engine knows them: where each serves, what it sees, whom it asks.

use crate::EngineError;
use crate::locks::LockIgnoringPoison;
use sealane_core::dns::{ExternalServer, ResolvConf, View, Zone};
use sealane_core::model::{NetworkId, SandboxId};
use sealane_core::plan::Netns;
use sealane_kernel::Ask;
use sealane_nameserver::{
    HostWatch, Nameserver, OpenSocket, SandboxSockets, SocketKind, UpstreamConfig, bind_sockets_at,
    open_socket, watch_host,
};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A zone made of another one.
pub type Rezoned<'a> = Box<dyn FnOnce(&Zone) -> Zone + 'a>;
/// Takes the host's resolver configuration.
pub type Changed = Box<dyn FnMut(ResolvConf) + Send>;

/// The resolvers of all sandboxes. None of this waits for a query.
pub trait Resolver: Send + Sync {
    /// Serves a sandbox from now on, at these ports of its own: UDP, TCP.
    fn serve(
        &self,
        sandbox: &SandboxId,
        ports: (u16, u16),
        view: Arc<View>,
        upstreams: UpstreamConfig,
    ) -> io::Result<()>;
    /// Whether these ports of a sandbox are free.
    fn is_free(&self, sandbox: &SandboxId, ports: (u16, u16)) -> bool;
    /// Changes what a sandbox sees and whom it asks. One that is not served is left so.
    fn update(&self, sandbox: &SandboxId, view: Arc<View>, upstreams: UpstreamConfig);
    /// Serves a sandbox no longer.
    fn end(&self, sandbox: &SandboxId);
    /// Replaces the zone of a network by what `change` makes of it. An empty one is forgotten.
    fn change_zone(&self, network: NetworkId, change: Rezoned<'_>);
    /// The zone of a network.
    fn zone(&self, network: &NetworkId) -> Option<Zone>;
    /// Asks these servers for those who have none of their own.
    fn set_host_servers(&self, servers: &[ExternalServer]);
    /// Tells of the host's resolver configuration whenever it has become another.
    fn follow_host(&self, resolv_conf: &Path, changed: Changed) -> io::Result<()>;
    /// How many queries came.
    fn queries(&self) -> u64;
}

/// Resolvers with sockets in their sandboxes.
pub(crate) struct Served {
    nameserver: Nameserver,
    kernel: Arc<dyn Ask>,
    watch: Mutex<Option<HostWatch>>,
}

impl Served {
    /// Starts the name server, which opens its sockets to upstreams in the sandbox that asks.
    pub(crate) fn start(kernel: Arc<dyn Ask>) -> Result<Self, EngineError> {
        let way = kernel.clone();
        let open = move |id: &SandboxId, kind: SocketKind| -> io::Result<OwnedFd> {
            way.in_namespace(Netns::Sandbox(*id), move || open_socket(kind))
        };
        let open: OpenSocket = Arc::new(open);
        let nameserver = Nameserver::start(open)
            .map_err(|error| EngineError::failed("the name server cannot start", error))?;
        Ok(Self {
            nameserver,
            kernel,
            watch: Mutex::default(),
        })
    }

    fn bind(&self, id: &SandboxId, (udp, tcp): (u16, u16)) -> io::Result<SandboxSockets> {
        let bind = move || bind_sockets_at(udp, tcp).map_err(io::Error::other);
        self.kernel.in_namespace(Netns::Sandbox(*id), bind)
    }
}

impl Resolver for Served {
    fn serve(
        &self,
        sandbox: &SandboxId,
        ports: (u16, u16),
        view: Arc<View>,
        upstreams: UpstreamConfig,
    ) -> io::Result<()> {
        let sockets = self.bind(sandbox, ports)?;
        let added = self
            .nameserver
            .add_sandbox(*sandbox, sockets, view, upstreams);
        added.map_err(io::Error::other)
    }

    fn is_free(&self, sandbox: &SandboxId, ports: (u16, u16)) -> bool {
        self.bind(sandbox, ports).is_ok()
    }

    fn update(&self, sandbox: &SandboxId, view: Arc<View>, upstreams: UpstreamConfig) {
        self.nameserver.update_view(sandbox, view);
        self.nameserver.update_upstreams(sandbox, upstreams);
    }

    fn end(&self, sandbox: &SandboxId) {
        self.nameserver.remove_sandbox(sandbox);
    }

    fn change_zone(&self, network: NetworkId, change: Rezoned<'_>) {
        self.nameserver.update_zone(network, change);
    }

    fn zone(&self, network: &NetworkId) -> Option<Zone> {
        self.nameserver.zone(network)
    }

    fn set_host_servers(&self, servers: &[ExternalServer]) {
        self.nameserver.set_host_servers(servers);
    }

    fn follow_host(&self, resolv_conf: &Path, changed: Changed) -> io::Result<()> {
        let watch = watch_host(resolv_conf, changed).map_err(io::Error::other)?;
        *self.watch.lock_ignoring_poison() = Some(watch);
        Ok(())
    }

    fn queries(&self) -> u64 {
        self.nameserver.queries()
    }
}
