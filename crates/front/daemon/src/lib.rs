//! `sealane`: container networking for one host.
//!
//! One program, several commands; called as `dockerd` it is `sealane daemon`. Start at [`main`];
//! the daemon is in `daemon`, its settings in `config`, the operator commands in `commands`.

mod client;
mod commands;
mod config;
mod daemon;
pub mod outside;

use clap::{Arg, ArgAction, ArgMatches, Command};
use commands::Ending;
use config::CalledAs;
use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

const ABOUT: &str = "\
Sealane gives containers their networks. Its daemon serves the Docker Engine API, so that the
docker command line and every other client work as they are.";

const EXAMPLES: &str = "\
A first tour, as root:
  sealane daemon &
  docker network create blue
  docker run -d --network blue --name web -p 8080:80 nginx
  sealane plan disconnect blue web
  sealane firewall show --as iptables
  sealane doctor

Every command has a --help of its own, with examples; `sealane completion` lets your shell complete
them. Networks and containers are made with the docker command line.";

/// Runs the program on its command line.
pub fn main() -> ExitCode {
    let name = env::args_os().next().unwrap_or_default();
    let called_as = match Path::new(&name).file_name() {
        Some(name) if name == "dockerd" => CalledAs::Dockerd,
        Some(_) | None => CalledAs::Sealane,
    };
    let result = match called_as {
        CalledAs::Dockerd => serve(&dockerd().get_matches(), called_as),
        CalledAs::Sealane => run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("sealane: {}", chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn run() -> Ending {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("daemon", matches)) => serve(matches, CalledAs::Sealane),
        Some((name, matches)) => {
            let mut all = commands::ALL.iter();
            let entry = all.find(|entry| (entry.command)().get_name() == name);
            entry.map_or(Ok(ExitCode::SUCCESS), |entry| (entry.run)(matches))
        }
        // The command line requires one.
        None => Ok(ExitCode::SUCCESS),
    }
}

fn serve(matches: &ArgMatches, called_as: CalledAs) -> Ending {
    daemon::run(matches, called_as)?;
    Ok(ExitCode::SUCCESS)
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let sealane = Command::new("sealane")
        .about("Container networking for one host")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(config::command());
    let others = commands::ALL.iter().map(|entry| (entry.command)());
    sealane.subcommands(others)
}

/// The daemon's command line under the name that scripts know. dockerd asks for its version by -v.
fn dockerd() -> Command {
    let version = Arg::new("version")
        .short('v')
        .long("version")
        .action(ArgAction::Version)
        .help("Print the version");
    config::command()
        .name("dockerd")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(version)
}

/// An error with all its causes, which are what says why.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
