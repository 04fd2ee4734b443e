//! Images and root file systems on the real machine: each test in a mount namespace of its own,
//! on overlayfs and by copy.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, its helpers too"
)]

mod crash;
mod exchange;
mod hostile;
mod layer;
mod names;
mod stage;
