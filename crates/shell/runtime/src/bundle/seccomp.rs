//! The system calls a container may use: `seccomp.json` beside this file, as a filter.
//!
//! What is not listed fails with EPERM. An entry with `when` holds for containers that have the
//! capability, one with `unless` for those that have not; `values` are the values allowed for
//! the first argument, one rule each.

use crate::{Result, RuntimeError};
use oci_spec::runtime::{
    Arch, Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg,
    LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall,
};
use serde::Deserialize;
use std::sync::OnceLock;

const DATA: &str = include_str!("seccomp.json");
const EPERM: u32 = 1;

#[derive(Clone, Debug, Deserialize)]
struct Entry {
    names: Vec<String>,
    when: Option<Capability>,
    unless: Option<Capability>,
    #[serde(default)]
    args: Vec<LinuxSeccompArg>,
    #[serde(default)]
    values: Vec<u64>,
    errno: Option<u32>,
}

/// The filter for a container with these capabilities.
pub(crate) fn profile(granted: &Capabilities) -> Result<LinuxSeccomp> {
    let holds = |entry: &&Entry| {
        entry
            .when
            .is_none_or(|capability| granted.contains(&capability))
            && entry
                .unless
                .is_none_or(|capability| !granted.contains(&capability))
    };
    let syscalls: Vec<LinuxSyscall> = entries()?.iter().filter(holds).flat_map(rules).collect();
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(architectures())
        .syscalls(syscalls)
        .build()
        .map_err(super::invalid)
}

fn entries() -> Result<&'static [Entry]> {
    static ENTRIES: OnceLock<Result<Vec<Entry>, String>> = OnceLock::new();
    let parsed =
        ENTRIES.get_or_init(|| serde_json::from_str(DATA).map_err(|error| error.to_string()));
    parsed.as_deref().map_err(|reason| RuntimeError::Damaged {
        path: "the built-in seccomp.json".into(),
        reason: reason.clone(),
    })
}

fn rules(entry: &Entry) -> Vec<LinuxSyscall> {
    if entry.values.is_empty() {
        return vec![rule(entry, entry.args.clone())];
    }
    let equals = |value: &u64| {
        LinuxSeccompArgBuilder::default()
            .index(0_usize)
            .value(*value)
            .op(LinuxSeccompOperator::ScmpCmpEq)
            .build()
            .ok()
    };
    entry
        .values
        .iter()
        .filter_map(equals)
        .map(|argument| rule(entry, vec![argument]))
        .collect()
}

fn rule(entry: &Entry, args: Vec<LinuxSeccompArg>) -> LinuxSyscall {
    let mut syscall = LinuxSyscall::default();
    syscall
        .set_names(entry.names.clone())
        .set_action(match entry.errno {
            Some(_) => LinuxSeccompAction::ScmpActErrno,
            None => LinuxSeccompAction::ScmpActAllow,
        })
        .set_errno_ret(entry.errno)
        .set_args((!args.is_empty()).then_some(args));
    syscall
}

/// This processor's own, and the 32-bit ones it also runs.
fn architectures() -> Vec<Arch> {
    if cfg!(target_arch = "x86_64") {
        vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]
    } else if cfg!(target_arch = "aarch64") {
        vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]
    } else {
        vec![Arch::ScmpArchNative]
    }
}
