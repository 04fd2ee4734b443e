//! The daemon dies before its n-th write, for every n, and nothing is left in between.
//!
//! A write is a store commit, a kernel message, an exec or a file. Afterwards the daemon starts
//! again, and links, addresses, routes, neighbors, rules, mounts, cgroups, processes and runtime
//! files must equal either the state before the operation or that of an uninterrupted one,
//! whichever the API reports.

use crate::{SOON, World, is_kernel_lab};
use sealane_testkit::{DaemonOptions, Lab, Snapshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

const FAULT: &str = "/run/fault";

/// An operation, and how to tell and undo it.
pub struct Operation {
    /// What it is called.
    pub name: &'static str,
    /// Method, path and body of the request.
    pub request: (&'static str, &'static str, Value),
    /// What the API says of it, in a word.
    pub says: fn(&World) -> &'static str,
    /// Stops half-way, for an operation that is two in the eyes of the API.
    pub halfway: Option<fn(&World)>,
    /// Brings the host to where the operation can be done, whatever there is now.
    pub prepare: fn(&World),
}

/// What the kernel has for each thing that the API may say, each seen by a freshly started daemon.
type Expected = BTreeMap<&'static str, Snapshot>;

/// Does an operation again and again on one host, dying before one write after the other. `setting`
/// makes what all operations of a kind need.
pub fn crash_at_every_step(operation: &Operation, setting: fn(&World)) {
    let lab = Lab::new();
    let options = DaemonOptions {
        environment: vec![("SEALANE_FAULT_FILE".into(), FAULT.into())],
        ..DaemonOptions::default()
    };
    let mut world = World::of(lab, options);
    setting(&world);
    let (expected, first) = uninterrupted(&mut world, operation);
    let mut points = 0;
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    while let Some(point) = interrupted(&mut world, operation, points + 1) {
        points += 1;
        let says = (operation.says)(&world);
        *counts.entry(says).or_default() += 1;
        let name = operation.name;
        let what = format!("{name} died before write {points} ({point}); the API says {says:?}");
        let wanted = expected
            .get(says)
            .unwrap_or_else(|| panic!("{what}, which is no outcome"));
        settles_to(&world, wanted, &what);
    }
    // Past the harness, which shows what a test prints only when it fails.
    let line = format!(
        "{}: died before each of {points} writes; {counts:?}\n",
        operation.name
    );
    io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
    assert!(points > 1, "{} is more than one write", operation.name);
    (operation.prepare)(&world);
    world.relaunch();
    settles_to(&world, &expected[first], "and everything is undone");
}

/// What there is without any death, and what the API says before the operation.
fn uninterrupted(world: &mut World, operation: &Operation) -> (Expected, &'static str) {
    let mut expected = Expected::new();
    let mut look = |world: &mut World| {
        world.relaunch();
        let says = (operation.says)(world);
        let known = expected.insert(says, Snapshot::take(world.host()));
        assert!(
            known.is_none(),
            "{}: the API says {says:?} of two states",
            operation.name
        );
        says
    };
    (operation.prepare)(world);
    let first = look(world);
    if let Some(halfway) = operation.halfway {
        halfway(world);
        look(world);
        (operation.prepare)(world);
    }
    let (method, path, body) = &operation.request;
    let (status, answer) = world.api(method, path, body);
    assert!(status < 300, "{}: {status} {answer}", operation.name);
    look(world);
    (expected, first)
}

/// Does the operation with a death before the n-th write, and starts the daemon again. Returns the
/// name of the point, or nothing where the operation has fewer writes.
fn interrupted(world: &mut World, operation: &Operation, n: u32) -> Option<String> {
    (operation.prepare)(world);
    // What the preparation left to do in the background is over before counting begins.
    world.relaunch();
    let log = world.host().path(format!("{FAULT}.log"));
    // There is none before the first point.
    drop(fs::remove_file(&log));
    world.host().write(FAULT, &n.to_string());
    let (method, path, body) = &operation.request;
    let answer = world.try_api(method, path, body.to_string().as_bytes());
    // An answer may have left just before the death that followed it.
    std::thread::sleep(Duration::from_millis(100));
    world.host().sh(&format!("rm -f {FAULT}")).ok();
    std::thread::sleep(Duration::from_millis(20));
    let died = answer.is_err() || !world.runs();
    if !died {
        return None;
    }
    world.wait_for_end();
    world.launch();
    let points = fs::read_to_string(&log).unwrap_or_default();
    Some(points.lines().last().unwrap_or("no point").to_owned())
}

#[track_caller]
fn settles_to(world: &World, wanted: &Snapshot, what: &str) {
    // Looking takes seconds there.
    let patience = if is_kernel_lab() { 6 * SOON } else { SOON };
    let end = Instant::now() + patience;
    loop {
        let difference = wanted.difference(&Snapshot::take(world.host()));
        if difference.is_empty() {
            return;
        }
        assert!(
            Instant::now() < end,
            "{what}, but the host says\n{difference}"
        );
    }
}
