//! What the tests stand on: private namespaces, fake upstreams, and `dig` for a witness.

#![allow(dead_code, reason = "each file of tests uses its part")]

pub(crate) mod dig;
pub(crate) mod fake;
pub(crate) mod netns;
pub(crate) mod world;
