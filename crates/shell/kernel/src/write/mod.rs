//! Everything that changes the kernel.
//!
//! Only the executor may name this module; a test of the workspace says so. Start at [`Write`].
//! Changes are cut into runs that the kernel can take at once: links and addresses by datagram
//! (`route`), filters by transaction (`filter`), namespaces and settings one by one.

mod address;
mod announce;
pub(crate) mod conntrack;
mod effect;
mod filter;
mod link;
mod namespace;
mod passage;
mod route;
mod setting;
mod settle;

use crate::kernel::Kernel;
use sealane_core::plan::{Change, Effect, Key, Netns, Phase};
use std::fmt;
use std::io;
use std::path::Path;

/// What turns changes into kernel state.
pub trait Write {
    /// Carries out changes in order, and stops at the first refusal. A change that finds its work
    /// done is fine: a wanted object that exists equal, an unwanted one that is absent.
    ///
    /// What falls to one namespace and one family of netlink goes out in one send. The kernel
    /// refuses a transaction of nftables as a whole; but of links, addresses and routes sent
    /// together it takes the ones behind the refused one, too.
    fn write(&self, changes: &[Change]) -> Result<(), Refused>;

    /// Carries out changes like [`Write::write`], but goes on past refusals and returns them all.
    fn write_all(&self, changes: &[Change]) -> Vec<Refused>;

    /// Does something once.
    fn run(&self, effect: &Effect) -> io::Result<()>;

    /// Removes the bind mount of a namespace whose sandbox is not known any more; `path` is one of
    /// [`crate::Ask::namespace_files`].
    fn remove_namespace_file(&self, path: &Path) -> io::Result<()>;
}

/// A change that the kernel refused.
#[derive(Debug)]
pub struct Refused {
    /// Its place among the changes.
    pub index: usize,
    /// The object concerned.
    pub key: Key,
    /// What the kernel said; [`crate::errno`] knows its number.
    pub source: io::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused {}", self.key)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Write for Kernel {
    fn write(&self, changes: &[Change]) -> Result<(), Refused> {
        match carry_out(self, changes, true)
            .into_iter()
            .min_by_key(|refused| refused.index)
        {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    fn write_all(&self, changes: &[Change]) -> Vec<Refused> {
        carry_out(self, changes, false)
    }

    fn run(&self, effect: &Effect) -> io::Result<()> {
        effect::run(self, effect)
    }

    fn remove_namespace_file(&self, path: &Path) -> io::Result<()> {
        crate::fault::point("namespace file remove");
        namespace::unbind(path)
    }
}

/// A change and its place among all.
type Step<'a> = (usize, &'a Change);
/// Refusals by the place of their change.
type Failures = Vec<(usize, io::Error)>;

/// What can be sent together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Namespace,
    /// Links, addresses and the like; made if true, removed if not.
    Route(bool),
    Filter,
    Setting,
}

fn class(change: &Change) -> Class {
    let made = !is_removal(change);
    match change.key().phase() {
        Phase::Namespace => Class::Namespace,
        Phase::Filter => Class::Filter,
        Phase::Caution | Phase::Setting => Class::Setting,
        Phase::Link | Phase::Address | Phase::Up | Phase::Neighbor | Phase::Route => {
            Class::Route(made)
        }
    }
}

fn carry_out(kernel: &Kernel, changes: &[Change], stop: bool) -> Vec<Refused> {
    let steps: Vec<Step> = changes.iter().enumerate().collect();
    let mut refused = Vec::new();
    for run in steps.chunk_by(|(_, one), (_, next)| class(one) == class(next)) {
        let failures = carry_out_run(kernel, run, stop);
        refused.extend(failures.into_iter().map(|(index, source)| Refused {
            index,
            key: changes[index].key().clone(),
            source,
        }));
        if stop && !refused.is_empty() {
            break;
        }
    }
    refused
}

fn carry_out_run(kernel: &Kernel, run: &[Step], stop: bool) -> Failures {
    let Some((_, first)) = run.first() else {
        return Failures::new();
    };
    match class(first) {
        Class::Namespace => carry_out_namespaces(kernel, run, stop),
        Class::Setting => setting::carry_out(kernel, run, stop),
        Class::Route(_) => carry_out_routes(kernel, run, stop),
        Class::Filter => by_netns(run, stop, |netns, steps| {
            filter::carry_out(kernel, netns, steps, stop)
        }),
    }
}

/// Links over others are born in sandboxes, between veth pairs that are the host's: where there are
/// some, all links come first, in their order, so that their indexes follow it.
fn carry_out_routes(kernel: &Kernel, run: &[Step], stop: bool) -> Failures {
    let work = |netns: Netns, steps: &[Step]| route::carry_out(kernel, netns, steps, stop);
    let born = |(_, change): &&Step| matches!(change, Change::Create(Key::Link(..), _));
    let in_sandbox = |step: &Step| born(&step) && step.1.key().netns() != Netns::Host;
    if !run.iter().any(in_sandbox) {
        return by_netns(run, stop, work);
    }
    let (links, rest): (Vec<Step>, Vec<Step>) = run.iter().partition(born);
    let mut failures = Failures::new();
    for chunk in links.chunk_by(|(_, one), (_, next)| one.key().netns() == next.key().netns()) {
        failures.extend(work(chunk[0].1.key().netns(), chunk));
        if stop && !failures.is_empty() {
            return failures;
        }
    }
    failures.extend(by_netns(&rest, stop, work));
    failures
}

fn carry_out_namespaces(kernel: &Kernel, run: &[Step], stop: bool) -> Failures {
    let mut failures = Failures::new();
    for (index, change) in run {
        let done = match change {
            Change::Create(key, _) => match key.as_namespace() {
                Some(netns) => namespace::create(kernel, netns),
                None => Err(mismatch(change)),
            },
            Change::Delete(key, _) => match key.as_namespace() {
                Some(netns) => namespace::remove(kernel, netns),
                None => Err(mismatch(change)),
            },
            Change::Alter(..) | Change::Replace(..) => Ok(()),
        };
        failures.extend(done.err().map(|error| (*index, error)));
        if stop && !failures.is_empty() {
            break;
        }
    }
    failures
}

/// Does a run namespace by namespace, in the order in which they first occur in it: within a run
/// no change of one namespace depends on a later one of another.
fn by_netns(run: &[Step], stop: bool, work: impl Fn(Netns, &[Step]) -> Failures) -> Failures {
    let mut groups: Vec<(Netns, Vec<Step>)> = Vec::new();
    for (index, change) in run {
        let netns = change.key().netns();
        match groups.iter_mut().find(|(known, _)| *known == netns) {
            Some((_, group)) => group.push((*index, change)),
            None => groups.push((netns, vec![(*index, change)])),
        }
    }
    let mut failures = Failures::new();
    for (netns, steps) in groups {
        failures.extend(work(netns, &steps));
        if stop && !failures.is_empty() {
            break;
        }
    }
    failures
}

/// In a namespace that is gone, everything is removed already and nothing can be made.
fn without_namespace(steps: &[Step], error: &io::Error) -> Failures {
    let gone = error.kind() == io::ErrorKind::NotFound;
    let refused = steps
        .iter()
        .filter(|(_, change)| !(gone && is_removal(change)));
    let copy = || io::Error::new(error.kind(), error.to_string());
    refused.map(|(index, _)| (*index, copy())).collect()
}

fn is_removal(change: &Change) -> bool {
    matches!(change, Change::Delete(..))
}

/// A plan that gives a key an object of another kind.
fn mismatch(change: &Change) -> io::Error {
    let why = format!("{} cannot be what the plan says it should", change.key());
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
