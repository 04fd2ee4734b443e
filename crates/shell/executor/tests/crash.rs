//! What the executor promises, on a fake kernel: a crash or a refusal anywhere leaves nothing that
//! the next run does not find.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sealane_core::drivers::Driven;
use sealane_core::drivers::bridge::options;
use sealane_core::model::{
    DriverName, Endpoint, EndpointSpec, Facts, InterfaceName, IpamSpec, Mac, Network, NetworkSpec,
    Policy, Scope, SubnetSpec, derive_id,
};
use sealane_core::plan::{Change, Forwarding, Key, Link, LinkKind, Netns, Object, Part, Plan};
use sealane_core::scopes::plan_network;
use sealane_executor::{ApplyError, Executor};
use sealane_kernel::fake::FakeKernel;
use sealane_store::{BootId, Journal};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

const FACTS: Facts = Facts {
    bridge_netfilter: false,
    ipv4_forwarding: true,
    ipv6_forwarding: true,
    ipv6: true,
    ipv4_forward_drops: false,
    ipv6_forward_drops: false,
    advertised: BTreeSet::new(),
    foreign_bridges: BTreeSet::new(),
    policy: Policy {
        ipv4_unmanaged: false,
        ipv6_unmanaged: false,
        direct_routing: false,
        accept_mark: None,
        owned_table: false,
    },
};

fn network() -> Driven {
    Driven::of(Network {
        id: derive_id(&[b"blue"]),
        created: String::new(),
        segments: 0,
        spec: NetworkSpec {
            name: "blue".into(),
            driver: DriverName::known("bridge"),
            scope: Scope::Local,
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
                subnets: vec![SubnetSpec {
                    subnet: "10.1.0.0/24".parse().unwrap(),
                    ip_range: None,
                    gateway: Some("10.1.0.1".parse().unwrap()),
                    auxiliary: BTreeMap::new(),
                }],
            },
            options: BTreeMap::from([(options::NAME.into(), "br-blue".into())]),
            labels: BTreeMap::new(),
        },
        users_device: None,
    })
    .unwrap()
}

/// A network with one endpoint, in a sandbox of its own.
fn plan() -> Plan {
    let (network, sandbox) = (network(), derive_id(&[b"web"]));
    let id = Endpoint::id_of(&sandbox, &network.id);
    let endpoint = Endpoint {
        id,
        network: network.id,
        interface: InterfaceName::try_from("eth0").unwrap(),
        host_interface: Endpoint::host_interface_of(&id),
        segment: 0,
        mac: Mac::from_id(&id),
        ipv4: Some("10.1.0.2/24".parse().unwrap()),
        ipv6: None,
        gateway4: Some("10.1.0.1".parse().unwrap()),
        gateway6: None,
        host6: vec![],
        alias: None,
        spec: EndpointSpec::default(),
    };
    let mut plan = plan_network(&network, &FACTS);
    plan.add(Key::Namespace(sandbox), Object::Present);
    let settings = network.settings();
    plan.merge(settings.plan_endpoint(&network, &sandbox, &endpoint, &FACTS));
    plan
}

fn executor(kernel: FakeKernel, folder: &Path) -> (Executor<FakeKernel>, Arc<FakeKernel>) {
    let boot = BootId::named("this boot");
    let (journal, _) = Journal::open(&folder.join("claims"), boot).unwrap();
    let kernel = Arc::new(kernel);
    (Executor::new(kernel.clone(), journal), kernel)
}

#[test]
fn after_a_crash_at_any_step_the_sweep_leaves_what_is_wanted() {
    let plan = plan();
    for wanted in [&Plan::default(), &plan] {
        for crash_at in 0..plan.objects().len() {
            let folder = tempfile::tempdir().unwrap();
            let (first, kernel) = executor(FakeKernel::dying_after(crash_at), folder.path());
            first
                .apply(&Plan::default(), &plan)
                .expect_err("the first run dies");
            drop(first);

            let (second, kernel) = executor(kernel.revived(), folder.path());
            second.apply(&Plan::default(), &Plan::default()).unwrap();
            second
                .sweep(&keep_namespace(wanted, &kernel), &|keys| keys)
                .unwrap();
            let host = |key: &&Key| key.netns() == Netns::Host && !setting(key);
            let objects = kernel.objects();
            let left: Vec<&Key> = objects.keys().filter(host).collect();
            let expected = keep_namespace(wanted, &kernel);
            let expected: Vec<&Key> = expected.objects().keys().filter(host).collect();
            assert_eq!(left, expected, "after a crash at step {crash_at}");
        }
    }
}

/// A namespace that was never made is not wanted after a crash: its sandbox was never saved.
fn keep_namespace(wanted: &Plan, kernel: &FakeKernel) -> Plan {
    let objects = kernel.objects();
    let gone = |key: &Key| matches!(key, Key::Namespace(_)) && !objects.contains_key(key);
    if wanted.objects().keys().any(gone) {
        return Plan::default();
    }
    wanted.clone()
}

/// Settings are never taken back: their former values are not recorded.
fn setting(key: &Key) -> bool {
    matches!(key, Key::Setting(..))
}

#[test]
fn a_refusal_takes_back_what_was_made_and_names_the_object() {
    let plan = plan();
    for refused in plan.objects().keys() {
        let folder = tempfile::tempdir().unwrap();
        let (executor, kernel) = executor(FakeKernel::new(), folder.path());
        kernel.refuse(refused.clone());
        match executor.apply(&Plan::default(), &plan) {
            Err(ApplyError::Refused { key, .. }) => assert_eq!(key, *refused),
            other => panic!("{refused:?} was refused, and apply says {other:?}"),
        }
        let left: Vec<Key> = kernel
            .objects()
            .into_keys()
            .filter(|key| !setting(key))
            .collect();
        assert_eq!(left, [], "after {refused:?} was refused");
    }
}

#[test]
fn what_was_removed_is_claimed_no_more_nor_what_went_along_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, _) = executor(FakeKernel::new(), folder.path());
    executor.apply(&Plan::default(), &plan()).unwrap();
    executor.remove(&plan()).unwrap();
    drop(executor);
    let boot = BootId::named("this boot");
    let (_, claimed) = Journal::<Key>::open(&folder.path().join("claims"), boot).unwrap();
    assert_eq!(claimed, BTreeSet::new(), "others may make their own now");
}

#[test]
fn applying_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    executor.apply(&Plan::default(), &plan()).unwrap();
    let changes = kernel.changes().len();
    assert_eq!(executor.apply(&plan(), &plan()).unwrap(), []);
    assert_eq!(executor.sweep(&plan(), &|keys| keys).unwrap().changes, []);
    assert_eq!(kernel.changes().len(), changes);
}

#[test]
fn a_sweep_puts_back_a_lost_veth_with_what_was_inside_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    executor.apply(&Plan::default(), &plan()).unwrap();
    let veth = |key: &&Key| matches!(key, Key::Link(_, name) if name.as_str().starts_with("veth"));
    let plan = plan();
    kernel.lose(plan.objects().keys().find(veth).unwrap());
    executor.sweep(&plan, &|keys| keys).unwrap();
    let missing: Vec<&Key> = plan
        .objects()
        .keys()
        .filter(|key| !kernel.objects().contains_key(*key))
        .collect();
    assert_eq!(missing, [] as [&Key; 0]);
}

#[test]
fn what_a_container_changed_inside_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    let plan = plan();
    executor.apply(&Plan::default(), &plan).unwrap();
    let inside = |key: &&Key| matches!(key, Key::Address(Netns::Sandbox(_), ..));
    let address = plan.objects().keys().find(inside).unwrap();
    kernel.lose(address);
    assert_eq!(executor.sweep(&plan, &|keys| keys).unwrap().changes, []);
    assert!(!kernel.objects().contains_key(address));
}

#[test]
fn removing_a_sandbox_releases_its_namespace_and_deletes_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, _) = executor(FakeKernel::new(), folder.path());
    executor.apply(&Plan::default(), &plan()).unwrap();
    let without = plan_network(&network(), &FACTS);
    let changes = executor.apply(&plan(), &without).unwrap();
    let link = |change: &&Change| matches!(change.key(), Key::Link(..));
    assert_eq!(changes.iter().filter(link).count(), 0);
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, Change::Delete(Key::Namespace(_), _)))
    );
}

/// The plan's only bridge.
fn bridge_of(plan: &Plan) -> Key {
    let bridge = |key: &&Key| matches!(key, Key::Link(_, name) if name.as_str() == "br-blue");
    plan.objects().keys().find(bridge).unwrap().clone()
}

#[test]
fn a_sweep_puts_back_what_others_set_and_keeps_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    let plan = plan();
    executor.apply(&Plan::default(), &plan).unwrap();
    let key = bridge_of(&plan);
    let Object::Link(link) = plan.objects()[&key].clone() else {
        panic!("a bridge is a link");
    };
    let drifted = Link {
        mtu: Some(1280),
        ..link.clone()
    };
    kernel.put(key.clone(), Object::Link(drifted.clone()));
    let alter = Change::Alter(key, Object::Link(drifted), Object::Link(link));
    let alter = [alter];
    assert_eq!(executor.drift(&plan, &|keys| keys).unwrap(), alter);
    assert_eq!(executor.sweep(&plan, &|keys| keys).unwrap().changes, alter);
    assert_eq!(executor.sweep(&plan, &|keys| keys).unwrap().changes, []);
}

#[test]
fn a_sweep_replaces_a_link_of_another_kind_and_makes_again_what_stood_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    let plan = plan();
    executor.apply(&Plan::default(), &plan).unwrap();
    let key = bridge_of(&plan);
    kernel.put(key.clone(), Object::Link(Link::of(LinkKind::Dummy)));
    let changes = executor.sweep(&plan, &|keys| keys).unwrap().changes;
    assert!(
        matches!(&changes[0], Change::Replace(at, ..) if *at == key),
        "{changes:?}"
    );
    let made = |wanted: &dyn Fn(&Key) -> bool| changes[1..].iter().any(|c| wanted(c.key()));
    assert!(made(&|key| matches!(key, Key::Address(Netns::Host, ..))));
    assert!(made(&|key| matches!(key, Key::Up(Netns::Host, _))));
    assert_eq!(executor.sweep(&plan, &|keys| keys).unwrap().changes, []);
}

#[test]
fn what_is_not_loaded_yet_is_not_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (executor, kernel) = executor(FakeKernel::new(), folder.path());
    let Key::Link(netns, bridge) = bridge_of(&plan()) else {
        panic!("a bridge is a link");
    };
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    let peer = Key::Forwarding(netns, bridge.clone(), mac);
    let mut complete = plan();
    complete.add(peer.clone(), Object::Forwarding(Forwarding::Port));
    executor.apply(&Plan::default(), &complete).unwrap();

    let mut early = plan();
    early.leave_open(Part::OnLink(netns, bridge));
    assert_eq!(executor.sweep(&early, &|keys| keys).unwrap().changes, []);
    assert!(kernel.objects().contains_key(&peer));
    // It stays claimed, so that it is found when all is known.
    executor.sweep(&plan(), &|keys| keys).unwrap();
    assert!(!kernel.objects().contains_key(&peer));
}
