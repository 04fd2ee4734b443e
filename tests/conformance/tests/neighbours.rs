//! Others on the same host keep what they have: virtual machines, firewalls, and the user's rules.

use sealane_conformance::*;

/// What libvirt makes for its default network, with two guests: a bridge of its own, translation,
/// and a forward chain that lets its guests out and nothing else in.
const LIBVIRT: &str = r"
ip link add virbr0 type bridge && ip link set virbr0 up && ip address add 192.168.122.1/24 dev virbr0
for guest in 10 11; do
  ip netns add guest$guest
  ip link add vnet$guest type veth peer name eth0 netns guest$guest && ip link set vnet$guest master virbr0 up
  ip netns exec guest$guest sh -c 'ip link set lo up; ip link set eth0 up; ip address add 192.168.122.'$guest'/24 dev eth0; ip route add default via 192.168.122.1'
done
";
const LIBVIRT_RULES: &str = r"
iptables -t nat -A POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE
iptables -N LIBVIRT_FWO; iptables -A FORWARD -j LIBVIRT_FWO; iptables -A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
iptables -A LIBVIRT_FWO -i virbr0 -j REJECT
iptables -N LIBVIRT_FWI; iptables -A FORWARD -j LIBVIRT_FWI
iptables -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A LIBVIRT_FWI -o virbr0 -j REJECT
";

/// Pings from a guest, again and again.
fn pings(host: &Host, guest: u8, to: &str) -> Background {
    host.spawn(&format!(
        "exec ip netns exec guest{guest} ping -n -i 0.05 -W 1 {to}"
    ))
}

/// Ends it, and returns how many were sent and lost.
#[track_caller]
fn lost(host: &Host, mut pings: Background) -> (u32, u32) {
    // The last one may still be on its way.
    std::thread::sleep(Duration::from_millis(300));
    host.sh("pkill -INT -x ping").ok();
    let output = pings.finish();
    let number = |word: &str| {
        let line = output
            .lines()
            .find(|line| line.contains("packets transmitted"));
        let parts = line.unwrap_or_default().split(", ");
        let part = parts.into_iter().find(|part| part.contains(word));
        part.and_then(|part| part.split(' ').next()?.parse::<u32>().ok())
            .unwrap_or_else(|| panic!("no {word} in {output}"))
    };
    (
        number("transmitted"),
        number("transmitted") - number("received"),
    )
}

#[test]
fn c_23_a_bridge_of_libvirt_s_passes_traffic_before_during_and_after() {
    for on in [false, true] {
        let lab = Lab::new();
        let host = lab.host(0);
        host.br_netfilter(on);
        host.sysctl("ipv4/ip_forward", "1");
        host.sh(LIBVIRT).ok();
        host.sh(LIBVIRT_RULES).ok();
        let before = host
            .sh("iptables-save | sed 's/\\[.*\\]//' | grep -v '^#'")
            .ok();
        let outside = pings(host, 10, lan::OUTSIDE);
        let flags = vec!["--firewall-table=shared".into()];
        let options = DaemonOptions {
            flags,
            ..DaemonOptions::default()
        };
        let mut world = World::of(lab, options);
        world.network("--subnet 10.78.0.0/24 blue");
        world.serve("--network blue --name web -p 8080:80");
        assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
        // A guest is a client like any other.
        let guest = world
            .host()
            .sh("ip netns exec guest10 curl -sS -m 2 http://10.99.0.1:8080/");
        assert_eq!(guest.ok(), HELLO);
        assert!(
            world
                .host()
                .sh("ip netns exec guest10 ping -n -c 1 -W 1 192.168.122.11")
                .succeeded()
        );
        world.relaunch();
        world.host().sh("nft flush table inet sealane").ok();
        eventually(SOON, || {
            world.sandbox("web").pings(lan::OUTSIDE).then_some(())
        });
        world.docker("rm -f web").ok();
        world.docker("network rm blue").ok();
        world.stop();
        world
            .host()
            .sh(&format!(
                "{} purge -f --cgroup-parent /sealane-lab-{}",
                binary().display(),
                world.lab().id()
            ))
            .ok();
        let (sent, missing) = lost(world.host(), outside);
        assert!(
            sent > 20 && missing == 0,
            "br_netfilter {on}: {missing} of {sent} pings were lost"
        );
        let after = world
            .host()
            .sh("iptables-save | sed 's/\\[.*\\]//' | grep -v '^#'")
            .ok();
        assert_eq!(before, after, "libvirt's rules are as they were");
    }
}

#[test]
fn c_23_guests_of_an_isolated_bridge_still_see_each_other() {
    for on in [false, true] {
        let world = World::prepared(&[], |lab| {
            let host = lab.host(0);
            host.br_netfilter(on);
            // Forwarding was off before us, so that we keep it for ourselves.
            host.sysctl("ipv4/ip_forward", "0");
            host.sh(LIBVIRT).ok();
        });
        world.network("blue");
        let guest = |to: &str| {
            world
                .host()
                .sh(&format!("ip netns exec guest10 ping -n -c 1 -W 1 {to}"))
        };
        let sibling = guest("192.168.122.11");
        assert!(sibling.succeeded(), "br_netfilter {on}: {sibling}");
        assert!(
            !guest("10.99.0.100").succeeded(),
            "forwarding is not for others"
        );
        // One that comes later is noticed.
        let later = LIBVIRT
            .replace("virbr0", "virbr1")
            .replace("guest", "later")
            .replace("192.168.122", "192.168.123");
        world.host().sh(&later.replace("vnet", "vlat")).ok();
        let within = |to: &str| {
            world
                .host()
                .sh(&format!("ip netns exec later10 ping -n -c 1 -W 1 {to}"))
        };
        eventually(SOON, || within("192.168.123.11").succeeded().then_some(()));
        assert!(!within("192.168.122.10").succeeded(), "nor between bridges");
        let policy = world.host().sh("iptables -S FORWARD").stdout;
        assert!(!policy.contains("DROP"), "{policy}");
    }
}

#[test]
fn c_23_the_host_s_settings_are_its_own() {
    for on in [false, true] {
        let lab = Lab::new();
        lab.host(0).br_netfilter(on);
        // The kernel itself changes others with it.
        lab.host(0).sysctl("ipv4/ip_forward", "1");
        let settings = "cd /proc/sys/net && grep -r . bridge ipv4/conf/eth0 ipv4/conf/all ipv6/conf/eth0 ipv6/conf/lo \
                        netfilter/nf_conntrack_max ipv4/tcp_* 2>/dev/null | grep -v 'forwarding\\|stable_secret\\|mtu'";
        let before = lab.host(0).sh(settings).stdout;
        let world = World::of(lab, DaemonOptions::default());
        world.network("blue");
        world.serve("--network blue --name web -p 8080:80");
        let after = world.host().sh(settings).stdout;
        let changed: Vec<_> = after
            .lines()
            .filter(|line| !before.contains(line))
            .collect();
        assert_eq!(changed, [""; 0], "br_netfilter {on}");
    }
}

/// What ufw does at a reload: away with everything of iptables, and its own anew.
const UFW: &str = r"
iptables -P INPUT DROP; iptables -P FORWARD DROP; iptables -F; iptables -X
iptables -N ufw-user-input; iptables -A INPUT -j ufw-user-input
iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A INPUT -p icmp -j ACCEPT
iptables -N ufw-user-forward; iptables -A FORWARD -j ufw-user-forward
iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
";

#[test]
fn c_23_ufw_is_met_and_still_is_after_a_reload() {
    for on in [false, true] {
        let world = World::prepared(&[], |lab| {
            lab.host(0).br_netfilter(on);
            lab.host(0).sh(UFW).ok();
        });
        world.network("blue");
        world.serve("--network blue --name web -p 8080:80");
        let works = || {
            let inwards = world.peer().fetch("10.99.0.1:8080").as_deref() == Some(HELLO);
            (inwards && world.sandbox("web").pings(lan::OUTSIDE)).then_some(())
        };
        eventually(SOON, works);
        world.host().sh(UFW).ok();
        eventually(SOON, || {
            let rules = world.host().sh("iptables -S FORWARD").stdout;
            rules.contains("SEALANE-FORWARD").then_some(())
        });
        eventually(SOON, works);
        let rules = world.host().sh("iptables -S").ok();
        assert!(rules.contains("-A FORWARD -j ufw-user-forward"), "{rules}");
        assert!(rules.contains("-P INPUT DROP"), "{rules}");
        let jumps = rules
            .lines()
            .filter(|line| line.ends_with("-j SEALANE-FORWARD"));
        assert_eq!(jumps.count(), 1, "{rules}");
        // What ufw keeps from the host itself is still kept from it.
        let listener = world
            .host()
            .in_netns(|| std::net::TcpListener::bind("10.99.0.1:9999"))
            .expect("it is free");
        let outcome = world.peer().sh("curl -sS -m 1 http://10.99.0.1:9999/");
        assert!(outcome.stderr.contains("timed out"), "{outcome}");
        drop(listener);
    }
}

#[test]
fn b6_2_the_users_rules_are_never_touched() {
    // The table is one that others can change, for a part of this is what they did to it.
    let mut world = World::with_flags(&["--firewall-table=shared"]);
    world.network("--ipv6 --subnet 10.79.0.0/24 --subnet fd79::/64 blue");
    world.serve("--network blue --name web -p 8080:80");
    let web = world.sandbox("web");
    let add = |rule: &str| {
        world
            .host()
            .sh(&format!("nft add rule inet sealane-user {rule}"))
            .ok()
    };
    add("sealane-user-forward ip saddr 10.99.0.100 tcp dport 80 counter drop comment mine");
    add("sealane-user-prerouting tcp dport 8888 counter dnat ip to 10.79.0.2:80 comment mine");
    add("sealane-user-postrouting ip daddr 198.51.100.7 counter snat ip to 10.99.0.1 comment mine");
    let rules = || {
        let text = world.host().sh("nft -s list table inet sealane-user").ok();
        let mine = text.lines().filter(|line| line.contains("mine"));
        mine.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let kept = rules();
    assert_eq!(kept.len(), 3, "{kept:#?}");
    assert_eq!(
        world.peer().fetch("10.99.0.1:8080"),
        None,
        "the rule is in force"
    );

    // Operations, a repair, a crash and a proper end.
    world.network("green");
    world.docker("network connect green web").ok();
    world.docker("network disconnect green web").ok();
    assert_eq!(rules(), kept);
    world
        .host()
        .sh("nft flush map inet sealane publish-port4; nft flush chain inet sealane publish")
        .ok();
    eventually(SOON, || {
        let text = world
            .host()
            .sh("nft list map inet sealane publish-port4")
            .ok();
        text.contains("8080").then_some(())
    });
    assert_eq!(rules(), kept);
    world.sealane("repair pause").ok();
    world.sealane("repair resume").ok();
    assert_eq!(rules(), kept);
    assert!(web.pings(lan::OUTSIDE));
    world.relaunch();
    let rules = || {
        let text = world.host().sh("nft -s list table inet sealane-user").ok();
        let mine = text.lines().filter(|line| line.contains("mine"));
        mine.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rules(), kept);
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None, "and still is");
    world
        .host()
        .sh("nft flush chain inet sealane-user sealane-user-forward")
        .ok();
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}
