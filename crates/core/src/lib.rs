//! The pure half of Sealane: what networks, endpoints and names *are*, and what the kernel should
//! look like because of them.
//!
//! No IO, no async, no clock, no randomness: everything it needs arrives as an argument, and
//! equal arguments give equal results. Start at [`drivers::bridge`], which reads like the picture
//! of the network it builds, then [`plan`], which says what a driver returns.

pub mod dns;
pub mod drivers;
pub mod explain;
pub mod ipam;
pub mod model;
pub mod nft;
pub mod plan;
pub mod reserve;
pub mod scopes;
