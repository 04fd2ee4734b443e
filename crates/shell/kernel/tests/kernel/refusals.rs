//! What the kernel refuses, and whose fault it is.

use crate::support::*;
use sealane_core::plan::{Change, Key, Netns, Object, Route};
use sealane_kernel::errno;
use sealane_kernel::write::Write;

fn address(link: &str, net: &str) -> Key {
    Key::Address(Netns::Host, name(link), net.parse().unwrap())
}

fn unreachable_route() -> (Key, Object) {
    let key = Key::Route(
        inside("web"),
        "192.0.2.0/24".parse::<ipnet::IpNet>().unwrap().into(),
    );
    let via = "203.0.113.9".parse().ok();
    (key, Object::Route(Route::by(name("eth0"), via)))
}

#[test]
fn a_refusal_names_the_object_and_says_why() {
    private(|kernel| {
        let mut objects = attached("web", 2);
        objects.push(unreachable_route());
        objects.extend(attached("web", 2));
        let refused = kernel.write(&creations(objects)).unwrap_err();
        assert_eq!(refused.key, unreachable_route().0);
        assert_eq!(refused.index, attached("web", 2).len());
        let why = refused.source.to_string();
        assert!(why.contains("gateway"), "the kernel's sentence: {why}");
        assert!(errno(&refused.source).is_some());
    });
}

#[test]
fn writing_stops_at_the_first_refusal() {
    private(|kernel| {
        let mut objects = vec![(address("nowhere", "10.1.0.1/24"), Object::Present)];
        objects.extend(bridged());
        let refused = kernel.write(&creations(objects)).unwrap_err();
        assert_eq!(refused.index, 0);
        assert_eq!(errno(&refused.source), Some(libc::ENODEV));
        assert!(ip(&["link", "show", "type", "bridge"]).is_empty());
    });
}

#[test]
fn writing_all_goes_on_and_returns_every_refusal() {
    private(|kernel| {
        let mut objects = vec![(address("nowhere", "10.1.0.1/24"), Object::Present)];
        objects.extend(attached("web", 2));
        objects.push(unreachable_route());
        objects.push((address("br0", "10.8.0.1/24"), Object::Present));
        let mut refused = kernel.write_all(&creations(objects.clone()));
        refused.sort_by_key(|refused| refused.index);
        let keys: Vec<&Key> = refused.iter().map(|refused| &refused.key).collect();
        assert_eq!(keys, [&objects[0].0, &unreachable_route().0]);
        assert_eq!(
            differing(kernel, &objects),
            [objects[0].0.clone(), unreachable_route().0]
        );
    });
}

#[test]
fn a_veth_without_its_namespace_or_bridge_is_refused() {
    private(|kernel| {
        let link = (Key::Link(Netns::Host, name("veth-web")), veth("web", 2));
        let refused = kernel.write(&creations(vec![link.clone()])).unwrap_err();
        assert_eq!(refused.key, link.0);
        make(
            kernel,
            vec![(Key::Namespace(sandbox("web")), Object::Present)],
        );
        let refused = kernel.write(&creations(vec![link])).unwrap_err();
        assert!(
            refused.source.to_string().contains("br0"),
            "{}",
            refused.source
        );
    });
}

#[test]
fn removing_what_is_in_no_namespace_is_fine() {
    private(|kernel| {
        let objects = attached("web", 2);
        let removed = kernel.write_all(&removals(objects));
        assert!(removed.is_empty(), "{removed:?}");
    });
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    private(|kernel| {
        let key = Key::Link(Netns::Host, name("br0"));
        let refused = kernel.write(&[Change::Create(key, Object::Setting("1".into()))]);
        assert_eq!(
            refused.unwrap_err().source.kind(),
            std::io::ErrorKind::InvalidInput
        );
    });
}
