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

/// An upstream, and the group of servers it is of: of one network, or of one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) upstream: Upstream,
    pub(crate) group: usize,
}

/// The servers of a group that are asked.
fn group(number: usize, servers: &[Upstream]) -> impl Iterator<Item = Candidate> {
    let candidate = move |upstream: &Upstream| Candidate {
        upstream: *upstream,
        group: number,
    };
    servers.iter().take(MAX_UPSTREAMS).map(candidate)
}

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
        let scope = match &self.upstreams {
            UpstreamConfig::Host => CacheScope::Host,
            UpstreamConfig::Own(_) | UpstreamConfig::OfNetworks(_) => {
                CacheScope::Sandbox(self.sandbox)
            }
        };
        let allowed = |candidate: &Candidate| match view.forwarding {
            Forwarding::Anywhere => true,
            Forwarding::FromSandboxOnly => !candidate.upstream.from_host,
        };
        let mut upstreams = self.candidates(&query, view, host);
        upstreams.retain(allowed);
        Request {
            sandbox: self.sandbox,
            reply_to,
            query,
            upstreams,
            scope,
        }
    }

    /// Whom a query may be asked of, in order. Of its networks, the one that the query concerns
    /// comes first.
    fn candidates(&self, query: &Query<'_>, view: &View, host: &[Upstream]) -> Vec<Candidate> {
        let one_group = |servers: &[Upstream]| group(0, servers).collect();
        let networks = match &self.upstreams {
            UpstreamConfig::Host => return one_group(host),
            UpstreamConfig::Own(own) => return one_group(own),
            UpstreamConfig::OfNetworks(networks) => networks,
        };
        let concerned = view.concerned(query);
        let (first, others): (Vec<_>, Vec<_>) =
            (networks.iter()).partition(|network| Some(network.network) == concerned);
        let ordered = first.into_iter().chain(others).enumerate();
        let all = ordered.flat_map(|(number, network)| group(number, &network.servers));
        let mut candidates: Vec<Candidate> = vec![];
        for candidate in all {
            // A server of two networks is asked once.
            let known = |other: &Candidate| other.upstream == candidate.upstream;
            if !candidates.iter().any(known) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Sends a reply by UDP. One that cannot be sent is lost, as datagrams are: the client asks
    /// again.
    pub(crate) fn send_datagram(&self, reply: &[u8], client: SocketAddr) {
        if let Err(error) = self.sockets.udp.send_to(reply, client) {
            tracing::debug!(%client, %error, "a reply cannot be sent");
        }
    }
}
