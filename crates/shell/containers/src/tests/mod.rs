//! The use cases in a world without a kernel: what is asked of whom, in which order, and what is
//! stored.

mod connect;
mod create;
mod exec;
mod life;
mod recover;
mod show;
