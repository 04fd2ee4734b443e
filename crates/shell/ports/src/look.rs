//! Whether a port could be bound, found out without binding it.

use crate::PortError;
use crate::bind::Bind;
use crate::binding::Binding;
use rustix::io::Errno;
use sealane_core::model::{PortMapping, PortRequest, Protocol};
use sealane_kernel::read::BoundSockets;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// What other programs have, by protocol.
pub(crate) struct Look {
    bound: BTreeMap<Protocol, BoundSockets>,
    /// What their owner is about to give up.
    leaving: BTreeSet<(Protocol, u16)>,
}

impl Look {
    /// Looks at the protocols of some requests.
    pub(crate) fn at(
        host: &dyn Bind,
        requests: &[PortRequest],
        leaving: &[PortMapping],
    ) -> Result<Self, PortError> {
        let protocols: BTreeSet<Protocol> = requests.iter().map(|wish| wish.protocol).collect();
        let read = |protocol| Ok((protocol, host.bound(protocol)?));
        let bound: io::Result<_> = protocols.into_iter().map(read).collect();
        let leaving = leaving.iter();
        Ok(Self {
            bound: bound.map_err(PortError::Look)?,
            leaving: leaving
                .map(|mapping| (mapping.protocol, mapping.host_port))
                .collect(),
        })
    }

    /// Refuses what could not be bound; opens nothing.
    pub(crate) fn open(
        &self,
        protocol: Protocol,
        binding: Binding,
        port: u16,
    ) -> Result<Option<OwnedFd>, PortError> {
        if self.leaving.contains(&(protocol, port)) {
            return Ok(None);
        }
        let wanted = binding.by_family().into_iter().flatten();
        let mut wanted = wanted.map(|address| SocketAddr::new(address, port));
        let bound = self.bound.get(&protocol);
        let taken = wanted.find(|wanted| bound.is_some_and(|bound| bound.is_in_the_way(*wanted)));
        match taken {
            None => Ok(None),
            Some(address) => Err(PortError::Bind {
                address,
                protocol,
                source: Errno::ADDRINUSE.into(),
            }),
        }
    }
}
