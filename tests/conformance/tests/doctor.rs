//! `sealane doctor`: each fault is made on a simulated host, and found.

use sealane_conformance::*;

/// A finding that is not ok.
#[derive(Debug)]
struct Complaint {
    check: String,
    level: String,
    finding: String,
    advice: String,
}

/// What the doctor complains about, and its exit code, on a host without a daemon.
fn examine(host: &Host) -> (i32, Vec<Complaint>) {
    complaints(&host.sh(&format!("{} doctor --format json", binary().display())))
}

/// The same with the daemon of a world.
fn examine_world(world: &World) -> (i32, Vec<Complaint>) {
    complaints(&world.sealane("doctor --format json"))
}

fn complaints(outcome: &Outcome) -> (i32, Vec<Complaint>) {
    let answer: Value = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("no JSON: {error}\n{outcome}"));
    let text =
        |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let findings = answer["findings"].as_array().expect("a list");
    let bad = findings.iter().filter(|finding| finding["level"] != "ok");
    let complaints = bad.map(|finding| Complaint {
        check: text(finding, "check"),
        level: text(finding, "level"),
        finding: text(finding, "finding"),
        advice: text(finding, "advice"),
    });
    (outcome.code, complaints.collect())
}

/// Checks that the doctor complains of one thing only, in these words.
#[track_caller]
fn complains(found: (i32, Vec<Complaint>), check: &str, level: &str, words: &[&str]) {
    let (code, complaints) = found;
    let [complaint] = &complaints[..] else {
        panic!("one complaint of {check}, not {complaints:#?}");
    };
    assert_eq!(
        (complaint.check.as_str(), complaint.level.as_str()),
        (check, level),
        "{complaint:?}"
    );
    assert_eq!(code, if level == "error" { 2 } else { 1 });
    for word in words {
        let said = format!("{} {}", complaint.finding, complaint.advice);
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    assert!(!complaint.advice.is_empty(), "{complaint:?}");
}

#[track_caller]
fn complains_not(found: (i32, Vec<Complaint>)) {
    assert!(found.0 == 0 && found.1.is_empty(), "{found:#?}");
}

#[test]
fn what_a_container_changed_inside_is_told_by_name() {
    let world = World::new();
    world.network("--subnet 10.70.0.0/24 net1");
    world.idle("--network net1 --name web");
    world.idle("--network net1 --name db");
    assert_eq!(examine_world(&world).0, 0);
    let (web, db) = (world.sandbox("web"), world.sandbox("db"));
    for (script, undo, words) in [
        (
            "ip link set eth0 mtu 1400",
            "ip link set eth0 mtu 1500",
            "eth0 has an MTU of 1400 in place of 1500",
        ),
        (
            "ip address del 10.70.0.2/24 dev eth0",
            "ip address add 10.70.0.2/24 brd + dev eth0; ip route add default via 10.70.0.1",
            "eth0 lacks 10.70.0.2/24",
        ),
        (
            "ip route replace default dev lo",
            "ip route replace default via 10.70.0.1",
            "the route to default is dev lo in place of via 10.70.0.1 dev eth0",
        ),
        (
            "ip link set eth0 down",
            "ip link set eth0 up; ip route add default via 10.70.0.1",
            "eth0 is down",
        ),
    ] {
        web.sh(script).ok();
        let told = format!("inside web, {words}");
        complains(examine_world(&world), "containers", "warn", &[&told]);
        let to = "explain --from db --to web:80";
        let explained = world.sealane(to);
        assert!(explained.stdout.contains(&told), "{explained}");
        let explained = world.sealane("explain --from web --to db:80");
        assert!(explained.stdout.contains(&told), "{explained}");
        let explained = world.sealane("explain --from host --to db:80");
        assert!(!explained.stdout.contains("inside"), "{explained}");
        web.sh(undo).ok();
        assert_eq!(examine_world(&world).0, 0, "after {undo}");
    }
    drop(db);
}

#[test]
fn c_28_a_sound_host_is_sound_with_a_daemon_and_without() {
    let lab = Lab::new();
    complains_not(examine(lab.host(0)));
    let before = Snapshot::take(lab.host(0));
    complains_not(examine(lab.host(0)));
    before.returns_on(lab.host(0));
    let text = lab
        .host(0)
        .sh(&format!("{} doctor", binary().display()))
        .ok();
    assert!(
        text.contains("0 errors, 0 warnings; no daemon was asked"),
        "{text}"
    );
    let world = World::of(lab, DaemonOptions::default());
    world.network("--ipv6 blue");
    world.serve("--network blue --name web -p 8080:80");
    complains_not(examine_world(&world));
    let text = world.sealane("doctor").ok();
    assert!(text.ends_with("0 errors, 0 warnings"), "{text}");
}

#[test]
fn c_28_the_kernel_s_features_are_those_that_ip_finds() {
    let lab = Lab::new();
    let answer = lab
        .host(0)
        .sh(&format!("{} doctor --format json", binary().display()));
    let answer: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    let kernel = answer["findings"][0]["finding"]
        .as_str()
        .expect("a text")
        .to_owned();
    let (has, has_not) = kernel.split_once(';').unwrap_or((&kernel, ""));
    lab.host(0).sh("ip link add under type dummy 2>/dev/null || ip link add under type veth peer name other").ok();
    for (name, arguments) in [
        ("macvlan", "link under type macvlan"),
        ("ipvlan", "link under type ipvlan"),
        ("802.1q", "link under type vlan id 5"),
        ("vxlan", "type vxlan id 5 dstport 4789"),
        ("wireguard", "type wireguard"),
    ] {
        let made = lab.host(0).sh(&format!(
            "ip link add probe {arguments} && ip link del probe"
        ));
        let told = if made.succeeded() { has } else { has_not };
        assert!(told.contains(name), "{name}: {kernel}\n{made}");
    }
}

#[test]
fn c_28_forwarding_that_somebody_switched_off_is_found() {
    let world = World::new();
    world.sealane("repair pause").ok();
    world.host().sysctl("ipv4/ip_forward", "0");
    let (code, found) = examine_world(&world);
    assert_eq!(code, 2);
    let checks: Vec<&str> = found
        .iter()
        .map(|complaint| complaint.check.as_str())
        .collect();
    assert_eq!(
        checks,
        ["forwarding", "leftovers", "leftovers"],
        "{found:#?}"
    );
    assert!(
        found[0].finding.contains("IPv4 forwarding is off"),
        "{found:?}"
    );
    assert!(found[1].finding.contains("repair is paused"), "{found:?}");
    assert!(found[2].finding.contains("ip_forward"), "{found:?}");
    world.sealane("repair resume").ok();
    complains_not(examine_world(&world));
}

#[test]
fn c_28_an_uplink_that_will_lose_its_route_is_found() {
    let lab = Lab::new();
    let host = lab.host(0);
    host.sysctl("ipv6/conf/all/forwarding", "1");
    host.sysctl("ipv6/conf/eth0/accept_ra", "1");
    complains_not(examine(host));
    host.sh("ip -6 route replace default via fd99::64 dev eth0 proto ra")
        .ok();
    complains(
        examine(host),
        "router-advertisements",
        "warn",
        &["eth0", "accept_ra = 2"],
    );
    host.sysctl("ipv6/conf/eth0/accept_ra", "2");
    complains_not(examine(host));
}

#[test]
fn c_28_bridge_netfilter_of_one_family_is_found() {
    let lab = Lab::new();
    lab.host(0).br_netfilter(true);
    complains_not(examine(lab.host(0)));
    lab.host(0).sysctl("bridge/bridge-nf-call-ip6tables", "0");
    let words = ["bridge-nf-call-iptables"];
    complains(examine(lab.host(0)), "bridge-netfilter", "warn", &words);
}

#[test]
fn c_28_a_strict_reverse_path_with_two_ways_out_is_found() {
    let lab = Lab::new();
    let host = lab.host(0);
    host.sysctl("ipv4/conf/all/rp_filter", "1");
    complains_not(examine(host));
    host.sh("ip link add dsl type bridge && ip link set dsl up && ip address add 10.98.0.2/24 dev dsl && \
             ip route add default via 10.98.0.1 dev dsl metric 500").ok();
    complains(
        examine(host),
        "reverse-path",
        "warn",
        &["dsl", "rp_filter = 2"],
    );
}

#[test]
fn c_28_other_engines_are_found() {
    for (make, name) in [
        ("ip link add docker0 type bridge", "Docker Engine"),
        ("iptables -N DOCKER-USER", "Docker Engine"),
        (
            "nft add table inet netavark && nft add chain inet netavark NETAVARK-HOSTPORT",
            "Podman",
        ),
        ("ip link add cni0 type bridge", "CNI"),
        ("iptables -t nat -N KUBE-SERVICES", "Kubernetes"),
    ] {
        let lab = Lab::new();
        lab.host(0).sh(make).ok();
        complains(examine(lab.host(0)), "engines", "warn", &[name]);
    }
}

#[test]
fn c_28_firewalls_that_drop_are_found_and_those_that_are_met_are_not() {
    let ufw = "iptables -P FORWARD DROP && iptables -N ufw-user-forward && iptables -A FORWARD -j ufw-user-forward";
    let met = World::prepared(&[], |lab| drop(lab.host(0).sh(ufw).ok()));
    complains_not(examine_world(&met));
    let text = met.sealane("doctor").ok();
    assert!(
        text.contains("ufw drops what is forwarded (ip filter FORWARD)"),
        "{text}"
    );
    let unmet = World::prepared(&["--firewall-integration=off"], |lab| {
        drop(lab.host(0).sh(ufw).ok())
    });
    complains(
        examine_world(&unmet),
        "firewalls",
        "warn",
        &["ufw", "ip filter FORWARD", "--firewall-integration"],
    );

    let lab = Lab::new();
    lab.host(0)
        .sh("nft add table inet office && nft add chain inet office gate '{ type filter hook forward priority 0; policy drop; }'")
        .ok();
    complains(
        examine(lab.host(0)),
        "firewalls",
        "warn",
        &["inet office gate", "nft insert rule"],
    );
}

#[test]
fn c_28_a_way_out_with_smaller_packets_is_found() {
    let world = World::prepared(&[], |lab| {
        drop(lab.host(0).sh("ip link set eth0 mtu 1400").ok())
    });
    world.network("-o com.docker.network.driver.mtu=1500 blue");
    let (code, found) = examine_world(&world);
    let about_blue = found
        .iter()
        .find(|complaint| complaint.finding.contains("network blue"));
    let about_blue = about_blue.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!((about_blue.check.as_str(), code), ("mtu", 1), "{found:#?}");
    assert!(
        about_blue
            .advice
            .contains("com.docker.network.driver.mtu=1400"),
        "{about_blue:?}"
    );
}

#[test]
fn c_28_a_subnet_that_is_elsewhere_too_is_found() {
    let world = World::new();
    world.network("--subnet 10.77.0.0/24 blue");
    world
        .host()
        .sh("ip link add tun9 type bridge && ip link set tun9 up && ip address add 10.77.0.9/16 dev tun9")
        .ok();
    complains(
        examine_world(&world),
        "addresses",
        "error",
        &["10.77.0.0/24", "blue", "10.77.0.0/16", "tun9"],
    );
}

#[test]
fn c_28_name_servers_that_containers_cannot_reach_are_found() {
    let lab = Lab::new();
    lab.host(0)
        .write("/etc/resolv.conf", "nameserver 127.0.0.53\n");
    complains(
        examine(lab.host(0)),
        "resolver",
        "warn",
        &["127.0.0.53", "--dns"],
    );
    lab.host(0).write("/etc/resolv.conf", "");
    complains(
        examine(lab.host(0)),
        "resolver",
        "warn",
        &["no name server"],
    );
}

#[test]
fn c_28_tables_and_limits_that_fill_are_found() {
    let lab = Lab::new();
    let host = lab.host(0);
    let sealane = binary();
    // The most is the machine's; here it looks as if it were small.
    host.sh(
        "echo 100 >/run/max && echo 80 >/run/count && cd /proc/sys/net/netfilter && \
             mount --bind /run/max nf_conntrack_max && mount --bind /run/count nf_conntrack_count",
    )
    .ok();
    complains(
        examine(host),
        "conntrack",
        "warn",
        &["80 of 100", "nf_conntrack_max = 400"],
    );
    host.write("/run/count", "99\n");
    complains(examine(host), "conntrack", "error", &["99 of 100"]);
    host.write("/run/count", "1\n");
    let few = host.sh(&format!(
        "ulimit -n 1024 && {} doctor --format json",
        sealane.display()
    ));
    complains(
        complaints(&few),
        "open-files",
        "warn",
        &["1024", "LimitNOFILE"],
    );
}

#[test]
fn c_28_programs_and_cgroups_that_are_missing_are_found() {
    let lab = Lab::new();
    let host = lab.host(0);
    // A device in its place is no program.
    host.sh("for path in $(type -aP conmon); do mount --bind /dev/null $(readlink -f $path); done")
        .ok();
    let (code, found) = examine(host);
    assert_eq!(code, 2, "{found:#?}");
    assert!(
        found
            .iter()
            .any(|complaint| complaint.finding.contains("no conmon")),
        "{found:#?}"
    );
    let lab = Lab::new();
    let mounts = "while umount -R /sys/fs/cgroup 2>/dev/null; do :; done; grep cgroup /proc/self/mounts | cut -d' ' -f2 | sort -r | xargs -r umount -l";
    lab.host(0).sh(mounts).ok();
    complains(
        examine(lab.host(0)),
        "cgroups",
        "error",
        &["mount -t cgroup2"],
    );
}

#[test]
fn c_28_what_a_daemon_left_behind_is_found() {
    let mut world = World::new();
    world.network("blue");
    world.serve("--network blue --name web -p 8080:80");
    world.kill9();
    let running = examine(world.host());
    complains(
        running,
        "leftovers",
        "warn",
        &["containers run without one", "start it"],
    );
    // Their processes end, and nothing is tidied up.
    world
        .host()
        .sh("kill -9 $(pgrep conmon) $(pgrep httpd); sleep 0.2")
        .ok();
    let (_, found) = examine(world.host());
    let left: Vec<_> = found
        .iter()
        .filter(|complaint| complaint.check == "leftovers")
        .collect();
    assert!(
        left.len() == 1 && left[0].advice.contains("sealane purge"),
        "{found:#?}"
    );
    for word in ["docker0", "nftables", "1 network namespaces"] {
        assert!(left[0].finding.contains(word), "{word}: {left:?}");
    }
    world.launch();
    complains_not(examine_world(&world));
}
