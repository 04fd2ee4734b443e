//! What end-to-end tests stand on: simulated hosts on a LAN, daemons on them, and witnesses.
//!
//! A [`Lab`] is a handful of namespaces that `tools/lab` builds and that the kernel takes away when
//! the test's process ends, in whatever way. On a [`Host`] of it runs a [`Daemon`], the product's
//! own binary. What it did is seen by others: the stock `docker` CLI, `ip -json`, `nft -j`, a
//! packet in a [`Capture`], a [`Snapshot`] of all kernel state.
//!
//! Nothing here touches the machine's own network. Nothing here reports success by our own parser.
//! Start at [`Lab::new`] and [`Daemon::start`].

mod capture;
mod daemon;
mod firewalld;
mod host;
mod http;
mod lab;
mod outcome;
mod raw;
mod sandbox;
mod service_manager;
mod snapshot;
mod wait;

pub use capture::Capture;
pub use daemon::{Daemon, DaemonOptions, binary};
pub use firewalld::Firewalld;
pub use host::{Background, Host};
pub use http::{Reply, Stream, request};
pub use lab::{Lab, repository};
pub use outcome::Outcome;
pub use raw::{send_raw, send_to_neighbors, send_whole};
pub use sandbox::Sandbox;
pub use service_manager::ServiceManager;
pub use snapshot::Snapshot;
pub use wait::{eventually, eventually_is, never};

/// Addresses of the LAN that every lab has.
pub mod lan {
    /// The first host.
    pub const HOST: &str = "10.99.0.1";
    /// The first host, IPv6.
    pub const HOST6: &str = "fd99::1";
    /// The peer: the LAN's other member, and its router.
    pub const PEER: &str = "10.99.0.100";
    /// The peer, IPv6.
    pub const PEER6: &str = "fd99::64";
    /// An address behind the router, on the peer's loopback.
    pub const OUTSIDE: &str = "198.51.100.7";
    /// An address behind the router, IPv6.
    pub const OUTSIDE6: &str = "2001:db8:7::7";
}
