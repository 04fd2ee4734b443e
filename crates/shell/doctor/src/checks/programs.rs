//! What containers are run by.

use super::{Verdict, error, ok};
use crate::{Daemon, Host};

/// Whether there is an OCI runtime, and what supervises it.
pub(super) fn programs(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let path = |name: &str| {
        host.programs
            .get(name)
            .map(|path| path.display().to_string())
    };
    let mut found = Vec::new();
    let runtime = path("runc").or_else(|| path("crun"));
    if runtime.is_none() {
        found.push(error(
            "there is neither runc nor crun, so no container can start",
            "install one of them, or name it with --add-runtime",
        ));
    }
    let conmon = path("conmon");
    if conmon.is_none() {
        found.push(error(
            "there is no conmon, so no container can start",
            "install conmon",
        ));
    }
    match (runtime, conmon) {
        (Some(runtime), Some(conmon)) => {
            vec![ok(format!("containers are run by {runtime} and {conmon}"))]
        }
        (_, _) => found,
    }
}

/// Whether containers can have cgroups.
pub(super) fn cgroups(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let has = |kind: &str| host.cgroups.iter().any(|found| found == kind);
    vec![match (has("cgroup"), has("cgroup2")) {
        (false, true) => ok("cgroups are version 2"),
        (true, false) => ok("cgroups are version 1"),
        (true, true) => ok("cgroups are version 1, with version 2 beside it"),
        (false, false) => error(
            "no cgroups are mounted, so no container can start",
            "mount them: mount -t cgroup2 none /sys/fs/cgroup",
        ),
    }]
}
