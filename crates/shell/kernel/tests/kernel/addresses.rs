//! Addresses, neighbors and routes.

use crate::support::*;
use sealane_core::model::IpFamily;
use sealane_core::plan::{Change, Key, Netns, Object, Route};
use sealane_kernel::write::Write;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

#[test]
fn addresses_have_broadcasts_and_need_no_detection() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let link = &ip_in(kernel, &sandbox("web"), &["address", "show", "eth0"])[0];
        let found = |local: &str| {
            let all = link["addr_info"].as_array().unwrap();
            all.iter().find(|one| one["local"] == local).cloned()
        };
        let v4 = found("10.9.0.2").unwrap();
        assert_eq!(
            (&v4["prefixlen"], &v4["broadcast"]),
            (&24.into(), &"10.9.0.255".into())
        );
        let v6 = found("fd09::2").unwrap();
        assert_eq!((&v6["prefixlen"], &v6["nodad"]), (&64.into(), &true.into()));
        assert_eq!(v6["tentative"], serde_json::Value::Null);
    });
}

#[test]
fn a_link_without_an_ipv6_address_is_silent() {
    private(|kernel| {
        let v6 = |key: &Key| {
            matches!(key, Key::Address(.., net) if net.addr().is_ipv6())
                || matches!(key, Key::Route(_, id) if id.family() == IpFamily::V6)
        };
        let objects = attached("web", 2)
            .into_iter()
            .filter(|(key, _)| !v6(key))
            .collect();
        make(kernel, objects);
        let link = &ip_in(kernel, &sandbox("web"), &["-6", "address", "show", "eth0"]);
        assert!(
            link.iter().all(|one| one["addr_info"].as_array().is_none()),
            "{link:?}"
        );
    });
}

#[test]
fn routes_and_neighbors_are_as_ip_says() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let web = sandbox("web");
        let default = &ip_in(kernel, &web, &["route", "show", "default"])[0];
        assert_eq!(
            (&default["gateway"], &default["dev"]),
            (&"10.9.0.1".into(), &"eth0".into())
        );
        assert_eq!(default["protocol"], "boot", "as `ip route add` leaves it");
        let default = &ip_in(kernel, &web, &["-6", "route", "show", "default"])[0];
        assert_eq!(default["gateway"], "fd09::1");
        let inside = &ip_in(kernel, &web, &["neighbor", "show", "dev", "eth0"])[0];
        assert_eq!(inside["lladdr"], "02:00:00:00:00:01");
        assert_eq!(inside["state"], serde_json::json!(["PERMANENT"]));
        let host = &ip(&["neighbor", "show", "dev", "br0"])[0];
        assert_eq!(
            (&host["dst"], &host["lladdr"]),
            (&"10.9.0.2".into(), &"02:00:00:00:00:02".into())
        );
    });
}

#[test]
fn a_route_takes_the_place_of_another() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        for (to, via) in [("0.0.0.0/0", "10.9.0.77"), ("::/0", "fd09::77")] {
            let route = Route::by(name("eth0"), via.parse().ok());
            let key = Key::Route(inside("web"), to.parse::<ipnet::IpNet>().unwrap().into());
            make(kernel, vec![(key.clone(), Object::Route(route))]);
            let version = if to.contains(':') { "-6" } else { "-4" };
            let routes = ip_in(
                kernel,
                &sandbox("web"),
                &[version, "route", "show", "default"],
            );
            assert_eq!(routes.len(), 1, "{routes:?}");
            assert_eq!(routes[0]["gateway"], via);
            let change = Change::Delete(
                key,
                Object::Route(Route::by(name("eth0"), via.parse().ok())),
            );
            kernel.write(&[change.clone(), change]).unwrap();
            let routes = ip_in(
                kernel,
                &sandbox("web"),
                &[version, "route", "show", "default"],
            );
            assert!(routes.is_empty(), "{routes:?}");
        }
    });
}

#[test]
fn routes_to_prefixes_on_the_link_are_made() {
    private(|kernel| {
        let mut objects = attached("web", 2);
        for to in ["192.0.2.0/25", "2001:db8::/64"] {
            let route = Object::Route(Route::by(name("eth0"), None));
            objects.push((
                Key::Route(inside("web"), to.parse::<ipnet::IpNet>().unwrap().into()),
                route,
            ));
        }
        make(kernel, objects.clone());
        let found = &ip_in(kernel, &sandbox("web"), &["route", "show", "192.0.2.0/25"])[0];
        assert_eq!(
            (&found["dev"], &found["scope"]),
            (&"eth0".into(), &"link".into())
        );
        let found = ip_in(
            kernel,
            &sandbox("web"),
            &["-6", "route", "show", "2001:db8::/64"],
        );
        assert_eq!(found[0]["dev"], "eth0");
        assert!(differing(kernel, &objects).is_empty());
    });
}

#[test]
fn an_ipv6_address_takes_another_prefix_length() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let key = Key::Address(inside("web"), name("eth0"), "fd09::2/80".parse().unwrap());
        make(kernel, vec![(key.clone(), Object::Present)]);
        assert!(differing(kernel, &[(key, Object::Present)]).is_empty());
        let link = &ip_in(kernel, &sandbox("web"), &["address", "show", "eth0"])[0];
        let all = link["addr_info"].as_array().unwrap();
        let lengths: Vec<_> = all.iter().filter(|one| one["local"] == "fd09::2").collect();
        assert_eq!(lengths.len(), 1);
        assert_eq!(lengths[0]["prefixlen"], 80);
    });
}

#[test]
fn everything_is_removed_and_removing_it_again_is_fine() {
    private(|kernel| {
        let objects = attached("web", 2);
        make(kernel, objects.clone());
        let ends = |(key, _): &(Key, Object)| {
            !matches!(key, Key::Namespace(_) | Key::Link(..) | Key::Up(..))
        };
        let removed: Vec<_> = objects.into_iter().filter(ends).collect();
        for _ in 0..2 {
            kernel.write(&removals(removed.clone())).unwrap();
            assert_eq!(differing(kernel, &removed).len(), removed.len());
        }
        let link = &ip_in(kernel, &sandbox("web"), &["-4", "address", "show", "eth0"]);
        assert!(
            link.iter().all(|one| one["addr_info"].as_array().is_none()),
            "{link:?}"
        );
    });
}

#[test]
fn packets_pass_between_host_and_sandbox() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        for address in ["10.9.0.2:80", "[fd09::2]:80"] {
            let address: SocketAddr = address.parse().unwrap();
            let listener = kernel
                .in_namespace(inside("web"), || TcpListener::bind(address))
                .unwrap();
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            client.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            server.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello");
        }
    });
}

#[test]
fn the_host_knows_its_addresses_and_prefixes() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        let addresses = kernel.addresses().unwrap();
        let has = |text: &str| {
            let net = text.parse().unwrap();
            addresses
                .iter()
                .any(|found| found.address == net && found.link == "br0")
        };
        assert!(has("10.9.0.1/24") && has("fd09::1/64"), "{addresses:?}");
        let routes = kernel.routes().unwrap();
        let prefixes: Vec<String> = routes
            .iter()
            .map(|route| route.prefix.to_string())
            .collect();
        assert!(prefixes.contains(&"10.9.0.0/24".into()), "{prefixes:?}");
        assert!(prefixes.contains(&"fd09::/64".into()), "{prefixes:?}");
        assert!(kernel.link_exists(Netns::Host, &name("br0")).unwrap());
        assert!(!kernel.link_exists(Netns::Host, &name("br1")).unwrap());
        assert_eq!(kernel.uplink_mtu().unwrap(), None);
        run("ip", &["route", "add", "default", "via", "10.9.0.254"]);
        assert_eq!(kernel.uplink_mtu().unwrap(), Some(1400));
    });
}
