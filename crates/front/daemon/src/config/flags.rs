//! The command line of `sealane daemon`, made from the table of options.

use super::error::{Result, refuse};
use super::options::{Effect, Kind, OPTIONS, Opt};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Values by the name of their option.
pub(crate) type Values = BTreeMap<&'static str, Value>;

const ABOUT: &str = "\
Serves the Docker Engine API, and gives containers their networks.

Options have dockerd's names; they can be written as flags or in daemon.json, each in one place.
Called by the name dockerd, the program is this command.";

const EXAMPLES: &str = "\
Examples:
  sealane daemon                                   serve on /var/run/docker.sock
  sealane daemon -H unix:///run/my.sock --data-root /srv/sealane --exec-root /run/my
  sealane daemon --bip 10.9.0.1/24 --default-address-pool base=10.10.0.0/16,size=24
  sealane daemon --validate --config-file daemon.json

Flags of dockerd that concern only its own parts (containerd, storage drivers, log drivers,
registries, --iptables and the like) are accepted; the log says that they have no effect.";

/// The command with all its flags.
pub(crate) fn command() -> Command {
    OPTIONS
        .iter()
        .filter(|option| !option.flag.is_empty())
        .map(argument)
        .fold(
            Command::new("daemon")
                .about("Serve the Docker Engine API")
                .long_about(ABOUT)
                .after_help(EXAMPLES)
                // The last one wins, as with dockerd.
                .args_override_self(true),
            Command::arg,
        )
}

fn argument(option: &Opt) -> Arg {
    let arg = Arg::new(option.flag).long(option.flag).help(option.help);
    let arg = match option.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    let arg = arg.hide(option.effect != Effect::Works);
    match option.kind {
        Kind::Switch => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true)
            .value_name("BOOL"),
        Kind::Text => arg.action(ArgAction::Set).value_name("TEXT"),
        Kind::Number => arg
            .action(ArgAction::Set)
            .allow_hyphen_values(true)
            .value_name("NUMBER"),
        Kind::List | Kind::Map => arg.action(ArgAction::Append).value_name("TEXT"),
    }
}

/// The values that flags were given.
pub(crate) fn values(matches: &ArgMatches) -> Result<Values> {
    let mut values = Values::new();
    for option in OPTIONS.iter().filter(|option| !option.flag.is_empty()) {
        let Some(texts) = matches.get_many::<String>(option.flag) else {
            continue;
        };
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        values.insert(option.name(), value(option, &texts)?);
    }
    Ok(values)
}

fn value(option: &Opt, texts: &[&str]) -> Result<Value> {
    let last = texts.last().copied().unwrap_or_default();
    let flag = option.flag;
    Ok(match option.kind {
        Kind::Switch => match last {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true.into(),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false.into(),
            _ => return refuse(format!("--{flag} is true or false, not \"{last}\"")),
        },
        Kind::Text => last.into(),
        Kind::Number => match last.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return refuse(format!("--{flag} is a whole number, not \"{last}\"")),
        },
        Kind::List => texts.iter().copied().map(Value::from).collect(),
        Kind::Map => Value::Object(pairs(flag, texts)?),
    })
}

fn pairs(flag: &str, texts: &[&str]) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            return refuse(format!("--{flag} is written NAME=VALUE, not \"{text}\""));
        };
        // `bridge=KEY=VALUE` has a second level, as the same option in the file.
        match value
            .split_once('=')
            .filter(|_| flag == "default-network-opt")
        {
            Some((key, value)) => {
                let inner = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(inner) = inner {
                    inner.insert(key.into(), value.into());
                }
            }
            None => {
                map.insert(name.into(), value.into());
            }
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn read(line: &str) -> Result<Values> {
        let words = std::iter::once("daemon").chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words);
        values(
            &matches.map_err(|error| super::super::error::ConfigError::Value(error.to_string()))?,
        )
    }

    #[test]
    fn flags_are_written_as_for_dockerd() {
        let values = read(
            "-D --icc=false --mtu 1400 -H unix:///a -H=fd:// --label a=1 --label b=2 -b none \
             --default-network-opt bridge=com.docker.network.driver.mtu=1400 --add-runtime x=/x \
             --iptables=false -s overlay2 --ip-masq -l warn --host-gateway-ip 10.0.0.1",
        )
        .unwrap();
        let shown = serde_json::to_value(values).unwrap();
        let expected = json!({
            "debug": true,
            "icc": false,
            "mtu": 1400,
            "hosts": ["unix:///a", "fd://"],
            "labels": ["a=1", "b=2"],
            "bridge": "none",
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
            "runtimes": {"x": "/x"},
            "iptables": false,
            "storage-driver": "overlay2",
            "ip-masq": true,
            "log-level": "warn",
            "host-gateway-ips": ["10.0.0.1"],
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_last_of_two_wins_and_lists_add_up() {
        let values = read("--bip 10.0.0.1/24 --bip 10.1.0.1/24 --icc --icc=false").unwrap();
        assert_eq!(values["bip"], json!("10.1.0.1/24"));
        assert_eq!(values["icc"], json!(false));
    }

    #[test]
    fn an_unknown_flag_and_a_wrong_value_are_refused() {
        for line in [
            "--nosuch",
            "--icc=maybe",
            "--mtu x",
            "--add-runtime x",
            "extra",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
