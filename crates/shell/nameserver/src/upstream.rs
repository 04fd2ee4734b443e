//! Upstreams: the servers a resolver asks for what the sandbox's networks do not know.

use crate::SocketKind;
use rustix::fd::OwnedFd;
use rustix::net::netdevice::name_to_index;
use sealane_core::dns::ExternalServer;
use sealane_core::model::{IpFamily, NetworkId, SandboxId};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

const PORT: u16 = 53;

/// A server to relay to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// Whether it is asked from the host and not from the sandbox.
    pub from_host: bool,
}

impl Upstream {
    pub(crate) fn family(&self) -> IpFamily {
        IpFamily::of(self.address.ip())
    }
}

/// Which upstreams a sandbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamConfig {
    /// The host's, whatever they are at the time (see [`crate::Nameserver::set_host_servers`]).
    Host,
    /// These, in this order; three at most are asked.
    Own(Vec<Upstream>),
    /// Those of its networks: what one network's servers deny, the next one's are asked.
    OfNetworks(Vec<NetworkUpstreams>),
}

/// The servers of a network, in their order; three at most are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkUpstreams {
    /// The network.
    pub network: NetworkId,
    /// Its servers.
    pub servers: Vec<Upstream>,
}

/// Opens a socket in the namespace of a sandbox, usually by calling [`crate::open_socket`] there.
/// Called by the name server's thread, so it must be quick and must not wait for a call to the
/// [`crate::Nameserver`].
pub type OpenSocket = Arc<dyn Fn(&SandboxId, SocketKind) -> io::Result<OwnedFd> + Send + Sync>;

impl Upstream {
    /// The server on the port of DNS. The link of a link-local address is looked up in the
    /// namespace of the calling thread; it must exist.
    pub fn resolve(external: &ExternalServer) -> io::Result<Self> {
        let ExternalServer { server, from_host } = external;
        let address = match (server.address, &server.zone) {
            (IpAddr::V6(v6), Some(zone)) => {
                let any = SocketKind {
                    family: IpFamily::V6,
                    stream: false,
                };
                let link = name_to_index(crate::open_socket(any)?, zone)?;
                SocketAddr::V6(SocketAddrV6::new(v6, PORT, 0, link))
            }
            (address, _) => SocketAddr::new(address, PORT),
        };
        Ok(Self {
            address,
            from_host: *from_host,
        })
    }
}
