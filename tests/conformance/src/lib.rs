//! What the end-to-end tests share: a host with a daemon and an image, and a few turns of phrase.
//!
//! Tests are in `tests/`, a file for each chapter of the specification. A test's name begins with
//! the ids of the rows it shows to be true, and what it looks at is never Sealane's own word alone.

mod crash;
mod http;
mod kernel_lab;
mod traffic;
mod upstream;
mod world;

pub use crash::{Operation, crash_at_every_step};
pub use http::{Refused, create_network, encoded, filtered, refused};
pub use kernel_lab::{in_kernel_lab, is_kernel_lab, run_in_kernel_lab};
pub use traffic::{
    Conversation, accept_one, connects, sctp_init, tcp_packet, to_loopback_by_cable, udp_packet,
    udp_server,
};
pub use upstream::{Manner, Upstream, name_server};
pub use world::{HELLO, HTTPD, World, with_bridge_filter_off_and_on};

pub use sealane_testkit::{
    Background, Capture, Daemon, DaemonOptions, Firewalld, Host, Lab, Outcome, Reply, Sandbox,
    ServiceManager, Snapshot, Stream, binary, eventually, eventually_is, lan, never, repository,
    send_raw, send_to_neighbors, send_whole,
};
pub use serde_json::{Value, json};
pub use std::time::Duration;

/// What may take a moment, but no more.
pub const SOON: Duration = Duration::from_secs(5);
