//! A kernel made of a map, for tests of those who write.
//!
//! It takes every change and keeps what is wanted. Like the real one it removes what goes along
//! with a removed namespace, link or table. A [`Fault`] ahead of it can refuse a step or end it in the
//! middle, and it is revived with what it holds.

mod ask;
mod steps;

pub use steps::{Fault, Steps};

use crate::read::{Observe, meets};
use crate::write::{Refused, Write};
use sealane_core::plan::{Change, Effect, Key, Links, Netns, Object};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The fake.
#[derive(Debug, Default)]
pub struct FakeKernel {
    state: Mutex<State>,
    steps: Steps,
}

#[derive(Clone, Debug, Default)]
struct State {
    objects: BTreeMap<Key, Object>,
    changes: Vec<Change>,
    effects: Vec<Effect>,
    refused: Vec<Key>,
}

impl FakeKernel {
    /// An empty kernel.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty kernel that carries out `changes` changes and effects, and then refuses everything.
    pub fn dying_after(changes: usize) -> Self {
        let kernel = Self::new();
        kernel.steps.begin(Some(Fault::Dead(changes)));
        kernel
    }

    /// A kernel of these objects that lives: what a new process finds after the old one died.
    /// Records are empty.
    pub fn revived(&self) -> Self {
        self.revived_with(Steps::default())
    }

    /// The same, whose changes and effects are steps of a run.
    pub fn revived_with(&self, steps: Steps) -> Self {
        let objects = self.state().objects.clone();
        let state = State {
            objects,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            steps,
        }
    }

    /// From now on refuses every change of this object.
    pub fn refuse(&self, key: Key) {
        self.state().refused.push(key);
    }

    /// Makes an object, as if another program had.
    pub fn put(&self, key: Key, object: Object) {
        self.state().objects.insert(key, object);
    }

    /// Takes an object away, as if another program had, with what goes along with it.
    pub fn lose(&self, key: &Key) {
        self.state().remove(key);
    }

    /// The objects there are.
    pub fn objects(&self) -> BTreeMap<Key, Object> {
        self.state().objects.clone()
    }

    /// Every change carried out so far.
    pub fn changes(&self) -> Vec<Change> {
        self.state().changes.clone()
    }

    /// Every effect run so far.
    pub fn effects(&self) -> Vec<Effect> {
        self.state().effects.clone()
    }

    fn step(&self, change: &Change) -> io::Result<()> {
        self.steps.take(libc::EPERM, || change.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for FakeKernel {
    fn write(&self, changes: &[Change]) -> Result<(), Refused> {
        let mut state = self.state();
        for (index, change) in changes.iter().enumerate() {
            let key = || change.key().clone();
            let done = self.step(change).and_then(|()| state.carry_out(change));
            done.map_err(|source| Refused {
                index,
                key: key(),
                source,
            })?;
        }
        Ok(())
    }

    fn write_all(&self, changes: &[Change]) -> Vec<Refused> {
        let mut state = self.state();
        let refused = changes.iter().enumerate().filter_map(|(index, change)| {
            let done = self.step(change).and_then(|()| state.carry_out(change));
            let source = done.err()?;
            Some(Refused {
                index,
                key: change.key().clone(),
                source,
            })
        });
        refused.collect()
    }

    fn run(&self, effect: &Effect) -> io::Result<()> {
        // An announcement comes later, from a thread of its own.
        if !matches!(effect, Effect::Announce(..)) {
            self.steps
                .take(libc::EPERM, || format!("effect {effect}"))?;
        }
        self.state().effects.push(effect.clone());
        Ok(())
    }

    fn remove_namespace_file(&self, path: &Path) -> io::Result<()> {
        let step = || format!("unbind {}", path.display());
        self.steps.take(libc::EPERM, step)?;
        self.unbind(path)
    }
}

impl Observe for FakeKernel {
    fn observe(&self, keys: &[&Key]) -> io::Result<BTreeMap<Key, Object>> {
        let state = self.state();
        let found = keys
            .iter()
            .filter_map(|key| state.objects.get_key_value(*key));
        Ok(found
            .map(|(key, object)| (key.clone(), reported(object)))
            .collect())
    }

    fn differing(&self, wanted: &[(&Key, &Object)]) -> io::Result<Vec<Key>> {
        let state = self.state();
        let differing = wanted.iter().filter(|(key, object)| {
            !state
                .objects
                .get(*key)
                .is_some_and(|found| meets(object, found))
        });
        Ok(differing.map(|(key, _)| (*key).clone()).collect())
    }

    fn owned(&self) -> io::Result<Vec<(Key, Object)>> {
        let state = self.state();
        let owned = state.objects.iter().filter(|(key, _)| bears_our_mark(key));
        Ok(owned
            .map(|(key, object)| (key.clone(), reported(object)))
            .collect())
    }
}

impl State {
    fn carry_out(&mut self, change: &Change) -> io::Result<()> {
        if self.refused.contains(change.key()) {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        if let Some((key, object)) = change.made() {
            self.check_ground(key, object)?;
        }
        match change {
            Change::Create(key, object) | Change::Alter(key, _, object) => {
                self.objects.insert(key.clone(), object.clone());
            }
            Change::Replace(key, _, object) => {
                self.remove(key);
                self.objects.insert(key.clone(), object.clone());
            }
            Change::Delete(key, _) => self.remove(key),
        }
        self.changes.push(change.clone());
        Ok(())
    }

    /// Refuses what has nothing to stand on: no namespace, no link.
    fn check_ground(&self, key: &Key, object: &Object) -> io::Result<()> {
        let refused = |number| Err(io::Error::from_raw_os_error(number));
        let peer = object.peer().map(|(netns, _)| *netns);
        let has_namespace = |netns: Netns| match netns {
            Netns::Sandbox(id) => self.objects.contains_key(&Key::Namespace(id)),
            Netns::Network(id) => self.objects.contains_key(&Key::NetworkNamespace(id)),
            Netns::Host => true,
        };
        if !has_namespace(key.netns()) || !peer.is_none_or(has_namespace) {
            return refused(libc::ENOENT);
        }
        match link_beneath(key, object).is_none_or(|link| self.has_link(&link)) {
            true => Ok(()),
            false => refused(libc::ENODEV),
        }
    }

    fn has_link(&self, link: &Key) -> bool {
        let mut ends = self.objects.values().filter_map(veth_peer);
        self.objects.contains_key(link) || ends.any(|end| end == *link)
    }

    fn remove(&mut self, key: &Key) {
        let object = self.objects.remove(key);
        let peer = object.as_ref().and_then(veth_peer);
        self.objects
            .retain(|other, settings| !goes_along(key, peer.as_ref(), other, settings));
    }
}

/// Whether an object goes when the one with `key` does, a veth to `peer` if it is one.
fn goes_along(key: &Key, peer: Option<&Key>, other: &Key, settings: &Object) -> bool {
    match key {
        Key::Namespace(_) | Key::NetworkNamespace(_) => {
            let inside = |other: &Key| Some(other.netns()) == key.as_namespace();
            inside(other) || veth_peer(settings).is_some_and(|peer| inside(&peer))
        }
        Key::Link(..) => {
            on_link(key, other, settings) || peer.is_some_and(|peer| on_link(peer, other, settings))
        }
        Key::Table(netns, table) => matches!(other, Key::Element(set, _)
            if (set.netns(), set.table()) == (*netns, table.as_str())),
        Key::Setting(..)
        | Key::Element(..)
        | Key::Passage(..)
        | Key::Address(..)
        | Key::Up(..)
        | Key::Neighbor(..)
        | Key::Route(..)
        | Key::Forwarding(..)
        | Key::Flooding(..) => false,
    }
}

/// Whether an object is on a link.
fn on_link(link: &Key, other: &Key, settings: &Object) -> bool {
    let Key::Link(netns, name) = link else {
        return false;
    };
    let link = Links::from([(*netns, name.clone())]);
    !matches!(other, Key::Link(..)) && other.is_on_any(settings, &link)
}

/// The link without which an object cannot be; every namespace has its loopback.
fn link_beneath(key: &Key, object: &Object) -> Option<Key> {
    let (netns, name) = match (key, object) {
        (Key::Link(netns, _), Object::Link(link)) => (netns, &link.port.as_ref()?.bridge),
        (Key::Route(netns, _), Object::Route(route)) => (netns, route.interface()?),
        (
            Key::Address(netns, name, _)
            | Key::Up(netns, name)
            | Key::Neighbor(netns, name, _)
            | Key::Forwarding(netns, name, _),
            _,
        ) => (netns, name),
        (_, _) => return None,
    };
    (name.as_str() != "lo").then(|| Key::Link(*netns, name.clone()))
}

/// The key of a veth's other end.
fn veth_peer(object: &Object) -> Option<Key> {
    let (netns, name) = object.peer()?;
    Some(Key::Link(*netns, name.clone()))
}

/// The real kernel cannot tell the contents of a table either.
fn reported(object: &Object) -> Object {
    match object {
        Object::Table(_) => Object::Present,
        Object::Present
        | Object::Link(_)
        | Object::Setting(_)
        | Object::Element(_)
        | Object::Neighbor(_)
        | Object::Route(_)
        | Object::Forwarding(_) => object.clone(),
    }
}

fn bears_our_mark(key: &Key) -> bool {
    match key {
        Key::Link(..) | Key::Table(..) => key.netns() == Netns::Host,
        Key::Passage(..) => true,
        Key::Element(set, _) => set.is_of_host_table(),
        Key::Namespace(_)
        | Key::NetworkNamespace(_)
        | Key::Setting(..)
        | Key::Address(..)
        | Key::Up(..)
        | Key::Neighbor(..)
        | Key::Route(..)
        | Key::Forwarding(..)
        | Key::Flooding(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::{InterfaceName, Mac, SandboxId, derive_id};
    use sealane_core::plan::{Link, LinkKind};

    fn sandbox() -> SandboxId {
        derive_id(&[b"web"])
    }

    fn name(text: &str) -> InterfaceName {
        InterfaceName::try_from(text).unwrap()
    }

    fn web() -> Vec<(Key, Object)> {
        let inside = Netns::Sandbox(sandbox());
        let kind = LinkKind::Veth {
            peer: (inside, name("eth0")),
            peer_mac: Mac([2; 6]),
        };
        let veth = Object::Link(Link {
            mtu: Some(1500),
            ..Link::of(kind)
        });
        let setting = Key::Setting(Netns::Host, "ipv4/ip_forward".into());
        vec![
            (Key::Namespace(sandbox()), Object::Present),
            (Key::Link(Netns::Host, name("veth0")), veth),
            (Key::Up(inside, name("eth0")), Object::Present),
            (setting, Object::Setting("1".into())),
        ]
    }

    fn creations() -> Vec<Change> {
        web()
            .into_iter()
            .map(|(key, object)| Change::Create(key, object))
            .collect()
    }

    #[test]
    fn a_namespace_takes_its_links_along() {
        let kernel = FakeKernel::new();
        kernel.write(&creations()).unwrap();
        kernel
            .write(&[Change::Delete(Key::Namespace(sandbox()), Object::Present)])
            .unwrap();
        let left: Vec<Key> = kernel.objects().into_keys().collect();
        assert_eq!(left, [web()[3].0.clone()]);
    }

    #[test]
    fn a_link_takes_what_is_on_its_other_end_along() {
        let kernel = FakeKernel::new();
        kernel.write(&creations()).unwrap();
        kernel.lose(&web()[1].0);
        assert_eq!(kernel.objects().len(), 2);
    }

    #[test]
    fn it_dies_and_is_revived_with_what_it_holds() {
        let kernel = FakeKernel::dying_after(2);
        let refused = kernel.write(&creations()).unwrap_err();
        assert_eq!(refused.index, 2);
        assert!(
            kernel
                .run(&Effect::SyncLink(Netns::Host, name("veth0")))
                .is_err()
        );
        let kernel = kernel.revived();
        assert_eq!(kernel.objects().len(), 2);
        kernel.write(&creations()).unwrap();
        assert_eq!(kernel.objects().len(), 4);
        assert_eq!(kernel.changes().len(), 4);
    }

    #[test]
    fn what_is_refused_is_named_and_the_rest_is_done() {
        let kernel = FakeKernel::new();
        let (key, _) = web().swap_remove(2);
        kernel.refuse(key.clone());
        let refused = kernel.write_all(&creations());
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].index, &refused[0].key), (2, &key));
        let wanted = web();
        let wanted: Vec<(&Key, &Object)> =
            wanted.iter().map(|(key, object)| (key, object)).collect();
        assert_eq!(kernel.differing(&wanted).unwrap(), [key]);
    }

    #[test]
    fn what_has_nothing_to_stand_on_is_refused() {
        let kernel = FakeKernel::new();
        for (key, object) in web().into_iter().skip(1).take(2) {
            let refused = kernel.write(&[Change::Create(key, object)]).unwrap_err();
            assert_eq!(refused.source.raw_os_error(), Some(libc::ENOENT));
        }
        kernel.write(&creations()).unwrap();
        let up = Key::Up(Netns::Host, name("veth1"));
        let up = Change::Create(up, Object::Present);
        let refused = kernel.write(&[up]).unwrap_err();
        assert_eq!(refused.source.raw_os_error(), Some(libc::ENODEV));
    }
}
