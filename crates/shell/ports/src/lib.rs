//! Host ports: reserved by real sockets, relayed where the kernel does not translate.
//!
//! A published port is held by one socket, so that others see it taken. The kernel's own
//! translation carries the traffic; what it cannot translate (`::1`, an IPv6 host address of a
//! container that has only IPv4) arrives at the socket and is relayed by one thread for all ports.
//! Until [`Ports::activate`] says that the rules are in, the sockets are mute.
//!
//! Stores nothing: the engine keeps the mappings and has them bound again by [`Ports::adopt`].
//! Sockets belong to the network namespace of the thread that reserves. Start at [`Ports`].

mod bind;
mod binding;
mod depot;
mod ephemeral;
mod error;
mod files;
mod look;
mod memory;
mod ports;
mod relay;
mod released;
mod table;

pub use depot::Depot;
pub use error::{AdoptError, PortError};
pub use files::{FileLimit, FileLimitError, raise_file_limit};
pub use ports::Ports;
