//! What goes without saying: objects that vanish along with others that are removed.
//!
//! Taking them away one by one would be slow, above all setting links down and deleting veth
//! pairs, for which the kernel waits tens of milliseconds each.

use crate::mark::TABLE;
use sealane_core::model::{InterfaceName, SandboxId};
use sealane_core::plan::{Change, Key, Link, LinkKind, Netns, Object};
use std::collections::HashMap;

/// What is removed, with the place of its removal.
#[derive(Debug, Default)]
pub(super) struct Doomed<'a> {
    namespaces: HashMap<SandboxId, usize>,
    links: HashMap<(Netns, &'a InterfaceName), usize>,
    /// Our table with the elements of the plan.
    table: Option<usize>,
}

impl<'a> Doomed<'a> {
    /// Finds what the changes remove as a whole.
    pub(super) fn among(changes: &'a [Change]) -> Self {
        let mut doomed = Self::default();
        for (index, change) in changes.iter().enumerate() {
            let Change::Delete(key, object) = change else {
                continue;
            };
            match key {
                Key::Namespace(id) => drop(doomed.namespaces.insert(*id, index)),
                Key::Table(Netns::Host, name) if name == TABLE => doomed.table = Some(index),
                Key::Link(netns, name) => doomed.link(*netns, name, object, index),
                Key::Table(..)
                | Key::Setting(..)
                | Key::Element(..)
                | Key::Passage(..)
                | Key::Address(..)
                | Key::Up(..)
                | Key::Neighbor(..)
                | Key::Route(..) => {}
            }
        }
        doomed
    }

    /// Whether the change at this place removes something that a later one takes along.
    pub(super) fn takes(&self, index: usize, change: &Change) -> bool {
        let Change::Delete(key, object) = change else {
            return false;
        };
        let later = |at: Option<&usize>| at.is_some_and(|at| *at > index);
        let namespace = |netns: &Netns| match netns {
            Netns::Host => false,
            Netns::Sandbox(id) => later(self.namespaces.get(id)),
        };
        let link = |netns: &Netns, name: &InterfaceName| {
            namespace(netns) || later(self.links.get(&(*netns, name)))
        };
        match key {
            Key::Namespace(_) | Key::Passage(..) => false,
            Key::Link(netns, _) => {
                namespace(netns) || peer(object).is_some_and(|(netns, _)| namespace(netns))
            }
            Key::Setting(netns, _) | Key::Table(netns, _) => namespace(netns),
            Key::Element(..) => later(self.table.as_ref()),
            Key::Address(netns, name, _) | Key::Up(netns, name) | Key::Neighbor(netns, name, _) => {
                link(netns, name)
            }
            Key::Route(netns, _) => match object {
                Object::Route(route) => link(netns, &route.interface),
                Object::Present
                | Object::Link(_)
                | Object::Setting(_)
                | Object::Table(_)
                | Object::Element(_)
                | Object::Neighbor(_) => namespace(netns),
            },
        }
    }

    fn link(&mut self, netns: Netns, name: &'a InterfaceName, object: &'a Object, index: usize) {
        self.links.insert((netns, name), index);
        if let Some((netns, name)) = peer(object) {
            self.links.insert((*netns, name), index);
        }
    }
}

/// The other end of a veth pair.
fn peer(object: &Object) -> Option<&(Netns, InterfaceName)> {
    match object {
        Object::Link(Link {
            kind: LinkKind::Veth { peer, .. },
            ..
        }) => Some(peer),
        Object::Link(Link {
            kind: LinkKind::Bridge,
            ..
        })
        | Object::Present
        | Object::Setting(_)
        | Object::Table(_)
        | Object::Element(_)
        | Object::Neighbor(_)
        | Object::Route(_) => None,
    }
}
