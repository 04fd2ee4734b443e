//! What a driver returns: the kernel objects that should exist, as data.
//!
//! A [`Plan`] maps a [`Key`], an object's identity, to an [`Object`], its settings. A key knows its
//! [`Phase`], so drivers do not sequence. [`diff()`] compares two plans; [`check()`] is a lint that runs
//! before anything is claimed or written. Start at [`Plan`].

mod check;
mod diff;
mod extent;
mod key;
mod link;
mod object;
mod render;
mod route;
mod upper;

pub use check::{Fault, check};
pub use diff::{Change, Links, birth, diff, replaced};
pub use extent::Part;
pub use key::{HOST_TABLE, Key, Netns, Phase, SetId};
pub use link::{BridgePort, Link, LinkGroup, LinkKind, Vxlan};
pub use object::{Effect, Forwarding, Object, Repeat, Step};
pub use route::{Route, RouteId};
pub use upper::{IpvlanFlag, IpvlanMode, MacvlanMode, Upper};

use std::collections::BTreeMap;

/// The wanted kernel state of one scope, and what to do once when it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    objects: BTreeMap<Key, Object>,
    effects: Vec<Effect>,
    clashes: Vec<Key>,
    open: Vec<Part>,
}

impl Plan {
    /// Adds an object. Two different objects under one key are a fault that [`check()`] reports.
    pub fn add(&mut self, key: Key, object: Object) {
        match self.objects.get(&key) {
            Some(present) if *present != object => self.clashes.push(key),
            _ => {
                self.objects.insert(key, object);
            }
        }
    }

    /// Adds something to do once, after a change.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Takes an object out, if it is there.
    #[must_use]
    pub fn without(mut self, key: &Key) -> Self {
        self.objects.remove(key);
        self
    }

    /// The namespaces that are left open as a whole.
    pub fn open_namespaces(&self) -> impl Iterator<Item = Netns> {
        self.open.iter().filter_map(|part| match part {
            Part::Namespace(netns) => Some(*netns),
            Part::OnLink(..) | Part::Set(_) => None,
        })
    }

    /// Takes all effects out, for an operation that knows better what is to be done once.
    pub fn without_effects(mut self) -> Self {
        self.effects.clear();
        self
    }

    /// Takes out what would forget tracked connections, where no endpoint comes or goes.
    pub fn without_forgetting(mut self) -> Self {
        self.effects.retain(|effect| match effect {
            Effect::ForgetAddress(_) | Effect::ForgetPort(..) | Effect::ForgetPublished(_) => false,
            Effect::SyncLink(..) | Effect::Announce(..) => true,
        });
        self
    }

    /// Adds all of another plan.
    pub fn merge(&mut self, other: Plan) {
        for (key, object) in other.objects {
            self.add(key, object);
        }
        self.effects.extend(other.effects);
        self.clashes.extend(other.clashes);
        self.open.extend(other.open);
    }

    /// Says that this plan does not know all of a part: what it lacks there is not left over.
    pub fn leave_open(&mut self, part: Part) {
        self.open.push(part);
    }

    /// Whether an object that is there and not in this plan is left over: no part left open has it.
    pub fn is_unwanted(&self, key: &Key, object: &Object) -> bool {
        !self.objects.contains_key(key) && !self.open.iter().any(|part| part.has(key, object))
    }

    /// The objects, by key.
    pub fn objects(&self) -> &BTreeMap<Key, Object> {
        &self.objects
    }

    /// What to do once when something changed.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Keys that were given two different objects.
    pub fn clashes(&self) -> &[Key] {
        &self.clashes
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.effects.is_empty()
    }
}
