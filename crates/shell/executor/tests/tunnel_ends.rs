//! A tunnel that floods to several ends, on the real kernel. `bridge` witnesses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sealane_core::model::{InterfaceName, Mac};
use sealane_core::plan::{Key, Link, LinkKind, Netns, Object, Part, Plan, Vxlan};
use sealane_executor::Executor;
use sealane_kernel::Kernel;
use sealane_kernel::netns::isolated;
use sealane_store::{BootId, Journal};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn tunnel() -> InterfaceName {
    InterfaceName::try_from("vx0").unwrap()
}

/// A tunnel that has frames of no known end go to these.
fn plan(ends: &[&str]) -> Plan {
    let link = Link::of(LinkKind::Vxlan(Vxlan {
        vni: 5,
        port: 4789,
        local: None,
        learning: false,
        proxy: false,
    }));
    let mut plan = Plan::default();
    plan.add(Key::Link(Netns::Host, tunnel()), Object::Link(link));
    for end in ends {
        let key = Key::Flooding(Netns::Host, tunnel(), Mac::NONE, end.parse().unwrap());
        plan.add(key, Object::Present);
    }
    plan
}

fn executor(folder: &Path) -> Executor<Kernel> {
    let kernel = Kernel::open(folder.join("netns")).unwrap();
    let boot = BootId::named("this boot");
    let journal = Journal::open(&folder.join("claims"), boot).unwrap();
    Executor::new(Arc::new(kernel), journal.0)
}

fn bridge(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("bridge").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// The ends that the tunnel floods to.
fn ends() -> Vec<String> {
    let listed = bridge(&["-j", "fdb", "show", "dev", "vx0"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    let entries = listed.as_array().unwrap().iter();
    let flooded = entries.filter(|entry| entry["mac"] == "00:00:00:00:00:00");
    let mut ends: Vec<String> = flooded
        .map(|entry| entry["dst"].as_str().unwrap().to_owned())
        .collect();
    ends.sort();
    ends
}

#[test]
fn the_ends_of_a_tunnel_come_and_go_one_by_one() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let executor = executor(folder.path());
        let (three, two) = (
            plan(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
            plan(&["192.0.2.1", "192.0.2.3"]),
        );
        executor.apply(&Plan::default(), &three).unwrap();
        assert_eq!(ends(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        executor.apply(&three, &two).unwrap();
        assert_eq!(ends(), ["192.0.2.1", "192.0.2.3"]);

        // What another takes away is put back, and nothing else is done.
        bridge(&[
            "fdb",
            "del",
            "00:00:00:00:00:00",
            "dev",
            "vx0",
            "dst",
            "192.0.2.3",
        ]);
        assert_eq!(ends(), ["192.0.2.1"]);
        let swept = executor.sweep(&two, &|keys| keys).unwrap();
        assert_eq!(swept.changes.len(), 1, "{:?}", swept.changes);
        assert_eq!(ends(), ["192.0.2.1", "192.0.2.3"]);
    })
    .expect("new namespaces; this runs as root");
}

#[test]
fn ends_that_a_crash_left_are_swept_unless_they_may_still_be_wanted() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let (all, none) = (plan(&["192.0.2.1", "192.0.2.2"]), plan(&[]));
        executor(folder.path())
            .apply(&Plan::default(), &all)
            .unwrap();

        let again = executor(folder.path());
        let mut early = none.clone();
        early.leave_open(Part::OnLink(Netns::Host, tunnel()));
        again.sweep(&early, &|keys| keys).unwrap();
        assert_eq!(ends(), ["192.0.2.1", "192.0.2.2"]);
        again.sweep(&none, &|keys| keys).unwrap();
        assert_eq!(ends(), [""; 0]);
    })
    .expect("new namespaces; this runs as root");
}
