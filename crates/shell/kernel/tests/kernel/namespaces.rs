//! Namespaces of sandboxes.

use crate::support::*;
use sealane_core::model::derive_id;
use sealane_core::plan::{BridgePort, Change, Key, Link, LinkKind, Netns, Object};
use sealane_kernel::Kernel;
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;

fn web() -> (Key, Object) {
    (Key::Namespace(sandbox("web")), Object::Present)
}

#[test]
fn a_new_namespace_has_a_loopback_that_is_up() {
    private(|kernel| {
        make(kernel, vec![web()]);
        let links = ip_in(kernel, &sandbox("web"), &["address"]);
        assert_eq!(links.len(), 1, "{links:?}");
        assert!(links[0]["flags"].as_array().unwrap().contains(&"UP".into()));
        let addresses = links[0]["addr_info"].as_array().unwrap();
        let addresses: Vec<_> = addresses.iter().map(|one| one["local"].clone()).collect();
        assert_eq!(addresses, ["127.0.0.1", "::1"]);
    });
}

#[test]
fn a_new_namespace_has_our_settings() {
    private(|kernel| {
        make(kernel, vec![web()]);
        let read = |setting: &str| {
            let file = format!("/proc/sys/net/{setting}");
            squeezed(&run_in(kernel, &sandbox("web"), &["cat", &file]))
        };
        assert_eq!(read("ipv6/conf/default/disable_ipv6"), "1");
        assert_eq!(read("ipv6/conf/lo/disable_ipv6"), "0");
        assert_eq!(read("ipv6/conf/default/accept_ra"), "0");
        assert_eq!(read("ipv6/conf/default/autoconf"), "0");
        assert_eq!(read("ipv6/conf/default/accept_dad"), "0");
        assert_eq!(read("ipv4/ip_unprivileged_port_start"), "0");
        assert_eq!(read("ipv4/ping_group_range"), "0 2147483647");
    });
}

#[test]
fn making_and_removing_a_namespace_may_be_repeated() {
    private(|kernel| {
        let path = kernel.namespace_path(&sandbox("web"));
        let inode = || run("stat", &["--format=%i", path.to_str().unwrap()]);
        make(kernel, vec![web()]);
        let first = inode();
        make(kernel, vec![web()]);
        assert_eq!(inode(), first);
        assert_eq!(kernel.observe(&[&web().0]).unwrap().len(), 1);
        for _ in 0..2 {
            assert!(kernel.write_all(&removals(vec![web()])).is_empty());
            assert!(!path.exists());
            assert!(kernel.observe(&[&web().0]).unwrap().is_empty());
        }
    });
}

#[test]
fn a_file_left_by_a_reboot_is_no_namespace() {
    private(|kernel| {
        let path = kernel.namespace_path(&sandbox("web"));
        std::fs::write(&path, "").unwrap();
        assert!(kernel.observe(&[&web().0]).unwrap().is_empty());
        make(kernel, vec![web()]);
        assert_eq!(ip_in(kernel, &sandbox("web"), &["link"]).len(), 1);
    });
}

#[test]
fn another_process_finds_the_namespaces_again() {
    private(|kernel| {
        make(kernel, vec![web()]);
        let folder = kernel
            .namespace_path(&sandbox("web"))
            .parent()
            .unwrap()
            .to_path_buf();
        let other = Kernel::open(folder).unwrap();
        make(
            &other,
            vec![(Key::Up(inside("web"), name("lo")), Object::Present)],
        );
        let setting = Key::Setting(inside("web"), "ipv4/ip_unprivileged_port_start".into());
        let found = other.observe(&[&setting]).unwrap();
        assert_eq!(found[&setting], Object::Setting("0".into()));
    });
}

#[test]
fn an_unknown_namespace_is_found_by_its_file_and_removed() {
    private(|kernel| {
        make(kernel, vec![web()]);
        let files = kernel.namespace_files().unwrap();
        assert_eq!(files[0].0, sandbox("web").short(12));
        kernel.remove_namespace_file(&files[0].1).unwrap();
        assert!(kernel.namespace_files().unwrap().is_empty());
    });
}

#[test]
fn a_removed_namespace_takes_its_veth_pairs_along() {
    private(|kernel| {
        let objects = attached("web", 2);
        make(kernel, objects.clone());
        assert!(kernel.write_all(&removals(objects)).is_empty());
        eventually(|| ip(&["link", "show", "type", "veth"]).is_empty());
    });
}

#[test]
fn settings_are_of_the_namespace_that_the_key_says() {
    private(|kernel| {
        make(kernel, vec![web()]);
        let setting = |netns, value: &str| {
            (
                Key::Setting(netns, "ipv4/ip_forward".into()),
                Object::Setting(value.into()),
            )
        };
        make(
            kernel,
            vec![setting(inside("web"), "1"), setting(Netns::Host, "0")],
        );
        let file = "/proc/sys/net/ipv4/ip_forward";
        assert_eq!(run_in(kernel, &sandbox("web"), &["cat", file]), "1\n");
        assert_eq!(run("cat", &[file]), "0\n");
        make(kernel, vec![setting(Netns::Host, "1")]);
        assert!(kernel.facts().unwrap().ipv4_forwarding);
    });
}

#[test]
fn a_setting_that_does_not_exist_is_refused_with_its_path() {
    private(|kernel| {
        let key = Key::Setting(Netns::Host, "ipv4/no_such".into());
        let change = Change::Create(key.clone(), Object::Setting("1".into()));
        let refused = kernel.write(&[change]).unwrap_err();
        assert_eq!(refused.key, key);
        let why = refused.source.to_string();
        assert!(why.contains("/proc/sys/net/ipv4/no_such"), "{why}");
    });
}

/// A bridge with addresses, in a namespace.
fn bridge_in(netns: Netns) -> Vec<(Key, Object)> {
    let br0 = || name("br0");
    let net = |text: &str| Key::Address(netns, br0(), text.parse().unwrap());
    let bridge = Link::of(LinkKind::Bridge);
    vec![
        (Key::Link(netns, br0()), Object::Link(bridge)),
        (net("10.9.0.1/24"), Object::Present),
        (net("fd09::1/64"), Object::Present),
        (Key::Up(netns, br0()), Object::Present),
    ]
}

#[test]
fn a_network_has_a_namespace_of_its_own_that_its_sandboxes_join() {
    private(|kernel| {
        let id = derive_id(&[b"blue"]);
        let own = Netns::Network(id);
        let mut objects = vec![
            (Key::NetworkNamespace(id), Object::Present),
            (Key::Namespace(sandbox("web")), Object::Present),
        ];
        objects.extend(bridge_in(own));
        let link = Object::Link(Link {
            port: Some(BridgePort::of(name("br0"))),
            ..Link::of(LinkKind::Veth {
                peer: (inside("web"), name("eth0")),
                peer_mac: mac(2),
            })
        });
        let veth = Key::Link(own, name("v0"));
        objects.push((veth.clone(), link.clone()));
        make(kernel, objects.clone());
        assert!(differing(kernel, &objects).is_empty());
        let found = &kernel.observe(&[&veth]).unwrap()[&veth];
        assert!(link.satisfied_by(found), "{found:?}");
        let path = kernel.bound_to(own).unwrap();
        let netns = format!("--net={}", path.display());
        let show = ["ip", "-j", "link", "show", "master", "br0"];
        let seen = run("nsenter", &[&[netns.as_str()], &show[..]].concat());
        assert!(seen.contains("\"v0\""), "{seen}");
        let here = ip(&["link", "show", "type", "bridge"]);
        assert!(here.is_empty(), "not on the host: {here:?}");
        let removal = Change::Delete(Key::NetworkNamespace(id), Object::Present);
        kernel.write(std::slice::from_ref(&removal)).unwrap();
        assert!(!path.exists());
        kernel.write(&[removal]).unwrap();
        assert_eq!(differing(kernel, &objects).len(), objects.len() - 1);
    });
}

#[test]
fn a_namespace_given_by_its_path_is_worked_in_and_never_removed() {
    private(|kernel| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theirs");
        std::fs::write(&path, "").unwrap();
        let netns = format!("--net={}", path.display());
        let enter =
            |program: &str, rest: &[&str]| run(program, &[&[netns.as_str()], rest].concat());
        enter("unshare", &["true"]);
        let theirs = inside("theirs");
        let give = || {
            let identity = kernel.identify(&path).unwrap().unwrap();
            let path = path.clone();
            kernel.give(
                sandbox("theirs"),
                &sealane_core::model::GivenNamespace { path, identity },
            );
        };
        give();
        make(kernel, bridge_in(theirs));
        assert!(differing(kernel, &bridge_in(theirs)).is_empty());
        let seen = enter("nsenter", &["ip", "-j", "address", "show", "br0"]);
        assert!(
            seen.contains("10.9.0.1") && seen.contains("fd09::1"),
            "{seen}"
        );
        assert!(kernel.write_all(&removals(bridge_in(theirs))).is_empty());
        let seen = enter("nsenter", &["ip", "-j", "link"]);
        assert!(seen.contains("\"lo\"") && !seen.contains("br0"), "{seen}");

        // Another one is bound to the path, as when a pod is made anew.
        run("umount", &[path.to_str().unwrap()]);
        enter("unshare", &["true"]);
        assert_eq!(differing(kernel, &bridge_in(theirs)).len(), 4);
        give();
        make(kernel, bridge_in(theirs));
        assert!(differing(kernel, &bridge_in(theirs)).is_empty());
        run("umount", &[path.to_str().unwrap()]);
        assert_eq!(differing(kernel, &bridge_in(theirs)).len(), 4);
        let refused = kernel.write_all(&removals(bridge_in(theirs)));
        assert!(refused.is_empty(), "it is gone with all that was in it");
    });
}
