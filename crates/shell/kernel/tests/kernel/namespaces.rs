//! Namespaces of sandboxes.

use crate::support::*;
use sealane_core::plan::{Change, Key, Netns, Object};
use sealane_kernel::Kernel;
use sealane_kernel::read::Observe;
use sealane_kernel::write::{Write, remove_namespace_file};

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
        remove_namespace_file(&files[0].1).unwrap();
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
