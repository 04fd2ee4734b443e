//! The checks of a request that need nothing but the request, in the order and words of Docker.

use crate::network_mode::NetworkMode;
use crate::options::{HostOptions, Program, RestartMode};
use crate::{ContainerError, mounts, ports, security, signals};
use std::net::IpAddr;

/// The kernel's limit, __NEW_UTS_LEN (linux/utsname.h).
const HOSTNAME_BYTES: usize = 64;
/// Less is not enough for the runtime itself to start.
const LEAST_MEMORY: i64 = 6 << 20;
/// The names that the one runtime answers to.
const RUNTIMES: [&str; 4] = ["", "runc", "crun", "io.containerd.runc.v2"];

/// Checks that options of the network do not contradict each other.
pub(crate) fn check_network_mode(
    config: &Program,
    host: &HostOptions,
) -> Result<(), ContainerError> {
    check_shared_stack(config, host)?;
    let hostname = config
        .hostname
        .as_ref()
        .is_some_and(|name| !name.is_empty());
    if host.uts_mode.as_deref() == Some("host") && hostname {
        return Err(conflict("hostname and the UTS mode"));
    }
    if NetworkMode::of(host) == NetworkMode::Host && given(host.links.as_ref()) {
        return Err(conflict(
            "host type networking can't be used with links. This would result in undefined \
             behavior",
        ));
    }
    Ok(())
}

/// A container that shares another's stack takes it as it is.
fn check_shared_stack(config: &Program, host: &HostOptions) -> Result<(), ContainerError> {
    let mode = host.network_mode.as_deref().unwrap_or_default();
    let target = match NetworkMode::parse(mode) {
        NetworkMode::Container(target) => target,
        NetworkMode::User("container") => "",
        NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None | NetworkMode::User(_) => {
            return Ok(());
        }
    };
    if target.is_empty() {
        return Err(invalid(
            "invalid network mode: invalid container format container:<name|id>",
        ));
    }
    let ports = host
        .port_bindings
        .as_ref()
        .is_some_and(|map| !map.is_empty());
    let conflicts = [
        (
            config
                .hostname
                .as_ref()
                .is_some_and(|name| !name.is_empty()),
            "hostname and the network mode",
        ),
        (
            given(host.links.as_ref()),
            "container type network can't be used with links. This would result in undefined \
             behavior",
        ),
        (given(host.dns.as_ref()), "dns and the network mode"),
        (
            given(host.extra_hosts.as_ref()),
            "custom host-to-IP mapping and the network mode",
        ),
        (
            ports || host.publish_all_ports.unwrap_or_default(),
            "port publishing and the container type network mode",
        ),
        (
            config.exposed_ports.iter().flatten().next().is_some(),
            "port exposing and the container type network mode",
        ),
    ];
    match conflicts.into_iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(conflict(what)),
        None => Ok(()),
    }
}

/// Checks everything else; adds what the user should know to `warnings`.
pub(crate) fn check(
    config: &Program,
    host: &HostOptions,
    warnings: &mut Vec<String>,
) -> Result<(), ContainerError> {
    check_config(config)?;
    check_host_config(host)?;
    ports::check(config, host)?;
    check_limits(host)?;
    check_what_is_missing(host)?;
    check_ports_of_mode(host, warnings)
}

/// Checks the ports alone, as they may change later.
pub(crate) fn check_ports(
    config: &Program,
    host: &HostOptions,
    warnings: &mut Vec<String>,
) -> Result<(), ContainerError> {
    ports::check(config, host)?;
    check_ports_of_mode(host, warnings)
}

fn check_ports_of_mode(
    host: &HostOptions,
    warnings: &mut Vec<String>,
) -> Result<(), ContainerError> {
    let ports = host
        .port_bindings
        .as_ref()
        .is_some_and(|map| !map.is_empty());
    match NetworkMode::of(host) {
        NetworkMode::Container(_) if ports => Err(conflict(
            "port publishing and the container type network mode",
        )),
        NetworkMode::Host if ports => {
            warnings.push("Published ports are discarded when using host network mode".into());
            Ok(())
        }
        NetworkMode::Bridge
        | NetworkMode::None
        | NetworkMode::User(_)
        | NetworkMode::Host
        | NetworkMode::Container(_) => Ok(()),
    }
}

fn check_config(config: &Program) -> Result<(), ContainerError> {
    if let Some(folder) = config
        .working_dir
        .as_deref()
        .filter(|folder| !folder.is_empty())
        && !folder.starts_with('/')
    {
        return Err(invalid(format!(
            "the working directory '{folder}' is invalid, it needs to be an absolute path"
        )));
    }
    if let Some(signal) = config
        .stop_signal
        .as_deref()
        .filter(|signal| !signal.is_empty())
    {
        signals::parse(signal)?;
    }
    for variable in config.env.iter().flatten() {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(invalid(format!("invalid environment variable: {variable}")));
        }
    }
    let hostname = config.hostname.as_deref().unwrap_or_default();
    if hostname.len() > HOSTNAME_BYTES {
        let shown: String = hostname.chars().take(256).collect();
        return Err(invalid(format!(
            "hostname \"{shown}\" is too long (maximum {HOSTNAME_BYTES} bytes)"
        )));
    }
    check_name_characters("hostname", hostname)?;
    check_name_characters(
        "domainname",
        config.domainname.as_deref().unwrap_or_default(),
    )
}

/// A name goes into files where a line break would make a line of its own.
fn check_name_characters(what: &str, name: &str) -> Result<(), ContainerError> {
    match name.chars().find(|c| c.is_control() || c.is_whitespace()) {
        Some(character) => Err(invalid(format!(
            "{what} {name:?} holds {character:?}; use letters, digits, '-', '_' or '.'"
        ))),
        None => Ok(()),
    }
}

fn check_host_config(host: &HostOptions) -> Result<(), ContainerError> {
    let policy = host.restart_policy.as_ref().and_then(|policy| policy.name);
    let restarts = policy.is_some_and(|name| !matches!(name, RestartMode::Unset | RestartMode::No));
    if host.auto_remove.unwrap_or_default() && restarts {
        return Err(invalid(
            "can't create 'AutoRemove' container with restart policy",
        ));
    }
    mounts::wanted(host)?;
    for extra in host.extra_hosts.iter().flatten() {
        parse_extra_host(extra)?;
    }
    for server in host.dns.iter().flatten() {
        crate::endpoint::address(Some(server))?;
    }
    check_restart_policy(host)?;
    security::check_capabilities(host)?;
    security::options(host)?;
    if host
        .annotations
        .iter()
        .flatten()
        .any(|(key, _)| key.is_empty())
    {
        return Err(invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    Ok(())
}

/// Checks a restart policy, of a new container or of an update.
pub(crate) fn check_restart_policy(host: &HostOptions) -> Result<(), ContainerError> {
    let Some(policy) = &host.restart_policy else {
        return Ok(());
    };
    let count = policy.maximum_retry_count.unwrap_or_default();
    match policy.name {
        Some(RestartMode::OnFailure) if count < 0 => Err(invalid(
            "invalid restart policy: maximum retry count cannot be negative",
        )),
        None | Some(RestartMode::OnFailure | RestartMode::Unset) => Ok(()),
        Some(RestartMode::No | RestartMode::Always | RestartMode::UnlessStopped) if count != 0 => {
            let negative = if count < 0 {
                " and cannot be negative"
            } else {
                ""
            };
            Err(invalid(format!(
                "invalid restart policy: maximum retry count can only be used with \
                 'on-failure'{negative}"
            )))
        }
        Some(RestartMode::No | RestartMode::Always | RestartMode::UnlessStopped) => Ok(()),
    }
}

/// What an extra host name leads to; `None` for the host's gateway.
pub(crate) fn parse_extra_host(text: &str) -> Result<(&str, Option<IpAddr>), ContainerError> {
    let (name, address) = text.split_once(':').unwrap_or(("", ""));
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(invalid(format!("bad format for add-host: {text:?}")));
    }
    if address == "host-gateway" {
        return Ok((name, None));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let parsed: Result<IpAddr, _> = bare.unwrap_or(address).parse();
    let parsed =
        parsed.map_err(|_| invalid(format!("invalid IP address in add-host: {address:?}")))?;
    Ok((name, Some(parsed.to_canonical())))
}

fn check_limits(host: &HostOptions) -> Result<(), ContainerError> {
    let memory = host.memory.unwrap_or_default();
    let swap = host.memory_swap.unwrap_or_default();
    if memory > 0 && memory < LEAST_MEMORY {
        return Err(invalid("Minimum memory limit allowed is 6MB"));
    }
    if memory > 0 && swap > 0 && swap < memory {
        return Err(invalid(
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ));
    }
    if memory == 0 && swap > 0 {
        return Err(invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ));
    }
    if host.shm_size.is_some_and(|bytes| bytes < 0) {
        return Err(invalid("SHM size can not be less than 0"));
    }
    if let Some(adjustment) = host.oom_score_adj.filter(|n| !(-1000..=1000).contains(n)) {
        return Err(invalid(format!(
            "Invalid value {adjustment}, range for oom score adj is [-1000, 1000]"
        )));
    }
    if let Some(shares) = host.cpu_shares.filter(|shares| *shares < 0) {
        return Err(invalid(format!(
            "invalid CPU shares ({shares}): value must be a positive integer"
        )));
    }
    Ok(())
}

/// What this engine does not have is refused, not ignored: a container that silently shares less
/// or is limited less than asked for is worse than none.
fn check_what_is_missing(host: &HostOptions) -> Result<(), ContainerError> {
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_default();
    let (pid, ipc, users) = (
        mode(&host.pid_mode),
        mode(&host.ipc_mode),
        mode(&host.userns_mode),
    );
    let log = host
        .log_config
        .as_ref()
        .and_then(|log| log.name.as_deref())
        .unwrap_or_default();
    let runtime = host.runtime.as_deref().unwrap_or_default();
    if !RUNTIMES.contains(&runtime) {
        return Err(invalid(format!(
            "unknown or invalid runtime name: {runtime}"
        )));
    }
    let missing = [
        (
            !matches!(pid.as_str(), "" | "private"),
            format!("--pid={pid}"),
        ),
        (
            !matches!(ipc.as_str(), "" | "private" | "shareable" | "none"),
            format!("--ipc={ipc}"),
        ),
        (
            !matches!(users.as_str(), "" | "host"),
            format!("--userns={users}"),
        ),
        (
            !matches!(log, "" | "json-file" | "local"),
            format!("--log-driver={log}"),
        ),
        (given(host.device_requests.as_ref()), "--gpus".to_owned()),
        (
            host.storage_opt.as_ref().is_some_and(|map| !map.is_empty()),
            "--storage-opt".into(),
        ),
    ];
    match missing.into_iter().find(|(asked, _)| *asked) {
        Some((_, option)) => Err(ContainerError::NotImplemented(format!(
            "{option} is not supported; leave it out"
        ))),
        None => Ok(()),
    }
}

fn given<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

fn conflict(what: &str) -> ContainerError {
    invalid(format!("conflicting options: {what}"))
}

fn invalid(text: impl Into<String>) -> ContainerError {
    ContainerError::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{PortBindings, RestartPolicy};

    fn shared() -> HostOptions {
        HostOptions {
            network_mode: Some("container:web".into()),
            ..HostOptions::default()
        }
    }

    fn refusal(config: &Program, host: &HostOptions) -> String {
        let mut warnings = Vec::new();
        let result =
            check_network_mode(config, host).and_then(|()| check(config, host, &mut warnings));
        result.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn whoever_shares_a_stack_brings_no_settings_of_one() {
        let list = || Some(vec!["a:1.2.3.4".to_owned()]);
        let plain = Program::default();
        let ports = PortBindings::from([("80/tcp".to_owned(), None)]);
        for (config, host, text) in [
            (
                Program {
                    hostname: Some("h".into()),
                    ..plain.clone()
                },
                shared(),
                "hostname and the network mode",
            ),
            (
                plain.clone(),
                HostOptions {
                    links: list(),
                    ..shared()
                },
                "container type network can't be used with links. This would result in undefined \
                 behavior",
            ),
            (
                plain.clone(),
                HostOptions {
                    dns: list(),
                    ..shared()
                },
                "dns and the network mode",
            ),
            (
                plain.clone(),
                HostOptions {
                    extra_hosts: list(),
                    ..shared()
                },
                "custom host-to-IP mapping and the network mode",
            ),
            (
                plain.clone(),
                HostOptions {
                    port_bindings: Some(ports),
                    ..shared()
                },
                "port publishing and the container type network mode",
            ),
            (
                Program {
                    exposed_ports: Some(["80/tcp".to_owned()].into_iter().collect()),
                    ..plain.clone()
                },
                shared(),
                "port exposing and the container type network mode",
            ),
        ] {
            assert_eq!(
                refusal(&config, &host),
                format!("conflicting options: {text}")
            );
        }
        assert_eq!(refusal(&plain, &shared()), "");
        for mode in ["container:", "container"] {
            let host = HostOptions {
                network_mode: Some(mode.into()),
                ..HostOptions::default()
            };
            assert_eq!(
                refusal(&plain, &host),
                "invalid network mode: invalid container format container:<name|id>"
            );
        }
    }

    #[test]
    fn published_ports_of_the_host_are_discarded_with_a_warning() {
        let host = HostOptions {
            network_mode: Some("host".into()),
            port_bindings: Some([("80/tcp".to_owned(), None)].into()),
            ..HostOptions::default()
        };
        let mut warnings = Vec::new();
        check(&Program::default(), &host, &mut warnings).unwrap();
        assert_eq!(
            warnings,
            ["Published ports are discarded when using host network mode"]
        );
    }

    #[test]
    fn extra_hosts_have_a_name_and_an_address() {
        assert_eq!(
            parse_extra_host("a:::1").unwrap(),
            ("a", Some("::1".parse().unwrap()))
        );
        assert_eq!(
            parse_extra_host("a:[::1]").unwrap(),
            ("a", Some("::1".parse().unwrap()))
        );
        assert_eq!(parse_extra_host("a:host-gateway").unwrap(), ("a", None));
        let refusal = |text| parse_extra_host(text).unwrap_err().to_string();
        assert_eq!(refusal("a"), "bad format for add-host: \"a\"");
        assert_eq!(refusal("a:x"), "invalid IP address in add-host: \"x\"");
        assert_eq!(
            refusal("a\n1.2.3.4 b:1.2.3.4"),
            "bad format for add-host: \"a\\n1.2.3.4 b:1.2.3.4\""
        );
    }

    #[test]
    fn a_retry_count_belongs_to_on_failure() {
        let host = |name, count| HostOptions {
            restart_policy: Some(RestartPolicy {
                name: Some(name),
                maximum_retry_count: Some(count),
                ..RestartPolicy::default()
            }),
            ..HostOptions::default()
        };
        let plain = Program::default();
        assert_eq!(refusal(&plain, &host(RestartMode::OnFailure, 3)), "");
        assert_eq!(
            refusal(&plain, &host(RestartMode::Always, -1)),
            "invalid restart policy: maximum retry count can only be used with 'on-failure' and \
             cannot be negative"
        );
    }

    #[test]
    fn wrong_settings_are_refused() {
        let config = |change: fn(&mut Program)| {
            let mut config = Program::default();
            change(&mut config);
            refusal(&config, &HostOptions::default())
        };
        assert_eq!(
            config(|c| c.env = Some(vec!["=x".into()])),
            "invalid environment variable: =x"
        );
        assert_eq!(
            config(|c| c.working_dir = Some("tmp".into())),
            "the working directory 'tmp' is invalid, it needs to be an absolute path"
        );
        assert!(config(|c| c.hostname = Some("h".repeat(65))).contains("is too long"));
        assert!(config(|c| c.hostname = Some("a\nb".into())).contains("holds '\\n'"));
        assert_eq!(
            config(|c| c.stop_signal = Some("X".into())),
            "invalid signal: X"
        );
        let host = HostOptions {
            memory: Some(1),
            ..HostOptions::default()
        };
        assert_eq!(
            refusal(&Program::default(), &host),
            "Minimum memory limit allowed is 6MB"
        );
    }
}
