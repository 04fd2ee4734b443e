//! What has to be done to get from one plan to another.
//!
//! Whether an object stays, takes other settings or gives way to another one is said by
//! [`Object::step_from`], here and when a sweep compares a plan with what it found.

use super::{Key, LinkKind, Netns, Object, Plan, Step, Upper};
use crate::model::InterfaceName;
use std::collections::BTreeSet;

/// One step from an old plan to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make an object.
    Create(Key, Object),
    /// Give an object other settings: from, to.
    Alter(Key, Object, Object),
    /// Take an object away, with all that is on it, and make another in its place: from, to.
    Replace(Key, Object, Object),
    /// Take an object away.
    Delete(Key, Object),
}

impl Change {
    /// What leads from an object as it is to the wanted one; `None` if it is as wanted.
    pub fn between(key: &Key, present: &Object, wanted: &Object) -> Option<Self> {
        let (present, to) = (present.clone(), wanted.clone());
        match wanted.step_from(&present) {
            Step::Keep => None,
            Step::Change => Some(Self::Alter(key.clone(), present, to)),
            Step::Replace => Some(Self::Replace(key.clone(), present, to)),
        }
    }

    /// The object concerned.
    pub fn key(&self) -> &Key {
        match self {
            Self::Create(key, _)
            | Self::Alter(key, ..)
            | Self::Replace(key, ..)
            | Self::Delete(key, _) => key,
        }
    }

    /// What there will be; `None` of what is taken away.
    pub fn made(&self) -> Option<(&Key, &Object)> {
        match self {
            Self::Create(key, object)
            | Self::Alter(key, _, object)
            | Self::Replace(key, _, object) => Some((key, object)),
            Self::Delete(..) => None,
        }
    }
}

/// Links by namespace and name.
pub type Links = BTreeSet<(Netns, InterfaceName)>;

/// The rank of a link among those made or changed together: first what others sit on or are ports
/// of; then ports, and links of a sandbox in the order of their names, `eth2` before `eth10`, so
/// that their indexes follow.
pub fn birth(change: &Change) -> Option<(usize, String)> {
    let (Change::Create(Key::Link(_, own), Object::Link(link))
    | Change::Alter(Key::Link(_, own), _, Object::Link(link))
    | Change::Replace(Key::Link(_, own), _, Object::Link(link))) = change
    else {
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

/// The links that changes replace, and the other ends of veth pairs that go with them.
pub fn replaced<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Links {
    let mut links = Links::new();
    for change in changes {
        if let Change::Replace(Key::Link(netns, name), old, _) = change {
            links.insert((*netns, name.clone()));
            links.extend(old.peer().cloned());
        }
    }
    links
}

/// Returns the steps from `old` to `new`: what is made or altered in phase order, then what is
/// removed, backwards. What stands on a link that is replaced is made again.
///
/// Elements of nftables are the exception that proves the order: they share one transaction, so
/// the executor may pull a removal forward into it.
pub fn diff(old: &Plan, new: &Plan) -> Vec<Change> {
    let made = new
        .objects()
        .iter()
        .filter_map(|(key, wanted)| match old.objects().get(key) {
            None => Some(Change::Create(key.clone(), wanted.clone())),
            Some(present) => Change::between(key, present, wanted),
        });
    let mut changes: Vec<Change> = made.collect();
    let replaced = replaced(&changes);
    if !replaced.is_empty() {
        let lost = new.objects().iter().filter(|(key, object)| {
            old.objects().get(*key) == Some(*object) && key.is_on_any(object, &replaced)
        });
        changes.extend(lost.map(|(key, object)| Change::Create(key.clone(), object.clone())));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mac;
    use crate::plan::{BridgePort, Link, MacvlanMode};

    fn name(text: &str) -> InterfaceName {
        InterfaceName::try_from(text).unwrap()
    }

    fn link(text: &str) -> Key {
        Key::Link(Netns::Host, name(text))
    }

    fn plan(objects: Vec<(Key, Object)>) -> Plan {
        let mut plan = Plan::default();
        for (key, object) in objects {
            plan.add(key, object);
        }
        plan
    }

    fn upper(mode: MacvlanMode) -> Object {
        Object::Link(Link::of(LinkKind::Upper {
            parent: name("p0"),
            kind: Upper::Macvlan(mode),
        }))
    }

    fn shown(old: &Plan, new: &Plan) -> Vec<String> {
        diff(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_of_another_kind_is_replaced_and_what_is_on_it_is_made_again() {
        let on_it = |object| {
            plan(vec![
                (link("m0"), object),
                (
                    Key::Address(Netns::Host, name("m0"), "10.1.0.1/24".parse().unwrap()),
                    Object::Present,
                ),
                (
                    Key::Setting(Netns::Host, "ipv4/conf/m0/arp_filter".into()),
                    Object::Setting("1".into()),
                ),
                (Key::Up(Netns::Host, name("m0")), Object::Present),
                (Key::Up(Netns::Host, name("other")), Object::Present),
            ])
        };
        let seen = shown(
            &on_it(upper(MacvlanMode::Bridge)),
            &on_it(upper(MacvlanMode::Vepa)),
        );
        assert_eq!(
            seen,
            [
                "! link   host/m0 macvlan vepa on p0",
                "+ sysctl host/ipv4/conf/m0/arp_filter = 1",
                "+ addr   host/m0 10.1.0.1/24",
                "+ up     host/m0",
            ]
        );
    }

    #[test]
    fn a_link_that_takes_other_settings_stays() {
        let bridge = |mtu| {
            let bridge = Link {
                mtu,
                ..Link::of(LinkKind::Bridge)
            };
            plan(vec![(link("br0"), Object::Link(bridge))])
        };
        let (small, large, open) = (bridge(Some(1400)), bridge(Some(9000)), bridge(None));
        assert_eq!(shown(&small, &large), ["~ link   host/br0 bridge mtu 9000"]);
        assert_eq!(shown(&small, &small), [] as [String; 0]);
        assert_eq!(shown(&small, &open), ["~ link   host/br0 bridge"]);
    }

    #[test]
    fn a_veth_to_elsewhere_is_another_veth() {
        let veth = |peer: &str, mac: u8| {
            let veth = Link {
                port: Some(BridgePort::of(name("br0"))),
                ..Link::of(LinkKind::Veth {
                    peer: (Netns::Host, name(peer)),
                    peer_mac: Mac([2, 0, 0, 0, 0, mac]),
                })
            };
            plan(vec![
                (link("v0"), Object::Link(veth)),
                (Key::Up(Netns::Host, name("v1")), Object::Present),
            ])
        };
        let steps = diff(&veth("v1", 1), &veth("v2", 1));
        assert!(matches!(&steps[0], Change::Replace(..)), "{steps:?}");
        assert_eq!(steps[1].key(), &Key::Up(Netns::Host, name("v1")));
        let steps = diff(&veth("v1", 1), &veth("v1", 2));
        assert!(matches!(steps.as_slice(), [Change::Alter(..)]), "{steps:?}");
    }
}
