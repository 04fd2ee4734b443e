//! What `sealane plan` printed beforehand is what `ip monitor` and `nft monitor` saw afterwards.

use sealane_conformance::*;
use std::collections::BTreeSet;

/// Lines `+ link veth0a1b2c3` and the like, of the host's own namespace.
type Trace = BTreeSet<String>;

/// Watches the host while docker carries out `operation`, and compares with what was planned.
fn planned_and_seen(world: &World, plan: &str, operation: &str) {
    compare(world, plan, operation, || world.docker(operation));
}

/// The same for an operation of our own command line, planned by the same words.
fn planned_and_seen_by_name(world: &World, operation: &str) {
    compare(world, operation, operation, || world.sealane(operation));
}

fn compare(world: &World, plan: &str, operation: &str, carry_out: impl Fn() -> Outcome) {
    let printed = world.sealane(&format!("plan {plan}")).ok();
    let before = links_of(world.host());
    let links = world
        .host()
        .spawn("exec ip -o monitor link address neigh route");
    let rules = world.host().spawn("exec nft monitor");
    std::thread::sleep(Duration::from_millis(200));
    carry_out().ok();
    // A namespace's links go a moment after it does.
    let wrong = || {
        let mut seen = trace_of_monitors(&links.output(), &rules.output());
        // A link that was there before and only changed its state was not made.
        seen.retain(|line| {
            line.strip_prefix("+ link ")
                .is_none_or(|link| !before.contains(link))
        });
        // Addresses go with their link, which is what the plan says.
        let gone = seen.clone();
        seen.retain(|line| {
            let link = line
                .strip_prefix("- addr ")
                .and_then(|rest| rest.split(' ').next());
            link.is_none_or(|link| !gone.contains(&format!("- link {link}")))
        });
        let planned: Trace = trace_of_plan(&printed).iter().map(without_mac).collect();
        planned
            .symmetric_difference(&seen.iter().map(without_mac).collect())
            .cloned()
            .collect::<Vec<_>>()
    };
    let end = std::time::Instant::now() + SOON;
    while !wrong().is_empty() {
        assert!(
            std::time::Instant::now() < end,
            "{operation}: planned or seen, but not both: {:#?}\n{printed}\n{}\n{}",
            wrong(),
            links.output(),
            rules.output()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!printed.is_empty(), "{operation} does something");
}

/// The hardware address of a network that is not there yet follows from an id that is drawn when it
/// is made.
#[expect(clippy::ptr_arg, reason = "it is mapped over lines")]
fn without_mac(line: &String) -> String {
    let is_mac = |word: &str| word.len() == 17 && word.matches(':').count() == 5;
    let words = line
        .split(' ')
        .map(|word| if is_mac(word) { "MAC" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn links_of(host: &Host) -> BTreeSet<String> {
    let listed = host.ip_json("link");
    let names = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|link| link["ifname"].as_str());
    names.map(str::to_owned).collect()
}

/// The objects of the host that a monitor can see.
fn trace_of_plan(text: &str) -> Trace {
    let object = |line: &str| {
        let (sign, rest) = line.split_once(' ')?;
        let (kind, rest) = rest.trim().split_once(' ')?;
        let rest = rest.trim();
        let host = rest.strip_prefix("host/");
        match kind {
            // A link that is altered is neither made nor removed.
            "link" if sign == "~" => None,
            "link" => Some(format!("{sign} link {}", host?.split(' ').next()?)),
            "addr" => Some(format!(
                "{sign} addr {}",
                host?
                    .replace('/', " ")
                    .split(' ')
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            )),
            "neigh" => {
                let mut words = host?.split(' ');
                Some(format!("{sign} neigh {} {}", words.next()?, words.next()?))
            }
            // An element is altered by taking it away and adding it.
            "nft" if sign == "~" => Some(format!("+ nft {}", host?.replace('"', ""))),
            "nft" => Some(format!("{sign} nft {}", host?.replace('"', ""))),
            _ => None,
        }
    };
    text.lines().filter_map(object).collect()
}

fn trace_of_monitors(links: &str, rules: &str) -> Trace {
    let mut seen = Trace::new();
    for line in links.lines() {
        let (sign, line) = line
            .strip_prefix("Deleted ")
            .map_or(("+", line), |rest| ("-", rest));
        let line = line.trim_end();
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = |word: &str| {
            word.trim_end_matches(':')
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let kernels_own = |text: &str| {
            text.starts_with("fe80:") || text.starts_with("ff0") || text.contains("noprefixroute")
        };
        if line.contains("link/ether") {
            seen.insert(format!("{sign} link {}", name(words[1])));
        } else if line.contains(" inet") {
            let address = words[3].split('/').next().unwrap_or_default();
            if !kernels_own(address) {
                seen.insert(format!("{sign} addr {} {address}", name(words[1])));
            }
        } else if words[0] == "dev" {
            // The bridge learns which port an address is behind.
        } else if line.ends_with(" PERMANENT") || (sign == "-" && line.ends_with(" FAILED")) {
            seen.insert(format!("{sign} neigh {} {}", words[2], words[0]));
        }
    }
    for line in rules.lines() {
        let (sign, rest) = match line.split_once(" element ") {
            Some(("add", rest)) => ("+", rest),
            Some(("delete", rest)) => ("-", rest),
            _ => continue,
        };
        // inet TABLE SET { KEY : DATA }
        let words: Vec<&str> = rest.splitn(4, ' ').collect();
        let [_, _, set, element] = words[..] else {
            continue;
        };
        let element = element.trim_matches(['{', '}', ' ']).replace('"', "");
        seen.insert(format!("{sign} nft {set} {element}"));
    }
    let known = seen.clone();
    let key = |line: &str| line[1..].split(" : ").next().unwrap_or_default().to_owned();
    let added: BTreeSet<String> = known
        .iter()
        .filter(|line| line.starts_with("+ nft"))
        .map(|line| key(line))
        .collect();
    seen.retain(|line| !(line.starts_with("- nft") && added.contains(&key(line))));
    seen
}

#[test]
fn c_28_publishing_is_planned_as_it_happens() {
    let world = World::new();
    world
        .docker("create --name web -p 8080:80 -p 5000-5003:5000-5003/udp img httpd -f -h /www")
        .ok();
    planned_and_seen(&world, "start web", "start web");
    planned_and_seen(&world, "stop web", "stop -t 0 web");
    world.docker("start web").ok();
    planned_and_seen(&world, "rm web", "rm -f web");
}

#[test]
fn c_28_connections_are_planned_as_they_happen() {
    let world = World::new();
    world.network("net1");
    world.network("--ipv6 --subnet 10.74.0.0/24 --subnet fd74::/64 net2");
    world.serve("--network net1 --name a -p 8080:80");
    planned_and_seen(&world, "connect net2 a", "network connect net2 a");
    planned_and_seen(&world, "disconnect net2 a", "network disconnect net2 a");
}

#[test]
fn c_28_links_on_a_parent_are_planned_as_they_happen() {
    let world = World::new();
    let wire = "-d macvlan --subnet 10.76.0.0/24 -o parent=eth0 -o host_access=true";
    world.network(&format!("{wire} wire"));
    world
        .docker("create --name c --network wire img sleep 1000")
        .ok();
    planned_and_seen(&world, "start c", "start c");
    let plan = world.sealane("plan stop c").ok();
    assert!(
        plan.contains("- route  host 10.76.0.1/32 dev sh-"),
        "{plan}"
    );
    planned_and_seen(&world, "rm c", "rm -f c");
    planned_and_seen(&world, "network-rm wire", "network rm wire");
}

#[test]
fn c_28_a_plan_for_a_container_to_be_prints_and_changes_nothing() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    let plan = world
        .sealane("plan run -p 8080:80 img httpd -f -h /www")
        .ok();
    for part in ["veth", "172.17.0.2", "8080", "default via 172.17.0.1"] {
        assert!(plan.contains(part), "{part:?} is not in {plan}");
    }
    let plan = world
        .sealane("plan network-create --subnet 10.75.0.0/24 blue")
        .ok();
    assert!(
        plan.contains("10.75.0.1") && plan.contains("bridge"),
        "{plan}"
    );
    before.returns_on(world.host());
    assert_eq!(world.docker("ps -aq").ok(), "");
    assert_eq!(world.docker("network ls -q").ok().lines().count(), 3);
    let unknown = world.sealane("plan start nosuch");
    assert!(
        unknown.code != 0 && unknown.stderr.contains("nosuch"),
        "{unknown}"
    );
}

#[test]
fn c_28_networks_are_planned_as_they_are_made_changed_and_removed() {
    let world = World::new();
    let create = "--subnet 10.83.0.0/24 -o com.docker.network.bridge.name=br-plan blue";
    planned_and_seen(
        &world,
        &format!("network create {create}"),
        &format!("network create {create}"),
    );
    world.serve("--network blue --name a");
    world.idle("--network blue --name b");
    planned_and_seen_by_name(&world, "network update blue --icc=false");
    assert!(!world.sandbox("b").pings(&world.address("a", "blue")));
    planned_and_seen_by_name(&world, "network update blue --icc=true --masquerade=false");
    assert!(world.sandbox("b").pings(&world.address("a", "blue")));
    let printed = world.sealane("plan network update blue --mtu 1400").ok();
    assert!(printed.contains("~ link   host/br-plan"), "{printed}");
    planned_and_seen_by_name(&world, "network update blue --ipv6 --subnet fd83::/64");
    assert!(world.sandbox("b").pings("fd83::1"));
    world.docker("rm -f a b").ok();
    // Their links go a moment after them, and are not the network's.
    eventually(SOON, || {
        let links = links_of(world.host());
        (!links.iter().any(|link| link.starts_with("veth"))).then_some(())
    });
    planned_and_seen(&world, "network rm blue", "network rm blue");
}

#[test]
fn c_28_ports_are_planned_as_they_are_published_and_taken_back() {
    let world = World::new();
    world.serve("--name web -p 8080:80");
    let before = Snapshot::take(world.host());
    let printed = world
        .sealane("plan publish add web 8443:80 5000-5003:5000-5003/udp")
        .ok();
    assert!(
        printed.contains("8443") && printed.contains("5003"),
        "{printed}"
    );
    before.returns_on(world.host());
    let free = world.host().sh("ss -Hltn 'sport = :8443'").ok();
    assert_eq!(free, "", "and keeps no port");
    planned_and_seen_by_name(&world, "publish add web 8443:80 5000-5003:5000-5003/udp");
    assert_eq!(world.peer().fetch("10.99.0.1:8443").as_deref(), Some(HELLO));
    planned_and_seen_by_name(&world, "publish rm web 8080");
    assert_eq!(world.peer().fetch("10.99.0.1:8080"), None);
    let nothing = world.sealane("plan publish add web 8443:80").ok();
    assert_eq!(nothing, "nothing would change");
}
