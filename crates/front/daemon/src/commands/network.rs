//! `sealane network …`: what can be done without a daemon, and what `docker network` has no words for.

mod make;
mod reserve;
pub(super) mod update;

use super::{Ending, form, host_argument};
use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("network")
        .about("Make networks without a daemon, change them in place, reserve addresses")
        .long_about(
            "Makes, lists and removes networks, with a daemon or without. Changes networks while containers are attached, and \
             reserves their addresses, which a daemon does.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(host_argument())
        .arg(form::argument())
        .after_help("Examples:\n  sealane network update blue --mtu 1400 --icc=false\n  sealane network reserve --help")
        .subcommands(make::commands())
        .subcommand(update::command())
        .subcommands(reserve::commands())
}

/// Does what is asked.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    match matches.subcommand() {
        Some((name @ ("create" | "rm" | "ls"), matches)) => return make::run(name, matches),
        Some(("update", matches)) => update::run(matches)?,
        Some((name, matches)) => reserve::run(name, matches)?,
        // The command line requires one.
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The network that a command is about.
fn network_argument() -> Arg {
    Arg::new("network").value_name("NETWORK").required(true)
}
