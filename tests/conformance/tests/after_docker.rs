//! A host where an engine ran before: Docker's bridges, chains and leftovers are in place, or those of
//! a daemon of ours with other roots.

use sealane_conformance::*;

/// What a stopped Docker Engine leaves: two bridges, one that is down, a veth whose container lives.
const LINKS: &str = r"
set -e
ip link add docker0 type bridge; ip address add 172.17.0.1/16 brd 172.17.255.255 dev docker0; ip link set docker0 up
ip link add br-0a1b2c3d4e5f type bridge; ip address add 172.18.0.1/16 brd 172.18.255.255 dev br-0a1b2c3d4e5f; ip link set br-0a1b2c3d4e5f up
ip link add br-5f4e3d2c1b0a type bridge; ip address add 172.19.0.1/16 brd 172.19.255.255 dev br-5f4e3d2c1b0a
ip netns add left; ip link add veth1a2b3c4 type veth peer name eth0 netns left; ip link set veth1a2b3c4 master br-0a1b2c3d4e5f up
";
/// Where their subnets are.
const LEFT: [&str; 3] = ["172.17.", "172.18.", "172.19."];
const RULES: &str = r"
set -e
for chain in DOCKER DOCKER-USER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do iptables -N $chain; done
iptables -A DOCKER-USER -j RETURN
iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
for bridge in docker0 br-0a1b2c3d4e5f br-5f4e3d2c1b0a; do
  iptables -A FORWARD -o $bridge -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A FORWARD -o $bridge -j DOCKER
  iptables -A FORWARD -i $bridge ! -o $bridge -j ACCEPT
  iptables -A FORWARD -i $bridge -o $bridge -j ACCEPT
  iptables -A DOCKER ! -i $bridge -o $bridge -j DROP
  iptables -A DOCKER-ISOLATION-STAGE-1 -i $bridge ! -o $bridge -j DOCKER-ISOLATION-STAGE-2
  iptables -A DOCKER-ISOLATION-STAGE-2 -o $bridge -j DROP
  iptables -t nat -A DOCKER -i $bridge -j RETURN
done
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o br-0a1b2c3d4e5f -j MASQUERADE
iptables -t raw -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
";

/// What a daemon with other roots finds of an earlier one: nothing that is written down.
const OTHER_ROOTS: &str = r"
findmnt -rn -o TARGET | grep -E '^/(run|var/lib)/sealane/' | sort -r | while read -r mount; do umount -l $mount; done
rm -rf /var/lib/sealane/* /run/sealane/*
";

/// The IPv4 addresses of a link of the host.
fn addresses(host: &Host, link: &str) -> Vec<String> {
    let shown = host.ip_json(&format!("-4 address show dev {link}"));
    let list = shown[0]["addr_info"].as_array().cloned();
    let text = |info: &Value| Some(format!("{}/{}", info["local"].as_str()?, info["prefixlen"]));
    list.unwrap_or_default().iter().filter_map(text).collect()
}

/// Containers of the default bridge and of a new network reach each other, the outside, and are
/// reached by their published ports, but not across.
fn all_is_well(world: &World, left: &[&str]) {
    world.serve("--name web -p 8080:80");
    world.idle("--name sibling");
    world.network("blue");
    world.serve("--network blue --name other -p 8081:80");
    let (web, other) = (
        world.address("web", "bridge"),
        world.address("other", "blue"),
    );
    let sibling = world.sandbox("sibling");
    assert_eq!(sibling.fetch(&format!("{web}:80")).as_deref(), Some(HELLO));
    assert!(sibling.pings(lan::OUTSIDE) && world.sandbox("other").pings(lan::OUTSIDE));
    for port in [8080, 8081] {
        for authority in [format!("10.99.0.1:{port}"), format!("127.0.0.1:{port}")] {
            let from = if authority.starts_with("127") {
                world.host()
            } else {
                world.peer()
            };
            assert_eq!(
                from.fetch(&authority).as_deref(),
                Some(HELLO),
                "{authority}"
            );
        }
    }
    assert!(
        !sibling.pings(&other) && !world.sandbox("other").pings(&web),
        "still apart"
    );
    let subnet = world.get("/networks/blue")["IPAM"]["Config"][0]["Subnet"].clone();
    let subnet = subnet.as_str().expect("a subnet");
    for left in left {
        assert!(
            !subnet.starts_with(*left),
            "{subnet} is on a bridge that was left behind"
        );
    }
    world.docker("rm -f web sibling other").ok();
    world.docker("network rm blue").ok();
}

#[test]
fn b4_a_host_that_had_docker_goes_on_with_its_docker0() {
    for (policy, filtered) in [("DROP", false), ("ACCEPT", true), ("DROP", true)] {
        eprintln!("FORWARD {policy}, br_netfilter {filtered}");
        let mut world = World::prepared(&[], |lab| {
            let host = lab.host(0);
            host.br_netfilter(filtered);
            host.sysctl("ipv4/ip_forward", "1");
            host.sh(LINKS).ok();
            host.sh(RULES).ok();
            host.sh(&format!("iptables -P FORWARD {policy}")).ok();
        });
        assert_eq!(addresses(world.host(), "docker0"), ["172.17.0.1/16"]);
        let config = world.get("/networks/bridge")["IPAM"]["Config"][0].clone();
        assert_eq!(
            (&config["Subnet"], &config["Gateway"]),
            (&json!("172.17.0.0/16"), &json!("172.17.0.1"))
        );
        all_is_well(&world, &LEFT);
        world.relaunch();
        assert_eq!(addresses(world.host(), "docker0"), ["172.17.0.1/16"]);
        assert!(!world.host().sh("ip link show sealane0").succeeded());
        if !filtered {
            all_is_well(&world, &LEFT);
            world.reboot();
            assert_eq!(
                addresses(world.host(), "docker0"),
                ["172.17.0.1/16"],
                "ours now"
            );
            all_is_well(&world, &LEFT[..1]);
        }
    }
}

#[test]
fn b4_the_address_of_a_docker0_is_whatever_docker_gave_it() {
    let world = World::prepared(&[], |lab| {
        lab.host(0)
            .sh("ip link add docker0 type bridge && ip address add 10.200.0.9/24 dev docker0")
            .ok();
    });
    assert_eq!(addresses(world.host(), "docker0"), ["10.200.0.9/24"]);
    world.idle("--name c");
    let routes = world.sandbox("c").routes("route show default");
    assert_eq!(routes, ["default via 10.200.0.9 dev eth0"]);
    assert!(world.sandbox("c").pings(lan::OUTSIDE));
}

#[test]
fn b4_a_docker0_whose_dockerd_runs_is_its_own() {
    let world = World::prepared(&[], |lab| {
        let host = lab.host(0);
        host.sh(LINKS).ok();
        host.sh("cp $(readlink -f $(which sleep)) /run/lab/dockerd; /run/lab/dockerd 100000 >/dev/null 2>&1 & sleep 0.2").ok();
    });
    assert!(!addresses(world.host(), "sealane0").is_empty());
    assert_eq!(world.host().ip_json("link show master docker0"), json!([]));
    assert!(
        world.log().contains("dockerd, which runs"),
        "{}",
        world.log()
    );
    let told = world.sealane("doctor").stdout;
    assert!(told.contains("Docker Engine runs on this host"), "{told}");
}

#[test]
fn b4_a_bridge_of_a_daemon_with_other_roots_keeps_its_only_address() {
    let mut world = World::with_flags(&["--bip=10.50.0.1/24"]);
    world.idle("--name c");
    world.docker("rm -f c").ok();
    let mut anew = |flags: &[&str]| {
        world.kill9();
        world.host().sh(OTHER_ROOTS).ok();
        world.set_flags(flags);
        world.launch();
        let first = world.network("first");
        let subnet =
            world.get(&format!("/networks/{first}"))["IPAM"]["Config"][0]["Subnet"].clone();
        (addresses(world.host(), "docker0"), subnet)
    };
    let (had, subnet) = anew(&[]);
    assert_eq!(had, ["10.50.0.1/24"]);
    assert_eq!(subnet, "172.17.0.0/16", "the pools' first is free");
    let (had, _) = anew(&["--bip=10.51.0.1/24"]);
    assert_eq!(had, ["10.51.0.1/24"], "a flag takes the old address away");
}

#[test]
fn c_28_what_docker_left_behind_is_named() {
    let lab = Lab::new();
    lab.host(0).sh(LINKS).ok();
    lab.host(0).sh(RULES).ok();
    lab.host(0).sh("iptables -P FORWARD DROP").ok();
    let told = lab
        .host(0)
        .sh(&format!("{} doctor", binary().display()))
        .stdout;
    for word in [
        "Docker Engine was at work",
        "docker0",
        "br-0a1b2c3d4e5f",
        "one veth link",
        "DOCKER-ISOLATION-STAGE-1",
        "in ip filter",
        "drops by policy",
        "sealane-user-forward",
        "systemctl disable docker",
    ] {
        assert!(told.contains(word), "{word:?} is not in {told}");
    }
}
