//! What is done once: announcements, forgotten connections, links that are ready.

use crate::support::*;
use sealane_core::model::Protocol::Udp;
use sealane_core::plan::{Effect, Netns, Repeat};
use sealane_kernel::write::Write;
use std::net::{IpAddr, UdpSocket};

fn neighbor(address: &str) -> String {
    let found = ip(&["neighbor", "show", address, "dev", "br0"]);
    found[0]["lladdr"].as_str().unwrap_or_default().to_string()
}

#[test]
fn an_announcement_corrects_what_neighbors_know() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        for address in ["10.9.0.77", "fd09::77"] {
            let stale = ["lladdr", "02:00:00:00:00:99", "dev", "br0", "nud", "stale"];
            run(
                "ip",
                &[&["neighbor", "replace", address], &stale[..]].concat(),
            );
            let netns = inside("web");
            let announced: IpAddr = address.parse().unwrap();
            let once = Repeat {
                times: 1,
                interval_ms: 0,
            };
            kernel
                .run(&Effect::Announce(
                    netns,
                    name("eth0"),
                    announced,
                    Some(mac(2)),
                    once,
                ))
                .unwrap();
            eventually(|| neighbor(address) == "02:00:00:00:00:02");
        }
    });
}

#[test]
fn a_link_that_is_not_there_cannot_be_waited_for() {
    private(|kernel| {
        make(kernel, attached("web", 2));
        kernel
            .run(&Effect::SyncLink(Netns::Host, name("veth-web")))
            .unwrap();
        kernel
            .run(&Effect::SyncLink(inside("web"), name("eth0")))
            .unwrap();
        let refused = kernel
            .run(&Effect::SyncLink(inside("web"), name("eth1")))
            .unwrap_err();
        assert_eq!(sealane_kernel::errno(&refused), Some(libc::ENODEV));
    });
}

/// Has connections tracked, and returns after making some: of a sandbox to the host, of the host
/// to the sandbox by translation, and of the sandbox to elsewhere.
fn track(kernel: &sealane_kernel::Kernel) {
    make(kernel, attached("web", 2));
    for command in [
        "add table ip t",
        "add chain ip t in { type nat hook output priority -100; }",
        "add rule ip t in ip daddr 10.9.0.1 udp dport 8053 dnat to 10.9.0.2:53",
        "add chain ip t track { type filter hook prerouting priority 0; }",
        "add rule ip t track ct state new counter",
    ] {
        run("nft", &[command]);
    }
    let send = |from: &str, to: &str| UdpSocket::bind(from)?.send_to(b"?", to).map(drop);
    send("10.9.0.1:4001", "10.9.0.1:8053").unwrap(); // translated
    send("10.9.0.1:4002", "10.9.0.1:8054").unwrap(); // to the host itself
    send("10.9.0.1:4003", "10.9.0.9:8054").unwrap(); // to others
    kernel
        .in_namespace(inside("web"), || send("10.9.0.2:4004", "10.9.0.1:8053"))
        .unwrap();
}

/// The source ports of tracked connections.
fn tracked() -> Vec<String> {
    let text = run("conntrack", &["-L", "-p", "udp"]);
    let ports = text.lines().filter_map(|line| {
        let port = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("sport="))?;
        port.starts_with("400").then(|| port.to_string())
    });
    let mut ports: Vec<String> = ports.collect();
    ports.sort();
    ports
}

#[test]
fn connections_of_an_address_are_forgotten() {
    private(|kernel| {
        track(kernel);
        assert_eq!(tracked(), ["4001", "4002", "4003", "4004"]);
        kernel
            .run(&Effect::ForgetAddress([10, 9, 0, 2].into()))
            .unwrap();
        assert_eq!(tracked(), ["4002", "4003"]);
        kernel
            .run(&Effect::ForgetAddress([10, 9, 0, 2].into()))
            .unwrap();
        kernel
            .run(&Effect::ForgetAddress("fd09::2".parse().unwrap()))
            .unwrap();
        assert_eq!(tracked(), ["4002", "4003"]);
    });
}

#[test]
fn connections_to_a_port_of_the_host_are_forgotten() {
    private(|kernel| {
        track(kernel);
        kernel.run(&Effect::ForgetPort(Udp, 8053)).unwrap();
        assert_eq!(tracked(), ["4002", "4003"]);
        kernel.run(&Effect::ForgetPort(Udp, 8054)).unwrap();
        assert_eq!(
            tracked(),
            ["4003"],
            "the port of another host is none of ours"
        );
        kernel.run(&Effect::ForgetPort(Udp, 9)).unwrap();
        assert_eq!(tracked(), ["4003"]);
    });
}
