//! `sealane plan`: what an operation would change, before it does.

mod operation;
mod ports;

use super::{host, host_argument, text};
use crate::client::{self, ClientError};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};

const ABOUT: &str = "\
Prints what an operation would change on the host, one kernel object a line, and changes nothing.

Lines begin with + for what would be made, - for what would be removed. The names and addresses
are those that the operation then uses, unless something else is faster.";

const EXAMPLES: &str = "\
Examples:
  sealane plan run -p 8080:80 nginx
  sealane plan run --network blue --ip 10.9.0.7 busybox
  sealane plan connect blue web
  sealane plan network-create --subnet 10.9.0.0/24 blue
  sealane plan rm web";

/// The command line.
pub(crate) fn command() -> Command {
    let format = Arg::new("format")
        .long("format")
        .value_name("FORM")
        .global(true)
        .value_parser(PossibleValuesParser::new(["text", "json"]))
        .default_value("text")
        .help("How to print it");
    operation::commands().into_iter().fold(
        Command::new("plan")
            .about("Print what an operation would change")
            .long_about(ABOUT)
            .after_help(EXAMPLES)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .arg(host_argument())
            .arg(format),
        Command::subcommand,
    )
}

/// Prints a plan.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), ClientError> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let request = operation::request(name, matches).map_err(ClientError::Refused)?;
    let answer = client::ask(host(matches), Method::POST, "/sealane/plan", Some(&request))?;
    let plan = answer
        .get("plan")
        .and_then(Value::as_str)
        .ok_or(ClientError::NotUnderstood)?;
    match text(matches, "format") {
        Some("json") => {
            let lines: Vec<&str> = plan.lines().collect();
            println!("{}", json!({"operation": name, "plan": lines}));
        }
        Some(_) | None if plan.trim().is_empty() => println!("nothing would change"),
        Some(_) | None => println!("{}", plan.trim_end()),
    }
    Ok(())
}
