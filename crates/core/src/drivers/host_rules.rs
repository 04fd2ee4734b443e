//! What a driver brings to the host's table. The chains that the kernel enters are the host's: they
//! are made in [`scopes`](crate::scopes), which says where in each a driver's rules stand.

use crate::nft::{Chain, Rule, Set};

/// What a driver brings: the same whatever its networks are, which fill the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    /// The sets and maps that its networks and endpoints fill.
    pub sets: Vec<Set>,
    /// Chains of its own, to which rules and maps lead.
    pub chains: Vec<Chain>,
    /// Rules in the chains of the host, in their order.
    pub rules: Vec<(HostChain, Rule)>,
}

/// A chain of the host that packets come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChain {
    /// Before the kernel knows a packet's connection.
    Guard,
    /// Where destinations of packets from outside are translated.
    Prerouting,
    /// Where destinations of the host's own packets are translated.
    Output,
    /// What passes through the host.
    Forward,
    /// Where sources are translated.
    Postrouting,
    /// After all translation.
    Last,
}
