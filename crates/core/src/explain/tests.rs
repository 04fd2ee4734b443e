use super::*;
use crate::drivers::bridge::options;
use crate::drivers::bridge::tests::{endpoint, facts, network};
use crate::drivers::{Driven, Networks};
use crate::model::{
    DriverName, Endpoint, EndpointSpec, Facts, InterfaceName, IpFamily, NameserverConfig, Network,
    PerFamily, PortMapping, Protocol, Sandbox, SandboxId, UsersDevice, derive_id,
};
use crate::nft::{Family, HookPoint};
use crate::plan::{Key, Plan};
use crate::scopes::{plan_host, plan_network, plan_sandbox, set};
use expect_test::expect;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// Two networks, a container on each; that on the first one publishes its port 80.
struct Town {
    networks: Networks,
    sandboxes: BTreeMap<SandboxId, Arc<Sandbox>>,
    host: HostFacts,
    /// What is taken away from the plan.
    missing: Vec<Key>,
}

impl Town {
    fn new() -> Self {
        let blue = network();
        let mut green = network();
        green.id = derive_id(&[b"green"]);
        green.spec.name = "green".into();
        green.spec.options = BTreeMap::from([(options::NAME.into(), "br-green".into())]);
        green.spec.ipam.subnets[0].subnet = "10.2.0.0/24".parse().unwrap();
        green.spec.ipam.subnets[0].gateway = Some("10.2.0.1".parse().unwrap());
        let mut town = Self {
            networks: BTreeMap::new(),
            sandboxes: BTreeMap::new(),
            host: host(),
            missing: vec![],
        };
        town.settle(
            "web",
            &blue,
            2,
            &[port(None, 8080), port(Some("127.0.0.1"), 8081)],
        );
        town.settle("api", &blue, 3, &[]);
        town.settle("db", &green, 2, &[]);
        town.networks = [blue, green]
            .into_iter()
            .map(|network| (network.id, Arc::new(Driven::of(network).unwrap())))
            .collect();
        town
    }

    fn settle(&mut self, name: &str, network: &Network, last: u8, ports: &[PortMapping]) {
        let id = derive_id(&[name.as_bytes()]);
        let third = if network.spec.name == "green" { 2 } else { 1 };
        let endpoint = Endpoint {
            ipv4: Some(format!("10.{third}.0.{last}/24").parse().unwrap()),
            gateway4: Some(format!("10.{third}.0.1").parse().unwrap()),
            spec: EndpointSpec::default(),
            ..endpoint(network, &id)
        };
        let sandbox = Sandbox {
            id,
            name: name.into(),
            hostname: name.into(),
            domainname: String::new(),
            host: false,
            endpoints: BTreeMap::from([(network.id, endpoint)]),
            ports: ports.to_vec(),
            given: None,
            closed: BTreeSet::new(),
            nameserver: NameserverConfig::default(),
            extra_hosts: vec![],
            links: vec![],
            resolver_ports: None,
            ipv6_disabled: false,
            sticky: false,
            files: "/files".into(),
        };
        self.sandboxes.insert(id, Arc::new(sandbox));
    }

    /// Changes a network.
    fn with(mut self, name: &str, change: impl Fn(&mut Network)) -> Self {
        for network in self.networks.values_mut() {
            if network.spec.name == name {
                let mut changed = Network::clone(network);
                change(&mut changed);
                *network = Arc::new(Driven::of(changed).unwrap());
            }
        }
        self
    }

    fn plan(&self) -> Plan {
        let facts = Facts {
            bridge_netfilter: self.host.bridge_filter.v4,
            ..facts()
        };
        let mut whole = plan_host(
            &facts,
            PerFamily {
                v4: true,
                v6: false,
            },
        );
        for network in self.networks.values() {
            whole.merge(plan_network(network, &facts));
        }
        for sandbox in self.sandboxes.values() {
            whole.merge(plan_sandbox(sandbox, &self.networks, &facts));
        }
        let mut plan = Plan::default();
        for (key, object) in whole.objects() {
            if !self.missing.contains(key) {
                plan.add(key.clone(), object.clone());
            }
        }
        plan
    }

    fn explain(&self, from: Sender, to: &str) -> Report {
        let listening = |_, _, to: SocketAddr| to.port() == 80;
        let to: Target = to.parse().unwrap();
        let names = Names {
            container: Some(derive_id(&[to.name.as_bytes()]))
                .filter(|id| self.sandboxes.contains_key(id)),
            ..Names::default()
        };
        let plan = self.plan();
        let world = World {
            plan: &plan,
            facts: &self.host,
            sandboxes: &self.sandboxes,
            networks: &self.networks,
            relays: true,
            listening: &listening,
        };
        explain(world, from, &to, &names)
    }

    fn verdict(&self, from: Sender, to: &str) -> Verdict {
        self.explain(from, to).verdict
    }
}

fn host() -> HostFacts {
    let route = |to: &str, via: Option<&str>| HostRoute {
        to: to.parse().unwrap(),
        via: via.map(|via| via.parse().unwrap()),
        link: "eth0".into(),
        source: None,
        metric: 0,
    };
    HostFacts {
        addresses: vec![("eth0".into(), "192.0.2.1/24".parse().unwrap())],
        routes: vec![
            route("192.0.2.0/24", None),
            route("0.0.0.0/0", Some("192.0.2.254")),
        ],
        forwards: PerFamily { v4: true, v6: true },
        ..HostFacts::default()
    }
}

fn port(host_ip: Option<&str>, host_port: u16) -> PortMapping {
    PortMapping {
        protocol: Protocol::Tcp,
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        host_port,
        container_port: 80,
    }
}

fn container(name: &str) -> Sender {
    Sender::Sandbox(derive_id(&[name.as_bytes()]))
}

/// A report as lines: the verdict, then what decided it.
fn lines(report: &Report) -> String {
    let mut text = format!("{:?}: {}\n", report.verdict, report.reason);
    for hop in report.paths.iter().flat_map(|path| &path.hops) {
        writeln!(text, "{} {}: {}", hop.place, hop.kind.word(), hop.text).unwrap();
        for step in &hop.rules {
            let element = step.element.as_ref();
            let element = element.map(|found| format!(" [{} {}]", found.set, found.element));
            writeln!(text, "    {}{}", step.chain, element.unwrap_or_default()).unwrap();
        }
    }
    text
}

#[test]
fn neighbors_see_each_other() {
    let report = Town::new().explain(container("api"), "10.1.0.2:80");
    expect![[r#"
        Passes: web receives it at 10.1.0.2:80, as from 10.1.0.3
        api route: 10.1.0.2 is on eth0, br-blue (network blue)
        host bridge: br-blue (network blue) carries it to web
        web delivery: something listens on 10.1.0.2:80/tcp
    "#]]
    .assert_eq(&lines(&report));
}

#[test]
fn networks_are_isolated_from_each_other() {
    let report = Town::new().explain(container("db"), "10.1.0.3:80");
    expect![[r#"
        Dropped: networks green and blue are isolated from each other, but for published ports
        db route: 10.1.0.3 is reached by the default route: via 10.2.0.1 on eth0, br-green (network green)
        host route: 10.1.0.3 is reached by br-blue (network blue)
        host firewall: dropped: networks green and blue are isolated from each other, but for published ports
            forward [published ipv4 . "br-blue"]
            published-only
    "#]]
    .assert_eq(&lines(&report));
}

#[test]
fn a_published_port_is_translated_and_keeps_its_source() {
    let lan = Sender::Outside("192.0.2.10".parse().unwrap());
    let report = Town::new().explain(lan, "192.0.2.1:8080");
    expect![[r#"
        Passes: web receives it at 10.1.0.2:80, as from 192.0.2.10
        host translation: a published port: it goes on to 10.1.0.2:80
            prerouting
            publish [publish-port4 tcp . 8080 : 10.1.0.2 . 80]
        host route: 10.1.0.2 is reached by br-blue (network blue)
        host firewall: it may pass
            forward [published ipv4 . "br-blue"]
            published-only
        web delivery: something listens on 10.1.0.2:80/tcp
    "#]]
    .assert_eq(&lines(&report));
    let report = Town::new().explain(lan, "192.0.2.1:8081");
    assert_eq!(report.verdict, Verdict::NothingListens);
    assert!(
        report
            .reason
            .ends_with("web publishes it as 127.0.0.1:8081 only"),
        "{report:?}"
    );
}

#[test]
fn what_is_explained_is_the_plan() {
    let mut town = Town::new();
    assert_eq!(
        town.verdict(container("db"), "192.0.2.1:8080"),
        Verdict::Passes
    );
    let element = vec![
        crate::nft::Datum::Protocol(Protocol::Tcp),
        crate::nft::Datum::Port(8080),
    ];
    town.missing = vec![Key::Element("publish-port4".into(), element)];
    // The daemon's own socket takes it then.
    let report = town.explain(container("db"), "192.0.2.1:8080");
    assert!(
        report.paths[0]
            .hops
            .iter()
            .any(|hop| hop.kind == HopKind::Relay),
        "{report:?}"
    );

    let bridge = InterfaceName::try_from("br-blue").unwrap();
    let family = crate::nft::Datum::NfProto(IpFamily::V4);
    let bridge = vec![family, crate::nft::Datum::Interface(bridge)];
    town.missing = vec![Key::Element(set::PUBLISHED.into(), bridge)];
    assert_eq!(
        town.verdict(container("db"), "10.1.0.3:80"),
        Verdict::Passes
    );
}

#[test]
fn the_answer_has_to_come_back_the_same_way() {
    // Without the masquerade of siblings, web would answer its neighbor at once, as itself.
    let mut town = Town::new();
    assert_eq!(
        town.verdict(container("api"), "192.0.2.1:8080"),
        Verdict::Passes
    );
    let bridge = InterfaceName::try_from("br-blue").unwrap();
    let pair = vec![crate::nft::Datum::Interface(bridge); 2];
    town.missing = vec![Key::Element(set::SIBLINGS.into(), pair)];
    let report = town.explain(container("api"), "192.0.2.1:8080");
    assert_eq!(report.verdict, Verdict::NoAnswer, "{report:?}");
    // The bridge's filter sees the answer, and gives it back its source.
    town.host.bridge_filter.v4 = true;
    assert_eq!(
        town.verdict(container("api"), "192.0.2.1:8080"),
        Verdict::Passes
    );
}

#[test]
fn an_internal_network_has_no_way_out() {
    let town = Town::new().with("green", |network| network.spec.internal = true);
    assert_eq!(
        town.verdict(container("db"), "198.51.100.7:80"),
        Verdict::NoRoute
    );
    assert_eq!(town.verdict(container("db"), "10.2.0.1"), Verdict::Passes);
    assert_eq!(
        town.verdict(container("web"), "10.2.0.2:80"),
        Verdict::Dropped
    );
}

#[test]
fn without_icc_only_published_ports_are_seen() {
    let quiet = |network: &mut Network| {
        network
            .spec
            .options
            .insert(options::ICC.into(), "false".into());
    };
    let mut town = Town::new().with("blue", quiet);
    for bridge_filter in [false, true] {
        town.host.bridge_filter.v4 = bridge_filter;
        assert_eq!(
            town.verdict(container("api"), "10.1.0.2:80"),
            Verdict::Dropped
        );
        assert_eq!(
            town.verdict(container("api"), "192.0.2.1:8080"),
            Verdict::Passes
        );
    }
}

#[test]
fn a_foreign_chain_that_drops_has_the_last_word() {
    let mut town = Town::new();
    town.host.foreign = vec![ForeignFilter {
        family: Family::Ip,
        table: "filter".into(),
        chain: "FORWARD".into(),
        point: HookPoint::Forward,
    }];
    let lan = Sender::Outside("192.0.2.10".parse().unwrap());
    let report = town.explain(lan, "192.0.2.1:8080");
    assert_eq!(report.verdict, Verdict::Depends);
    assert!(
        report.reason.contains("chain ip filter FORWARD"),
        "{report:?}"
    );
}

#[test]
fn rules_of_the_user_are_told() {
    let mut town = Town::new();
    town.host.user_rules = vec![("sealane-user-forward".into(), 2)];
    let lan = Sender::Outside("192.0.2.10".parse().unwrap());
    let report = town.explain(lan, "192.0.2.1:8080");
    assert_eq!(report.verdict, Verdict::Depends);
    let told = report.paths[0]
        .hops
        .iter()
        .find(|hop| hop.kind == HopKind::Foreign);
    let text = told.map(|hop| hop.text.as_str());
    assert_eq!(
        text,
        Some("chain inet sealane-user sealane-user-forward has rules of your own (2)")
    );
    // What our own rules drop is dropped whatever those say.
    assert_eq!(
        town.verdict(container("db"), "10.1.0.3:80"),
        Verdict::Dropped
    );
}

#[test]
fn a_name_that_the_sender_does_not_know_leads_nowhere() {
    let town = Town::new();
    assert_eq!(
        town.verdict(container("api"), "nobody:80"),
        Verdict::NoSuchName
    );
    // Neighbors, but without a resolver.
    let report = town.explain(container("api"), "web:80");
    assert_eq!(report.verdict, Verdict::NoSuchName);
    assert!(
        report.reason.ends_with("its address 10.1.0.2:80 would do"),
        "{report:?}"
    );
    assert_eq!(town.verdict(Sender::Host, "web:80"), Verdict::Passes);
}

#[test]
fn an_address_that_nobody_has_is_told() {
    let town = Town::new();
    for (from, to) in [
        (container("api"), "10.1.0.9"),
        (Sender::Host, "10.1.0.9:80"),
    ] {
        assert_eq!(town.verdict(from, to), Verdict::NobodyThere);
    }
    assert_eq!(
        town.verdict(Sender::Host, "[2001:db8::1]:80"),
        Verdict::NoRoute
    );
    assert_eq!(
        town.verdict(container("api"), "10.1.0.2:81"),
        Verdict::NothingListens
    );
}

#[test]
fn a_parent_and_the_links_on_it_are_apart() {
    let macvlan = |network: &mut Network| {
        network.spec.driver = DriverName::known("macvlan");
        network.spec.options = BTreeMap::from([("parent".into(), "eth0".into())]);
        network.users_device = Some(UsersDevice::default());
    };
    let mut town = Town::new().with("green", macvlan);
    town.host.routes.push(HostRoute {
        to: "10.2.0.0/24".parse().unwrap(),
        via: None,
        link: "eth0".into(),
        source: None,
        metric: 0,
    });
    let report = town.explain(Sender::Host, "10.2.0.2:80");
    assert_eq!(report.verdict, Verdict::Dropped);
    assert!(report.reason.contains("host_access=true"), "{report:?}");
    let neighbor = Sender::Outside("10.2.0.9".parse().unwrap());
    let report = town.explain(neighbor, "10.2.0.2:80");
    expect![[r#"
        Passes: db receives it at 10.2.0.2:80, as from 10.2.0.9
        db delivery: something listens on 10.2.0.2:80/tcp
    "#]]
    .assert_eq(&lines(&report));
    let report = town.explain(container("db"), "192.0.2.1:80");
    assert!(
        report.reason.starts_with("it leaves the host by eth0"),
        "{report:?}"
    );
}
