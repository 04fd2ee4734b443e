//! Routes of any table and kind, and where frames go.

use crate::support::*;
use ipnet::IpNet;
use sealane_core::model::Mac;
use sealane_core::plan::{
    BridgePort, Change, Forwarding, Key, Link, LinkKind, Netns, Object, Route, RouteId, Vxlan,
};
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;

fn id(to: &str, table: u32, metric: u32) -> RouteId {
    let to: IpNet = to.parse().unwrap();
    RouteId { to, table, metric }
}

/// Routes by `br0` in a table, and others that lead nowhere.
fn routes() -> Vec<(Key, Object)> {
    let by = |via: &str, source: &str| Route::Unicast {
        interface: name("br0"),
        via: via.parse().ok(),
        source: source.parse().ok(),
    };
    let main = RouteId::MAIN;
    [
        (id("192.0.2.0/24", 1000, 7), by("10.9.0.7", "10.9.0.1")),
        (id("192.0.2.0/24", 1000, 8), by("10.9.0.8", "")),
        (id("2001:db8::/64", 1000, 7), by("fd09::7", "fd09::1")),
        (id("198.51.100.0/24", main, 0), Route::Blackhole),
        (id("203.0.113.0/24", main, 0), Route::Unreachable),
        (id("2001:db8:1::/64", main, 0), Route::Unreachable),
        (id("0.0.0.0/0", 77, 0), Route::Prohibit),
        (id("::/0", 77, 0), Route::Blackhole),
    ]
    .map(|(id, route)| (Key::Route(Netns::Host, id), Object::Route(route)))
    .into()
}

/// What `ip` says of the routes of a table.
fn shown(version: &str, table: &str) -> String {
    let listed = run("ip", &[version, "route", "show", "table", table]);
    let mut lines: Vec<String> = listed.lines().map(squeezed).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn routes_have_tables_metrics_kinds_and_sources() {
    private(|kernel| {
        make(kernel, bridged());
        make(kernel, routes());
        assert!(differing(kernel, &routes()).is_empty());
        let table = shown("-4", "1000");
        assert!(
            table.starts_with("192.0.2.0/24 via 10.9.0.7 dev br0 src 10.9.0.1 metric 7"),
            "{table}"
        );
        assert!(
            table.contains("192.0.2.0/24 via 10.9.0.8 dev br0 metric 8"),
            "{table}"
        );
        let table = shown("-6", "1000");
        assert!(
            table.contains("2001:db8::/64 via fd09::7 dev br0 src fd09::1 metric 7"),
            "{table}"
        );
        let main = shown("-4", "main");
        assert!(main.contains("blackhole 198.51.100.0/24"), "{main}");
        assert!(main.contains("unreachable 203.0.113.0/24"), "{main}");
        assert!(shown("-6", "main").contains("unreachable 2001:db8:1::/64"));
        assert_eq!(shown("-4", "77"), "prohibit default");
        assert!(shown("-6", "77").contains("blackhole default"));
        make(kernel, routes()); // again: nothing to do
        assert!(kernel.write_all(&removals(routes())).is_empty());
        assert_eq!(differing(kernel, &routes()).len(), routes().len());
        assert_eq!(
            (shown("-4", "77"), shown("-6", "77")),
            (String::new(), String::new())
        );
        assert!(kernel.write_all(&removals(routes())).is_empty(), "again");
    });
}

#[test]
fn frames_of_no_known_end_go_to_several_tunnel_ends() {
    private(|kernel| {
        let tunnel = Object::Link(Link::of(LinkKind::Vxlan(Vxlan {
            vni: 5,
            port: 4789,
            local: None,
            learning: false,
            proxy: false,
        })));
        let end = |mac: Mac, to: &str| {
            let key = Key::Flooding(Netns::Host, name("vx0"), mac, to.parse().unwrap());
            (key, Object::Present)
        };
        let group = Mac([1, 0, 0x5e, 0, 0, 9]);
        let ends = vec![
            end(Mac::NONE, "192.0.2.1"),
            end(Mac::NONE, "192.0.2.2"),
            end(Mac::NONE, "192.0.2.3"),
            end(group, "192.0.2.1"),
            end(group, "192.0.2.2"),
        ];
        make(kernel, vec![(key("vx0"), tunnel)]);
        assert_eq!(differing(kernel, &ends).len(), ends.len());
        make(kernel, ends.clone());
        make(kernel, ends.clone()); // again: nothing to do
        assert_eq!(differing(kernel, &ends), []);
        let shown = || -> Vec<(String, String)> {
            let text = run("bridge", &["-j", "fdb", "show", "dev", "vx0"]);
            let all: serde_json::Value = serde_json::from_str(&text).unwrap();
            let text = |entry: &serde_json::Value, field: &str| {
                entry[field].as_str().unwrap_or_default().to_owned()
            };
            let entries = all.as_array().into_iter().flatten();
            let mut shown: Vec<_> = entries
                .map(|entry| (text(entry, "mac"), text(entry, "dst")))
                .collect();
            shown.sort();
            shown
        };
        let pair = |mac: &str, to: &str| (mac.to_owned(), to.to_owned());
        let (unknown, group) = ("00:00:00:00:00:00", "01:00:5e:00:00:09");
        let all = [
            pair(unknown, "192.0.2.1"),
            pair(unknown, "192.0.2.2"),
            pair(unknown, "192.0.2.3"),
            pair(group, "192.0.2.1"),
            pair(group, "192.0.2.2"),
        ];
        assert_eq!(shown(), all);

        // One end goes, and the others stay.
        let gone = vec![ends[1].clone()];
        assert!(kernel.write_all(&removals(gone.clone())).is_empty());
        assert_eq!(shown(), [&all[..1], &all[2..]].concat());
        assert_eq!(differing(kernel, &ends), [ends[1].0.clone()]);
        assert!(kernel.write_all(&removals(gone)).is_empty(), "again");
        assert!(kernel.write_all(&removals(ends)).is_empty());
        assert_eq!(shown(), []);
    });
}

#[test]
fn frames_are_led_to_tunnel_ends_and_ports() {
    private(|kernel| {
        let port = BridgePort::of(name("br0"));
        let link = |kind| {
            Object::Link(Link {
                mtu: Some(1400), // the bridge takes its ports'
                port: Some(port.clone()),
                ..Link::of(kind)
            })
        };
        let tunnel = LinkKind::Vxlan(Vxlan {
            vni: 5,
            port: 4789,
            local: None,
            learning: false,
            proxy: false,
        });
        let entry = |text: &str, last: u8, to: Forwarding| {
            let key = Key::Forwarding(Netns::Host, name(text), mac(last));
            (key, Object::Forwarding(to))
        };
        let to = |text: &str| Forwarding::Tunnel(text.parse().unwrap());
        let mut objects = bridged();
        objects.push((key("vx0"), link(tunnel)));
        let pair = LinkKind::Veth {
            peer: (Netns::Host, name("d1")),
            peer_mac: mac(8),
        };
        objects.push((key("d0"), link(pair)));
        let entries = vec![
            entry("vx0", 1, to("192.0.2.1")),
            entry("vx0", 2, Forwarding::Port),
            entry("d0", 3, Forwarding::Port),
        ];
        objects.extend(entries.clone());
        make(kernel, objects.clone());
        assert_eq!(differing(kernel, &objects), []);
        let all = run("bridge", &["fdb", "show"]);
        let shown = |line: &str| all.lines().any(|shown| shown.trim() == line);
        assert!(
            shown("02:00:00:00:00:01 dev vx0 dst 192.0.2.1 self permanent"),
            "{all}"
        );
        assert!(
            shown("02:00:00:00:00:02 dev vx0 master br0 static"),
            "{all}"
        );
        assert!(shown("02:00:00:00:00:03 dev d0 master br0 static"), "{all}");

        let (first, old) = entries[0].clone();
        let (_, moved) = entry("vx0", 1, to("192.0.2.9"));
        let change = Change::between(&first, &old, &moved).unwrap();
        kernel.write(&[change]).unwrap();
        assert_eq!(kernel.observe(&[&first]).unwrap()[&first], moved);
        let port = Object::Forwarding(Forwarding::Port);
        let change = Change::between(&first, &moved, &port).unwrap();
        kernel.write(&[change]).unwrap();
        assert_eq!(kernel.observe(&[&first]).unwrap()[&first], port);
        assert!(!run("bridge", &["fdb", "show"]).contains("192.0.2.9"));

        let mut entries = entries;
        entries[0].1 = port;
        assert!(kernel.write_all(&removals(entries.clone())).is_empty());
        assert_eq!(differing(kernel, &entries).len(), 3);
        assert!(kernel.write_all(&removals(entries)).is_empty(), "again");
    });
}
