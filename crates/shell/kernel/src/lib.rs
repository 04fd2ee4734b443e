//! The one crate that speaks netlink: it turns objects of a plan into kernel state, and looks at
//! what there is.
//!
//! It decides nothing. What is wanted comes as [`sealane_core::plan::Change`]s; [`mod@write`] carries
//! them out in datagrams and transactions, [`read`] looks at objects by their keys, [`watch`]
//! tells when others change something. May touch network namespaces, links, addresses, routes,
//! neighbors, nftables, conntrack and network sysctls; runs no program. The only crate with
//! `unsafe`. Start at [`Kernel`], [`Ask`] and [`write::Write`]; [`fake`] stands in for it in tests.

mod ack;
mod ask;
mod channel;
pub mod descriptors;
pub mod fake;
pub mod fault;
mod kernel;
mod mark;
mod message;
pub mod netns;
mod nft;
pub mod outside;
pub mod passed;
pub mod port_socket;
pub mod probe;
pub mod read;
mod socket;
mod sysctl;
mod upper;
mod vxlan;
pub mod watch;
pub mod write;

pub use ack::errno;
pub use ask::{AnyKernel, Ask, Visit};
pub use kernel::Kernel;
