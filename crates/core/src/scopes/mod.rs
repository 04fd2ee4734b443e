//! Scopes: whose plan it is. The host has one, each network, each sandbox.
//!
//! A scope asks the right driver and adds what belongs to no driver: the tables of the host, the
//! default route and the published ports of a sandbox. Start at [`plan_sandbox`].

mod firewall;
mod host;
mod host_table;
mod network;
mod resolver;
mod sandbox;
mod user;

pub use crate::drivers::bridge::table::{
    ALIASED, APART, HANDED_OVER, PUBLISHED_DIRECT, PUBLISHED_ONLY, ROUTED, SOURCES, UNTRACKED,
};
pub use crate::drivers::bridge::{PUBLISH_SETS, forget_changed};
pub use firewall::{firewall_as_iptables, firewall_as_nft};
pub use host::{plan_before_us, plan_host};
pub use host_table::{TABLE, host_table, host_table_of};
pub use network::{plan_network, plan_shared};
pub use resolver::{RESOLVER_ADDRESS, RESOLVER_TABLE, resolver_table};
pub use sandbox::{Gateways, plan_sandbox, routed_beside};
pub use user::{USER_TABLE, user_table};

/// The sets and maps of the host table: those that the bridge's networks fill, and the host's own.
pub mod set {
    pub use crate::drivers::bridge::table::set::*;

    /// Verdict on IPv4 or IPv6 between two links that are not ours.
    pub const FOREIGN: &str = "foreign";
}
