//! `sealane repair pause|resume|status`: whether the daemon puts back what others change.

use super::{Ending, form, host, host_argument};
use crate::client::{self, ClientError};
use clap::{ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};
use std::process::ExitCode;

const ABOUT: &str = "\
The daemon watches the host. When something else removes or changes what is ours – a rule, a link,
a route – it puts that back within a second, and says so in its log and as an event.

While you work on the host by hand that may be in the way. A pause holds until you end it or the
daemon is started again; then all that has gathered is repaired at once.";

const EXAMPLES: &str = "\
Examples:
  sealane repair pause
  nft flush table inet sealane        # and nobody undoes it
  sealane repair resume               # prints what was put back";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("repair")
        .about("Pause or resume the repair of what others change")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(host_argument())
        .arg(form::argument())
        .subcommand(Command::new("pause").about("Let foreign changes stand"))
        .subcommand(Command::new("resume").about("Repair what has gathered, and watch again"))
        .subcommand(Command::new("status").about("Print whether it is paused"))
}

/// Asks the daemon, and prints how things stand.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(ExitCode::SUCCESS);
    };
    let (method, body) = match name {
        "pause" => (Method::POST, Some(json!({"paused": true}))),
        "resume" => (Method::POST, Some(json!({"paused": false}))),
        _ => (Method::GET, None),
    };
    let answer = client::ask(host(matches), method, "/sealane/repair", body.as_ref())?;
    let paused = answer
        .get("paused")
        .and_then(Value::as_bool)
        .ok_or(ClientError::NotUnderstood)?;
    form::print(matches, &answer, || told(paused, &answer));
    Ok(ExitCode::SUCCESS)
}

fn told(paused: bool, answer: &Value) -> String {
    let state = if paused {
        "repair is paused: what others change stays changed, until `sealane repair resume`"
    } else {
        "repair is on: what others change is put back"
    };
    let repaired = answer.get("repaired").and_then(Value::as_array);
    let lines = repaired.into_iter().flatten().filter_map(Value::as_str);
    lines.fold(state.to_owned(), |text, line| format!("{text}\n{line}"))
}
