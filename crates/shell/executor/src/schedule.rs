//! The order of one operation's changes, without those that follow from others.

use crate::is_claimed;
use sealane_core::model::InterfaceName;
use sealane_core::plan::{Change, Key, Netns, Object, Phase, Plan, diff};
use sealane_kernel::write::Refused;
use std::collections::BTreeSet;

/// The changes of one operation.
pub(crate) struct Schedule {
    /// What is made or altered, in phase order; with it what leaves a set of nftables, so that an
    /// operation is one transaction.
    pub(crate) made: Vec<Change>,
    /// What is removed, backwards.
    pub(crate) removed: Vec<Change>,
    /// What goes along with what is removed.
    implied: Vec<Key>,
}

impl Schedule {
    /// What leads from `old` to `new`: what we do ourselves.
    pub(crate) fn between(old: &Plan, new: &Plan) -> Self {
        Self::of(diff(old, new), |implied| {
            implied.of_host || implied.of_sandbox
        })
    }

    /// What will be seen on the host, the links too that go with their namespace.
    pub(crate) fn seen(old: &Plan, new: &Plan) -> Self {
        Self::of(diff(old, new), |implied| implied.of_sandbox)
    }

    fn of(changes: Vec<Change>, dropped: impl Fn(Implied) -> bool) -> Self {
        let (changes, implied) = without_implied(changes, dropped);
        let removal = |change: &Change| matches!(change, Change::Delete(..));
        let (removed, made): (Vec<_>, Vec<_>) = changes.into_iter().partition(removal);
        let mut schedule = Self {
            made,
            removed,
            implied,
        };
        schedule.join_filter();
        schedule
    }

    /// Joins removals in the filter phase to the transaction that makes its objects, if there is
    /// one: a port that moves is never published twice, nor not at all.
    fn join_filter(&mut self) {
        let filter = |change: &Change| change.key().phase() == Phase::Filter;
        let Some(first) = self.made.iter().position(filter) else {
            return;
        };
        let (joined, removed): (Vec<_>, Vec<_>) = self.removed.drain(..).partition(filter);
        self.removed = removed;
        self.made.splice(first..first, joined);
    }

    /// The keys to claim before the first write.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Key> {
        let made = self
            .made
            .iter()
            .filter(|change| !matches!(change, Change::Delete(..)));
        made.map(Change::key).filter(|key| is_claimed(key))
    }

    /// The keys whose claims end, given what could not be removed. Another program may make a link,
    /// an address or a route of the same name later, which must not be taken for ours then.
    pub(crate) fn released<'a>(&'a self, remaining: &[Refused]) -> impl Iterator<Item = &'a Key> {
        let remaining: BTreeSet<Key> = remaining
            .iter()
            .map(|refused| refused.key.clone())
            .collect();
        let removed = self.removed.iter().chain(&self.made);
        let removed = removed.filter(|change| matches!(change, Change::Delete(..)));
        // What a link would have taken along is still there if the link is.
        let implied = self.implied.iter().filter(|_| remaining.is_empty());
        let implied: Vec<&Key> = implied.collect();
        removed
            .map(Change::key)
            .chain(implied)
            .filter(move |key| is_claimed(key) && !remaining.contains(*key))
    }

    /// All changes in their order.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let mut changes = self.made;
        changes.extend(self.removed);
        changes
    }
}

/// A removal that follows from another, and where.
struct Implied {
    /// On the host: a veth pair whose other end was in a namespace that goes.
    of_host: bool,
    /// In a sandbox, or hanging on a link that goes.
    of_sandbox: bool,
}

/// Drops removals that follow from others, and tells their keys: a namespace takes with it all that is inside and the
/// veth pairs that lead there, a link takes its addresses, neighbors and routes.
///
/// Releasing a namespace costs a fraction of a millisecond, deleting a link waits 25.
fn without_implied(
    changes: Vec<Change>,
    dropped: impl Fn(Implied) -> bool,
) -> (Vec<Change>, Vec<Key>) {
    let mut namespaces: BTreeSet<Netns> = BTreeSet::new();
    let mut links: BTreeSet<(Netns, InterfaceName)> = BTreeSet::new();
    for change in &changes {
        match change {
            Change::Delete(key, _) if key.as_namespace().is_some() => {
                namespaces.extend(key.as_namespace());
            }
            Change::Delete(Key::Link(netns, name), object) => {
                links.insert((*netns, name.clone()));
                links.extend(object.peer().cloned());
            }
            Change::Create(..) | Change::Alter(..) | Change::Replace(..) | Change::Delete(..) => {}
        }
    }
    let goes_along = |change: &Change| {
        let Change::Delete(key, object) = change else {
            return false;
        };
        let follows = follows(key, object, &namespaces, &links);
        let link_of_host = matches!(key, Key::Link(netns, _) if !namespaces.contains(netns));
        dropped(Implied {
            of_host: follows && link_of_host,
            of_sandbox: follows && !link_of_host,
        })
    };
    let (implied, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(goes_along);
    let implied = implied.iter().map(|change| change.key().clone());
    (changes, implied.collect())
}

fn follows(
    key: &Key,
    object: &Object,
    namespaces: &BTreeSet<Netns>,
    links: &BTreeSet<(Netns, InterfaceName)>,
) -> bool {
    let gone = |netns: Netns| namespaces.contains(&netns);
    match key {
        Key::Namespace(_) | Key::NetworkNamespace(_) | Key::Passage(..) => false,
        Key::Link(netns, _) => gone(*netns) || object.peer().is_some_and(|(netns, _)| gone(*netns)),
        // Settings of a link are not worth a message, but neither are they taken back.
        Key::Setting(netns, _) | Key::Table(netns, _) => gone(*netns),
        Key::Element(set, _) => gone(set.netns()),
        Key::Address(netns, ..)
        | Key::Up(netns, _)
        | Key::Neighbor(netns, ..)
        | Key::Forwarding(netns, ..)
        | Key::Flooding(netns, ..)
        | Key::Route(netns, _) => gone(*netns) || key.is_on_any(object, links),
    }
}
