//! One process that throws inputs at one target.

use crate::dice::Dice;
use crate::mutate::mutated;
use crate::{Seen, Target, seeds};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Beyond this an input costs memory that it must not cost.
const MEMORY: u64 = 4 << 30;
/// An input that takes so long, on however busy a machine, does not end.
const ENDLESS: Duration = Duration::from_secs(120);
/// So many inputs with outcomes of their own are kept.
const KEPT: usize = 4000;

/// What a worker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// How many inputs it threw.
    pub thrown: u64,
    /// How many outcomes it told apart.
    pub outcomes: usize,
}

/// Throws inputs at a target for a while. The one under way is always in the file `current`, so
/// that it is there when this process ends by it.
pub fn work(target: &Target, time: Duration, seed: u64, current: &Path) -> io::Result<Done> {
    limit_memory()?;
    let current = File::create(current)?;
    let thrown = Arc::new(AtomicU64::new(0));
    watch(Arc::clone(&thrown));
    let mut outcomes = BTreeSet::new();
    let mut pool = Vec::new();
    let mut throw = |input: &[u8]| -> io::Result<bool> {
        current.set_len(input.len() as u64)?;
        current.write_all_at(input, 0)?;
        let new = outcomes.insert((target.run)(input));
        thrown.fetch_add(1, Ordering::Relaxed);
        Ok(new)
    };
    for (_, seed) in seeds(target)? {
        throw(&seed)?;
        pool.push(seed);
    }
    let committed = pool.len();
    let mut dice = Dice::new(seed);
    let started = Instant::now();
    while started.elapsed() < time {
        let input = mutated(&mut dice, target, &pool);
        if throw(&input)? {
            keep(&mut dice, &mut pool, committed, input);
        }
    }
    Ok(Done {
        thrown: thrown.load(Ordering::Relaxed),
        outcomes: outcomes.len(),
    })
}

/// Runs a target on one input.
pub fn replay(target: &Target, input: &[u8]) -> Seen {
    (target.run)(input)
}

/// Keeps an input as a seed; where there are too many, in the place of another found one.
fn keep(dice: &mut Dice, pool: &mut Vec<Vec<u8>>, committed: usize, input: Vec<u8>) {
    if pool.len() < committed + KEPT {
        pool.push(input);
    } else {
        let place = committed + dice.below(KEPT);
        pool[place] = input;
    }
}

fn limit_memory() -> io::Result<()> {
    let limit = Rlimit {
        current: Some(MEMORY),
        maximum: Some(MEMORY),
    };
    setrlimit(Resource::As, limit)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Ends the process when one input never ends.
fn watch(thrown: Arc<AtomicU64>) {
    thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = thrown.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > ENDLESS {
                eprintln!("one input has been running for {ENDLESS:?}");
                std::process::abort();
            }
        }
    });
}
