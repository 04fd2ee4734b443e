//! `sealane firewall show`

use super::{Ending, form, host, host_argument, text};
use crate::client::{self, ClientError};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};
use std::process::ExitCode;

const ABOUT: &str = "\
Shows the firewall as the kernel has it now, read live.

There are no iptables rules: the rules are in nftables, in tables of our own, with published ports
as elements of maps. Where the kernel can, the table is owned by the daemon: others may read it,
and neither change nor flush it (--firewall-table=shared lets them). --as iptables says the same in the words of iptables, for people and tools
that read those. Nothing can be changed here; rules of your own belong into the chains
sealane-user-* of table inet sealane-user, which are made once and never flushed.";

const EXAMPLES: &str = "\
Examples:
  sealane firewall show
  sealane firewall show --as iptables | grep 8080

Rules of your own:
  nft add rule inet sealane-user sealane-user-forward ip saddr 192.0.2.7 drop";

/// The command line.
pub(super) fn command() -> Command {
    let form = Arg::new("as")
        .long("as")
        .value_name("FORM")
        .value_parser(PossibleValuesParser::new(["nft", "iptables"]))
        .default_value("nft")
        .help("The words to say it in");
    Command::new("firewall")
        .about("Show the firewall that the daemon keeps")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(host_argument())
        .arg(form::argument())
        .after_help(EXAMPLES)
        .subcommand(
            Command::new("show")
                .about("Show it")
                .long_about(ABOUT)
                .arg(form)
                .after_help(EXAMPLES),
        )
}

/// Prints the firewall.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let Some(("show", matches)) = matches.subcommand() else {
        return Ok(ExitCode::SUCCESS);
    };
    let form = text(matches, "as").unwrap_or("nft");
    let path = format!("/sealane/firewall?as={form}");
    let answer = client::ask(host(matches), Method::GET, &path, None)?;
    let shown = answer
        .get("firewall")
        .and_then(Value::as_str)
        .ok_or(ClientError::NotUnderstood)?;
    let answer = json!({"as": form, "firewall": shown});
    form::print(matches, &answer, || shown.to_owned());
    Ok(ExitCode::SUCCESS)
}
