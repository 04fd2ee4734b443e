//! Bridges and veth pairs.

use crate::support::*;
use sealane_core::plan::{BridgePort, Change, Key, Object};
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;

#[test]
fn a_bridge_has_its_settings_and_our_mark() {
    private(|kernel| {
        make(kernel, bridged());
        let bridge = &ip(&["link", "show", "br0"])[0];
        assert_eq!(bridge["linkinfo"]["info_kind"], "bridge");
        assert_eq!(bridge["address"], "02:00:00:00:00:01");
        assert_eq!(bridge["mtu"], 1400);
        assert_eq!(bridge["group"], (0x5ea1).to_string());
        assert_eq!(bridge["ifalias"], "sealane");
        assert!(bridge["flags"].as_array().unwrap().contains(&"UP".into()));
        assert!(differing(kernel, &bridged()).is_empty());
    });
}

#[test]
fn both_ends_of_a_veth_pair_are_born_in_place() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let host = &ip(&["link", "show", "veth-web"])[0];
        assert_eq!(host["master"], "br0");
        assert_eq!(host["mtu"], 1400);
        assert_eq!(host["group"], (0x5ea1).to_string());
        assert_eq!(host["inet6_addr_gen_mode"], "none");
        assert_eq!(host["linkinfo"]["info_slave_data"]["hairpin"], true);
        assert_eq!(host["linkinfo"]["info_slave_data"]["isolated"], false);
        assert!(host["ifalias"].as_str().unwrap().starts_with("sealane "));
        assert!(host["flags"].as_array().unwrap().contains(&"UP".into()));
        let inside = &ip_in(kernel, &sandbox("web"), &["link", "show", "eth0"])[0];
        assert_eq!(inside["address"], "02:00:00:00:00:02");
        assert_eq!(inside["mtu"], 1400);
        assert!(
            inside["flags"]
                .as_array()
                .unwrap()
                .contains(&"LOWER_UP".into())
        );
        let addresses = &ip(&["address", "show", "veth-web"])[0]["addr_info"];
        assert_eq!(addresses.as_array().unwrap().len(), 0, "{addresses}");
    });
}

#[test]
fn a_port_can_be_isolated() {
    private(|kernel| {
        let mut objects = attached("web", 2);
        let (_, object) = objects
            .iter_mut()
            .find(|(found, _)| *found == key("veth-web"))
            .unwrap();
        *object = with(object, |link| {
            link.port = Some(BridgePort {
                isolated: true,
                ..BridgePort::of(name("br0"))
            });
        });
        make(kernel, objects.clone());
        let port = &ip(&["link", "show", "veth-web"])[0]["linkinfo"]["info_slave_data"];
        assert_eq!(
            (&port["isolated"], &port["hairpin"]),
            (&true.into(), &false.into())
        );
        assert!(differing(kernel, &objects).is_empty());
    });
}

#[test]
fn a_veth_without_a_bridge_is_no_port() {
    private(|kernel| {
        let alone = with(&veth("web", 2), |link| link.port = None);
        let objects = vec![
            (Key::Namespace(sandbox("web")), Object::Present),
            (key("veth-web"), alone),
        ];
        make(kernel, objects.clone());
        assert_eq!(
            ip(&["link", "show", "veth-web"])[0]["master"],
            serde_json::Value::Null
        );
        assert!(differing(kernel, &objects).is_empty());
    });
}

#[test]
fn making_everything_again_changes_nothing() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let index = ip(&["link", "show", "veth-web"])[0]["ifindex"].clone();
        make(kernel, attached("web", 2));
        assert_eq!(ip(&["link", "show", "veth-web"])[0]["ifindex"], index);
        assert!(differing(kernel, &attached("web", 2)).is_empty());
    });
}

#[test]
fn what_is_observed_is_what_was_made() {
    private(|kernel| {
        let objects = attached("web", 2);
        make(kernel, objects.clone());
        let keys: Vec<&Key> = objects.iter().map(|(key, _)| key).collect();
        let observed = kernel.observe(&keys).unwrap();
        for (key, wanted) in &objects {
            let found = &observed[key];
            assert!(wanted.satisfied_by(found), "{key:?}: {found:?}");
        }
    });
}

#[test]
fn a_link_takes_other_settings_and_stays_the_same_link() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let index = || ip(&["link", "show", "veth-web"])[0]["ifindex"].clone();
        let before = index();
        let wanted = with(&veth("web", 3), |link| {
            link.mtu = Some(1300);
            link.port.as_mut().unwrap().isolated = true;
        });
        let change = Change::Alter(key("veth-web"), veth("web", 2), wanted.clone());
        kernel.write(&[change]).unwrap();
        assert_eq!(index(), before);
        let inside = &ip_in(kernel, &sandbox("web"), &["link", "show", "eth0"])[0];
        assert_eq!(inside["address"], "02:00:00:00:00:03");
        assert_eq!(inside["mtu"], 1300);
        let host = &ip(&["link", "show", "veth-web"])[0];
        assert_eq!(host["mtu"], 1300);
        assert_eq!(host["linkinfo"]["info_slave_data"]["isolated"], true);
        assert!(differing(kernel, &[(key("veth-web"), wanted)]).is_empty());
    });
}

#[test]
fn a_veth_whose_other_end_is_elsewhere_is_made_anew() {
    private(|kernel| {
        let mut objects = attached("web", 2);
        objects.extend(attached("api", 3));
        make(kernel, objects);
        make(kernel, vec![(key("veth-web"), veth("web", 2))]);
        // Made for the sandbox whose eth0 is taken by that very link.
        run("ip", &["link", "delete", "veth-api"]);
        let moved = with(&veth("api", 2), |_| {});
        assert_eq!(
            differing(kernel, &[(key("veth-web"), moved.clone())]),
            [key("veth-web")]
        );
        make(kernel, vec![(key("veth-web"), moved.clone())]);
        assert_eq!(
            ip_in(kernel, &sandbox("api"), &["link", "show", "eth0"]).len(),
            1
        );
        assert_eq!(ip_in(kernel, &sandbox("web"), &["link"]).len(), 1);
        assert!(differing(kernel, &[(key("veth-web"), moved)]).is_empty());
    });
}

#[test]
fn what_others_changed_is_seen_and_mended() {
    private(|kernel| {
        let objects = attached("web", 2);
        make(kernel, objects.clone());
        let netns = format!("--net={}", kernel.namespace_path(&sandbox("web")).display());
        let in_web = |arguments: &[&str]| {
            run("nsenter", &[&[netns.as_str(), "ip"], arguments].concat());
        };
        run("ip", &["link", "set", "veth-web", "nomaster"]);
        run("ip", &["address", "delete", "10.9.0.1/24", "dev", "br0"]);
        // And with it go its neighbors.
        let other = ["address", "02:00:00:00:00:99"];
        run("ip", &[&["link", "set", "br0"], &other[..]].concat());
        in_web(&["link", "set", "eth0", "down"]);
        let mut seen = differing(kernel, &objects);
        seen.sort();
        let lost = |key: &Key| matches!(key, Key::Route(..) | Key::Up(..));
        assert!(
            seen.contains(&key("veth-web")) && seen.contains(&key("br0")),
            "{seen:?}"
        );
        assert!(
            seen.contains(&Key::Up(inside("web"), name("eth0"))),
            "{seen:?}"
        );
        assert!(seen.iter().filter(|key| lost(key)).count() >= 2, "{seen:?}");
        let wanted = objects
            .iter()
            .filter(|(key, _)| seen.contains(key))
            .cloned()
            .collect();
        make(kernel, wanted);
        // Setting a link down drops its IPv6 addresses too.
        make(kernel, objects.clone());
        assert!(differing(kernel, &objects).is_empty());
    });
}

#[test]
fn a_link_that_is_not_ours_is_neither_taken_nor_removed() {
    private(|kernel| {
        run("ip", &["link", "add", "br0", "type", "bridge"]);
        let refused = kernel.write(&creations(bridged())).unwrap_err();
        assert_eq!((refused.index, &refused.key), (0, &key("br0")));
        assert_eq!(sealane_kernel::errno(&refused.source), Some(libc::EEXIST));
        let refused = kernel.write_all(&removals(bridged()[..1].to_vec()));
        assert_eq!(refused[0].key, key("br0"));
        assert_eq!(ip(&["link", "show", "br0"])[0]["group"], "default");
        assert_eq!(kernel.link_is_ours(&name("br0")).unwrap(), Some(false));
    });
}

#[test]
fn links_are_removed_one_or_many() {
    private(|kernel| {
        let texts: Vec<String> = (2..12).map(|last| format!("web{last}")).collect();
        let mut links = Vec::new();
        for (text, last) in texts.iter().zip(2..) {
            make(kernel, attached(text, last));
            links.push((key(&format!("veth-{text}")), veth(text, last)));
        }
        run("ip", &["link", "add", "foreign", "type", "bridge"]);
        assert!(kernel.write_all(&removals(links[..1].to_vec())).is_empty());
        assert_eq!(ip(&["link", "show", "type", "veth"]).len(), 9);
        assert!(kernel.write_all(&removals(links.clone())).is_empty());
        assert_eq!(ip(&["link", "show", "type", "veth"]).len(), 0);
        assert_eq!(ip(&["link", "show", "type", "bridge"]).len(), 2);
        assert!(kernel.write_all(&removals(links)).is_empty(), "again");
        assert_eq!(ip_in(kernel, &sandbox("web5"), &["link"]).len(), 1);
    });
}

#[test]
fn everything_of_ours_is_found_by_its_mark() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        run("ip", &["link", "add", "foreign", "type", "bridge"]);
        let owned = kernel.owned().unwrap();
        let keys: Vec<&Key> = owned.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&key("br0"), &key("veth-web")]);
        assert!(veth("web", 2).satisfied_by(&owned[1].1), "{:?}", owned[1].1);
    });
}

#[test]
fn a_veth_that_was_set_down_is_seen_and_mended() {
    private(|kernel| {
        let objects = attached("web", 2);
        make(kernel, objects.clone());
        run("ip", &["link", "set", "veth-web", "down"]);
        assert!(differing(kernel, &objects).contains(&key("veth-web")));
        make(kernel, objects.clone());
        let flags = ip(&["link", "show", "veth-web"])[0]["flags"].clone();
        assert!(flags.as_array().unwrap().contains(&"UP".into()), "{flags}");
        assert!(!differing(kernel, &objects).contains(&key("veth-web")));
    });
}

#[test]
fn a_replaced_link_is_another_one() {
    private(|kernel| {
        make(kernel, bridged());
        let index = ip(&["link", "show", "br0"])[0]["ifindex"].clone();
        let bridge = bridged()[0].1.clone();
        let change = Change::Replace(key("br0"), bridge.clone(), bridge);
        kernel.write(&[change]).unwrap();
        assert_ne!(ip(&["link", "show", "br0"])[0]["ifindex"], index);
        let addresses = &ip(&["address", "show", "br0"])[0]["addr_info"];
        assert_eq!(addresses.as_array().unwrap().len(), 0, "{addresses}");
    });
}
