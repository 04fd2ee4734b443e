//! Every parser of bytes that come from outside, each with what must hold of any input.
//!
//! A [`Target`] is a function of bytes that panics where an invariant does not hold. A worker
//! throws mutations of the committed seeds (`corpus/NAME/*`) at it for a while; what leads to an
//! outcome not seen before becomes a seed of that run. There is no instrumentation: it is built by
//! the same stable compiler as everything else. Each worker is a process, so that an abort, a full
//! stack or a lost gigabyte is found as a panic is, and the input is kept.
//!
//! May touch `target/fuzz`, and a temporary folder for the targets that unpack. To add a target:
//! a function in `targets`, a line in [`all`], a seed or more in `corpus`.
//! Start at [`all`]; `make fuzz TARGET=… SECONDS=…` runs them.

#![allow(
    clippy::unwrap_used,
    reason = "a target fails by a panic, its helpers too"
)]

mod corpus;
mod dice;
mod mutate;
mod supervise;
mod target;
mod targets;
mod worker;

pub use corpus::seeds;
pub use supervise::{Order, run};
pub use target::{Seen, Shape, Target};
pub use targets::{all, find};
pub use worker::{replay, work};
