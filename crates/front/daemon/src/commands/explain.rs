//! `sealane explain`: whether a packet passes, and what decides it.

use super::paint::{Colour, Paint};
use super::{Ending, form, host, host_argument, text};
use crate::client::{self, ClientError};
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

const ABOUT: &str = "\
Says whether a packet passes from one place to another, and which name, route, rule or translation
decides it, in the order in which they are met. No such packet is sent: it reads the plan that the
daemon has written to the kernel, the host's addresses and routes, and whether something listens. A
name outside is asked for, as the sender would.

Exits with 0 if the packet passes, with 1 if not.";

const PLACES: &str = "\
From: a container, \"host\", \"lan\", or an address outside.
To:   a container or any name that the sender may know, an address, \"host\", or \"outside\";
      with a port, and /tcp, /udp or /sctp (/tcp if not said). Without a port: a ping.

Examples:
  sealane explain --from web --to db:5432
  sealane explain --from lan --to host:8080
  sealane explain --from web --to host:53/udp
  sealane explain --from 192.0.2.10 --to 10.0.0.7:443
  sealane explain --from web --to outside";

/// The command line.
pub(super) fn command() -> Command {
    let place = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .required(true)
            .help(help)
    };
    Command::new("explain")
        .about("Say whether a packet passes, and what decides it")
        .long_about(ABOUT)
        .after_help(PLACES)
        .arg(host_argument())
        .arg(form::argument())
        .arg(place("from", "WHO", "Who sends"))
        .arg(place("to", "WHOM[:PORT][/PROTOCOL]", "To whom"))
}

/// Prints the answer.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let argument = |name| encoded(text(matches, name).unwrap_or_default());
    let path = format!(
        "/sealane/explain?from={}&to={}",
        argument("from"),
        argument("to")
    );
    let answer = client::ask(host(matches), Method::GET, &path, None)?;
    let verdict = word(&answer, "verdict").ok_or(ClientError::NotUnderstood)?;
    form::print(matches, &answer, || told(&answer, Paint::for_output()));
    Ok(match verdict {
        "passes" => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The answer for people: what the name is, the way to each address, and the verdict.
fn told(report: &Value, paint: Paint) -> String {
    let mut text = String::new();
    let (names, paths) = (list(report, "names"), list(report, "paths"));
    names.iter().for_each(|hop| tell_hop(&mut text, hop));
    if !names.is_empty() {
        text.push('\n');
    }
    for path in paths {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", headline(report, path, paths.len(), paint));
        list(path, "hops")
            .iter()
            .for_each(|hop| tell_hop(&mut text, hop));
        text.push('\n');
    }
    let part = |name| word(report, name).unwrap_or_default();
    let verdict = paint.paint(colour(part("verdict")), shown(part("verdict")));
    let _ = write!(text, "{verdict}: {}", part("reason"));
    for changed in list(report, "changed").iter().filter_map(Value::as_str) {
        let _ = write!(text, "\nbut not as it was set up: {changed}");
    }
    text
}

fn headline(report: &Value, path: &Value, paths: usize, paint: Paint) -> String {
    let part = |value, name| word(value, name).unwrap_or_default();
    let verdict = part(path, "verdict");
    let first = path.get("first").and_then(Value::as_bool) == Some(true) && paths > 1;
    format!(
        "{} -> {}/{}{}: {}",
        word(path, "source").unwrap_or_else(|| part(report, "from")),
        part(path, "destination"),
        part(report, "protocol"),
        if first { " (tried first)" } else { "" },
        paint.paint(colour(verdict), shown(verdict)),
    )
}

fn tell_hop(text: &mut String, hop: &Value) {
    let part = |name| word(hop, name).unwrap_or_default();
    let _ = writeln!(
        text,
        "  {:<12}{}: {}",
        part("kind"),
        part("place"),
        part("text")
    );
    for rule in list(hop, "rules") {
        let part = |name| word(rule, name).unwrap_or_default();
        let _ = writeln!(text, "{:14}chain {}: {}", "", part("chain"), part("rule"));
        if let Some(element) = rule.get("element") {
            let part = |name| word(element, name).unwrap_or_default();
            let _ = writeln!(text, "{:14}  @{} has {}", "", part("set"), part("element"));
        }
    }
}

fn shown(verdict: &str) -> &str {
    match verdict {
        "nothing-listens" => "nothing listens",
        "no-route" => "no route",
        "nobody-there" => "nobody there",
        "no-such-name" => "no such name",
        "no-answer" => "no answer",
        other => other,
    }
}

fn colour(verdict: &str) -> Colour {
    match verdict {
        "passes" => Colour::Green,
        "depends" => Colour::Yellow,
        _ => Colour::Red,
    }
}

fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}
