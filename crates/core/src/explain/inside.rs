//! What a container has changed inside its namespace of what it was given. That is its own, and never
//! put back; but it may be the reason why packets do not pass.

use crate::model::{InterfaceName, SandboxId};
use crate::plan::{Key, Link, LinkKind, Netns, Object, Plan};
use std::collections::BTreeMap;

/// What has to be looked at: all that is planned inside a sandbox and lasts. What a link knows of its
/// neighbors comes and goes with it.
pub fn inside(plan: &Plan, id: &SandboxId) -> BTreeMap<Key, Object> {
    let netns = Netns::Sandbox(*id);
    let mut inside = BTreeMap::new();
    for (key, object) in plan.objects() {
        if let (Object::Link(link), Some((there, name))) = (object, object.peer())
            && *there == netns
        {
            inside.insert(Key::Link(netns, name.clone()), Object::Link(end(link)));
        }
        let lasts = match key {
            Key::Link(..) | Key::Address(..) | Key::Up(..) | Key::Route(..) | Key::Setting(..) => {
                true
            }
            Key::Namespace(_)
            | Key::NetworkNamespace(_)
            | Key::Table(..)
            | Key::Element(..)
            | Key::Passage(..)
            | Key::Neighbor(..)
            | Key::Forwarding(..)
            | Key::Flooding(..) => false,
        };
        if lasts && key.netns() == netns {
            inside.insert(key.clone(), object.clone());
        }
    }
    inside
}

/// A pair's end in the sandbox: of it only this is compared.
fn end(pair: &Link) -> Link {
    Link {
        port: None,
        mac: match &pair.kind {
            LinkKind::Veth { peer_mac, .. } => Some(*peer_mac),
            LinkKind::Bridge
            | LinkKind::Dummy
            | LinkKind::Upper { .. }
            | LinkKind::Vxlan(_)
            | LinkKind::WireGuard => None,
        },
        ..pair.clone()
    }
}

/// How what was found differs from what was planned inside, a part of a sentence each.
pub fn differences(planned: &BTreeMap<Key, Object>, found: &BTreeMap<Key, Object>) -> Vec<String> {
    let useless = |name: &InterfaceName| {
        let gone = |key: &Key| planned.contains_key(key) && !found.contains_key(key);
        let of = |make: fn(Netns, InterfaceName) -> Key| {
            planned
                .keys()
                .any(|key| *key == make(key.netns(), name.clone()) && gone(key))
        };
        of(Key::Link) || of(Key::Up)
    };
    let mut all = Vec::new();
    for (key, wanted) in planned {
        // With a link goes what is on it.
        let on_useless = match (key, wanted) {
            (Key::Address(_, name, _), _) => useless(name),
            (Key::Route(..), Object::Route(route)) => route.interface().is_some_and(useless),
            (Key::Up(netns, name), _) => !found.contains_key(&Key::Link(*netns, name.clone())),
            (_, _) => false,
        };
        if !on_useless {
            all.extend(difference(key, wanted, found.get(key)));
        }
    }
    all
}

fn difference(key: &Key, wanted: &Object, found: Option<&Object>) -> Option<String> {
    match (key, wanted, found) {
        (Key::Link(_, name), _, None) => Some(format!("{name} is gone")),
        (Key::Link(_, name), Object::Link(wanted), Some(Object::Link(found))) => {
            of_link(name, wanted, found)
        }
        (Key::Up(_, name), _, None) => Some(format!("{name} is down")),
        (Key::Address(_, name, address), _, None) => Some(format!("{name} lacks {address}")),
        (Key::Route(_, id), _, None) => Some(format!("there is no route to {id}")),
        (Key::Route(_, id), Object::Route(wanted), Some(Object::Route(found)))
            if !wanted.satisfied_by(found) =>
        {
            Some(format!("the route to {id} is{found} in place of{wanted}"))
        }
        (Key::Setting(_, path), Object::Setting(wanted), Some(Object::Setting(found)))
            if wanted != found =>
        {
            let name = path.replace('/', ".");
            Some(format!("net.{name} is {found} in place of {wanted}"))
        }
        (_, _, _) => None,
    }
}

fn of_link(name: &InterfaceName, wanted: &Link, found: &Link) -> Option<String> {
    let mtu = wanted
        .mtu
        .zip(found.mtu)
        .filter(|(wanted, found)| wanted != found);
    let mac = wanted
        .mac
        .zip(found.mac)
        .filter(|(wanted, found)| wanted != found);
    let mtu =
        mtu.map(|(wanted, found)| format!("{name} has an MTU of {found} in place of {wanted}"));
    let mac = mac.map(|(wanted, found)| {
        format!("{name} has the hardware address {found} in place of {wanted}")
    });
    match (mtu, mac) {
        (Some(mtu), Some(mac)) => Some(format!("{mtu}, {mac}")),
        (mtu, mac) => mtu.or(mac),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mac, derive_id};
    use crate::plan::{BridgePort, Route};
    use ipnet::IpNet;

    fn name(text: &str) -> InterfaceName {
        InterfaceName::try_from(text).unwrap()
    }

    fn planned() -> (Netns, BTreeMap<Key, Object>) {
        let id = derive_id(&[b"web"]);
        let inside_of = Netns::Sandbox(id);
        let mut plan = Plan::default();
        let pair = Link {
            mtu: Some(1500),
            port: Some(BridgePort::of(name("docker0"))),
            ..Link::of(LinkKind::Veth {
                peer: (inside_of, name("eth0")),
                peer_mac: Mac([2, 0, 0, 0, 0, 1]),
            })
        };
        plan.add(Key::Link(Netns::Host, name("veth1")), Object::Link(pair));
        let address = "10.0.0.2/16".parse().unwrap();
        plan.add(
            Key::Address(inside_of, name("eth0"), address),
            Object::Present,
        );
        plan.add(Key::Up(inside_of, name("eth0")), Object::Present);
        let anywhere: IpNet = "0.0.0.0/0".parse().unwrap();
        let route = Route::by(name("eth0"), "10.0.0.1".parse().ok());
        plan.add(Key::Route(inside_of, anywhere.into()), Object::Route(route));
        let setting = Key::Setting(inside_of, "ipv6/conf/eth0/disable_ipv6".into());
        plan.add(setting, Object::Setting("1".into()));
        plan.add(
            Key::Setting(Netns::Host, "ipv4/ip_forward".into()),
            Object::Setting("1".into()),
        );
        (inside_of, inside(&plan, &id))
    }

    #[test]
    fn what_differs_inside_is_said_in_words() {
        let (netns, planned) = planned();
        assert_eq!(planned.len(), 5, "of the host nothing: {planned:?}");
        let said = |change: &dyn Fn(&mut BTreeMap<Key, Object>)| {
            let mut found = planned.clone();
            change(&mut found);
            differences(&planned, &found)
        };
        let (link, up) = (Key::Link(netns, name("eth0")), Key::Up(netns, name("eth0")));
        assert_eq!(said(&|_| ()), [""; 0]);
        let smaller = |found: &mut BTreeMap<Key, Object>| {
            if let Some(Object::Link(link)) = found.get_mut(&link) {
                (link.mtu, link.mac) = (Some(1400), Some(Mac([2, 0, 0, 0, 0, 9])));
            }
        };
        assert_eq!(
            said(&smaller),
            [
                "eth0 has an MTU of 1400 in place of 1500, eth0 has the hardware address \
              02:00:00:00:00:09 in place of 02:00:00:00:00:01"
            ]
        );
        let without = |key: &Key| said(&|found| drop(found.remove(key)));
        assert_eq!(without(&up), ["eth0 is down"]);
        let without_routes = said(&|found| {
            found.retain(|key, _| !matches!(key, Key::Route(..) | Key::Address(..)));
        });
        assert_eq!(
            without_routes,
            ["eth0 lacks 10.0.0.2/16", "there is no route to default"]
        );
        // What goes with a link is not told one by one.
        let gone = said(&|found| found.retain(|key, _| matches!(key, Key::Setting(..))));
        assert_eq!(gone, ["eth0 is gone"]);
        let other = said(&|found| {
            for object in found.values_mut() {
                if let Object::Route(route) = object {
                    *route = Route::by(name("tun0"), None);
                } else if let Object::Setting(value) = object {
                    *value = "0".into();
                }
            }
        });
        assert_eq!(
            other,
            [
                "net.ipv6.conf.eth0.disable_ipv6 is 0 in place of 1",
                "the route to default is dev tun0 in place of via 10.0.0.1 dev eth0",
            ]
        );
    }
}
