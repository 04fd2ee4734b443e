//! What this machine's kernel may lack, seen under the one of `tools/kernel-lab`.
#![cfg(test)]

#[allow(dead_code)] // shared with the other tests of the kernel
#[path = "kernel/support.rs"]
mod support;

use sealane_conformance::in_kernel_lab;
use sealane_core::plan::{Key, Link, LinkKind, Object};
use sealane_kernel::read::Observe;
use support::*;

#[test]
fn a_wireguard_tunnel_is_born_in_a_sandbox_and_goes_on_from_the_host() {
    in_kernel_lab(|| {
        private(|kernel| {
            let wireguard = || {
                Object::Link(Link {
                    mtu: Some(1420),
                    ..Link::of(LinkKind::WireGuard)
                })
            };
            let at = Key::Link(inside("web"), name("wg0"));
            let objects = vec![
                (Key::Namespace(sandbox("web")), Object::Present),
                (key("wg1"), wireguard()),
                (at.clone(), wireguard()),
                (Key::Up(inside("web"), name("wg0")), Object::Present),
            ];
            make(kernel, objects.clone());
            let link = &ip_in(kernel, &sandbox("web"), &["link", "show", "wg0"])[0];
            assert_eq!(link["linkinfo"]["info_kind"], "wireguard");
            assert_eq!(link["mtu"], 1420);
            let host = &ip(&["link", "show", "wg1"])[0];
            assert_eq!(host["linkinfo"]["info_kind"], "wireguard");
            assert!(differing(kernel, &objects).is_empty());
            assert_eq!(kernel.observe(&[&at]).unwrap()[&at], wireguard());
            // The outer packets of the sandbox's are the host's: its socket is there.
            assert!(run("ss", &["-Hulna"]).lines().count() >= 1);
            make(kernel, objects); // again: nothing to do
        });
    });
}

#[test]
fn a_link_that_is_put_under_a_master_of_another_kind_is_no_port_and_stays_there() {
    in_kernel_lab(|| {
        private(|kernel| {
            make(kernel, bridged());
            run("ip", &["link", "add", "vrf0", "type", "vrf", "table", "10"]);
            run("ip", &["link", "set", "br0", "master", "vrf0"]);
            assert!(differing(kernel, &bridged()[..1]).is_empty());
            make(kernel, bridged());
            assert_eq!(ip(&["link", "show", "br0"])[0]["master"], "vrf0");
        });
    });
}
