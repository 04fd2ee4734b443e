//! What of the host's table is the bridge's: the chains that its elements lead to, and the sets and
//! maps that its networks and endpoints fill. The rules that ask them are in `firewall`.

/// The chain for what may enter a network only through a published port.
pub const PUBLISHED_ONLY: &str = "published-only";

/// The chain for a network whose published ports are open at the containers' own addresses too.
pub const PUBLISHED_DIRECT: &str = "published-direct";
/// The chain for what may enter a routed network.
pub const ROUTED: &str = "routed";
/// The chain for what is seen again on another bridge of its network, which tracks it.
pub const UNTRACKED: &str = "untracked";
/// The chain for what comes from a subnet that another network may have.
pub const ALIASED: &str = "aliased";
/// The chain for what a bridge brings, of which only some is for the host.
pub const HANDED_OVER: &str = "handed-over";
/// The chain for what a network hands to the host: its source must be routed back there.
pub const SOURCES: &str = "sources";
/// The chain for what may pass between containers that are kept apart.
pub const APART: &str = "apart";

/// The sets and maps that it fills. What a rule makes of each is said where the table is made.
pub mod set {
    /// The bridges of ours.
    pub const BRIDGES: &str = "bridges";
    /// Bridges of which sources are looked at.
    pub const SOURCED: &str = "sourced";
    /// Those of which they are looked at once endpoints have their aliases.
    pub const SOURCED_ALIASES: &str = "sourced-aliases";
    /// Where to what arrives by a bridge of another kind goes before the kernel tracks it.
    pub const ARRIVING: &str = "arriving";
    /// The hardware addresses of the bridges.
    pub const HANDED: &str = "handed";
    /// A bridge, and IPv4 addresses that containers on it have elsewhere.
    pub const ELSEWHERE4: &str = "elsewhere4";
    /// A bridge, and IPv6 addresses that containers on it have elsewhere.
    pub const ELSEWHERE6: &str = "elsewhere6";
    /// A bridge and itself: both ends on one network.
    pub const SIBLINGS: &str = "siblings";
    /// Verdict between two links of one network.
    pub const WITHIN: &str = "within";
    /// Verdict on what leaves a network by its bridge.
    pub const LEAVING: &str = "leaving";
    /// IPv4 or IPv6 of a bridge into whose network only published ports lead.
    pub const PUBLISHED: &str = "published";
    /// Verdict on IPv4 or IPv6 that enters another network by its bridge.
    pub const ENTERING: &str = "entering";
    /// Bridges of whose packets IPv4 or IPv6 leaves with another address.
    pub const TRANSLATED: &str = "translated";
    /// Bridges whose IPv4 traffic leaves with the host's address.
    pub const MASQUERADE4: &str = "masquerade4";
    /// Bridges whose IPv6 traffic leaves with the host's address.
    pub const MASQUERADE6: &str = "masquerade6";
    /// Bridges whose IPv4 traffic leaves with an address that was chosen.
    pub const SNAT4: &str = "snat4";
    /// Bridges whose IPv6 traffic leaves with an address that was chosen.
    pub const SNAT6: &str = "snat6";
    /// IPv4 endpoints and their TCP ports of which one was taken back.
    pub const CLOSED4: &str = "closed4";
    /// IPv6 endpoints and their TCP ports of which one was taken back.
    pub const CLOSED6: &str = "closed6";
    /// A link of the host and a bridge into which it may lead directly.
    pub const TRUSTED: &str = "trusted";
    /// Ports of IPv4 endpoints, by bridge, that are open to packets which are routed to them directly.
    pub const OPEN4: &str = "open4";
    /// Ports of IPv6 endpoints that are open to packets which are routed to them directly.
    pub const OPEN6: &str = "open6";
    /// An IPv4 endpoint that is linked to a port of another from which it is kept apart.
    pub const LINKS4: &str = "links4";
    /// Bridges whose IPv4 subnet may be another network's, too.
    pub const OVERLAPPING: &str = "overlapping";
    /// IPv4 endpoints, by bridge, whose address may be another network's, too.
    pub const OVERLAPPING4: &str = "overlapping4";
    /// What the host calls them, by bridge and address.
    pub const ALIAS4: &str = "alias4";
    /// Their addresses, by bridge and what the host calls them.
    pub const REAL4: &str = "real4";
    /// An IPv4 endpoint and itself, where it has published ports.
    pub const SELF4: &str = "self4";
    /// An IPv6 endpoint and itself, where it has published ports.
    pub const SELF6: &str = "self6";
}
