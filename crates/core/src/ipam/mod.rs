//! IPAM: which subnet a network gets, and which address an endpoint.
//!
//! Pure arithmetic: the clock is an argument, what is taken elsewhere is an argument, and nothing
//! is stored; pools are filled again at start from the stored endpoints.
//! Start at [`Pool`]. Subnets are chosen by [`AddressPools`]; what a request may say is in
//! [`validate()`].

mod address_pools;
mod offset_set;
mod pool;
mod span;
mod validate;

#[cfg(test)]
mod tests;

pub use address_pools::{AddressPool, AddressPools, ChooseError, InvalidAddressPool};
pub use pool::{OpenError, Pool, QUARANTINE, ReserveError, Usage, default_gateway};
pub use validate::{InvalidIpam, PoolOverlap, check_overlap, validate};
