use super::*;
use crate::drivers::bridge::options::{OVERLAPPING, PORTS_PER_BRIDGE};
use crate::drivers::{DEFAULT, Driven};
use crate::model::{
    Endpoint, EndpointSpec, IpamSpec, Lease, NameserverConfig, Network, NetworkId, NetworkSpec,
    PerFamily, Sandbox, SandboxId, SubnetSpec, derive_id,
};
use ipnet::IpNet;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_000);

fn network(name: &str, subnet: &str) -> Network {
    let subnet: IpNet = subnet.parse().unwrap();
    let subnets = vec![SubnetSpec {
        subnet,
        ip_range: None,
        gateway: subnet.hosts().next(),
        auxiliary: BTreeMap::new(),
    }];
    Network {
        id: derive_id(&[name.as_bytes()]),
        created: String::new(),
        spec: NetworkSpec {
            name: name.into(),
            driver: DEFAULT.name(),
            scope: Default::default(),
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: None,
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: IpamSpec {
                driver: "default".into(),
                options: None,
                subnets,
            },
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        },
        segments: 0,
        users_device: None,
    }
}

fn with_option(mut network: Network, key: &str, value: &str) -> Network {
    network.spec.options.insert(key.into(), value.into());
    network
}

fn put(snapshot: &mut Snapshot, network: Network) -> NetworkId {
    let id = network.id;
    let pools = open_pools(&network).unwrap();
    let network = Arc::new(Driven::of(network).unwrap());
    snapshot.put_network(NetworkState::new(network, pools, Phase::Settled));
    id
}

fn sandbox(name: &str) -> Sandbox {
    Sandbox {
        id: derive_id(&[name.as_bytes()]),
        name: name.into(),
        hostname: name.into(),
        domainname: String::new(),
        host: false,
        endpoints: BTreeMap::new(),
        ports: vec![],
        given: None,
        closed: BTreeSet::new(),
        nameserver: NameserverConfig::default(),
        extra_hosts: vec![],
        links: vec![],
        resolver_ports: None,
        files: Default::default(),
        ipv6_disabled: false,
        sticky: false,
    }
}

fn join(
    snapshot: &mut Snapshot,
    name: &str,
    network: &str,
    spec: EndpointSpec,
) -> Result<Endpoint, Refusal> {
    let known = snapshot.sandbox(&sandbox(name).id).cloned();
    let mut sandbox = known.map_or_else(|| sandbox(name), |known| Sandbox::clone(&known));
    let joining = Joining {
        sandbox: &sandbox,
        network,
        spec: &spec,
        host6: &[],
    };
    let (_, endpoint) = snapshot.reserve_endpoint(&joining, NOW)?;
    sandbox.endpoints.insert(endpoint.network, endpoint.clone());
    snapshot.put_sandbox(Arc::new(sandbox));
    Ok(endpoint)
}

fn leave(snapshot: &mut Snapshot, name: &str, network: &NetworkId) {
    let id = sandbox(name).id;
    let known = snapshot.sandbox(&id).cloned().unwrap();
    let mut sandbox = Sandbox::clone(&known);
    let endpoint = sandbox.endpoints.remove(network).unwrap();
    snapshot.put_sandbox(Arc::new(sandbox));
    snapshot.release_endpoint(&id, &endpoint, true, NOW);
}

fn asking(address: &str) -> EndpointSpec {
    EndpointSpec {
        ipv4: Some(address.parse().unwrap()),
        ..EndpointSpec::default()
    }
}

#[test]
fn what_is_decided_on_a_clone_is_not_seen_in_the_original() {
    let mut before = Snapshot::default();
    put(&mut before, network("blue", "10.1.0.0/24"));
    let decide = |draft: &mut Snapshot| join(draft, "web", "blue", EndpointSpec::default());
    let (after, endpoint) = before.decided(decide).unwrap();
    assert_eq!(endpoint.ipv4, Some("10.1.0.2/24".parse().unwrap()));
    assert_eq!(before.sandboxes().count(), 0);
    assert_eq!(before.find("blue").unwrap().members.len(), 0);
    // And a dry run says what will be.
    let again = before.decided(decide).unwrap();
    assert_eq!((again.0, again.1), (after, endpoint));
}

#[test]
fn networks_are_found_by_id_name_and_unique_prefix() {
    let mut snapshot = Snapshot::default();
    let ids: Vec<NetworkId> = (0..40)
        .map(|n| {
            put(
                &mut snapshot,
                network(&format!("n{n}"), &format!("10.{n}.0.0/24")),
            )
        })
        .collect();
    let found = |reference: &str| snapshot.find(reference).map(|found| found.network.id);
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(found(&id.to_string()), Ok(*id));
        assert_eq!(found(&format!("n{number}")), Ok(*id));
        assert_eq!(found(&id.short(12).to_ascii_uppercase()), Ok(*id));
        let first = id.short(1);
        let same = ids.iter().filter(|id| id.short(1) == first).count();
        let expected = match same {
            1 => Ok(*id),
            matches => Err(Refusal::Ambiguous {
                reference: first.clone(),
                matches,
            }),
        };
        assert_eq!(found(&first), expected);
    }
    for unknown in ["", "nosuch", "n99", &"0".repeat(70)] {
        assert_eq!(found(unknown), Err(Refusal::NoNetwork(unknown.into())));
    }
}

#[test]
fn a_network_on_its_way_is_waited_for_and_one_that_leaves_is_gone_with_its_name_taken() {
    let mut snapshot = Snapshot::default();
    let id = put(&mut snapshot, network("blue", "10.1.0.0/24"));
    for phase in [Phase::Making, Phase::Arriving, Phase::Changing] {
        snapshot.set_phase(&id, phase);
        let refused = join(&mut snapshot, "web", "blue", EndpointSpec::default());
        assert_eq!(refused, Err(Refusal::Unsettled("blue".into())));
    }
    snapshot.set_phase(&id, Phase::Leaving);
    let refused = snapshot.find(&id.to_string()).map(drop);
    assert_eq!(refused, Err(Refusal::NoNetwork(id.to_string())));
    assert_eq!(snapshot.holder_of("blue").map(|f| f.network.id), Some(id));
    assert_eq!(snapshot.forwarding(), PerFamily { v4: 1, v6: 0 });
    snapshot.set_phase(&id, Phase::Gone);
    assert_eq!(
        snapshot.forwarding(),
        PerFamily::default(),
        "nothing is forwarded for it"
    );
    let subnet = "10.1.0.0/16".parse().unwrap();
    assert!(
        snapshot.overlapped(&subnet).next().is_some(),
        "its subnet is taken"
    );
    snapshot.drop_network(&id);
    assert_eq!(snapshot, Snapshot::default(), "nothing of it is left");
}

#[test]
fn overlaps_are_found_within_around_and_beside() {
    let mut snapshot = Snapshot::default();
    for (name, subnet) in [
        ("a", "10.1.0.0/24"),
        ("b", "10.2.0.0/16"),
        ("c", "10.0.0.0/8"),
    ] {
        let network = network(name, subnet);
        let network = with_option(network, OVERLAPPING, "true");
        put(&mut snapshot, network);
    }
    let names = |subnet: &str| -> BTreeSet<String> {
        let subnet = subnet.parse().unwrap();
        let found = snapshot.overlapping(&subnet);
        found.map(|found| found.network.spec.name.clone()).collect()
    };
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let check = |subnet, expected: &[&str]| assert_eq!(names(subnet), of(expected), "{subnet}");
    check("10.1.0.0/24", &["a", "c"]);
    check("10.1.0.128/25", &["a", "c"]);
    check("10.1.0.0/16", &["a", "c"]);
    check("10.2.3.4/32", &["b", "c"]);
    check("10.0.0.0/7", &["a", "b", "c"]);
    check("0.0.0.0/0", &["a", "b", "c"]);
    check("10.3.0.0/16", &["c"]);
    check("11.0.0.0/8", &[]);
    check("::/0", &[]);
}

#[test]
fn a_name_gets_what_it_had_and_others_do_not() {
    let mut snapshot = Snapshot::default();
    let id = put(&mut snapshot, network("blue", "10.1.0.0/29"));
    let lease = Lease {
        network: id,
        name: "db".into(),
        ipv4: Some("10.1.0.2".parse().unwrap()),
        ipv6: None,
        mac: None,
        written: 1,
    };
    let change = snapshot.new_leases(vec![lease.clone()]);
    assert_eq!(change.new, std::slice::from_ref(&lease));
    snapshot.change_leases(&change);
    assert_eq!(snapshot.new_leases(vec![lease]), LeaseChange::default());
    let address = |endpoint: Result<Endpoint, Refusal>| endpoint.unwrap().ipv4.unwrap().addr();
    let plain = EndpointSpec::default;
    let web = join(&mut snapshot, "web", "blue", plain());
    assert_eq!(address(web).to_string(), "10.1.0.3");
    let db = join(&mut snapshot, "db", "blue", plain());
    assert_eq!(address(db).to_string(), "10.1.0.2");

    let fourth: IpAddr = "10.1.0.4".parse().unwrap();
    let reserved = snapshot.reservable("blue", fourth, Some("mail")).unwrap();
    snapshot.put_reservation(&reserved);
    let refused = join(&mut snapshot.clone(), "other", "blue", asking("10.1.0.4"));
    assert!(
        matches!(refused, Err(Refusal::ReservedFor { .. })),
        "{refused:?}"
    );
    let other = join(&mut snapshot, "other", "blue", plain());
    assert_eq!(address(other).to_string(), "10.1.0.5");
    let mail = join(&mut snapshot, "mail", "blue", plain());
    assert_eq!(address(mail), fourth);
}

#[test]
fn devices_fill_one_after_the_other() {
    let mut snapshot = Snapshot::default();
    let network = with_option(network("blue", "10.1.0.0/24"), PORTS_PER_BRIDGE, "2");
    let id = put(
        &mut snapshot,
        Network {
            segments: 1,
            ..network
        },
    );
    let mut segments = Vec::new();
    for number in 0..4 {
        assert!(!snapshot.lacks_room(&id));
        let joined = join(
            &mut snapshot,
            &format!("c{number}"),
            "blue",
            EndpointSpec::default(),
        );
        segments.push(joined.unwrap().segment);
    }
    assert_eq!(segments, [0, 0, 1, 1]);
    assert!(snapshot.lacks_room(&id));
    leave(&mut snapshot, "c1", &id);
    assert!(!snapshot.lacks_room(&id));
}

/// A step of the model: what, which sandbox, which network, which address.
type Step = (u8, u8, u8, u8);

/// What a plain map says of the same steps.
#[derive(Default)]
struct Model {
    networks: BTreeMap<u8, BTreeMap<u8, IpAddr>>,
}

fn name_of(prefix: &str, number: u8) -> String {
    format!("{prefix}{number}")
}

/// Does one step with both, and says whether the snapshot took it.
fn step(snapshot: &mut Snapshot, model: &mut Model, (what, who, place, at): Step) -> bool {
    let (sandbox_name, net) = (name_of("c", who), name_of("n", place));
    let id = network(&net, "10.0.0.0/24").id;
    let taken = match what {
        0 => {
            let free = snapshot.holder_of(&net).is_none();
            if free {
                let new = network(&net, &format!("10.{place}.0.0/28"));
                put(snapshot, new);
            }
            free
        }
        1 => {
            let empty = snapshot
                .network(&id)
                .is_some_and(|found| found.members.is_empty());
            empty && snapshot.drop_network(&id).is_some()
        }
        2 | 3 => {
            let spec = match what {
                2 => EndpointSpec::default(),
                _ => asking(&format!("10.{place}.0.{at}")),
            };
            let decided = snapshot.decided(|draft| join(draft, &sandbox_name, &net, spec));
            match decided {
                Ok((draft, endpoint)) => {
                    *snapshot = draft;
                    let address = endpoint.addresses().next().unwrap();
                    let members = model.networks.get_mut(&place).expect("it is there");
                    assert!(members.insert(who, address).is_none(), "joined twice");
                    return true;
                }
                Err(_) => return false,
            }
        }
        _ => {
            let known = snapshot.sandbox(&sandbox(&sandbox_name).id);
            let joined = known.is_some_and(|known| known.endpoints.contains_key(&id));
            if joined {
                leave(snapshot, &sandbox_name, &id);
                if let Some(members) = model.networks.get_mut(&place) {
                    members.remove(&who);
                }
            }
            return joined;
        }
    };
    match (what, taken) {
        (0, true) => drop(model.networks.insert(place, BTreeMap::new())),
        (1, true) => drop(model.networks.remove(&place)),
        (_, _) => {}
    }
    taken
}

fn agree(snapshot: &Snapshot, model: &Model) {
    assert_eq!(snapshot.network_count(), model.networks.len());
    for (place, members) in &model.networks {
        let found = snapshot.find(&name_of("n", *place)).expect("it is there");
        assert_eq!(found.members.len(), members.len());
        let addresses: BTreeSet<&IpAddr> = members.values().collect();
        assert_eq!(addresses.len(), members.len(), "an address twice");
        let macs: BTreeSet<_> = found.members.values().collect();
        assert_eq!(macs.len(), members.len(), "a hardware address twice");
        for (who, address) in members {
            let id: SandboxId = sandbox(&name_of("c", *who)).id;
            let known = snapshot.sandbox(&id).expect("it is there");
            let mut own = known.endpoints[&found.network.id].addresses();
            assert_eq!(own.next(), Some(*address));
            // In use: it can only be refused to others.
            let asked = EndpointSpec {
                ipv4: only_v4(*address),
                ..EndpointSpec::default()
            };
            let refused = join(
                &mut snapshot.clone(),
                "stranger",
                &found.network.spec.name,
                asked,
            );
            assert!(matches!(refused, Err(Refusal::Address(_))), "{refused:?}");
        }
        let usage = found.pools[0].1.usage().in_use;
        assert_eq!(
            usage,
            3 + members.len() as u64,
            "of the network, the gateway and broadcast"
        );
    }
    let mut anew = Snapshot::default();
    snapshot
        .networks()
        .for_each(|found| anew.put_network(found.clone()));
    snapshot
        .sandboxes()
        .for_each(|known| anew.put_sandbox(known.clone()));
    assert!(
        anew == *snapshot,
        "the index is not what follows from the networks"
    );
}

fn only_v4(address: IpAddr) -> Option<std::net::Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_whatever_order_each_has_its_own(
        steps in prop::collection::vec((0u8..6, 0u8..20, 0u8..4, 0u8..20), 1..120)
    ) {
        let (mut snapshot, mut model) = (Snapshot::default(), Model::default());
        for one in steps {
            let before = snapshot.clone();
            if !step(&mut snapshot, &mut model, one) {
                prop_assert!(before == snapshot, "a refusal changed something");
            }
            agree(&snapshot, &model);
        }
    }
}
