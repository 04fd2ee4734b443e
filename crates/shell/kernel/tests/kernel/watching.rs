//! Noticing what others change.

use crate::support::*;
use sealane_core::nft::{Chain, Family, Table};
use sealane_core::plan::{Key, Netns, Object};
use sealane_kernel::watch::{Noticed, Watcher};
use sealane_kernel::write::Write;
use std::io::Write as _;

/// What was noticed by now, once each.
fn noticed(watcher: &mut Watcher) -> Vec<Noticed> {
    let mut all = Vec::new();
    while let Some(one) = watcher.poll().unwrap() {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

fn link(name: &str, gone: bool) -> Noticed {
    Noticed::Link {
        name: name.into(),
        gone,
        bridge: name.starts_with("br"),
        worse: false,
        other_port: false,
    }
}

#[test]
fn what_others_change_is_noticed() {
    private(|kernel| {
        let mut watcher = Watcher::open(kernel).unwrap();
        assert_eq!(watcher.poll().unwrap(), None);
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        assert_eq!(noticed(&mut watcher), [link("br0", false)]);
        run("ip", &["link", "set", "br0", "up"]);
        noticed(&mut watcher);
        run("ip", &["address", "add", "10.9.0.1/24", "dev", "br0"]);
        for to in ["default", "192.0.2.0/24"] {
            run("ip", &["route", "add", to, "via", "10.9.0.9"]);
        }
        let seen = noticed(&mut watcher);
        let added = ["10.9.0.0/24", "0.0.0.0/0", "192.0.2.0/24"].map(|to| to.parse().unwrap());
        let told =
            |one: &Noticed| matches!(one, Noticed::NewRoute(to, Some(_)) if added.contains(to));
        assert!(
            seen.len() == 3 && seen.iter().all(told),
            "what is added takes nothing away: {seen:?}"
        );
        for (to, prefix) in [("default", "0.0.0.0/0"), ("192.0.2.0/24", "192.0.2.0/24")] {
            run("ip", &["route", "delete", to]);
            assert_eq!(
                noticed(&mut watcher),
                [Noticed::Route(prefix.parse().unwrap())]
            );
        }
        run("ip", &["address", "delete", "10.9.0.1/24", "dev", "br0"]);
        let seen = noticed(&mut watcher);
        assert!(
            seen.contains(&Noticed::Address("10.9.0.1/24".parse().unwrap())),
            "{seen:?}"
        );
        assert!(
            seen.contains(&Noticed::Route("10.9.0.0/24".parse().unwrap())),
            "{seen:?}"
        );
        run("nft", &["add table inet theirs"]);
        assert_eq!(noticed(&mut watcher), [Noticed::Nftables]);
        run("ip", &["link", "delete", "br0"]);
        let seen = noticed(&mut watcher);
        assert!(seen.contains(&link("br0", true)), "{seen:?}");
        assert!(
            !seen.contains(&Noticed::Overrun),
            "all of it is read: {seen:?}"
        );
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let mut watcher = Watcher::open(kernel).unwrap();
        run("ip", &["link", "set", "veth-web", "nomaster"]);
        let seen = noticed(&mut watcher);
        assert!(seen.contains(&link("veth-web", false)), "{seen:?}");
        assert!(!seen.contains(&link("veth-web", true)), "{seen:?}");
    });
}

#[test]
fn another_kind_of_port_is_noticed_however_it_was_made_one() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let mut watcher = Watcher::open(kernel).unwrap();
        let mut changed = |arguments: &[&str]| {
            run(arguments[0], &arguments[1..]);
            let seen = noticed(&mut watcher);
            seen.iter().any(|one| {
                matches!(one, Noticed::Link { name, other_port: true, .. } if name == "veth-web")
            })
        };
        let port = ["ip", "link", "set", "veth-web", "type", "bridge_slave"];
        let set = |flag, value| [&port[..], &[flag, value]].concat();
        assert!(changed(&set("isolated", "on")));
        assert!(!changed(&set("isolated", "on")), "it was one");
        assert!(changed(&[
            "bridge", "link", "set", "dev", "veth-web", "isolated", "off"
        ]));
        assert!(changed(&[
            "bridge", "link", "set", "dev", "veth-web", "learning", "off"
        ]));
        assert!(!changed(&set("cost", "7")), "which we do not ask for");
        assert!(!changed(&["ip", "link", "set", "veth-web", "nomaster"]));
    });
}

#[test]
fn our_own_messages_are_passed_over() {
    private(|kernel| {
        make(kernel, bridged());
        let mut watcher = Watcher::open(kernel).unwrap();
        let chain = Chain {
            name: "c".into(),
            hook: None,
            rules: vec![],
            user: false,
        };
        let chains = vec![chain];
        let table = Table {
            family: Family::Inet,
            name: "sealane".into(),
            owned: false,
            sets: vec![],
            chains,
        };
        let net = "10.8.0.1/24".parse().unwrap();
        let objects = vec![
            (
                Key::Table(Netns::Host, "sealane".into()),
                Object::Table(table),
            ),
            (Key::Address(Netns::Host, name("br0"), net), Object::Present),
        ];
        make(kernel, objects.clone());
        kernel.write(&removals(objects)).unwrap();
        let seen = noticed(&mut watcher);
        assert!(!seen.contains(&Noticed::Nftables), "{seen:?}");
        assert!(!seen.contains(&Noticed::Address(net)), "{seen:?}");
    });
}

#[test]
fn lost_notifications_are_an_overrun() {
    private(|kernel| {
        let mut watcher = Watcher::open(kernel).unwrap();
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        run("ip", &["link", "set", "br0", "up"]);
        let batch = "link set br0 alias a\nlink set br0 alias b\n".repeat(15_000);
        let mut ip = std::process::Command::new("ip")
            .args(["-batch", "-"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        ip.stdin
            .take()
            .unwrap()
            .write_all(batch.as_bytes())
            .unwrap();
        assert!(ip.wait().unwrap().success());
        assert!(noticed(&mut watcher).contains(&Noticed::Overrun));
    });
}

#[test]
fn a_waiting_watcher_wakes() {
    private(|kernel| {
        let watcher = Watcher::open(kernel).unwrap();
        let waiting = std::thread::spawn(move || {
            let mut watcher = watcher;
            watcher.next()
        });
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        assert_eq!(
            waiting.join().unwrap().unwrap().unwrap(),
            link("br0", false)
        );
    });
}
