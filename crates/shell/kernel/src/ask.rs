//! What is asked of a kernel besides its objects: what the host is like, where namespaces are, and
//! what others change.
//!
//! [`Kernel`] answers for this machine, [`FakeKernel`](crate::fake::FakeKernel) in tests in memory.
//! Start at [`Ask`].

use crate::kernel::Kernel;
use crate::probe;
use crate::read::{ForeignLink, HostAddress, LinkCounters, LinkRoute, Observe, runs_here};
use crate::watch::{Notices, RouteNotices, RouteWatch, Watcher};
use crate::write::Write;
use sealane_core::explain::HostFacts;
use sealane_core::model::{
    Facts, GivenNamespace, InterfaceName, IpFamily, PerFamily, Protocol, SandboxId,
};
use sealane_core::nft::Family;
use sealane_core::plan::{Netns, Route};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A kernel that can be looked at and changed: what an executor is given.
pub trait AnyKernel: Ask + Write {}

impl<K: Ask + Write> AnyKernel for K {}

/// Work for the inside of a namespace.
pub type Visit<'a> = Box<dyn FnOnce() -> io::Result<()> + Send + 'a>;

/// What tells how the host is, and leads into namespaces. Nothing of it changes an object.
pub trait Ask: Observe + Send + Sync {
    /// What plans have to know of the host.
    fn facts(&self) -> io::Result<Facts>;
    /// Whether another daemon of ours switched forwarding on for its own networks.
    fn forwarding_of_other_owners(&self) -> io::Result<PerFamily<bool>>;
    /// What an explanation has to know of the host.
    fn host_facts(&self) -> io::Result<HostFacts>;
    /// Whether tables can be kept from others.
    fn owns_tables(&self) -> io::Result<bool>;
    /// Lets others change the tables that are ours alone; the next sweep takes them back.
    fn free_tables(&self) -> io::Result<()>;
    /// Whether the host has a table of nftables of this name, ours or not.
    fn has_table(&self, family: Family, name: &str) -> io::Result<bool>;

    /// The addresses of the host.
    fn addresses(&self) -> io::Result<Vec<HostAddress>>;
    /// The routes of the host, with their links.
    fn routes_by_link(&self) -> io::Result<Vec<LinkRoute>>;
    /// The default route of a namespace, of IPv6 if true.
    fn default_route(&self, netns: Netns, family: IpFamily) -> io::Result<Option<Route>>;

    /// The name of a link of the host, by its number; `None` if there is none.
    fn link_name(&self, index: u32) -> io::Result<Option<String>>;
    /// Whether a namespace has a link of this name, ours or foreign.
    fn link_exists(&self, netns: Netns, name: &InterfaceName) -> io::Result<bool>;
    /// Whether a link of the host bears our mark; `None` if there is none of this name.
    fn link_is_ours(&self, name: &InterfaceName) -> io::Result<Option<bool>>;
    /// A link of the host that does not bear our mark; `None` if there is none of this name.
    fn foreign_link(&self, name: &InterfaceName) -> io::Result<Option<ForeignLink>>;
    /// The MTU of a link of the host; `None` if there is none of this name.
    fn link_mtu(&self, name: &InterfaceName) -> io::Result<Option<u32>>;
    /// The counters of every link in a namespace, by name.
    fn link_counters(&self, netns: Netns) -> io::Result<BTreeMap<String, LinkCounters>>;

    /// Whether a socket in a namespace takes what is sent to an address of it.
    fn listens(&self, netns: Netns, protocol: Protocol, to: SocketAddr) -> io::Result<bool>;
    /// Whether a program of this name runs in the host's namespace.
    fn runs_here(&self, program: &str) -> io::Result<bool>;

    /// Where the namespace of a sandbox is bound, for an OCI runtime to join.
    fn namespace_path(&self, sandbox: &SandboxId) -> PathBuf;
    /// The file that a namespace is bound to, if it is known; the host's needs none.
    fn bound_to(&self, netns: Netns) -> Option<PathBuf>;
    /// The files that namespaces of ours are bound to, each with the digits that name it.
    fn namespace_files(&self) -> io::Result<Vec<(String, PathBuf)>>;
    /// What tells the namespace that is bound to a path from all others; `None` if there is none.
    fn identify(&self, path: &Path) -> io::Result<Option<(u64, u64)>>;
    /// The same of the host's.
    fn host_identity(&self) -> io::Result<(u64, u64)>;
    /// Gives a sandbox a namespace of others, which is worked in, and neither made nor removed.
    fn give(&self, sandbox: SandboxId, namespace: &GivenNamespace);
    /// Forgets what a sandbox was given.
    fn forget_given(&self, sandbox: &SandboxId);
    /// Does work inside a namespace; [`in_namespace`](#method.in_namespace) returns what comes of it.
    fn visit(&self, netns: Netns, work: Visit<'_>) -> io::Result<()>;

    /// Notifications of what others change, from now on; `None` if there are no others.
    fn watch(&self) -> io::Result<Option<Box<dyn Notices>>>;
    /// What tells whether the host's routes changed.
    fn watch_routes(&self) -> io::Result<Box<dyn RouteNotices>>;
}

impl<'a> dyn Ask + 'a {
    /// Does `work` inside a namespace, for sockets that have to be opened there.
    pub fn in_namespace<T: Send>(
        &self,
        netns: Netns,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let mut done = None;
        let keep = || {
            done = Some(work()?);
            Ok(())
        };
        self.visit(netns, Box::new(keep))?;
        done.ok_or_else(|| io::Error::other("nothing was done in the namespace"))
    }
}

impl Ask for Kernel {
    fn facts(&self) -> io::Result<Facts> {
        Kernel::facts(self)
    }

    fn forwarding_of_other_owners(&self) -> io::Result<PerFamily<bool>> {
        Kernel::forwarding_of_other_owners(self)
    }

    fn host_facts(&self) -> io::Result<HostFacts> {
        Kernel::host_facts(self)
    }

    fn owns_tables(&self) -> io::Result<bool> {
        probe::owns_tables()
    }

    fn free_tables(&self) -> io::Result<()> {
        Kernel::free_tables(self)
    }

    fn has_table(&self, family: Family, name: &str) -> io::Result<bool> {
        Kernel::has_table(self, family, name)
    }

    fn addresses(&self) -> io::Result<Vec<HostAddress>> {
        Kernel::addresses(self)
    }

    fn routes_by_link(&self) -> io::Result<Vec<LinkRoute>> {
        Kernel::routes_by_link(self)
    }

    fn default_route(&self, netns: Netns, family: IpFamily) -> io::Result<Option<Route>> {
        Kernel::default_route(self, netns, family)
    }

    fn link_name(&self, index: u32) -> io::Result<Option<String>> {
        Kernel::link_name(self, index)
    }

    fn link_exists(&self, netns: Netns, name: &InterfaceName) -> io::Result<bool> {
        Kernel::link_exists(self, netns, name)
    }

    fn link_is_ours(&self, name: &InterfaceName) -> io::Result<Option<bool>> {
        Kernel::link_is_ours(self, name)
    }

    fn foreign_link(&self, name: &InterfaceName) -> io::Result<Option<ForeignLink>> {
        Kernel::foreign_link(self, name)
    }

    fn link_mtu(&self, name: &InterfaceName) -> io::Result<Option<u32>> {
        Kernel::link_mtu(self, name)
    }

    fn link_counters(&self, netns: Netns) -> io::Result<BTreeMap<String, LinkCounters>> {
        Kernel::link_counters(self, netns)
    }

    fn listens(&self, netns: Netns, protocol: Protocol, to: SocketAddr) -> io::Result<bool> {
        Kernel::listens(self, netns, protocol, to)
    }

    fn runs_here(&self, program: &str) -> io::Result<bool> {
        runs_here(program)
    }

    fn namespace_path(&self, sandbox: &SandboxId) -> PathBuf {
        Kernel::namespace_path(self, sandbox)
    }

    fn bound_to(&self, netns: Netns) -> Option<PathBuf> {
        Kernel::bound_to(self, netns)
    }

    fn namespace_files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        Kernel::namespace_files(self)
    }

    fn identify(&self, path: &Path) -> io::Result<Option<(u64, u64)>> {
        Kernel::identify(self, path)
    }

    fn host_identity(&self) -> io::Result<(u64, u64)> {
        Kernel::host_identity(self)
    }

    fn give(&self, sandbox: SandboxId, namespace: &GivenNamespace) {
        Kernel::give(self, sandbox, namespace);
    }

    fn forget_given(&self, sandbox: &SandboxId) {
        Kernel::forget_given(self, sandbox);
    }

    fn visit(&self, netns: Netns, work: Visit<'_>) -> io::Result<()> {
        self.in_namespace(netns, work)
    }

    fn watch(&self) -> io::Result<Option<Box<dyn Notices>>> {
        Ok(Some(Box::new(Watcher::open(self)?)))
    }

    fn watch_routes(&self) -> io::Result<Box<dyn RouteNotices>> {
        Ok(Box::new(RouteWatch::open(self)?))
    }
}
