//! Reserving: who has which network, address, name, hardware address and alias.
//!
//! What the engine knows is one [`Snapshot`], a value: a clone costs next to nothing and shares
//! everything, and a change of the clone is not seen by those who hold the original. To decide is
//! to change a clone by a request and a time, or to refuse with a [`Refusal`]; an operation puts
//! the clone in the place of the original, and a dry run drops it.
//!
//! Reads and writes nothing but its arguments: what the host is like, the time and random ids are
//! handed in. Start at [`Snapshot`], then `endpoint`.

mod addresses;
mod aliases;
mod conform;
mod endpoint;
mod expected;
mod index;
mod network;
mod refusal;
mod snapshot;

pub use conform::{Conformed, open_pools};
pub use endpoint::{Joining, endpoint_faults};
pub use expected::{Expected, LeaseChange};
pub use network::{NetworkState, Phase};
pub use refusal::Refusal;
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
