//! Limits of processes and containers.

use crate::{Resources, Result, Rlimit, RuntimeError};
use oci_spec::runtime::{
    LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxPidsBuilder, LinuxResources,
    LinuxResourcesBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
};
use std::str::FromStr;

/// The length of the period in which a container's processor time is counted, microseconds.
const PERIOD: u64 = 100_000;

/// The limits asked for, and that of open files: the daemon's own is much too high to inherit.
pub(crate) fn rlimits(wanted: &[Rlimit], open_files: (u64, u64)) -> Result<Vec<PosixRlimit>> {
    let default = Rlimit {
        name: "nofile".into(),
        soft: open_files.0,
        hard: open_files.1,
    };
    let named = wanted
        .iter()
        .any(|limit| limit.name.eq_ignore_ascii_case("nofile"));
    wanted
        .iter()
        .chain((!named).then_some(&default))
        .map(rlimit)
        .collect()
}

fn rlimit(limit: &Rlimit) -> Result<PosixRlimit> {
    let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
    let kind = PosixRlimitType::from_str(&name)
        .map_err(|_| RuntimeError::InvalidSpec(format!("invalid ulimit type: {}", limit.name)))?;
    PosixRlimitBuilder::default()
        .typ(kind)
        .soft(limit.soft)
        .hard(limit.hard)
        .build()
        .map_err(super::invalid)
}

/// A container's cgroup.
pub(crate) fn resources(
    wanted: &Resources,
    devices: Vec<LinuxDeviceCgroup>,
) -> Result<LinuxResources> {
    let mut resources = LinuxResourcesBuilder::default()
        .devices(devices)
        .build()
        .map_err(super::invalid)?;
    resources.set_memory(memory(wanted)).set_cpu(cpu(wanted));
    if let Some(limit) = wanted.pids {
        let pids = LinuxPidsBuilder::default()
            .limit(limit)
            .build()
            .map_err(super::invalid)?;
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

/// As much swap as memory, unless said otherwise.
fn memory(wanted: &Resources) -> Option<LinuxMemory> {
    let limit = wanted.memory.filter(|bytes| *bytes > 0);
    let swap = wanted
        .memory_swap
        .filter(|bytes| *bytes != 0)
        .or(limit.map(|bytes| bytes * 2));
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(limit)
        .set_swap(swap)
        .set_reservation(wanted.memory_reservation);
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(wanted: &Resources) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(wanted.cpu_shares)
        .set_quota(wanted.cpu_quota)
        .set_period(wanted.cpu_period)
        .set_cpus(wanted.cpuset_cpus.clone());
    if let Some(nano) = wanted.nano_cpus.filter(|nano| *nano > 0) {
        // Billionths of a processor, for 100,000 microseconds: a ten-thousandth of them.
        cpu.set_period(Some(PERIOD)).set_quota(Some(nano / 10_000));
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}
