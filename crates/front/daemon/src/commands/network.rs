//! `sealane network …`: what the daemon can do with a network and `docker network` has no words for.

mod update;

use super::{Ending, host_argument};
use clap::{Arg, ArgMatches, Command};
use std::process::ExitCode;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("network")
        .about("Change a network in place")
        .long_about(
            "Changes networks while containers are attached. Networks are made, listed and removed \
             with docker network.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(host_argument())
        .subcommand(update::command())
}

/// Does what is asked.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    if let Some(("update", matches)) = matches.subcommand() {
        update::run(matches)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The network that a command is about.
fn network_argument() -> Arg {
    Arg::new("network").value_name("NETWORK").required(true)
}
