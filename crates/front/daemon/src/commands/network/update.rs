//! `sealane network update`

use super::network_argument;
use crate::client::{self, ClientError};
use crate::commands::{host, text, texts};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Method;
use serde_json::{Map, Value, json};

const ABOUT: &str = "\
Changes a network in place: its containers run on, and no more than one packet is lost.

Everything that a command asks for happens, or nothing does. A subnet can grow, and IPv6 can be
added; its gateway, its name and its driver stay what they are.";

const EXAMPLES: &str = "\
Examples:
  sealane network update blue --label owner=me --label-rm draft
  sealane network update blue --mtu 1400 --icc=false
  sealane network update blue --ipv6 --subnet fd00:1::/64
  sealane network update blue --grow 10.1.0.0/16
  sealane network update blue --dns 10.0.0.53";

const MTU: &str = "com.docker.network.driver.mtu";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// The command line.
pub(in crate::commands) fn command() -> Command {
    Command::new("update")
        .about("Change a network in place")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .arg(network_argument())
        .args([
            many("label", "KEY=VALUE", "Set a label"),
            many("label-rm", "KEY", "Remove a label"),
            many("opt", "KEY=VALUE", "Set a driver option").short('o'),
            many("opt-rm", "KEY", "Leave a driver option to its default"),
            many(
                "dns",
                "ADDRESS",
                "Let the resolver ask these servers; \"\" for the daemon's",
            ),
            many(
                "subnet",
                "SUBNET",
                "The IPv6 subnet to add; else one is chosen",
            ),
            many(
                "grow",
                "SUBNET",
                "Make the subnet as large as this, which contains it",
            ),
            one("mtu", "BYTES", "The largest packet"),
            switch("icc", "Whether containers may talk to each other"),
            switch(
                "masquerade",
                "Whether containers leave with the host's address",
            ),
        ])
        .arg(
            Arg::new("ipv6")
                .long("ipv6")
                .action(ArgAction::SetTrue)
                .help("Give it IPv6"),
        )
}

fn many(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    one(name, value, help).action(ArgAction::Append)
}

fn one(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    let parser = PossibleValuesParser::new(["true", "false"]).try_map(|text| text.parse::<bool>());
    one(name, "true|false", help)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(parser)
}

/// Asks the daemon.
pub(super) fn run(matches: &ArgMatches) -> Result<(), ClientError> {
    let body = request(matches).map_err(ClientError::Refused)?;
    let network = client::segment(text(matches, "network").unwrap_or_default());
    let path = format!("/networks/{network}/update");
    client::ask(host(matches), Method::POST, &path, Some(&body))?;
    Ok(())
}

/// The body of the request.
pub(in crate::commands) fn request(matches: &ArgMatches) -> Result<Value, String> {
    let mut options = changes(&texts(matches, "opt"), &texts(matches, "opt-rm"))?;
    if let Some(mtu) = text(matches, "mtu") {
        options.insert(MTU.into(), mtu.into());
    }
    for (name, key) in [("icc", ICC), ("masquerade", MASQUERADE)] {
        if let Some(on) = matches.get_one::<bool>(name) {
            options.insert(key.into(), on.to_string().into());
        }
    }
    let subnets = texts(matches, "subnet")
        .into_iter()
        .chain(texts(matches, "grow"));
    let subnets: Vec<Value> = subnets.map(|subnet| json!({ "Subnet": subnet })).collect();
    let mut body = json!({
        "Labels": changes(&texts(matches, "label"), &texts(matches, "label-rm"))?,
        "Options": options,
        "IPAM": {"Config": subnets},
    });
    if matches.get_flag("ipv6") {
        body["EnableIPv6"] = true.into();
    }
    if matches.contains_id("dns") {
        let servers = texts(matches, "dns")
            .into_iter()
            .filter(|text| !text.is_empty());
        body["DNS"] = servers.collect();
    }
    Ok(body)
}

/// What is set, and as `null` what goes.
fn changes(set: &[&str], removed: &[&str]) -> Result<Map<String, Value>, String> {
    let mut changes = Map::new();
    for text in set {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            return Err(format!("\"{text}\" has no key; write KEY=VALUE"));
        }
        changes.insert(key.into(), value.into());
    }
    changes.extend(removed.iter().map(|key| ((*key).into(), Value::Null)));
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Value {
        let words = ["update", "net"].into_iter().chain(line.split(' '));
        request(&command().get_matches_from(words)).unwrap()
    }

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn flags_become_fields() {
        assert_eq!(
            asked("--label a=b --label-rm c --mtu 1400 --icc=false --dns 10.0.0.1 --ipv6"),
            json(
                r#"{"DNS":["10.0.0.1"],"EnableIPv6":true,"IPAM":{"Config":[]},"Labels":{"a":"b","c":null},"Options":{"com.docker.network.bridge.enable_icc":"false","com.docker.network.driver.mtu":"1400"}}"#
            )
        );
        assert_eq!(
            asked("--grow 10.1.0.0/16 --masquerade"),
            json(
                r#"{"IPAM":{"Config":[{"Subnet":"10.1.0.0/16"}]},"Labels":{},"Options":{"com.docker.network.bridge.enable_ip_masquerade":"true"}}"#
            )
        );
    }
}
