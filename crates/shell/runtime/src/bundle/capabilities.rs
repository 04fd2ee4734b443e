//! Which capabilities a container has.

use crate::{ProcessSpec, Result, RuntimeError};
use oci_spec::runtime::{Capabilities, Capability};
use std::fs;
use std::str::FromStr;

/// What Docker gives a container that did not ask.
const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// All capabilities, each at its number.
const NUMBERED: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

/// The capabilities this process has and may hand on.
#[derive(Clone, Debug)]
pub(crate) struct Available(Capabilities);

impl Available {
    /// Those of the calling process.
    pub(crate) fn of_this_process() -> Result<Self> {
        let path = "/proc/self/status";
        let status = fs::read_to_string(path).map_err(|source| RuntimeError::File {
            action: "read",
            path: path.into(),
            source,
        })?;
        let mask = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        let both = mask("CapPrm:")
            .zip(mask("CapBnd:"))
            .map(|(permitted, bounding)| permitted & bounding);
        let both = both.ok_or_else(|| RuntimeError::Damaged {
            path: path.into(),
            reason: "it names no capabilities".into(),
        })?;
        let numbered = NUMBERED.iter().enumerate();
        Ok(Self(
            numbered
                .filter(|(bit, _)| both >> bit & 1 == 1)
                .map(|(_, cap)| *cap)
                .collect(),
        ))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Capabilities {
        self.0.clone()
    }
}

/// Checks names of capabilities as `docker create` does.
pub fn check_capabilities(add: &[String], drop: &[String]) -> Result<()> {
    parse("CapAdd", add)?;
    parse("CapDrop", drop)?;
    Ok(())
}

/// What a container gets: named additions must be had, `ALL` means all there are.
pub(crate) fn granted(spec: &ProcessSpec, available: &Available) -> Result<Capabilities> {
    if spec.privileged {
        return Ok(available.all());
    }
    let (add, drop) = (
        parse("CapAdd", &spec.cap_add)?,
        parse("CapDrop", &spec.cap_drop)?,
    );
    let mut granted = match (&add, &drop) {
        (Wanted::All, Wanted::All) => available.all(),
        (Wanted::All, Wanted::Some(drop)) => available.0.difference(drop).copied().collect(),
        (Wanted::Some(_), Wanted::All) => Capabilities::new(),
        (Wanted::Some(_), Wanted::Some(drop)) => DEFAULT
            .into_iter()
            .filter(|cap| !drop.contains(cap))
            .collect(),
    };
    granted.retain(|capability| available.0.contains(capability));
    if let Wanted::Some(add) = add {
        if let Some(missing) = add.difference(&available.0).next() {
            return Err(RuntimeError::InvalidSpec(format!(
                "cannot add capability {missing:?}: this daemon does not have it itself"
            )));
        }
        granted.extend(add);
    }
    Ok(granted)
}

#[derive(Debug)]
enum Wanted {
    All,
    Some(Capabilities),
}

fn parse(field: &str, names: &[String]) -> Result<Wanted> {
    let mut wanted = Capabilities::new();
    let mut all = false;
    for name in names {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" {
            all = true;
        } else if let Ok(capability) = Capability::from_str(bare) {
            wanted.insert(capability);
        } else {
            return Err(RuntimeError::InvalidSpec(format!(
                "invalid {field}: unknown capability: \"CAP_{bare}\""
            )));
        }
    }
    Ok(if all {
        Wanted::All
    } else {
        Wanted::Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::derive_id;

    fn granted_to(add: &[&str], drop: &[&str]) -> Result<Capabilities> {
        let mut spec = ProcessSpec::new(derive_id(&[b"c"]), "/".into(), vec!["x".into()]);
        spec.cap_add = add.iter().map(|name| (*name).to_owned()).collect();
        spec.cap_drop = drop.iter().map(|name| (*name).to_owned()).collect();
        let all = NUMBERED
            .into_iter()
            .filter(|cap| *cap != Capability::SysResource);
        granted(&spec, &Available(all.collect()))
    }

    #[test]
    fn added_and_dropped_capabilities_change_the_default_ones() {
        let granted = granted_to(&["net_admin", "CAP_SYS_TIME"], &["KILL"]).unwrap();
        assert_eq!(granted.len(), 15);
        assert!(granted.contains(&Capability::NetAdmin) && !granted.contains(&Capability::Kill));
        assert_eq!(
            granted_to(&["CHOWN"], &["ALL"]).unwrap(),
            Capabilities::from([Capability::Chown])
        );
        assert_eq!(granted_to(&["ALL"], &["CHOWN"]).unwrap().len(), 39);
    }

    #[test]
    fn an_unknown_capability_and_one_we_lack_are_refused() {
        let refused = |add: &[&str]| granted_to(add, &[]).unwrap_err().to_string();
        assert_eq!(
            refused(&["fly"]),
            "invalid CapAdd: unknown capability: \"CAP_FLY\""
        );
        assert!(refused(&["SYS_RESOURCE"]).contains("does not have it"));
    }

    #[test]
    fn this_process_has_what_a_container_needs() {
        let available = Available::of_this_process().unwrap();
        assert!(
            DEFAULT
                .iter()
                .all(|capability| available.0.contains(capability))
        );
    }
}
