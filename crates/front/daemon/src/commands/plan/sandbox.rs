//! `sealane plan sandbox create|rm`, with a daemon or without.

use crate::client::ClientError;
use crate::commands::sandbox::{name_argument, request};
use crate::commands::{roots, text};
use clap::{ArgMatches, Command};
use sealane_engine::PlannedOperation;
use sealane_session::{Answer, Call};
use std::error::Error;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("sandbox")
        .about("Put a namespace on networks, or take that out of it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(request::create_command().args(roots::arguments()))
        .subcommand(
            Command::new("rm")
                .about("Take everything out of a namespace that was put in")
                .arg(name_argument())
                .args(roots::arguments()),
        )
}

/// The changes, one object a line.
pub(super) fn plan(matches: &ArgMatches) -> Result<String, Box<dyn Error>> {
    let (operation, matches) = match matches.subcommand() {
        Some(("create", matches)) => {
            let spec = request::spec(matches).map_err(ClientError::Refused)?;
            (PlannedOperation::CreateSandbox(spec), matches)
        }
        Some((_, matches)) => {
            let id = sealane_session::sandbox_id(text(matches, "name").unwrap_or_default());
            (PlannedOperation::RemoveSandbox(id), matches)
        }
        // The command line requires one.
        None => return Ok(String::new()),
    };
    match roots::call(matches, &Call::Plan(operation))? {
        Answer::Plan(plan) => Ok(plan),
        Answer::Done
        | Answer::Network(_)
        | Answer::Networks(_)
        | Answer::Sandbox(_)
        | Answer::Sandboxes(_) => Err(ClientError::NotUnderstood.into()),
    }
}
