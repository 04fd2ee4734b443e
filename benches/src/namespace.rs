//! Namespaces that the bench makes or visits, and what it opens inside.
//!
//! A socket stays in the namespace it was opened in, in every thread. So nothing measured needs a
//! thread inside.

use crate::error::{Result, failed};
use crate::netlink::Route;
use sealane_kernel::netns::{Handle, isolated};
use std::fs;
use std::io;
use std::path::Path;

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Namespace(Handle);

impl Namespace {
    /// Makes an empty one, without IPv6 on its links: sandboxes of IPv4 networks have none, and
    /// hundreds of them would talk to each other all the time.
    pub(crate) fn new() -> Result<Self> {
        let made = isolated(|| {
            fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
            Handle::current()
        });
        let handle = made.and_then(|inner| inner);
        handle.map(Self).map_err(failed("making a namespace"))
    }

    /// The one of a process, by its folder below /proc.
    pub(crate) fn of_process(folder: &Path) -> Result<Self> {
        let path = folder.join("ns/net");
        let opened = Handle::open(&path);
        opened
            .map(Self)
            .map_err(failed(format!("opening {}", path.display())))
    }

    /// Does something on a thread in it.
    pub(crate) fn visit<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        self.0.visit(work).map_err(failed("visiting a namespace"))
    }

    /// Moves the calling thread into it, for the rest of its life.
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.0.enter()
    }

    /// A socket for its links, addresses and routes.
    pub(crate) fn route(&self) -> Result<Route> {
        self.visit(Route::open)
    }

    /// The handle, for messages that name the namespace.
    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}
