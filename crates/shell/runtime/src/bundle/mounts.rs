//! What is mounted in a container, and what is hidden from it.

use crate::{Mount, MountKind, ProcessSpec, Propagation};
use oci_spec::runtime::Mount as OciMount;
use std::path::Path;

/// Bytes of /dev/shm unless asked for.
const SHM_SIZE: i64 = 64 << 20;

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The paths a container cannot look into.
pub(crate) fn masked(privileged: bool) -> Vec<String> {
    listed(&MASKED, privileged)
}

/// The paths a container cannot write to.
pub(crate) fn read_only(privileged: bool) -> Vec<String> {
    listed(&READ_ONLY, privileged)
}

fn listed(paths: &[&str], privileged: bool) -> Vec<String> {
    paths
        .iter()
        .filter(|_| !privileged)
        .map(|path| (*path).to_owned())
        .collect()
}

/// The usual mounts, then those asked for, outer ones first.
pub(crate) fn mounts(spec: &ProcessSpec) -> Vec<OciMount> {
    let mut wanted: Vec<&Mount> = spec.mounts.iter().collect();
    wanted.sort_by_key(|mount| Path::new(&mount.destination).components().count());
    let replaced = |usual: &OciMount| {
        wanted
            .iter()
            .any(|mount| Path::new(&mount.destination) == usual.destination())
    };
    let mut mounts = usual(spec);
    mounts.retain(|mount| !replaced(mount));
    mounts.extend(wanted.iter().map(|mount| asked(mount)));
    mounts
}

/// The propagation of the root file system that lets mounts below it travel as asked.
pub(crate) fn root_propagation(spec: &ProcessSpec) -> Option<&'static str> {
    let of = |mount: &Mount| match &mount.kind {
        MountKind::Bind { propagation, .. } => *propagation,
        MountKind::Tmpfs { .. } => Propagation::Private,
    };
    let any = |wanted| spec.mounts.iter().any(|mount| of(mount) == wanted);
    if any(Propagation::Shared) {
        Some("shared")
    } else if any(Propagation::Slave) {
        Some("slave")
    } else {
        None
    }
}

/// A file of the host's that a container sees and cannot change.
pub(crate) fn bind_read_only(source: &Path, destination: &str) -> OciMount {
    mount(
        destination,
        "bind",
        &source.to_string_lossy(),
        &["rbind", "rprivate", "ro"],
    )
}

fn usual(spec: &ProcessSpec) -> Vec<OciMount> {
    let shm = format!("size={}", spec.shm_size.unwrap_or(SHM_SIZE));
    let writable = if spec.privileged { "rw" } else { "ro" };
    let plain = ["nosuid", "noexec", "nodev"];
    let with = |more: &[&'static str]| [&plain[..], more].concat();
    vec![
        mount("/proc", "proc", "proc", &plain),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount("/sys", "sysfs", "sysfs", &with(&[writable])),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &with(&[writable])),
        mount("/dev/mqueue", "mqueue", "mqueue", &plain),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", &shm],
        ),
    ]
}

fn asked(wanted: &Mount) -> OciMount {
    let access = if wanted.read_only { "ro" } else { "rw" };
    match &wanted.kind {
        MountKind::Bind {
            source,
            propagation,
        } => {
            let propagation = match propagation {
                Propagation::Private => "rprivate",
                Propagation::Slave => "rslave",
                Propagation::Shared => "rshared",
            };
            let source = source.to_string_lossy();
            mount(
                &wanted.destination,
                "bind",
                &source,
                &["rbind", propagation, access],
            )
        }
        MountKind::Tmpfs { options } => {
            let mut all = vec!["nosuid", "noexec", "nodev", access];
            all.extend(options.iter().map(String::as_str));
            mount(&wanted.destination, "tmpfs", "tmpfs", &all)
        }
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> OciMount {
    let mut mount = OciMount::default();
    mount
        .set_destination(destination.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(
            options.iter().map(|option| (*option).to_owned()).collect(),
        ));
    mount
}
