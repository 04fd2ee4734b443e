//! `sealane status`: which daemon answers, and how it is.

use super::{Ending, form, host, host_argument};
use crate::client;
use clap::{ArgMatches, Command};
use hyper::Method;
use serde_json::Value;
use std::process::ExitCode;

/// The lines of the text, by the fields of the answer.
const LINES: [(&str, &str); 7] = [
    ("version", "Version"),
    ("id", "Id"),
    ("dataRoot", "Data root"),
    ("networks", "Networks"),
    ("containers", "Containers"),
    ("running", "Running"),
    ("repair", "Repair"),
];

/// The command line.
pub(super) fn command() -> Command {
    Command::new("status")
        .visible_alias("info")
        .about("Show which daemon answers, and how it is")
        .after_help(
            "Examples:\n  sealane status\n  sealane status --format json\n\n\
             What is wrong on the host is found by: sealane doctor",
        )
        .arg(host_argument())
        .arg(form::argument())
}

/// Prints it.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let answer = client::ask(host(matches), Method::GET, "/sealane/status", None)?;
    form::print(matches, &answer, || told(&answer));
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &Value) -> String {
    let lines = LINES.iter().filter_map(|(field, title)| {
        let value = answer.get(field)?;
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{title:<12}{value}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}
