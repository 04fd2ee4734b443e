//! The slow look at everything: what is ours and unwanted goes, what is wanted and gone comes back.
//!
//! At the start of a daemon, and after something else changed the host. Inside a sandbox only what
//! died together with a link of the host is repaired: a container may change its own addresses and
//! routes, and keeps them.

use crate::{ApplyError, Executor};
use sealane_core::model::InterfaceName;
use sealane_core::plan::{Change, Key, Links, Netns, Object, Phase, Plan, birth, replaced};
use sealane_kernel::Ask;
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Of objects that differ, those that are the sweep's to change.
pub type Admit<'a> = &'a dyn Fn(BTreeSet<Key>) -> BTreeSet<Key>;

/// What a sweep did.
#[derive(Debug)]
pub struct Swept {
    /// What had to change, and did.
    pub changes: Vec<Change>,
    /// The links that wait for their parents.
    pub without_parent: Vec<WithoutParent>,
}

/// A link that could not be made, as the one that it sits on is gone or taken.
#[derive(Debug)]
pub struct WithoutParent {
    /// The link.
    pub key: Key,
    /// What it sits on.
    pub parent: InterfaceName,
    /// The kernel's answer.
    pub source: std::io::Error,
}

impl<K: Write + Observe + Send + Sync + ?Sized + 'static> Executor<K> {
    /// Makes the kernel equal to `wanted`, the plans of all scopes together, and returns what had
    /// to change. Of what differs only that is touched which `admit` lets through: others may be
    /// writing the rest.
    ///
    /// A link whose parent is gone cannot be made, and does not keep the rest from being repaired.
    pub fn sweep(&self, wanted: &Plan, admit: Admit<'_>) -> Result<Swept, ApplyError> {
        let mut swept = self.sweep_once(wanted, admit)?;
        if swept.changes.iter().any(is_disruptive) {
            let again = self.sweep_once(wanted, admit)?;
            swept.changes.extend(again.changes);
            swept.without_parent = again.without_parent;
        }
        Ok(swept)
    }

    /// Makes the tables of the host and what is in them as wanted, at once: nothing else is looked
    /// at or written down. For tables that something else has removed.
    pub fn restore_tables(
        &self,
        wanted: &Plan,
        admit: Admit<'_>,
    ) -> Result<Vec<Change>, ApplyError> {
        let objects = wanted.objects().iter();
        let of_tables =
            objects.filter(|(key, _)| matches!(key, Key::Table(Netns::Host, _) | Key::Element(..)));
        let mut changes: Vec<Change> = of_tables
            .map(|(key, object)| Change::Create(key.clone(), object.clone()))
            .collect();
        let admitted = admit(changes.iter().map(Change::key).cloned().collect());
        changes.retain(|change| admitted.contains(change.key()));
        changes.sort_by_cached_key(|change| (change.key().phase(), birth(change)));
        self.write(&changes)?;
        Ok(changes)
    }

    fn sweep_once(&self, wanted: &Plan, admit: Admit<'_>) -> Result<Swept, ApplyError> {
        let found = self.find(wanted)?;
        let (mut unwanted, mut missing) = (unwanted(wanted, &found), missing(wanted, &found));
        let ended = self.unwanted_claims(wanted)?;
        let changed = unwanted.iter().chain(&missing).map(Change::key);
        let admitted = admit(changed.chain(&ended).cloned().collect());
        unwanted.retain(|change| admitted.contains(change.key()));
        missing.retain(|change| admitted.contains(change.key()));
        let remaining = self.kernel.write_all(&unwanted);
        let claims = missing
            .iter()
            .map(Change::key)
            .filter(|key| crate::is_claimed(key));
        self.journal.claim(claims).map_err(ApplyError::Journal)?;
        let (made, without_parent) = self.make(missing)?;
        // It is gone now.
        let ended = ended.iter().filter(|key| admitted.contains(*key));
        self.journal.release(ended).map_err(ApplyError::Journal)?;
        if !remaining.is_empty() {
            return Err(crate::still_there(remaining));
        }
        Ok(Swept {
            changes: unwanted.into_iter().chain(made).collect(),
            without_parent,
        })
    }

    /// Makes what is missing, links over others one by one, and returns what was made and which
    /// of those links were refused.
    fn make(&self, missing: Vec<Change>) -> Result<(Vec<Change>, Vec<WithoutParent>), ApplyError> {
        let (uppers, others): (Vec<Change>, Vec<Change>) = missing
            .into_iter()
            .partition(|change| parent(change).is_some());
        if uppers.is_empty() {
            self.write(&others)?;
            return Ok((others, vec![]));
        }
        let (mut made, rest): (Vec<Change>, Vec<Change>) = others
            .into_iter()
            .partition(|change| change.key().phase() <= Phase::Link);
        self.write(&made)?;
        let mut refused = Vec::new();
        let mut lost = BTreeSet::new();
        for change in uppers {
            let (Key::Link(netns, name), Some(parent)) = (change.key().clone(), parent(&change))
            else {
                continue;
            };
            match self.kernel.write(std::slice::from_ref(&change)) {
                Ok(()) => made.push(change),
                Err(error) => {
                    refused.push(WithoutParent {
                        key: error.key,
                        parent,
                        source: error.source,
                    });
                    lost.insert((netns, name));
                }
            }
        }
        let rest: Vec<Change> = rest.into_iter().filter(|c| !is_on(c, &lost)).collect();
        self.write(&rest)?;
        made.extend(rest);
        Ok((made, refused))
    }

    fn write(&self, changes: &[Change]) -> Result<(), ApplyError> {
        self.kernel
            .write(changes)
            .map_err(|refused| ApplyError::Refused {
                untried: changes.len() - refused.index - 1,
                key: refused.key,
                source: refused.source,
            })
    }

    /// What [`Executor::sweep`] would change; nothing is written.
    pub fn drift(&self, wanted: &Plan, admit: Admit<'_>) -> Result<Vec<Change>, ApplyError> {
        let found = self.find(wanted)?;
        let mut changes = unwanted(wanted, &found);
        changes.extend(missing(wanted, &found));
        let admitted = admit(changes.iter().map(Change::key).cloned().collect());
        changes.retain(|change| admitted.contains(change.key()));
        Ok(changes)
    }

    /// Everything that bears our mark, what was claimed and is still there, and the wanted objects
    /// of the host that are as they should be.
    fn find(&self, wanted: &Plan) -> Result<BTreeMap<Key, Object>, ApplyError> {
        let owned = self.kernel.owned().map_err(ApplyError::Observe)?;
        let mut found: BTreeMap<Key, Object> = owned.into_iter().collect();
        let claimed = self.journal.load().map_err(ApplyError::Journal)?;
        let unwanted = claimed
            .iter()
            .filter(|key| !wanted.objects().contains_key(*key));
        let look: Vec<&Key> = unwanted.filter(|key| !found.contains_key(*key)).collect();
        found.extend(self.kernel.observe(&look).map_err(ApplyError::Observe)?);

        // Those with a parent go with it.
        let inside: Vec<&Key> = wanted
            .objects()
            .keys()
            .filter(|key| !key.netns().is_kept() && is_link(key))
            .collect();
        found.extend(self.kernel.observe(&inside).map_err(ApplyError::Observe)?);

        let of_host = wanted
            .objects()
            .iter()
            .filter(|(key, _)| key.netns().is_kept());
        let open =
            |(key, _): &(&Key, &Object)| matches!(key, Key::Table(..)) || !found.contains_key(*key);
        let look: Vec<(&Key, &Object)> = of_host.filter(open).collect();
        let differing = self.kernel.differing(&look).map_err(ApplyError::Observe)?;
        let differing: BTreeSet<Key> = differing.into_iter().collect();
        for (key, object) in look {
            if differing.contains(key) {
                found.remove(key);
            } else {
                found.insert(key.clone(), object.clone());
            }
        }
        Ok(found)
    }

    /// What is claimed and no longer wanted. Of a part that is left open it is not known, and stays
    /// claimed.
    fn unwanted_claims(&self, wanted: &Plan) -> Result<BTreeSet<Key>, ApplyError> {
        let mut claimed = self.journal.load().map_err(ApplyError::Journal)?;
        claimed.retain(|key| wanted.is_unwanted(key, &Object::Present));
        Ok(claimed)
    }
}

impl<K: Write + Ask + ?Sized> Executor<K> {
    /// Releases the namespaces that no wanted sandbox has, for a journal that was lost with the
    /// claims in it. Call it after [`Executor::sweep`].
    /// `spared` says what others are writing, or were since it was decided what is wanted.
    pub fn sweep_namespaces(
        &self,
        wanted: &Plan,
        spared: &dyn Fn() -> BTreeSet<Key>,
    ) -> Result<(), ApplyError> {
        let files = self.kernel.namespace_files().map_err(ApplyError::Observe)?;
        // Later than the files: what comes afterwards is not among them.
        let spared = spared();
        let mut known: BTreeSet<PathBuf> = BTreeSet::new();
        let keys = wanted.objects().keys().chain(&spared);
        let wanted_ones = keys.filter_map(Key::as_namespace);
        for netns in wanted_ones.chain(wanted.open_namespaces()) {
            known.extend(self.kernel.bound_to(netns));
        }
        for (name, path) in files {
            if !known.contains(&path) {
                tracing::warn!(name, "releasing a network namespace that nobody knows");
                let removed = self.kernel.remove_namespace_file(&path);
                removed.map_err(ApplyError::Observe)?;
            }
        }
        Ok(())
    }
}

/// Whether the kernel may have taken more with it than was asked: with the last address of a link
/// go its neighbors and routes.
fn is_disruptive(change: &Change) -> bool {
    matches!(change, Change::Delete(Key::Address(Netns::Host, ..), _))
}

/// Removals of what is found and not wanted, backwards. Settings stay as they are.
fn unwanted(wanted: &Plan, found: &BTreeMap<Key, Object>) -> Vec<Change> {
    let unwanted = found
        .iter()
        .filter(|(key, object)| wanted.is_unwanted(key, object));
    let mut removals: Vec<Change> = unwanted
        .filter(|(key, _)| !matches!(key.phase(), Phase::Caution | Phase::Setting))
        .map(|(key, object)| Change::Delete(key.clone(), object.clone()))
        .collect();
    removals.sort_by_key(|change| change.key().phase());
    removals.reverse();
    removals
}

/// What is wanted and not found, or found otherwise, in phase order.
fn missing(wanted: &Plan, found: &BTreeMap<Key, Object>) -> Vec<Change> {
    let mut lost = lost_links(wanted, found);
    let bereft = bereft(wanted, found);
    let differing = wanted.objects().iter().filter_map(|(key, object)| {
        let present = found.get(key).filter(|_| key.netns().is_kept())?;
        step(key, present, object)
    });
    let mut missing: Vec<Change> = differing.collect();
    lost.extend(replaced(&missing));
    let absent = |(key, object): &(&Key, &Object)| {
        let kept = key.netns().is_kept();
        let gone = kept && !found.contains_key(*key);
        let lost = || !(kept && is_link(key)) && key.is_on_any(object, &lost);
        let in_doubt = || is_route(key) && bereft.contains(&key.netns());
        let cannot_be_made_again = matches!(key, Key::Namespace(_));
        !cannot_be_made_again && (gone || in_doubt() || lost())
    };
    let absent = wanted.objects().iter().filter(absent);
    missing.extend(absent.map(|(key, object)| Change::Create(key.clone(), object.clone())));
    missing.sort_by_cached_key(|change| (change.key().phase(), birth(change)));
    missing
}

/// What leads from what was found to what is wanted; `None` if it is good enough. A container may
/// rename its end of a veth, or give it another address: that alone is no reason.
fn step(key: &Key, present: &Object, wanted: &Object) -> Option<Change> {
    if wanted.satisfied_by(present) {
        return None;
    }
    Change::between(key, present, wanted)
}

/// The links in sandboxes that are gone: the ends of veth pairs, and what sat on a link of the host.
fn lost_links(wanted: &Plan, found: &BTreeMap<Key, Object>) -> Links {
    let gone = wanted
        .objects()
        .iter()
        .filter(|(key, _)| !found.contains_key(*key));
    let link = |(key, object): (&Key, &Object)| {
        if let Key::Link(netns @ Netns::Sandbox(id), name) = key {
            // Who made a namespace that is not ours says when it is there.
            let there = found.contains_key(&Key::Namespace(*id));
            return there.then(|| (*netns, name.clone()));
        }
        object.peer().cloned()
    };
    gone.filter_map(link).collect()
}

/// The link of the host that a link sits on.
fn sits_on(object: &Object) -> Option<&InterfaceName> {
    let Object::Link(link) = object else {
        return None;
    };
    link.kind.parent()
}

/// The parent of a link that a change makes.
fn parent(change: &Change) -> Option<InterfaceName> {
    change
        .made()
        .and_then(|(_, object)| sits_on(object))
        .cloned()
}

/// Whether a change is about something on one of these links.
fn is_on(change: &Change, links: &Links) -> bool {
    change
        .made()
        .is_some_and(|(key, object)| key.is_on_any(object, links))
}

/// The sandboxes that lose an unwanted link, as after a crash in the middle of a change: a
/// route that led over it may be gone before the one that takes its place was made.
fn bereft(wanted: &Plan, found: &BTreeMap<Key, Object>) -> BTreeSet<Netns> {
    let unwanted = found
        .iter()
        .filter(|(key, object)| wanted.is_unwanted(key, object));
    let bereft = |(key, object): (&Key, &Object)| match key {
        Key::Link(netns @ Netns::Sandbox(_), _) => Some(*netns),
        Key::Link(Netns::Host | Netns::Network(_), _) => object.peer().map(|(netns, _)| *netns),
        Key::Namespace(_)
        | Key::NetworkNamespace(_)
        | Key::Setting(..)
        | Key::Table(..)
        | Key::Element(..)
        | Key::Passage(..)
        | Key::Address(..)
        | Key::Up(..)
        | Key::Neighbor(..)
        | Key::Route(..)
        | Key::Forwarding(..)
        | Key::Flooding(..) => None,
    };
    unwanted.filter_map(bereft).collect()
}

fn is_link(key: &Key) -> bool {
    matches!(key, Key::Link(..))
}

fn is_route(key: &Key) -> bool {
    matches!(key, Key::Route(..))
}
