//! The relay: what the kernel does not translate, carried by one thread for all ports.

use crate::PortError;
use sealane_core::model::{Protocol, SandboxId};
use std::net::{SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Where an open port leads to.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) owner: SandboxId,
    pub(crate) protocol: Protocol,
    pub(crate) ipv4: Option<SocketAddrV4>,
    pub(crate) ipv6: Option<SocketAddrV6>,
}

/// The hand of the relay thread that [`crate::Ports`] holds.
#[derive(Debug)]
pub(crate) struct Relay;

impl Relay {
    pub(crate) fn start() -> Result<Self, PortError> {
        Ok(Self)
    }
    pub(crate) fn add(&self, _socket: &Arc<OwnedFd>, _route: Route) -> Result<(), PortError> {
        Ok(())
    }
    pub(crate) fn remove(&self, _socket: &Arc<OwnedFd>) {}
    pub(crate) fn end(&self, _owner: &SandboxId) {}
}
