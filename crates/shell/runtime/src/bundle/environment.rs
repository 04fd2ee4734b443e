//! The environment of a process.

use crate::{ExecSpec, ProcessSpec};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's defaults, overridden and followed by what was asked for.
pub(crate) fn container(spec: &ProcessSpec) -> Vec<String> {
    let mut env = vec![
        format!("PATH={PATH}"),
        format!("HOSTNAME={}", hostname(spec)),
    ];
    if spec.tty {
        env.push("TERM=xterm".into());
    }
    merge(&mut env, &spec.env);
    env
}

/// The container's environment, overridden and followed by what was asked for.
pub(crate) fn exec(container: &[String], spec: &ExecSpec) -> Vec<String> {
    let mut env = container.to_vec();
    if spec.tty && !env.iter().any(|variable| name(variable) == "TERM") {
        env.push("TERM=xterm".into());
    }
    // Another user has another home.
    if !spec.user.is_empty() {
        env.retain(|variable| name(variable) != "HOME");
    }
    merge(&mut env, &spec.env);
    env
}

/// Adds `HOME` unless it is there.
pub(crate) fn with_home(mut env: Vec<String>, home: Option<String>) -> Vec<String> {
    if let Some(home) = home.filter(|_| !env.iter().any(|variable| name(variable) == "HOME")) {
        env.push(format!("HOME={home}"));
    }
    env
}

fn hostname(spec: &ProcessSpec) -> String {
    spec.hostname.clone().unwrap_or_else(|| {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    })
}

/// A name without `=` takes the variable away.
fn merge(env: &mut Vec<String>, wanted: &[String]) {
    for variable in wanted {
        let place = env.iter().position(|old| name(old) == name(variable));
        match (place, variable.contains('=')) {
            (Some(place), true) => env[place].clone_from(variable),
            (Some(place), false) => drop(env.remove(place)),
            (None, true) => env.push(variable.clone()),
            (None, false) => {}
        }
    }
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}
