//! Random operations on an engine in memory, with a fault at every step, against a model of what each
//! has to come to.
//!
//! Everything beneath the engine is a map that outlives it: kernel, disk, store, ports, resolvers. An
//! operation is tried as a dry run, which takes no step. Then, for each of its steps and each time on
//! a copy of the world: the step is refused, and all is as before, or as the model says; everything
//! ends there, and a new engine on what is left finds one of the two. At last it is carried out.

mod agree;
mod dice;
mod disk;
mod fakes;
mod model;
mod operation;
mod world;

use agree::{agrees, learnt};
use dice::Dice;
use model::Model;
use operation::Operation;
use sealane_core::model::SandboxId;
use sealane_engine::EngineError;
use sealane_kernel::fake::Fault;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::{World, id};

/// For how many seconds each test goes on, unless the environment says how many.
const SECONDS: u64 = 12;
const SECONDS_VARIABLE: &str = "SEALANE_MEMORY_SECONDS";
/// The environment may name the one seed that is tried.
const SEED_VARIABLE: &str = "SEALANE_MEMORY_SEED";
/// How many operations a world sees.
const OPERATIONS: usize = 40;

/// A world, and what should be in it.
struct Walk {
    world: World,
    model: Model,
    dice: Dice,
    runs: usize,
}

impl Walk {
    fn begin(seed: u64) -> Self {
        Self {
            world: World::new(),
            model: Model::default(),
            dice: Dice::new(seed),
            runs: 0,
        }
    }

    /// One operation, with a fault at each of its steps, and without.
    fn step(&mut self) -> Result<(), String> {
        let operation = self.dice.operation(&self.model);
        self.foresee(&operation)?;
        let expected = self.model.after(&operation);
        let new = expected.as_ref().unwrap_or(&self.model).clone();
        let told = |why: String| format!("{operation:?} on {:?}: {why}", self.model);
        let steps = self.refusals(&operation, &new).map_err(told)?;
        for at in 0..steps {
            self.dead(&operation, &new, at).map_err(told)?;
        }
        let done = self.world.carry_out(&operation, None);
        match (&done, expected) {
            (Ok(()), Ok(_)) => {}
            (Err(error), Err(kinds)) if kinds.contains(&kind(error)) => {}
            (_, expected) => {
                return Err(told(format!("came to {done:?} instead of {expected:?}")));
            }
        }
        agrees(&self.world, &new).map_err(told)?;
        disk::just_claims(&self.world).map_err(told)?;
        self.model = learnt(&self.world, &new);
        self.runs += 1 + 2 * steps;
        Ok(())
    }

    /// A dry run says whether the operation will be refused, and takes no step.
    fn foresee(&self, operation: &Operation) -> Result<(), String> {
        let before = self.seen();
        self.world.steps.begin(None);
        let foreseen = self.world.foresee(operation);
        let taken = self.world.steps.taken();
        if taken > 0 || self.seen() != before {
            return Err(format!("a dry run of {operation:?} took {taken} steps"));
        }
        let refused = self.model.after(operation).err();
        // To remove what is not there is no error, but there is nothing to be seen either.
        let absent =
            matches!(operation, Operation::Drop(s) if !self.model.sandboxes.contains_key(s));
        match (foreseen, refused) {
            (None, _) | (Some(Ok(_)), None) => Ok(()),
            (Some(Err(error)), Some(kinds)) if kinds.contains(&kind(&error)) => Ok(()),
            (Some(Err(_)), None) if absent => Ok(()),
            (Some(foreseen), refused) => Err(format!(
                "a dry run of {operation:?} on {:?} says {foreseen:?} and not {refused:?}",
                self.model
            )),
        }
    }

    /// Everything that another client can see.
    fn seen(&self) -> String {
        let engine = &self.world.engine;
        let networks = engine.networks();
        let expected = networks
            .iter()
            .map(|found| engine.expected(&found.spec.name));
        let expected: Vec<_> = expected
            .map(|expected| expected.expect("it is there"))
            .collect();
        let views = networks
            .iter()
            .map(|found| engine.network(&found.spec.name));
        let usage: Vec<_> = views.map(|view| view.expect("it is there").usage).collect();
        format!(
            "{:?} {expected:?} {usage:?} {}",
            engine.sandboxes(),
            engine.wanted()
        )
    }

    fn copy(&self) -> World {
        self.world.revived(&alive(&[&self.model]))
    }

    /// Each step is refused, one after the other; returns how many there are.
    fn refusals(&self, operation: &Operation, new: &Model) -> Result<usize, String> {
        let mut world = self.copy();
        for at in 0.. {
            let done = world.carry_out(operation, Some(Fault::Refused(at)));
            let Some(struck) = world.steps.struck() else {
                return Ok(at);
            };
            let refused = self.refused(operation, new, &world, &done);
            refused.map_err(|why| format!("with {struck:?} refused, to {done:?}: {why}"))?;
            if done.is_ok() || carries_on(operation) {
                world = self.copy();
            }
        }
        Ok(0)
    }

    /// A step was refused: all is as before, or the operation could do without.
    fn refused(
        &self,
        operation: &Operation,
        new: &Model,
        world: &World,
        done: &Result<(), EngineError>,
    ) -> Result<(), String> {
        let stages = self.model.stages(operation, new);
        match done {
            Err(_) if !carries_on(operation) => return agrees(world, &self.model),
            // A prune leaves the networks that could not be removed.
            Ok(()) if *operation != Operation::Prune => agree::shows(world, new)?,
            Ok(()) | Err(_) => any(world, &stages, agree::shows)?,
        }
        // A change of a network does not wait for the files of those who are on it.
        let struck = world.steps.struck().unwrap_or_default();
        let check = match struck.contains(world::FILES) {
            true => agree::agrees_but_for_files,
            false => agrees,
        };
        // What could not be removed is gone when it is looked for again.
        let repaired = world.engine.resume_repair();
        repaired.map_err(|error| format!("it cannot be repaired: {error}"))?;
        any(world, &stages, check)
    }

    /// Everything ends at a step: who comes after finds all as before, or as it was to be.
    fn dead(&self, operation: &Operation, new: &Model, at: usize) -> Result<(), String> {
        let world = self.copy();
        let done = world.carry_out(operation, Some(Fault::Dead(at)));
        let struck = world.steps.struck();
        let next = world.revived(&alive(&[&self.model, new]));
        any(&next, &self.model.stages(operation, new), agrees)
            .and_then(|()| disk::claims(&next))
            .map_err(|why| format!("after an end at step {at}, {struck:?}, {done:?}: {why}"))
    }
}

/// The sandboxes whose containers may be running.
fn alive(models: &[&Model]) -> BTreeSet<SandboxId> {
    let all = models.iter().flat_map(|model| model.sandboxes.keys());
    all.map(|s| id(*s)).collect()
}

/// Whether an operation removes, and goes on past what is refused.
fn carries_on(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Remove(_) | Operation::Drop(_) | Operation::Disconnect(..) | Operation::Prune
    )
}

/// Whether a world is one of these.
fn any(
    world: &World,
    stages: &[Model],
    check: fn(&World, &Model) -> Result<(), String>,
) -> Result<(), String> {
    let mut faults = Vec::new();
    for stage in stages {
        match check(world, stage) {
            Ok(()) => return Ok(()),
            Err(fault) => faults.push(fault),
        }
    }
    Err(format!("none of what it may be: {faults:?}"))
}

fn kind(error: &EngineError) -> String {
    format!("{:?}", error.class())
}

/// Goes on from seed to seed until the time is up.
fn walk(first: u64) {
    let time = Duration::from_secs(variable(SECONDS_VARIABLE).unwrap_or(SECONDS));
    let (begun, first) = (Instant::now(), variable(SEED_VARIABLE).unwrap_or(first));
    let (mut runs, mut seed) = (0, first);
    while begun.elapsed() < time {
        let mut walk = Walk::begin(seed);
        for _ in 0..OPERATIONS {
            if begun.elapsed() >= time {
                break;
            }
            walk.step()
                .unwrap_or_else(|why| panic!("{SEED_VARIABLE}={seed}: {why}"));
        }
        runs += walk.runs;
        seed += 1;
    }
    let rate = runs as f64 * 60.0 / begun.elapsed().as_secs_f64();
    println!("seeds {first}..{seed}: {runs} runs, {rate:.0} a minute");
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_is_refused_or_ends_all_is_as_before_or_as_it_was_to_be() {
    walk(1);
}

#[test]
fn that_holds_for_seeds_that_nobody_has_seen() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    walk(now.map_or(7, |now| now.as_secs()) << 20);
}
