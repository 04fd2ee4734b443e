//! A name server with one sandbox on one network, `blue`, where `web` and `db` are.

use super::dig::{Seen, dig};
use super::fake::Fake;
use sealane_core::dns::{EndpointNames, Forwarding, NetworkView, View};
use sealane_core::model::{NetworkId, SandboxId, derive_id};
use sealane_nameserver::{
    Nameserver, OpenSocket, SandboxSockets, SocketKind, Upstream, UpstreamConfig, bind_sockets,
    open_socket,
};
use std::sync::Arc;

pub(crate) struct World {
    pub(crate) nameserver: Nameserver,
    pub(crate) sandbox: SandboxId,
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
}

/// The network.
pub(crate) fn blue() -> NetworkId {
    derive_id(&[b"blue"])
}

/// What the sandbox sees.
pub(crate) fn view(forwarding: Forwarding) -> View {
    let networks = vec![NetworkView::new(blue(), "blue", [])];
    View {
        networks,
        forwarding,
        ndots_set: false,
    }
}

/// An endpoint of this name.
pub(crate) fn endpoint(name: &str, last: u8) -> EndpointNames {
    EndpointNames {
        id: derive_id(&[name.as_bytes()]),
        names: vec![name.to_owned()],
        ipv4: Some([10, 1, 0, last].into()),
        ipv6: Some([0xfd00, 0, 0, 0, 0, 0, 0, last.into()].into()),
        services: vec![],
    }
}

/// Upstreams that are asked from the host.
pub(crate) fn from_host(fakes: &[&Fake]) -> UpstreamConfig {
    upstreams(fakes, true)
}

/// Upstreams that are asked from the sandbox.
pub(crate) fn from_sandbox(fakes: &[&Fake]) -> UpstreamConfig {
    upstreams(fakes, false)
}

fn upstreams(fakes: &[&Fake], from_host: bool) -> UpstreamConfig {
    let upstream = |fake: &&Fake| Upstream {
        address: fake.address,
        from_host,
    };
    UpstreamConfig::Own(fakes.iter().map(upstream).collect())
}

impl World {
    /// In the namespace of the calling thread.
    pub(crate) fn new(upstreams: UpstreamConfig) -> Self {
        let open = Arc::new(|_: &SandboxId, kind: SocketKind| open_socket(kind));
        Self::with(
            bind_sockets().unwrap(),
            open,
            upstreams,
            Forwarding::Anywhere,
        )
    }

    pub(crate) fn with(
        sockets: SandboxSockets,
        open: OpenSocket,
        upstreams: UpstreamConfig,
        forwarding: Forwarding,
    ) -> Self {
        let nameserver = Nameserver::start(open).unwrap();
        let (udp, tcp) = sockets.ports().unwrap();
        let sandbox = derive_id(&[b"sandbox"]);
        nameserver.update_zone(blue(), |zone| zone.with_endpoint(endpoint("web", 2)));
        nameserver.update_zone(blue(), |zone| zone.with_endpoint(endpoint("db", 3)));
        nameserver
            .add_sandbox(sandbox, sockets, Arc::new(view(forwarding)), upstreams)
            .unwrap();
        Self {
            nameserver,
            sandbox,
            udp,
            tcp,
        }
    }

    /// Asks by UDP.
    pub(crate) fn dig(&self, arguments: &str) -> Seen {
        dig(self.udp, arguments)
    }

    /// Asks by TCP.
    pub(crate) fn dig_tcp(&self, arguments: &str) -> Seen {
        dig(self.tcp, &format!("+tcp {arguments}"))
    }
}
