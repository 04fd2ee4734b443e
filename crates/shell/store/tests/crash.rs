//! A process that commits, records and claims without end is killed again and again; what it said
//! it had done must be done, and a batch must never be done by half.
//!
//! Without the test harness, because the same program is the process that is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use sealane_store::{Batch, BootId, Journal, Records, Store, Table};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const LEFT: Table = Table("left");
const RIGHT: Table = Table("right");
const ROUNDS: u64 = 40;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("work") => work(Path::new(&arguments[2]), arguments[3].parse().unwrap()),
        Some("--list") => println!("a_killed_process_left_nothing_by_half: test"),
        _ => a_killed_process_left_nothing_by_half(),
    }
}

fn a_killed_process_left_nothing_by_half() {
    let root = tempfile::tempdir().unwrap();
    let mut done = 0;
    for round in 0..ROUNDS {
        let said = run_and_kill(root.path(), done + 1, 1 + round % 7);
        assert!(said > done, "nothing was done in round {round}");
        done = check(root.path(), said);
    }
    println!("test a_killed_process_left_nothing_by_half ... ok ({done} commits)");
}

/// Lets a process work until it has said `lines` numbers, then kills it amid the next ones.
/// Returns the last number it said.
fn run_and_kill(root: &Path, from: u64, lines: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["work".as_ref(), root.as_os_str(), from.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..lines {
        output.next().unwrap().unwrap();
    }
    // Somewhere else in the cycle each time.
    thread::sleep(Duration::from_micros(from * 37 % 1000));
    child.kill().unwrap();
    let last = output.map_while(Result::ok).last();
    child.wait().unwrap();
    last.map_or(from + lines - 1, |line| line.parse().unwrap())
}

/// Compares what is stored with what the process had said, and returns how far it came.
fn check(root: &Path, said: u64) -> u64 {
    let store = Store::open(root).unwrap();
    let left = store.load_all::<u64>(LEFT).unwrap();
    let right = store.load_all::<u64>(RIGHT).unwrap();
    assert_eq!(left, right, "a batch was done by half");
    let last = left["last"];
    assert!(
        last == said || last == said + 1,
        "said {said}, stored {last}"
    );

    let boot = BootId::named("boot");
    let (_, loaded) = Records::<u64>::open(&root.join("records"), boot.clone()).unwrap();
    assert!(loaded.damaged.is_empty(), "{:?}", loaded.damaged);
    let recorded = loaded.records["last"];
    assert!(
        recorded == said || recorded == said + 1,
        "said {said}, recorded {recorded}"
    );

    let (_, claimed) = Journal::<u64>::open(&root.join("claims"), boot).unwrap();
    assert!(claimed.contains(&said), "said {said}, claimed {claimed:?}");
    assert!(
        claimed.len() <= 3,
        "what was released is still claimed: {claimed:?}"
    );
    last
}

/// Commits ever higher numbers, and says each one when it is stored.
fn work(root: &Path, from: u64) {
    let store = Store::open(root).unwrap();
    let boot = BootId::named("boot");
    let (records, _) = Records::<u64>::open(&root.join("records"), boot.clone()).unwrap();
    let (journal, claimed) = Journal::<u64>::open(&root.join("claims"), boot).unwrap();
    // What the one before had claimed and not stored is claimed again, so it is not stale.
    let mut stale: Vec<u64> = claimed
        .into_iter()
        .filter(|number| *number < from)
        .collect();
    for number in from.. {
        journal.claim([&number]).unwrap();
        records.write("last", &number).unwrap();
        let mut batch = Batch::default();
        batch.put(LEFT, "last", &number).unwrap();
        batch.put(RIGHT, "last", &number).unwrap();
        batch.put(LEFT, "filling", &number).unwrap();
        batch.put(RIGHT, "filling", &number).unwrap();
        store.commit(&batch).unwrap();
        println!("{number}");
        journal.release(&stale).unwrap();
        stale = vec![number];
    }
}
