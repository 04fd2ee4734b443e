//! A container's settings are its own, and the image's where it says nothing.

use crate::ContainerError;
use crate::options::{HostOptions, LogDriver, Names, Program, RestartMode, RestartPolicy};
use sealane_images::ImageConfig;
use std::collections::BTreeSet;

/// Docker's size of /dev/shm.
const SHM_SIZE: i64 = 64 << 20;

/// Fills in what the container's settings leave to the image.
pub(crate) fn with_image(config: &mut Program, image: &ImageConfig) -> Result<(), ContainerError> {
    fill(&mut config.user, Some(image.user.clone()));
    fill(&mut config.working_dir, Some(image.working_dir.clone()));
    fill(&mut config.stop_signal, image.stop_signal.clone());
    union(&mut config.exposed_ports, image.exposed_ports.keys());
    union(&mut config.volumes, image.volumes.keys());
    merge_env(config.env.get_or_insert_default(), &image.env);
    let labels = config.labels.get_or_insert_default();
    for (key, value) in &image.labels {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    merge_command(config, image);
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if empty(&config.entrypoint) && empty(&config.cmd) {
        return Err(ContainerError::Invalid("no command specified".into()));
    }
    Ok(())
}

/// Fills in Docker's defaults, which inspect shows.
pub(crate) fn with_defaults(host: &mut HostOptions) {
    let memory = host.memory.unwrap_or_default();
    if memory > 0 && host.memory_swap.unwrap_or_default() == 0 {
        host.memory_swap = Some(memory * 2);
    }
    if host.shm_size.unwrap_or_default() == 0 {
        host.shm_size = Some(SHM_SIZE);
    }
    fill(&mut host.ipc_mode, Some("private".into()));
    fill(&mut host.runtime, Some("runc".into()));
    host.oom_kill_disable.get_or_insert(false);
    let policy = host
        .restart_policy
        .get_or_insert_with(RestartPolicy::default);
    if matches!(policy.name, None | Some(RestartMode::Unset)) {
        policy.name = Some(RestartMode::No);
    }
    policy.maximum_retry_count.get_or_insert(0);
    let log = host.log_config.get_or_insert_with(LogDriver::default);
    fill(&mut log.name, Some("json-file".into()));
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
}

/// The program and its arguments.
pub(crate) fn command(config: &Program) -> (String, Vec<String>) {
    let entrypoint = config.entrypoint.iter().flatten();
    let mut words = entrypoint.chain(config.cmd.iter().flatten()).cloned();
    (words.next().unwrap_or_default(), words.collect())
}

/// An entrypoint of one's own does without the image's arguments; an empty one, `[""]`, does
/// without the image's entrypoint too.
fn merge_command(config: &mut Program, image: &ImageConfig) {
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if empty(&config.entrypoint) {
        if empty(&config.cmd) {
            config.cmd = image.cmd.clone();
        }
        if config.entrypoint.is_none() {
            config.entrypoint = image.entrypoint.clone();
        }
    }
    if config
        .entrypoint
        .as_deref()
        .is_some_and(|words| matches!(words, [word] if word.is_empty()))
    {
        config.entrypoint = None;
    }
}

/// Adds the image's variables that the container does not set, behind its own.
fn merge_env(own: &mut Vec<String>, image: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let known: BTreeSet<String> = own.iter().map(|variable| name(variable)).collect();
    own.extend(
        image
            .iter()
            .filter(|variable| !known.contains(&name(variable)))
            .cloned(),
    );
}

fn fill(field: &mut Option<String>, value: Option<String>) {
    if field.as_ref().is_none_or(String::is_empty) {
        *field = value.filter(|value| !value.is_empty());
    }
}

fn union<'a>(names: &mut Option<Names>, further: impl Iterator<Item = &'a String>) {
    let mut all = names.take().unwrap_or_default();
    all.0.extend(further.cloned());
    *names = Some(all).filter(|all| !all.0.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        Some(text.split(' ').map(str::to_owned).collect())
    }

    fn image() -> ImageConfig {
        ImageConfig {
            entrypoint: words("/entry"),
            cmd: words("serve all"),
            env: vec!["PATH=/bin".into(), "A=image".into()],
            working_dir: "/srv".into(),
            ..ImageConfig::default()
        }
    }

    fn merged(config: Program) -> Program {
        let mut config = config;
        with_image(&mut config, &image()).unwrap();
        config
    }

    #[test]
    fn the_image_says_what_the_container_does_not() {
        let config = merged(Program {
            env: Some(vec!["A=own".into(), "B".into()]),
            ..Program::default()
        });
        assert_eq!(
            command(&config),
            ("/entry".into(), words("serve all").unwrap())
        );
        assert_eq!(config.env.unwrap(), ["A=own", "B", "PATH=/bin"]);
        assert_eq!(config.working_dir.as_deref(), Some("/srv"));
    }

    #[test]
    fn own_commands_replace_the_images() {
        let own_cmd = Program {
            cmd: words("top"),
            ..Program::default()
        };
        assert_eq!(
            command(&merged(own_cmd)),
            ("/entry".into(), words("top").unwrap())
        );
        let own_entry = Program {
            entrypoint: words("sh"),
            ..Program::default()
        };
        assert_eq!(command(&merged(own_entry)), ("sh".into(), vec![]));
        let none = Program {
            entrypoint: Some(vec![String::new()]),
            cmd: words("ls"),
            ..Program::default()
        };
        assert_eq!(command(&merged(none)), ("ls".into(), vec![]));
    }

    #[test]
    fn something_must_run() {
        let refused = with_image(&mut Program::default(), &ImageConfig::default());
        assert_eq!(refused.unwrap_err().to_string(), "no command specified");
    }

    #[test]
    fn inspect_shows_the_defaults() {
        let mut host = HostOptions {
            memory: Some(1 << 30),
            ..HostOptions::default()
        };
        with_defaults(&mut host);
        assert_eq!(host.memory_swap, Some(2 << 30));
        assert_eq!(host.shm_size, Some(SHM_SIZE));
        assert_eq!(host.restart_policy.unwrap().name, Some(RestartMode::No));
    }
}
