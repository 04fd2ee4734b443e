//! Ports that are bound nowhere, for tests in memory.

use crate::PortError;
use crate::bind::Bind;
use crate::binding::Binding;
use rustix::io::Errno;
use sealane_core::model::Protocol;
use sealane_kernel::fake::Steps;
use sealane_kernel::read::BoundSockets;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// A host of which only is known which ports other programs have. To bind is a step of a run.
#[derive(Debug)]
pub(crate) struct MemoryHost {
    /// Of other programs, whatever the protocol.
    pub(crate) taken: BTreeSet<u16>,
    pub(crate) steps: Steps,
}

impl Bind for MemoryHost {
    fn bind(
        &self,
        protocol: Protocol,
        binding: Binding,
        port: u16,
    ) -> Result<Option<OwnedFd>, PortError> {
        let mut addresses = binding.by_family().into_iter().flatten();
        let address = addresses
            .next()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let refused = |source| PortError::Bind {
            address: SocketAddr::new(address, port),
            protocol,
            source,
        };
        if self.taken.contains(&port) {
            return Err(refused(Errno::ADDRINUSE.into()));
        }
        let step = || format!("bind {port}/{protocol}");
        let refusal = Errno::MFILE.raw_os_error();
        self.steps.take(refusal, step).map_err(refused)?;
        Ok(None)
    }

    fn take_over(&self, _socket: &OwnedFd, _protocol: Protocol, _port: u16) -> bool {
        false
    }

    fn bound(&self, _protocol: Protocol) -> io::Result<BoundSockets> {
        Ok(BoundSockets::Ports(self.taken.iter().copied().collect()))
    }
}
