//! Capabilities and security options of a request.

use crate::ContainerError;
use crate::options::HostOptions;

/// The capabilities of capabilities(7), without their prefix.
const CAPABILITIES: &[&str] = &[
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// What the security options ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    /// Set-user-id programs have no effect.
    pub(crate) no_new_privileges: bool,
    /// There is no seccomp filter.
    pub(crate) seccomp_unconfined: bool,
}

/// Reads the security options. Labels and profiles of LSMs that are not used mean nothing.
pub(crate) fn options(host: &HostOptions) -> Result<SecurityOptions, ContainerError> {
    let mut options = SecurityOptions::default();
    for text in host.security_opt.iter().flatten() {
        // Both separators have been in use.
        let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => options.no_new_privileges = true,
            ("no-new-privileges", "false") => options.no_new_privileges = false,
            ("seccomp", "unconfined") => options.seccomp_unconfined = true,
            ("seccomp", "builtin") => options.seccomp_unconfined = false,
            ("seccomp", _) => {
                return Err(ContainerError::NotImplemented(
                    "a seccomp profile of one's own is not supported; use seccomp=unconfined or \
                     leave it out"
                        .into(),
                ));
            }
            ("label" | "apparmor" | "systempaths" | "writable-cgroups", _) => {}
            _ => {
                return Err(ContainerError::Invalid(format!(
                    "invalid --security-opt 2: \"{text}\""
                )));
            }
        }
    }
    Ok(options)
}

/// Checks the capabilities to add and to drop.
pub(crate) fn check_capabilities(host: &HostOptions) -> Result<(), ContainerError> {
    for (field, list) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        for name in list.iter().flatten() {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if bare != "ALL" && !CAPABILITIES.contains(&bare) {
                return Err(ContainerError::Invalid(format!(
                    "invalid {field}: unknown capability: \"CAP_{bare}\""
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_options(list: &[&str]) -> HostOptions {
        let list = list.iter().map(|text| (*text).to_owned()).collect();
        HostOptions {
            security_opt: Some(list),
            ..HostOptions::default()
        }
    }

    #[test]
    fn options_are_read_in_both_spellings() {
        let read = options(&with_options(&["no-new-privileges", "seccomp:unconfined"])).unwrap();
        assert_eq!(
            read,
            SecurityOptions {
                no_new_privileges: true,
                seccomp_unconfined: true
            }
        );
        assert!(options(&with_options(&["nonsense"])).is_err());
        assert!(options(&with_options(&["seccomp=/tmp/profile.json"])).is_err());
    }

    #[test]
    fn unknown_capabilities_are_refused() {
        let host = |name: &str| HostOptions {
            cap_add: Some(vec![name.into()]),
            ..HostOptions::default()
        };
        for name in ["NET_ADMIN", "cap_net_raw", "all"] {
            check_capabilities(&host(name)).unwrap();
        }
        assert_eq!(
            check_capabilities(&host("flying")).unwrap_err().to_string(),
            "invalid CapAdd: unknown capability: \"CAP_FLYING\""
        );
    }
}
