//! The operator commands, a module each.
//!
//! To add one: a module with `command`, how it is called, and `run`, what it does; and its line in
//! [`ALL`]. Help, completion and manual pages are made from the first.

mod completion;
mod doctor;
mod explain;
mod firewall;
mod form;
mod man;
mod network;
mod paint;
mod plan;
mod publish;
mod purge;
mod repair;
mod roots;
mod sandbox;
mod status;
mod version;

use clap::{Arg, ArgMatches, Command};
use sealane_core::model::Owner;
use std::error::Error;
use std::process::ExitCode;

/// What a command ends with: its exit code, or why it could not do its work.
pub(crate) type Ending = Result<ExitCode, Box<dyn Error>>;

/// A command of `sealane`.
pub(crate) struct Entry {
    /// How it is called.
    pub(crate) command: fn() -> Command,
    /// What it does.
    pub(crate) run: fn(&ArgMatches) -> Ending,
}

/// All of them but the daemon, in the order in which the help lists them.
pub(crate) const ALL: &[Entry] = &[
    entry(plan::command, plan::run),
    entry(publish::command, publish::run),
    entry(network::command, network::run),
    entry(sandbox::command, sandbox::run),
    entry(explain::command, explain::run),
    entry(firewall::command, firewall::run),
    entry(doctor::command, doctor::run),
    entry(status::command, status::run),
    entry(repair::command, repair::run),
    entry(purge::command, purge::run),
    entry(completion::command, completion::run),
    entry(man::command, man::run),
    entry(version::command, version::run),
];

const fn entry(command: fn() -> Command, run: fn(&ArgMatches) -> Ending) -> Entry {
    Entry { command, run }
}

/// `-H`, which daemon to ask.
fn host_argument() -> Arg {
    Arg::new("host")
        .short('H')
        .long("host")
        .value_name("SOCKET")
        .global(true)
        .help("Ask this daemon, unix://PATH or tcp://HOST:PORT [$DOCKER_HOST or unix:///var/run/docker.sock]")
}

/// `--owner`, whose objects.
fn owner_argument() -> Arg {
    Arg::new("owner")
        .long("owner")
        .value_name("NAME")
        .default_value("sealane")
        .value_parser(|text: &str| Owner::try_from(text))
        .help("The daemon's --owner")
}

fn owner(matches: &ArgMatches) -> Owner {
    matches.get_one("owner").cloned().unwrap_or_default()
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
