//! Scopes: whose plan it is. The host has one, each network, each sandbox.
//!
//! A scope asks the right driver and adds what belongs to no driver: the tables of the host, the
//! default route and the published ports of a sandbox. Start at [`plan_sandbox`].

mod firewall;
mod host;
mod network;
mod publish;
mod resolver;
mod sandbox;

pub use firewall::{firewall_as_iptables, firewall_as_nft};
pub use host::{TABLE, host_table, plan_host};
pub use network::{DriverOptions, plan_network};
pub use publish::{PUBLISH_SETS, forget_changed};
pub use resolver::{RESOLVER_ADDRESS, RESOLVER_TABLE, resolver_table};
pub use sandbox::{Gateways, plan_sandbox};

/// The chain for what may enter a network only through a published port.
pub const PUBLISHED_ONLY: &str = "published-only";

/// The sets and maps of the host table. What each holds is said where the table is made.
pub mod set {
    /// The bridges of ours.
    pub const BRIDGES: &str = "bridges";
    /// A bridge and itself: both ends on one network.
    pub const SIBLINGS: &str = "siblings";
    /// Verdict between two links of one network.
    pub const WITHIN: &str = "within";
    /// Verdict on what leaves a network by its bridge.
    pub const LEAVING: &str = "leaving";
    /// Verdict on what enters a network by its bridge.
    pub const ENTERING: &str = "entering";
    /// Verdict on IPv4 or IPv6 between two links that are not ours.
    pub const FOREIGN: &str = "foreign";
    /// Bridges whose IPv4 traffic leaves with the host's address.
    pub const MASQUERADE4: &str = "masquerade4";
    /// Bridges whose IPv6 traffic leaves with the host's address.
    pub const MASQUERADE6: &str = "masquerade6";
    /// An IPv4 endpoint and itself, where it has published ports.
    pub const SELF4: &str = "self4";
    /// An IPv6 endpoint and itself, where it has published ports.
    pub const SELF6: &str = "self6";
}
