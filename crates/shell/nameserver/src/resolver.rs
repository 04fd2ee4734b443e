//! Resolvers: what the server knows of one sandbox.

use crate::relay::{ReplyTo, Request};
use crate::{SandboxSockets, Upstream, UpstreamConfig};
use arc_swap::ArcSwap;
use sealane_core::dns::{CacheScope, Forwarding, Query, View};
use sealane_core::model::SandboxId;
use std::net::SocketAddr;
use std::sync::Arc;

/// How many upstreams are asked.
const MAX_UPSTREAMS: usize = 3;

/// The resolver of one sandbox.
pub(crate) struct Resolver {
    pub(crate) sandbox: SandboxId,
    pub(crate) sockets: SandboxSockets,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) upstreams: UpstreamConfig,
}

impl Resolver {
    /// A query to be relayed: to whom it may be, of its own upstreams or those of the host.
    pub(crate) fn request<'a>(
        &self,
        reply_to: ReplyTo,
        query: Query<'a>,
        view: &View,
        host: &[Upstream],
    ) -> Request<'a> {
        let (all, scope) = match &self.upstreams {
            UpstreamConfig::Host => (host, CacheScope::Host),
            UpstreamConfig::Own(own) => (&own[..], CacheScope::Sandbox(self.sandbox)),
        };
        let allowed = |upstream: &&Upstream| match view.forwarding {
            Forwarding::Anywhere => true,
            Forwarding::FromSandboxOnly => !upstream.from_host,
        };
        let upstreams = all
            .iter()
            .take(MAX_UPSTREAMS)
            .filter(allowed)
            .copied()
            .collect();
        Request {
            sandbox: self.sandbox,
            reply_to,
            query,
            upstreams,
            scope,
        }
    }

    /// Sends a reply by UDP. One that cannot be sent is lost, as datagrams are: the client asks
    /// again.
    pub(crate) fn send_datagram(&self, reply: &[u8], client: SocketAddr) {
        if let Err(error) = self.sockets.udp.send_to(reply, client) {
            tracing::debug!(%client, %error, "a reply cannot be sent");
        }
    }
}
