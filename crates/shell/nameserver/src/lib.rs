//! The resolvers of all sandboxes: one thread, one epoll loop, a UDP and a TCP socket per sandbox.
//!
//! What the answer is, `sealane_core::dns` says; here it is sent. What is not known here is
//! relayed to the sandbox's upstreams, and remembered.
//!
//! May touch: the sockets it is given, sockets it opens to upstreams, the host's resolv.conf (to
//! read). It changes no namespace: sockets that must be in a sandbox's are opened by the caller,
//! or through the [`OpenSocket`] it gives.
//!
//! Start at [`Nameserver`].

mod asker;
mod askers;
mod client;
mod error;
mod flight;
mod framed;
mod nameserver;
mod poller;
mod random;
mod relay;
mod resolver;
mod server;
mod sockets;
mod timers;
mod upstream;
mod watch;

pub use error::NameserverError;
pub use nameserver::Nameserver;
pub use sockets::{SandboxSockets, SocketKind, bind_sockets, bind_sockets_at, open_socket};
pub use upstream::{NetworkUpstreams, OpenSocket, Upstream, UpstreamConfig};
pub use watch::{HostWatch, watch_host};

/// What a part of the loop needs of the loop.
struct Tools<'a> {
    poller: &'a mut poller::Poller,
    timers: &'a mut timers::Timers,
    now: std::time::Instant,
}
