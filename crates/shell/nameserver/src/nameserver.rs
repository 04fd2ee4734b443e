//! The handle: what the engine tells the name server.

use crate::server::Server;
use crate::{NameserverError, OpenSocket, SandboxSockets, Upstream, UpstreamConfig};
use arc_swap::ArcSwap;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use sealane_core::dns::{ExternalServer, View, Zone, Zones};
use sealane_core::model::{NetworkId, SandboxId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The resolvers of all sandboxes. Its methods never wait for a query, nor a query for them.
///
/// Zones and views are swapped: a query that comes after a method returned is answered by what it set.
/// The rest is done by the server's thread shortly after.
pub struct Nameserver {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    views: Mutex<HashMap<SandboxId, Arc<ArcSwap<View>>>>,
    /// Held while a zone is changed.
    writer: Mutex<()>,
    thread: Option<JoinHandle<()>>,
}

/// What the handle and the server both see.
pub(crate) struct Shared {
    pub(crate) zones: ArcSwap<Zones>,
    pub(crate) wake: OwnedFd,
    /// How many queries came.
    pub(crate) queries: AtomicU64,
}

/// What the handle tells the server.
pub(crate) enum Command {
    /// A sandbox has a resolver from now on.
    Add {
        sandbox: SandboxId,
        sockets: SandboxSockets,
        view: Arc<ArcSwap<View>>,
        upstreams: UpstreamConfig,
    },
    /// A sandbox has these upstreams.
    Upstreams(SandboxId, UpstreamConfig),
    /// A sandbox is gone.
    Remove(SandboxId),
    /// The host has these upstreams.
    Host(Vec<Upstream>),
    /// That was all.
    Stop,
    /// Try whether a panic is survived.
    #[cfg(test)]
    Panic,
}

impl Nameserver {
    /// Starts the one thread. It must be called in the host's network namespace: upstreams that
    /// are asked from the host are asked from where the thread was born.
    pub fn start(open: OpenSocket) -> Result<Self, NameserverError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| NameserverError::Start(error.into()))?;
        let shared = Arc::new(Shared {
            zones: ArcSwap::default(),
            wake,
            queries: AtomicU64::new(0),
        });
        let (commands, received) = channel();
        let server = Server::new(shared.clone(), received, open).map_err(NameserverError::Start)?;
        let thread = thread::Builder::new()
            .name("nameserver".into())
            .spawn(|| server.run());
        Ok(Self {
            shared,
            commands,
            views: Mutex::default(),
            writer: Mutex::default(),
            thread: Some(thread.map_err(NameserverError::Start)?),
        })
    }

    /// How many queries containers have asked, answered or not.
    pub fn queries(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }

    /// Answers a sandbox's queries from now on. A sandbox added again takes its new sockets.
    pub fn add_sandbox(
        &self,
        id: SandboxId,
        sockets: SandboxSockets,
        view: Arc<View>,
        upstreams: UpstreamConfig,
    ) -> Result<(), NameserverError> {
        sockets
            .udp
            .set_nonblocking(true)
            .map_err(NameserverError::Register)?;
        sockets
            .tcp
            .set_nonblocking(true)
            .map_err(NameserverError::Register)?;
        let view = Arc::new(ArcSwap::new(view));
        self.views().insert(id, view.clone());
        self.tell(Command::Add {
            sandbox: id,
            sockets,
            view,
            upstreams,
        });
        Ok(())
    }

    /// Changes what a sandbox sees, from the next query on. An unknown sandbox is left unknown.
    pub fn update_view(&self, id: &SandboxId, view: Arc<View>) {
        if let Some(current) = self.views().get(id) {
            current.store(view);
        }
    }

    /// Changes whom a sandbox's queries are relayed to.
    pub fn update_upstreams(&self, id: &SandboxId, upstreams: UpstreamConfig) {
        self.tell(Command::Upstreams(*id, upstreams));
    }

    /// Closes a sandbox's sockets and forgets it.
    pub fn remove_sandbox(&self, id: &SandboxId) {
        self.views().remove(id);
        self.tell(Command::Remove(*id));
    }

    /// Replaces the zone of a network by what `change` makes of it, for all sandboxes at once. An
    /// empty zone is forgotten.
    pub fn update_zone(&self, network: NetworkId, change: impl FnOnce(&Zone) -> Zone) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let zones = self.shared.zones.load();
        let zone = match zones.zone(&network) {
            Some(zone) => change(zone),
            None => change(&Zone::default()),
        };
        self.shared.zones.store(Arc::new(match zone.is_empty() {
            true => zones.without_zone(&network),
            false => zones.with_zone(network, zone),
        }));
    }

    /// The zone of a network.
    pub fn zone(&self, network: &NetworkId) -> Option<Zone> {
        self.shared.zones.load().zone(network).cloned()
    }

    /// Tells the servers of the host, for all sandboxes that have [`UpstreamConfig::Host`]. Call
    /// it in the host's network namespace; a server on a link that is not there is left out.
    pub fn set_host_servers(&self, servers: &[ExternalServer]) {
        let resolve = |server: &ExternalServer| match Upstream::resolve(server) {
            Ok(upstream) => Some(upstream),
            Err(error) => {
                tracing::warn!(server = %server.server, %error, "the link of a name server is gone");
                None
            }
        };
        self.set_host_upstreams(servers.iter().filter_map(resolve).collect());
    }

    /// The same for servers that may be on other ports.
    pub fn set_host_upstreams(&self, upstreams: Vec<Upstream>) {
        self.tell(Command::Host(upstreams));
    }

    fn views(&self) -> MutexGuard<'_, HashMap<SandboxId, Arc<ArcSwap<View>>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("the name server has ended; restart the daemon");
        }
        self.shared.wake();
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        let ended = self.thread.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("the name server ended by a panic");
        }
    }
}

impl Shared {
    /// Has the server look for commands.
    fn wake(&self) {
        // Only a counter that is full refuses, and then the server is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn clear_wake(&self) {
        // Only a counter that is zero refuses, and zero is what it should be.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bind_sockets, open_socket};
    use sealane_core::dns::Forwarding;
    use sealane_core::model::derive_id;
    use std::net::UdpSocket;

    #[test]
    fn a_panic_ends_neither_the_thread_nor_what_it_serves() {
        let nameserver = Nameserver::start(Arc::new(|_, kind| open_socket(kind))).unwrap();
        let sockets = bind_sockets().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(sockets.udp.local_addr().unwrap()).unwrap();
        let view = View {
            networks: vec![],
            forwarding: Forwarding::Anywhere,
            ndots_set: false,
        };
        let none = UpstreamConfig::Own(vec![]);
        nameserver
            .add_sandbox(derive_id(&[b"s"]), sockets, Arc::new(view), none)
            .unwrap();
        for _ in 0..3 {
            nameserver.tell(Command::Panic);
            client
                .send(&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1])
                .unwrap();
            let mut reply = [0; 512];
            client.recv(&mut reply).unwrap();
            assert_eq!((reply[0], reply[3] & 0x0f), (7, 2));
        }
    }
}
