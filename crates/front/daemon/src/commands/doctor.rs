//! `sealane doctor`: looks at the host and says what is in the way, and what to do.

use super::paint::{Colour, Paint};
use super::{Ending, form, host, host_argument, owner, owner_argument, text};
use crate::chain;
use crate::client::{self, ClientError};
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use sealane_doctor::{Daemon, Finding, Host, Level, Roots, examine};
use serde_json::json;
use std::process::ExitCode;

const ABOUT: &str = "\
Looks at this host and says what is in the way of container networks, and what to do about it: what the
kernel can do, forwarding, other engines and firewalls, MTU, addresses, name servers, limits, leftovers.

Changes nothing. Asks the daemon if one answers, and does without if none does.

Ends with 0 when all is well, 1 when something may hurt, 2 when something does.";

const EXAMPLES: &str = "\
Examples:
  sealane doctor
  sealane doctor --format json | jq '.findings[] | select(.level != \"ok\")'";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("doctor")
        .about("Look for what is in the way on this host, and say what to do")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .arg(host_argument())
        .arg(form::argument())
        .arg(
            Arg::new("exec-root")
                .long("exec-root")
                .value_name("PATH")
                .default_value("/run/sealane")
                .help("The daemon's --exec-root"),
        )
        .arg(owner_argument())
}

/// Looks, and prints the findings.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let daemon = match ask(matches) {
        Ok(daemon) => Some(daemon),
        Err(ClientError::Connect { .. }) => None,
        Err(error) => {
            eprintln!("sealane: going on without the daemon: {}", chain(&error));
            None
        }
    };
    let roots = Roots {
        exec: text(matches, "exec-root").unwrap_or_default().into(),
        owner: owner(matches),
        resolv_conf: "/etc/resolv.conf".into(),
    };
    let seen = Host::look(&roots, daemon.as_ref().map(|daemon| daemon.pid))?;
    let findings = examine(&seen, daemon.as_ref());
    let worst = findings.iter().map(|finding| finding.level).max();
    let worst = worst.unwrap_or(Level::Ok);
    let answer = json!({"level": worst, "daemon": daemon.is_some(), "findings": findings});
    form::print(matches, &answer, || told(&findings, daemon.is_some()));
    Ok(ExitCode::from(match worst {
        Level::Ok => 0,
        Level::Warn => 1,
        Level::Error => 2,
    }))
}

fn ask(matches: &ArgMatches) -> Result<Daemon, ClientError> {
    let answer = client::ask(host(matches), Method::GET, "/sealane/health", None)?;
    serde_json::from_value(answer).map_err(|_| ClientError::NotUnderstood)
}

fn told(findings: &[Finding], daemon: bool) -> String {
    let paint = Paint::for_output();
    let mut lines = Vec::new();
    for Finding {
        check,
        level,
        finding,
        advice,
    } in findings
    {
        let (word, colour) = match level {
            Level::Ok => ("ok", Colour::Green),
            Level::Warn => ("warn", Colour::Yellow),
            Level::Error => ("error", Colour::Red),
        };
        let word = paint.paint(colour, &format!("{word:<6}"));
        lines.push(format!("{word} {check}: {finding}"));
        if !advice.is_empty() {
            lines.push(format!("       {advice}"));
        }
    }
    let count = |wanted| findings.iter().filter(|f| f.level == wanted).count();
    let asked = if daemon { "" } else { "; no daemon was asked" };
    let (errors, warnings) = (count(Level::Error), count(Level::Warn));
    lines.push(format!("{errors} errors, {warnings} warnings{asked}"));
    lines.join("\n")
}
