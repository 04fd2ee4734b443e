//! The kernel, as this crate's one object.

use crate::channel::Channel;
use crate::mark::Marks;
use crate::netns::Handle;
use sealane_core::model::{GivenNamespace, Owner, SandboxId};
use sealane_core::plan::Netns;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Digits of a sandbox's id that name its bind mount, as container runtimes show ids.
const DIGITS: usize = 12;

/// The kernel of this machine, as seen from the namespace it was opened in: that one is
/// [`Netns::Host`].
///
/// Writing is in [`crate::write::Write`], looking in [`crate::read`]. May be shared by threads;
/// each namespace has one writer at a time.
#[derive(Debug)]
pub struct Kernel {
    marks: Marks,
    namespaces: PathBuf,
    host: Arc<Channel>,
    channels: Mutex<HashMap<Netns, Arc<Channel>>>,
    /// Where the namespaces are that others made, of the sandboxes that were given one.
    given: Mutex<HashMap<SandboxId, GivenNamespace>>,
}

impl Kernel {
    /// Opens the kernel from the calling thread's namespace. `namespaces` is the folder for the
    /// bind mounts of sandboxes' namespaces; it is made if need be.
    pub fn open(namespaces: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&namespaces)?;
        let root_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&namespaces, root_only)?;
        Self::open_to_look(namespaces)
    }

    /// The same for one who only looks: the folder need not be there.
    pub fn open_to_look(namespaces: PathBuf) -> io::Result<Self> {
        let host = Arc::new(Channel::here()?);
        Ok(Self {
            marks: Marks::of(Owner::default()),
            namespaces,
            host,
            channels: Mutex::default(),
            given: Mutex::default(),
        })
    }

    /// The same kernel, for another owner: all that is made, found and removed is that one's.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> Self {
        self.marks = Marks::of(owner);
        self
    }

    /// Whose objects are made, found and removed.
    pub fn owner(&self) -> &Owner {
        self.marks.owner()
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Where the namespace of a sandbox is bound, for an OCI runtime to join.
    pub fn namespace_path(&self, sandbox: &SandboxId) -> PathBuf {
        self.given()
            .get(sandbox)
            .map_or_else(|| self.own_path(sandbox), |given| given.path.clone())
    }

    /// Where one that we made is bound.
    fn own_path(&self, sandbox: &SandboxId) -> PathBuf {
        let file = self.marks.namespace_file(sandbox.short(DIGITS));
        self.namespaces.join(file)
    }

    /// Does `work` inside a namespace, on a thread of its own if the caller's is elsewhere; for
    /// sockets that have to be opened there.
    pub fn in_namespace<T: Send>(
        &self,
        netns: Netns,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        self.channel(netns)?.handle().visit(work)
    }

    /// Lets others change the tables that are ours alone; the next sweep takes them back.
    pub fn free_tables(&self) -> io::Result<()> {
        self.host.change_netfilter()
    }

    /// The folder of the bind mounts.
    pub(crate) fn folder(&self) -> &Path {
        &self.namespaces
    }

    /// Gives a sandbox the namespace that others made and bound to a path. It is opened there
    /// whenever it is used, and neither made nor removed. Another one there is as good as none.
    pub fn give(&self, sandbox: SandboxId, namespace: &GivenNamespace) {
        self.given().insert(sandbox, namespace.clone());
        self.forget(Netns::Sandbox(sandbox));
    }

    /// What tells the namespace that is bound to a path from all others; `None` if there is none.
    pub fn identify(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        match Handle::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            handle => handle?.identity().map(Some),
        }
    }

    /// The same of the host's.
    pub fn host_identity(&self) -> io::Result<(u64, u64)> {
        self.host.handle().identity()
    }

    /// Forgets what a sandbox was given.
    pub fn forget_given(&self, sandbox: &SandboxId) {
        if self.given().remove(sandbox).is_some() {
            self.forget(Netns::Sandbox(*sandbox));
        }
    }

    /// Whether a namespace is one of others' that a sandbox was given.
    pub(crate) fn is_given(&self, netns: Netns) -> bool {
        self.given_to(netns).is_some()
    }

    fn given_to(&self, netns: Netns) -> Option<GivenNamespace> {
        match netns {
            Netns::Sandbox(id) => self.given().get(&id).cloned(),
            Netns::Host | Netns::Network(_) => None,
        }
    }

    /// The file that a namespace is bound to, if it is known; the host's needs none.
    pub fn bound_to(&self, netns: Netns) -> Option<PathBuf> {
        match netns {
            Netns::Host => None,
            Netns::Sandbox(id) => Some(self.namespace_path(&id)),
            Netns::Network(id) => {
                let file = format!("net-{}", id.short(DIGITS));
                Some(self.namespaces.join(self.marks.namespace_file(file)))
            }
        }
    }

    /// Opens a namespace that is not the host's.
    pub(crate) fn open_namespace(&self, netns: Netns) -> io::Result<Handle> {
        let Some(path) = self.bound_to(netns) else {
            let why = format!("it is not known where the namespace {netns} is");
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        };
        let handle = Handle::open(&path)?;
        let Some(given) = self.given_to(netns) else {
            return Ok(handle);
        };
        if handle.identity()? != given.identity {
            let why = format!("another namespace is bound to {}", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(handle)
    }

    /// The sockets into a namespace, opened through its bind mount if they are not at hand, as
    /// after a restart.
    pub(crate) fn channel(&self, netns: Netns) -> io::Result<Arc<Channel>> {
        if netns == Netns::Host {
            return Ok(Arc::clone(&self.host));
        }
        let known = self.channels().get(&netns).cloned();
        if let Some(channel) = known {
            // By now another one may be bound where others did it.
            if self.is_given(netns) {
                self.open_namespace(netns)?;
            }
            return Ok(channel);
        }
        let handle = self.open_namespace(netns)?;
        let channel = Arc::new(handle.visit(Channel::here)?);
        Ok(Arc::clone(self.channels().entry(netns).or_insert(channel)))
    }

    /// Keeps the sockets of a namespace that was just made.
    pub(crate) fn adopt(&self, netns: Netns, channel: Channel) {
        self.channels().insert(netns, Arc::new(channel));
    }

    /// Drops the sockets of a namespace, which otherwise keep it alive.
    pub(crate) fn forget(&self, netns: Netns) {
        self.channels().remove(&netns);
    }

    fn given(&self) -> MutexGuard<'_, HashMap<SandboxId, GivenNamespace>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<Netns, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
