//! The targets, a module for each kind of outside.

mod api;
mod images;
mod names;
mod netlink;
mod runtime;
mod settings;

use crate::Target;

/// All targets.
pub fn all() -> Vec<Target> {
    [
        api::TARGETS,
        images::TARGETS,
        names::TARGETS,
        netlink::TARGETS,
        runtime::TARGETS,
        settings::TARGETS,
    ]
    .concat()
}

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    all().into_iter().find(|target| target.name == name)
}

/// For targets whose seeds are all committed.
fn none() -> Vec<Vec<u8>> {
    Vec::new()
}
