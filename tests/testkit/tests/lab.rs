//! The lab itself: what the other tests take for granted.

use sealane_testkit::{Capture, Lab, Snapshot, eventually, lan};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn hosts_reach_the_peer_and_what_is_behind_it() {
    let lab = Lab::with_hosts(2);
    for address in [
        lan::PEER,
        lan::PEER6,
        lan::OUTSIDE,
        lan::OUTSIDE6,
        "10.99.0.2",
        "fd99::2",
    ] {
        lab.host(0).sh(&format!("ping -n -c 1 -W 2 {address}")).ok();
    }
}

#[test]
fn a_host_has_files_and_sysctls_of_its_own() {
    let lab = Lab::new();
    let host = lab.host(0);
    host.sh("touch /run/mine /var/lib/sealane/mine").ok();
    assert!(!Path::new("/run/mine").exists() && !Path::new("/var/lib/sealane/mine").exists());
    assert_eq!(host.read("/etc/resolv.conf"), "nameserver 10.99.0.100\n");
    host.br_netfilter(false);
    assert_eq!(
        host.sh("cat /proc/sys/net/bridge/bridge-nf-call-iptables")
            .ok(),
        "0"
    );
    assert_eq!(
        lab.peer()
            .sh("cat /proc/sys/net/bridge/bridge-nf-call-iptables")
            .ok(),
        "1"
    );
    assert_eq!(host.sh("cat /proc/sys/kernel/hostname").ok(), "host0");
}

#[test]
fn a_thread_can_be_in_a_hosts_network_namespace() {
    let lab = Lab::new();
    let listener = lab
        .peer()
        .in_netns(|| TcpListener::bind("10.99.0.100:80").expect("bind"));
    let client = lab
        .host(0)
        .in_netns(|| TcpStream::connect("10.99.0.100:80").expect("connect"));
    let (mut server, from) = listener.accept().expect("accept");
    assert_eq!(from.ip().to_string(), lan::HOST);
    server.write_all(b"hello").expect("write");
    drop(server);
    let mut text = String::new();
    (&client).read_to_string(&mut text).expect("read");
    assert_eq!(text, "hello");
}

#[test]
fn a_capture_sees_packets() {
    let lab = Lab::new();
    let capture = Capture::start(lab.peer(), "eth0", "icmp");
    assert!(lab.host(0).pings(lan::PEER));
    let packets = capture.stop();
    assert_eq!(packets.len(), 2, "{packets:?}");
    assert!(
        packets[0].contains("10.99.0.1 > 10.99.0.100: ICMP echo request"),
        "{packets:?}"
    );
}

#[test]
fn an_outcome_tells_exit_code_and_text() {
    let lab = Lab::new();
    let outcome = lab.host(0).sh("echo out; echo err >&2; exit 3");
    outcome.fails_with(3, "err");
    assert_eq!(outcome.stdout, "out\n");
    assert_eq!(lab.host(0).sh_with_input("cat", b"in").ok(), "in");
}

#[test]
fn a_snapshot_sees_every_kind_of_change() {
    let lab = Lab::new();
    let host = lab.host(0);
    let before = Snapshot::take(host);
    assert_eq!(before.difference(&Snapshot::take(host)), "");
    host.sh(
        "ip link add veth0123456 type veth peer name eth1
         ip address add 10.5.0.1/24 dev veth0123456 && ip link set veth0123456 up
         ip route add 10.6.0.0/24 via 10.99.0.100
         ip neigh add 10.5.0.2 lladdr 02:00:00:00:00:01 dev veth0123456 nud permanent
         nft add table inet t; nft add set inet t s '{ type ipv4_addr; elements = { 1.2.3.4, 5.6.7.8 }; }'
         mkdir /run/m && mount -t tmpfs tmpfs /run/m
         unshare -n --kill-child --fork busybox nc -ll -p 5 >/dev/null 2>&1 </dev/null &",
    )
    .ok();
    let difference = eventually(Duration::from_secs(5), || {
        let difference = before.difference(&Snapshot::take(host));
        difference
            .contains("process busybox nc")
            .then_some(difference)
    });
    for part in [
        "+ host link vethID veth mtu 1500",
        "+ host address vethID 10.5.0.1/24",
        "+ host route 10.6.0.0/24 via 10.99.0.100",
        "+ host neighbor 10.5.0.2 dev vethID lladdr MAC PERMANENT",
        "has \"1.2.3.4\"",
        "+ mount /run/m tmpfs",
        "+ sandbox0 link lo",
    ] {
        assert!(difference.contains(part), "no {part:?} in\n{difference}");
    }
}

#[test]
fn a_power_failure_leaves_only_what_is_on_disk() {
    let lab = Lab::new();
    let host = lab.host(0);
    let boot = host.sh("cat /proc/sys/kernel/random/boot_id").ok();
    let before = Snapshot::take(host);
    host.sh(
        "ip link add br-x type bridge; nft add table inet t; touch /var/lib/sealane/kept
         mkdir -p /run/sealane/m /var/lib/sealane/m && mount -t tmpfs tmpfs /run/sealane/m
         mount -t tmpfs tmpfs /var/lib/sealane/m; setsid sleep 1000 >/dev/null 2>&1 &",
    )
    .ok();
    for _ in 0..2 {
        host.lose_power();
        assert_ne!(host.sh("cat /proc/sys/kernel/random/boot_id").ok(), boot);
        let boot_id = |line: &str| line.contains("boot_id");
        assert_eq!(
            before
                .without(boot_id)
                .difference(&Snapshot::take(host).without(boot_id)),
            ""
        );
    }
    assert!(host.path("/var/lib/sealane/kept").exists());
    assert_eq!(host.sh("ps -e -o args= | grep -c '^sleep'").stdout, "0\n");
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    // The owner is a process that holds the writing end of the pipe, as a test does.
    let mut owner = Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::piped())
        .spawn()
        .expect("sleep starts");
    let lifeline = owner.stdout.take().expect("it is piped");
    let id = format!("{}-0-killed", owner.id());
    let mut keeper = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/lab"))
        .arg(&id)
        .stdin(lifeline)
        .stdout(Stdio::piped())
        .spawn()
        .expect("tools/lab starts");
    let output = BufReader::new(keeper.stdout.take().expect("it is piped"));
    let lines = output
        .lines()
        .map_while(Result::ok)
        .take_while(|line| line != "ready");
    let anchor = |line: String| format!("/proc/{}", line.rsplit(' ').next().unwrap_or_default());
    let anchors: Vec<String> = lines.map(anchor).collect();
    assert_eq!(anchors.len(), 3);
    // Version 1 has a tree per controller, version 2 only one.
    let trees = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
    let tree = trees
        .iter()
        .find(|tree| Path::new(tree).is_dir())
        .expect("cgroups are mounted");
    let cgroup = format!("{tree}/sealane-lab-{id}/below");
    fs::create_dir_all(&cgroup).expect("root may make a cgroup");

    owner.kill().expect("it runs");
    owner.wait().expect("it is a child");

    keeper.wait().expect("it is a child");
    for left in anchors.iter().chain([&cgroup]) {
        assert!(!Path::new(left).exists(), "{left} is still there");
    }
}
