//! Upstreams: whom a resolver asks what nobody on the sandbox's networks knows.

use crate::SocketKind;
use rustix::fd::OwnedFd;
use sealane_core::model::SandboxId;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A server to relay to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// Whether it is asked from the host and not from the sandbox.
    pub from_host: bool,
}

/// Which upstreams a sandbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamConfig {
    /// The host's, whatever they are at the time (see [`crate::Nameserver::set_host_servers`]).
    Host,
    /// These, in this order; three at most are asked.
    Own(Vec<Upstream>),
}

/// Opens a socket in the namespace of a sandbox, usually by calling [`crate::open_socket`] there.
/// Called by the name server's thread, so it must be quick and must not wait for a call to the
/// [`crate::Nameserver`].
pub type OpenSocket = Arc<dyn Fn(&SandboxId, SocketKind) -> io::Result<OwnedFd> + Send + Sync>;
