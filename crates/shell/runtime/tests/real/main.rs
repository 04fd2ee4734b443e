//! Containers on the real machine: each test in namespaces of its own, with a real OCI runtime,
//! a real conmon and a busybox.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

mod exec;
mod life;
mod programs;
mod restart;
mod stage;
mod surroundings;
