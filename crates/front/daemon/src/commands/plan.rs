//! `sealane plan`: what an operation would change, before it does.

mod operation;
pub(super) mod ports;
mod sandbox;

use super::paint::{Colour, Paint};
use super::{Ending, form, host, host_argument};
use crate::client::{self, ClientError};
use clap::{ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};
use std::process::ExitCode;

const ABOUT: &str = "\
Prints what an operation would change on the host, one kernel object a line, and changes nothing.

Lines begin with + for what would be made, - for what would be removed, ~ for what would be altered;
`then` is done once, after all that. The names and addresses are those that the operation then uses,
unless something else is faster.";

const EXAMPLES: &str = "\
Examples:
  sealane plan run -p 8080:80 nginx
  sealane plan run --network blue --ip 10.9.0.7 busybox
  sealane plan connect blue web
  sealane plan network create --subnet 10.9.0.0/24 blue
  sealane plan network update blue --mtu 1400
  sealane plan publish add web 8443:443
  sealane plan sandbox create --netns web --network blue web
  sealane plan rm web";

/// The command line.
pub(super) fn command() -> Command {
    let operations = operation::commands()
        .into_iter()
        .chain([sandbox::command()]);
    operations.fold(
        Command::new("plan")
            .about("Print what an operation would change")
            .long_about(ABOUT)
            .after_help(EXAMPLES)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .arg(host_argument())
            .arg(form::argument()),
        Command::subcommand,
    )
}

/// Prints a plan.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(ExitCode::SUCCESS);
    };
    let plan = match name {
        "sandbox" => sandbox::plan(matches)?,
        _ => ask(name, matches)?,
    };
    let plan = plan.as_str();
    let operation = match matches.subcommand_name() {
        Some(inner) => format!("{name} {inner}"),
        None => name.to_owned(),
    };
    form::print(matches, &as_json(&operation, plan), || {
        if plan.trim().is_empty() {
            "nothing would change".into()
        } else {
            painted(plan)
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Asks the daemon.
fn ask(name: &str, matches: &ArgMatches) -> Result<String, ClientError> {
    let request = operation::request(name, matches).map_err(ClientError::Refused)?;
    let answer = client::ask(host(matches), Method::POST, "/sealane/plan", Some(&request))?;
    let plan = answer.get("plan").and_then(Value::as_str);
    plan.map(str::to_owned).ok_or(ClientError::NotUnderstood)
}

fn painted(plan: &str) -> String {
    let paint = Paint::for_output();
    let line = |line: &str| match line.chars().next() {
        Some('+') => paint.paint(Colour::Green, line),
        Some('-') => paint.paint(Colour::Red, line),
        Some('~' | '!') => paint.paint(Colour::Yellow, line),
        Some(_) | None => line.to_owned(),
    };
    plan.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The lines of a plan, taken apart: `+ link   host/br-1 bridge ...`, `then   announce ...`.
fn as_json(operation: &str, plan: &str) -> Value {
    let (mut changes, mut effects) = (Vec::new(), Vec::new());
    for line in plan
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        let (sign, rest) = line.split_once(' ').unwrap_or((line, ""));
        let change = match sign {
            "+" => "make",
            "-" => "remove",
            "~" => "alter",
            "!" => "replace",
            _ => {
                effects.push(Value::from(rest.trim()));
                continue;
            }
        };
        let (kind, object) = rest.trim().split_once(' ').unwrap_or((rest, ""));
        changes.push(json!({"change": change, "kind": kind, "object": object.trim()}));
    }
    json!({"operation": operation, "changes": changes, "effects": effects})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_s_lines_are_taken_apart() {
        let plan = "+ link   host/br-1 bridge up\n- addr   host/eth0 10.0.0.1/24\nthen   wait for host/br-1\n";
        let expected = json!({
            "operation": "connect",
            "changes": [
                {"change": "make", "kind": "link", "object": "host/br-1 bridge up"},
                {"change": "remove", "kind": "addr", "object": "host/eth0 10.0.0.1/24"},
            ],
            "effects": ["wait for host/br-1"],
        });
        assert_eq!(as_json("connect", plan), expected);
    }
}
