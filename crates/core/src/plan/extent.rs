//! What a plan says all of, and what it leaves open.
//!
//! A sweep removes what is there and not wanted. That is right only where the plan is complete: what
//! comes later, such as the peers of a cluster that did not report yet, is still wanted meanwhile.

use super::{Key, Links, Netns, Object, SetId};
use crate::model::InterfaceName;

/// A part of the kernel's state that a plan may not know all of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything in a namespace, and the namespace.
    Namespace(Netns),
    /// What is on a link, but not the link: addresses, neighbors, routes, settings.
    OnLink(Netns, InterfaceName),
    /// The elements of a set or map.
    Set(SetId),
}

impl Part {
    /// Whether an object is of this part.
    pub fn has(&self, key: &Key, object: &Object) -> bool {
        match self {
            Self::Namespace(netns) => {
                let leads_there = object.peer().is_some_and(|(there, _)| there == netns);
                match key.as_namespace() {
                    Some(itself) => itself == *netns,
                    None => key.netns() == *netns || leads_there,
                }
            }
            Self::OnLink(netns, name) => {
                let link = Links::from([(*netns, name.clone())]);
                // Of a route that is only claimed it is not known where it leads.
                let unknown =
                    matches!((key, object), (Key::Route(at, _), Object::Present) if at == netns);
                unknown || !matches!(key, Key::Link(..)) && key.is_on_any(object, &link)
            }
            Self::Set(set) => matches!(key, Key::Element(own, _) if own == set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;
    use crate::nft::Datum;
    use crate::plan::{Link, LinkKind, Plan};

    fn name(text: &str) -> InterfaceName {
        InterfaceName::try_from(text).unwrap()
    }

    #[test]
    fn what_is_left_open_is_not_left_over() {
        let sandbox = derive_id(&[b"web"]);
        let up = |netns, text: &str| Key::Up(netns, name(text));
        let (host, inside) = (Netns::Host, Netns::Sandbox(sandbox));
        let link = |text: &str| Key::Link(host, name(text));
        let bridge = || Object::Link(Link::of(LinkKind::Bridge));
        let element = |set: &str| Key::Element(set.into(), vec![Datum::Port(1)]);
        let mut plan = Plan::default();
        plan.leave_open(Part::Namespace(inside));
        plan.leave_open(Part::OnLink(host, name("vx0")));
        plan.leave_open(Part::Set("peers".into()));
        let mut all = Plan::default();
        all.merge(plan);
        for (key, object, unwanted) in [
            (Key::Namespace(sandbox), Object::Present, false),
            (up(inside, "eth0"), Object::Present, false),
            (up(host, "vx0"), Object::Present, false),
            (link("vx0"), bridge(), true),
            (up(host, "br0"), Object::Present, true),
            (element("peers"), Object::Present, false),
            (element("others"), Object::Present, true),
        ] {
            assert_eq!(all.is_unwanted(&key, &object), unwanted, "{key}");
        }
    }
}
