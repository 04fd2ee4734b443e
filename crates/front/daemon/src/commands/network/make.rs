//! `sealane network create|rm|ls`, with a daemon or without.

use super::network_argument;
use crate::client::ClientError;
use crate::commands::{Ending, form, roots, text, texts};
use clap::{Arg, ArgAction, ArgMatches, Command};
use sealane_core::model::Network;
use sealane_engine::{CreateNetwork, RequestedSubnet};
use sealane_session::{Answer, Call};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// The command lines.
pub(super) fn commands() -> [Command; 3] {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let many = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .action(ArgAction::Append)
            .help(help)
    };
    let create = Command::new("create")
        .about("Make a network, with a daemon or without")
        .arg(network_argument())
        .arg(
            Arg::new("driver")
                .long("driver")
                .short('d')
                .value_name("DRIVER")
                .default_value("bridge")
                .help("What kind of network"),
        )
        .arg(many(
            "subnet",
            "SUBNET",
            "A subnet of it; else one is chosen",
        ))
        .arg(many(
            "gateway",
            "ADDRESS",
            "The gateway of each subnet, in their order",
        ))
        .arg(many("opt", "KEY=VALUE", "A driver option").short('o'))
        .arg(many("label", "KEY=VALUE", "A label"))
        .arg(flag("ipv6", "Give it IPv6"))
        .arg(flag("internal", "Give it no way out"));
    [
        create.args(roots::arguments()),
        Command::new("rm")
            .about("Remove a network, with a daemon or without")
            .arg(network_argument())
            .args(roots::arguments()),
        Command::new("ls")
            .about("List the networks, with a daemon or without")
            .args(roots::arguments()),
    ]
}

/// Does what is asked.
pub(super) fn run(name: &str, matches: &ArgMatches) -> Ending {
    let call = match name {
        "create" => Call::CreateNetwork(request(matches).map_err(ClientError::Refused)?),
        "rm" => Call::RemoveNetwork(text(matches, "network").unwrap_or_default().to_owned()),
        _ => Call::Networks,
    };
    match roots::call(matches, &call)? {
        Answer::Network(made) => {
            if !made.warning.is_empty() {
                eprintln!("sealane: {}", made.warning);
            }
            let answer = json!({"id": made.id, "warning": made.warning});
            form::print(matches, &answer, || made.id.to_string());
        }
        Answer::Networks(networks) => {
            let list: Vec<Value> = networks.iter().map(as_json).collect();
            form::print(matches, &json!({ "networks": list }), || {
                let lines: Vec<String> = networks.iter().map(line).collect();
                lines.join("\n")
            });
        }
        Answer::Done => form::print(matches, &json!({ "removed": true }), String::new),
        Answer::Sandbox(_) | Answer::Sandboxes(_) | Answer::Plan(_) => {
            return Err(ClientError::NotUnderstood.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request(matches: &ArgMatches) -> Result<CreateNetwork, String> {
    let mut gateways = texts(matches, "gateway").into_iter();
    let subnets = texts(matches, "subnet").into_iter();
    let subnets = subnets.map(|subnet| RequestedSubnet {
        subnet: subnet.into(),
        gateway: gateways.next().unwrap_or_default().into(),
        ..RequestedSubnet::default()
    });
    let subnets = subnets.collect();
    if let Some(gateway) = gateways.next() {
        return Err(format!(
            "there is no subnet for the gateway {gateway}; give it with --subnet"
        ));
    }
    Ok(CreateNetwork {
        name: text(matches, "network").unwrap_or_default().into(),
        driver: text(matches, "driver").unwrap_or_default().into(),
        internal: matches.get_flag("internal"),
        enable_ipv6: matches.get_flag("ipv6").then_some(true),
        subnets,
        options: pairs(&texts(matches, "opt"))?,
        labels: pairs(&texts(matches, "label"))?,
        ..CreateNetwork::default()
    })
}

fn pairs(texts: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let pair = |text: &&str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!(
            "\"{text}\" has no key or no value; write KEY=VALUE"
        )),
    };
    texts.iter().map(pair).collect()
}

fn subnets(network: &Network) -> Vec<String> {
    let subnets = network.spec.ipam.subnets.iter();
    subnets.map(|subnet| subnet.subnet.to_string()).collect()
}

fn as_json(network: &Network) -> Value {
    json!({
        "id": network.id,
        "name": network.spec.name,
        "driver": network.spec.driver,
        "subnets": subnets(network),
    })
}

/// `5f0c8a1e2b3d  blue  bridge  10.9.0.0/24`
fn line(network: &Network) -> String {
    let (id, spec) = (network.id.short(12), &network.spec);
    format!(
        "{id}  {}  {}  {}",
        spec.name,
        spec.driver,
        subnets(network).join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<CreateNetwork, String> {
        let [create, ..] = commands();
        let words = ["create"].into_iter().chain(line.split(' '));
        request(&create.get_matches_from(words))
    }

    #[test]
    fn flags_become_a_request() {
        let request =
            asked("--subnet 10.9.0.0/24 --gateway 10.9.0.9 -o a=b --internal blue").unwrap();
        assert_eq!((request.name.as_str(), request.internal), ("blue", true));
        assert_eq!(request.subnets[0].gateway, "10.9.0.9");
        assert_eq!(request.options["a"], "b");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(asked("--gateway 10.9.0.9 blue").is_err());
        assert!(asked("-o a blue").is_err());
    }
}
