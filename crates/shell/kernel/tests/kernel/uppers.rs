//! Links that sit on others of the host, and may be born in a sandbox.

use crate::support::*;
use sealane_core::plan::{Change, Key, Link, LinkKind, MacvlanMode, Object, Upper};
use sealane_kernel::write::Write;

const MODES: [(MacvlanMode, &str); 4] = [
    (MacvlanMode::Bridge, "bridge"),
    (MacvlanMode::Private, "private"),
    (MacvlanMode::Vepa, "vepa"),
    (MacvlanMode::Passthru, "passthru"),
];

fn upper(mode: MacvlanMode) -> Object {
    Object::Link(Link {
        mac: Some(mac(7)),
        ..Link::of(LinkKind::Upper {
            parent: name("p0"),
            kind: Upper::Macvlan(mode),
        })
    })
}

fn joined(mode: MacvlanMode) -> Vec<(Key, Object)> {
    let eth0 = || name("eth0");
    let net = |text: &str| Key::Address(inside("web"), eth0(), text.parse().unwrap());
    vec![
        (Key::Namespace(sandbox("web")), Object::Present),
        (Key::Link(inside("web"), eth0()), upper(mode)),
        (net("10.9.0.2/24"), Object::Present),
        (net("fd09::2/64"), Object::Present),
        (Key::Up(inside("web"), eth0()), Object::Present),
    ]
}

fn parent() {
    run(
        "ip",
        &["link", "add", "p0", "type", "veth", "peer", "name", "p1"],
    );
    run("ip", &["link", "set", "p0", "up"]);
}

#[test]
fn a_link_over_one_of_the_host_is_born_in_the_sandbox() {
    for (mode, text) in MODES {
        private(|kernel| {
            parent();
            make(kernel, joined(mode));
            let link = &ip_in(kernel, &sandbox("web"), &["link", "show", "eth0"])[0];
            assert_eq!(link["linkinfo"]["info_kind"], "macvlan");
            assert_eq!(link["linkinfo"]["info_data"]["mode"], text);
            assert_eq!(link["address"], "02:00:00:00:00:07", "{text}");
            let addresses = &ip_in(kernel, &sandbox("web"), &["address", "show", "eth0"])[0];
            let listed = addresses["addr_info"].to_string();
            assert!(
                listed.contains("10.9.0.2") && listed.contains("fd09::2"),
                "{listed}"
            );
            assert!(differing(kernel, &joined(mode)).is_empty());
            make(kernel, joined(mode)); // again: nothing to do
        });
    }
}

#[test]
fn what_a_sandbox_had_is_free_as_soon_as_it_is_gone() {
    private(|kernel| {
        parent();
        for _ in 0..3 {
            make(kernel, joined(MacvlanMode::Passthru));
            kernel
                .write(&[Change::Delete(
                    Key::Namespace(sandbox("web")),
                    Object::Present,
                )])
                .unwrap();
        }
        assert_ne!(
            ip(&["link", "show", "p0"])[0]["address"],
            "02:00:00:00:00:07"
        );
    });
}

#[test]
fn a_link_in_another_mode_is_made_anew() {
    private(|kernel| {
        parent();
        make(kernel, joined(MacvlanMode::Bridge));
        let key = Key::Link(inside("web"), name("eth0"));
        let change = Change::Alter(key, upper(MacvlanMode::Bridge), upper(MacvlanMode::Vepa));
        kernel.write(&[change]).unwrap();
        let link = &ip_in(kernel, &sandbox("web"), &["link", "show", "eth0"])[0];
        assert_eq!(link["linkinfo"]["info_data"]["mode"], "vepa");
    });
}

#[test]
fn without_its_parent_a_link_is_refused_and_the_parent_is_named() {
    private(|kernel| {
        make(
            kernel,
            vec![(Key::Namespace(sandbox("web")), Object::Present)],
        );
        let key = Key::Link(inside("web"), name("eth0"));
        let refused = kernel
            .write(&[Change::Create(key.clone(), upper(MacvlanMode::Bridge))])
            .unwrap_err();
        assert_eq!(refused.key, key);
        let text = refused.source.to_string();
        assert!(text.ends_with("there is no link p0 on the host"), "{text}");
    });
}
