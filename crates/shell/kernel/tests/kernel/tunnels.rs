//! Tunnels whose outer packets are the host's, wherever the link is.

use crate::support::*;
use sealane_core::plan::{BridgePort, Change, Key, Link, LinkKind, Object, Vxlan};
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;

const TUNNEL: Vxlan = Vxlan {
    vni: 4097,
    port: 4789,
    local: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
    learning: false,
    proxy: true,
};

fn tunnel(vxlan: Vxlan) -> Object {
    Object::Link(Link {
        mtu: Some(1400),
        mac: Some(mac(9)),
        port: Some(BridgePort {
            learning: false,
            neigh_suppress: true,
            ..BridgePort::of(name("br0"))
        }),
        ..Link::of(LinkKind::Vxlan(vxlan))
    })
}

fn bridge() -> Object {
    Object::Link(Link::of(LinkKind::Bridge))
}

/// What `ip` shows of a tunnel.
fn assert_shown(link: &serde_json::Value) {
    assert_eq!(
        (&link["mtu"], &link["master"]),
        (&1400.into(), &"br0".into())
    );
    assert_eq!(link["address"], "02:00:00:00:00:09");
    let tunnel = &link["linkinfo"]["info_data"];
    assert_eq!(
        (&tunnel["id"], &tunnel["port"]),
        (&4097.into(), &4789.into())
    );
    assert_eq!(tunnel["local"], "192.0.2.1");
    assert_eq!(
        (&tunnel["learning"], &tunnel["proxy"]),
        (&false.into(), &true.into())
    );
    let port = &link["linkinfo"]["info_slave_data"];
    assert_eq!(
        (&port["learning"], &port["neigh_suppress"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn a_tunnel_is_a_port_of_a_bridge() {
    private(|kernel| {
        let mut objects = bridged();
        objects.push((key("vx0"), tunnel(TUNNEL)));
        make(kernel, objects.clone());
        let link = &ip(&["link", "show", "vx0"])[0];
        assert_shown(link);
        assert_eq!(link["inet6_addr_gen_mode"], "none");
        assert!(differing(kernel, &objects).is_empty());
        let found = &kernel.observe(&[&key("vx0")]).unwrap()[&key("vx0")];
        assert_eq!(*found, tunnel(TUNNEL));
    });
}

#[test]
fn a_tunnel_is_born_in_a_sandbox_and_goes_on_from_the_host() {
    private(|kernel| {
        let at = |text: &str| Key::Link(inside("web"), name(text));
        let objects = vec![
            (Key::Namespace(sandbox("web")), Object::Present),
            (at("br0"), bridge()),
            (at("vx0"), tunnel(TUNNEL)),
            (Key::Up(inside("web"), name("vx0")), Object::Present),
        ];
        make(kernel, objects.clone());
        assert_shown(&ip_in(kernel, &sandbox("web"), &["link", "show", "vx0"])[0]);
        assert!(differing(kernel, &objects).is_empty());
        let sockets = run("ss", &["-Hulna"]);
        assert!(
            sockets.contains(":4789"),
            "the host has its socket: {sockets}"
        );
        make(kernel, objects); // again: nothing to do
    });
}

#[test]
fn a_port_of_any_kind_changes_and_stays_the_same_link() {
    private(|kernel| {
        let mut objects = bridged();
        objects.push((key("vx0"), tunnel(TUNNEL)));
        make(kernel, objects);
        let index = ip(&["link", "show", "vx0"])[0]["ifindex"].clone();
        let alone = with(&tunnel(TUNNEL), |link| {
            link.port = None;
            link.mtu = Some(1300);
        });
        let change = Change::Alter(key("vx0"), tunnel(TUNNEL), alone.clone());
        kernel.write(&[change]).unwrap();
        let link = &ip(&["link", "show", "vx0"])[0];
        assert_eq!((&link["ifindex"], &link["mtu"]), (&index, &1300.into()));
        assert_eq!(link["master"], serde_json::Value::Null);
        assert!(differing(kernel, &[(key("vx0"), alone)]).is_empty());
    });
}

#[test]
fn a_tunnel_of_another_network_is_another_link() {
    private(|kernel| {
        let mut objects = bridged();
        objects.push((key("vx0"), tunnel(TUNNEL)));
        make(kernel, objects);
        let other = Vxlan {
            vni: 4098,
            ..TUNNEL
        };
        make(kernel, vec![(key("vx0"), tunnel(other))]);
        let link = &ip(&["link", "show", "vx0"])[0];
        assert_eq!(link["linkinfo"]["info_data"]["id"], 4098);
        assert!(differing(kernel, &[(key("vx0"), tunnel(other))]).is_empty());
    });
}
