//! The process that a record asks for.

use crate::options::HostOptions;
use crate::record::Record;
use crate::request::TerminalSize;
use crate::{ContainerError, fault, mounts, security};
use sealane_runtime::{
    Device, Mount, MountKind, ProcessSpec, Propagation, Resources, Rlimit, Stdin,
};
use std::path::{Path, PathBuf};

/// Where a process runs: what was made for it before.
pub(crate) struct Place {
    /// Its mounted root file system.
    pub(crate) rootfs: PathBuf,
    /// Its network namespace; `None` for the host's.
    pub(crate) network: Option<PathBuf>,
    /// The folder of hosts, hostname and resolv.conf.
    pub(crate) files: PathBuf,
    /// The host name: another container's where the stack is shared.
    pub(crate) hostname: String,
    /// The domain, likewise.
    pub(crate) domainname: String,
    /// Variables that links give.
    pub(crate) environment: Vec<String>,
    /// Whether an init runs unless the container says otherwise.
    pub(crate) init: bool,
}

/// Returns what the runtime is given.
pub(crate) fn process_spec(record: &Record, place: Place) -> Result<ProcessSpec, ContainerError> {
    let host = &record.host_config;
    let config = &record.config;
    let security = security::options(host)?;
    let own_uts = host.uts_mode.as_deref() != Some("host");
    let args = std::iter::once(&record.path)
        .chain(&record.args)
        .cloned()
        .collect();
    let mut spec = ProcessSpec::new(record.id, place.rootfs, args);
    spec.readonly_rootfs = host.readonly_rootfs.unwrap_or_default();
    spec.network = place.network;
    spec.hostname = Some(place.hostname).filter(|_| own_uts);
    spec.domainname = place.domainname;
    spec.env = environment(place.environment, config.env.as_deref().unwrap_or_default());
    spec.cwd = config.working_dir.clone().unwrap_or_default();
    spec.user = config.user.clone().unwrap_or_default();
    spec.groups = host.group_add.clone().unwrap_or_default();
    spec.mounts = all_mounts(record, &place.files)?;
    spec.cap_add = host.cap_add.clone().unwrap_or_default();
    spec.cap_drop = host.cap_drop.clone().unwrap_or_default();
    spec.privileged = host.privileged.unwrap_or_default();
    spec.no_new_privileges = security.no_new_privileges;
    spec.seccomp_unconfined = security.seccomp_unconfined;
    spec.sysctls = host
        .sysctls
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    spec.tty = record.tty();
    let console = host.console_size.as_deref().and_then(TerminalSize::of);
    spec.console_size = console.map(|size| (size.height, size.width));
    spec.stdin = stdin(record);
    spec.init = host.init.unwrap_or(place.init);
    spec.rlimits = rlimits(host);
    spec.resources = resources(host);
    spec.devices = devices(host);
    spec.shm_size = host.shm_size;
    spec.oom_score_adj = host
        .oom_score_adj
        .and_then(|n| i32::try_from(n).ok())
        .unwrap_or(0);
    let annotations = host.annotations.iter().flatten();
    spec.annotations = annotations.map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(spec)
}

/// The variables that links give, but for those that the container sets itself, then its own.
fn environment(given: Vec<String>, own: &[String]) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let names: Vec<String> = own.iter().map(|variable| name(variable)).collect();
    let given = given
        .into_iter()
        .filter(|variable| !names.contains(&name(variable)));
    given.chain(own.iter().cloned()).collect()
}

/// The user's mounts, and the files that the engine keeps where the user mounts none there.
fn all_mounts(record: &Record, files: &Path) -> Result<Vec<Mount>, ContainerError> {
    let mut all = Vec::new();
    for wanted in mounts::wanted(&record.host_config)? {
        if let MountKind::Bind { source, .. } = &wanted.mount.kind
            && wanted.make_source
            && !source.exists()
        {
            fault::point("make a mount source");
            std::fs::create_dir_all(source).map_err(|error| {
                let source = source.display();
                ContainerError::failed(format!("cannot make the mount source {source}"), error)
            })?;
        }
        all.push(wanted.mount);
    }
    for name in ["resolv.conf", "hostname", "hosts"] {
        let destination = format!("/etc/{name}");
        if !all.iter().any(|mount| mount.destination == destination) {
            let source = files.join(name);
            let kind = MountKind::Bind {
                source,
                propagation: Propagation::Private,
            };
            let read_only = record.host_config.readonly_rootfs.unwrap_or_default();
            all.push(Mount {
                destination,
                kind,
                read_only,
            });
        }
    }
    Ok(all)
}

fn stdin(record: &Record) -> Stdin {
    let flag = |flag: Option<bool>| flag.unwrap_or_default();
    match (
        flag(record.config.open_stdin),
        flag(record.config.stdin_once),
    ) {
        (false, _) => Stdin::Closed,
        // A client that leaves a terminal has not said that no input follows.
        (true, true) if !record.tty() => Stdin::Once,
        (true, _) => Stdin::Open,
    }
}

fn rlimits(host: &HostOptions) -> Vec<Rlimit> {
    // -1 is "no limit", which the kernel writes as the highest number.
    let limit = |value: Option<i64>| u64::try_from(value.unwrap_or_default()).unwrap_or(u64::MAX);
    let limits = host.ulimits.iter().flatten();
    limits
        .map(|ulimit| Rlimit {
            name: ulimit.name.clone().unwrap_or_default(),
            soft: limit(ulimit.soft),
            hard: limit(ulimit.hard),
        })
        .collect()
}

fn resources(host: &HostOptions) -> Resources {
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    let positive =
        |value: Option<i64>| value.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    Resources {
        memory: set(host.memory),
        memory_swap: set(host.memory_swap),
        memory_reservation: set(host.memory_reservation),
        nano_cpus: set(host.nano_cpus),
        cpu_shares: positive(host.cpu_shares),
        cpu_quota: set(host.cpu_quota),
        cpu_period: positive(host.cpu_period),
        cpuset_cpus: host.cpuset_cpus.clone().filter(|cpus| !cpus.is_empty()),
        pids: set(host.pids_limit),
    }
}

fn devices(host: &HostOptions) -> Vec<Device> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let devices = host.devices.iter().flatten();
    devices
        .filter_map(|device| {
            let path = text(&device.path_on_host)?;
            Some(Device {
                container: text(&device.path_in_container).unwrap_or_else(|| path.clone()),
                permissions: text(&device.cgroup_permissions).unwrap_or_else(|| "rwm".into()),
                host: path.into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::record;
    use sealane_core::model::derive_id;

    fn place() -> Place {
        Place {
            environment: vec![],
            rootfs: "/r".into(),
            network: Some("/n".into()),
            files: "/f".into(),
            hostname: "h".into(),
            domainname: String::new(),
            init: false,
        }
    }

    fn destinations(record: &Record) -> Vec<String> {
        let spec = process_spec(record, place()).unwrap();
        spec.mounts
            .into_iter()
            .map(|mount| mount.destination)
            .collect()
    }

    #[test]
    fn the_engines_files_are_mounted_unless_the_user_mounts_own_ones() {
        let mut record = record(derive_id(&[b"c"]), "web");
        assert_eq!(
            destinations(&record),
            ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]
        );
        record.host_config.binds = Some(vec!["/etc/hosts:/etc/hosts:ro".into()]);
        assert_eq!(
            destinations(&record),
            ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]
        );
    }

    #[test]
    fn input_is_closed_unless_asked_for() {
        let mut record = record(derive_id(&[b"c"]), "web");
        assert_eq!(stdin(&record), Stdin::Closed);
        record.config.open_stdin = Some(true);
        assert_eq!(stdin(&record), Stdin::Open);
        record.config.stdin_once = Some(true);
        assert_eq!(stdin(&record), Stdin::Once);
        record.config.tty = Some(true);
        assert_eq!(stdin(&record), Stdin::Open);
    }

    #[test]
    fn the_hosts_own_names_can_be_shared() {
        let mut record = record(derive_id(&[b"c"]), "web");
        assert_eq!(
            process_spec(&record, place()).unwrap().hostname.as_deref(),
            Some("h")
        );
        record.host_config.uts_mode = Some("host".into());
        assert_eq!(process_spec(&record, place()).unwrap().hostname, None);
    }

    #[test]
    fn zeros_are_no_terminal_size() {
        assert_eq!(TerminalSize::of(&[0, 0]), None);
        let (height, width) = (24, 80);
        let size = TerminalSize { height, width };
        assert_eq!(TerminalSize::of(&[24, 80]), Some(size));
        assert_eq!(TerminalSize::of(&[]), None);
    }
}
