//! What has to be done to get from one plan to another.

use super::{Key, LinkKind, Object, Plan, Upper};

/// One step from an old plan to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make an object.
    Create(Key, Object),
    /// Give an object other settings: from, to.
    Alter(Key, Object, Object),
    /// Take an object away.
    Delete(Key, Object),
}

impl Change {
    /// The object concerned.
    pub fn key(&self) -> &Key {
        match self {
            Self::Create(key, _) | Self::Alter(key, ..) | Self::Delete(key, _) => key,
        }
    }
}

/// The rank of a link among those made together: first what others sit on or are ports of; then
/// ports, and links of a sandbox
/// in the order of their names, `eth2` before `eth10`, so that their indexes follow.
pub fn birth(change: &Change) -> Option<(usize, String)> {
    let Change::Create(Key::Link(_, own), Object::Link(link)) = change else {
        return None;
    };
    let name = match &link.kind {
        LinkKind::Veth {
            peer: (_, name), ..
        } => name,
        LinkKind::Upper {
            kind: Upper::Macvlan(_) | Upper::Ipvlan(..),
            ..
        } => own,
        LinkKind::Bridge
        | LinkKind::Dummy
        | LinkKind::Vxlan(_)
        | LinkKind::WireGuard
        | LinkKind::Upper {
            kind: Upper::Vlan(_),
            ..
        } => link.port.as_ref().map(|_| own)?,
    };
    Some((name.as_str().len(), name.as_str().to_owned()))
}

/// Returns the steps from `old` to `new`: what is made or altered in phase order, then what is
/// removed, backwards.
///
/// Elements of nftables are the exception that proves the order: they share one transaction, so
/// the executor may pull a removal forward into it.
pub fn diff(old: &Plan, new: &Plan) -> Vec<Change> {
    let made = new
        .objects()
        .iter()
        .filter_map(|(key, wanted)| match old.objects().get(key) {
            None => Some(Change::Create(key.clone(), wanted.clone())),
            Some(present) if present != wanted => {
                Some(Change::Alter(key.clone(), present.clone(), wanted.clone()))
            }
            Some(_) => None,
        });
    let mut changes: Vec<Change> = made.collect();
    changes.sort_by_cached_key(|change| (change.key().phase(), birth(change)));

    let gone = old
        .objects()
        .iter()
        .filter(|(key, _)| !new.objects().contains_key(*key));
    let mut removals: Vec<Change> = gone
        .map(|(key, object)| Change::Delete(key.clone(), object.clone()))
        .collect();
    removals.sort_by_key(|change| change.key().phase());
    changes.extend(removals.into_iter().rev());
    changes
}
