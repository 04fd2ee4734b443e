//! The operator commands, a module each.

pub(crate) mod firewall;
pub(crate) mod plan;
pub(crate) mod purge;
pub(crate) mod version;

use clap::{Arg, ArgMatches};

/// `-H`, which daemon to ask.
fn host_argument() -> Arg {
    Arg::new("host")
        .short('H')
        .long("host")
        .value_name("SOCKET")
        .global(true)
        .help("Ask the daemon on this socket [$DOCKER_HOST or unix:///var/run/docker.sock]")
}

fn host(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("host").map(String::as_str)
}

/// The value of an argument that has one text.
fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// All values of an argument.
fn texts<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    matches
        .get_many::<String>(name)
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect()
}
