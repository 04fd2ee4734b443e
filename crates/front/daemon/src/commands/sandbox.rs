//! `sealane sandbox create|rm|ls`: networks for any namespace, with a daemon or without.

pub(super) mod request;

use super::{Ending, form, roots, text};
use crate::client::ClientError;
use clap::{Arg, ArgMatches, Command};
use sealane_core::model::{Endpoint, PortMapping};
use sealane_session::{Answer, Call, ShownSandbox};
use serde_json::{Value, json};
use std::process::ExitCode;

const ABOUT: &str = "\
Puts a network namespace that something else has made on networks: `ip netns add`, a container
runtime, a service manager. The namespace stays its maker's, and only what was put in is taken out.

No daemon is needed. Where one has these roots, it does the work, holds published ports and serves
names in the namespace. Without one, the kernel translates published ports but no socket keeps other
programs from them; ::1 does not lead to them; names are not served, and the servers of the host are
in resolv.conf. A daemon that starts later takes the sandboxes over and serves both.";

const EXAMPLES: &str = "\
Examples:
  ip netns add web
  sealane network create --subnet 10.9.0.0/24 blue
  sealane sandbox create --netns /run/netns/web --network blue -p 8080:80 web
  sealane sandbox ls
  sealane sandbox rm web";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("sandbox")
        .about("Put any network namespace on networks, with a daemon or without")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(form::argument())
        .subcommand(request::create_command().args(roots::arguments()))
        .subcommand(
            Command::new("rm")
                .about("Take everything out of a namespace that was put in")
                .arg(name_argument())
                .args(roots::arguments()),
        )
        .subcommand(
            Command::new("ls")
                .about("List the sandboxes that were made so")
                .args(roots::arguments()),
        )
}

/// The sandbox that a command is about.
pub(in crate::commands) fn name_argument() -> Arg {
    Arg::new("name").value_name("NAME").required(true)
}

/// Does what is asked.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(ExitCode::SUCCESS);
    };
    let call = match name {
        "create" => {
            let spec = request::spec(matches).map_err(ClientError::Refused)?;
            Call::CreateSandbox(spec)
        }
        "rm" => Call::RemoveSandbox(text(matches, "name").unwrap_or_default().to_owned()),
        _ => Call::Sandboxes,
    };
    match roots::call(matches, &call)? {
        Answer::Sandbox(made) => {
            form::print(matches, &as_json(&made), || lines(&made).join("\n"));
        }
        Answer::Sandboxes(all) => {
            let list: Vec<Value> = all.iter().map(as_json).collect();
            form::print(matches, &json!({ "sandboxes": list }), || {
                let all: Vec<String> = all.iter().flat_map(lines).collect();
                all.join("\n")
            });
        }
        Answer::Done => form::print(matches, &json!({ "removed": true }), String::new),
        Answer::Network(_) | Answer::Networks(_) | Answer::Plan(_) => {
            return Err(ClientError::NotUnderstood.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(shown: &ShownSandbox) -> Value {
    let sandbox = &shown.sandbox;
    let endpoints = sandbox.endpoints.values();
    let endpoints: Vec<Value> = endpoints.map(|one| endpoint(shown, one)).collect();
    let ports: Vec<Value> = sandbox.ports.iter().map(port).collect();
    json!({
        "name": sandbox.name,
        "id": sandbox.id,
        "netns": sandbox.given.as_ref().map(|given| given.path.display().to_string()),
        "files": sandbox.files.display().to_string(),
        "endpoints": endpoints,
        "ports": ports,
    })
}

fn endpoint(shown: &ShownSandbox, endpoint: &Endpoint) -> Value {
    json!({
        "network": shown.networks.get(&endpoint.network),
        "networkId": endpoint.network,
        "interface": endpoint.interface.as_str(),
        "hostInterface": endpoint.host_interface.as_str(),
        "mac": endpoint.mac.shown(),
        "ipv4": endpoint.ipv4,
        "ipv6": endpoint.ipv6,
        "gateway4": endpoint.gateway4,
        "gateway6": endpoint.gateway6,
    })
}

fn port(mapping: &PortMapping) -> Value {
    json!({
        "protocol": mapping.protocol.to_string(),
        "hostIp": mapping.host_ip,
        "hostPort": mapping.host_port,
        "port": mapping.container_port,
    })
}

/// `web  blue  eth0  10.9.0.2/24`, a line for each endpoint; the name alone without one.
fn lines(shown: &ShownSandbox) -> Vec<String> {
    let name = &shown.sandbox.name;
    let line = |endpoint: &Endpoint| {
        let network = shown.networks.get(&endpoint.network);
        let network = network.cloned().unwrap_or_default();
        let addresses: Vec<String> = endpoint.prefixes().map(|net| net.to_string()).collect();
        let (interface, addresses) = (&endpoint.interface, addresses.join(" "));
        format!("{name}  {network}  {interface}  {addresses}")
    };
    let lines: Vec<String> = shown.sandbox.endpoints.values().map(line).collect();
    match lines.is_empty() {
        true => vec![name.clone()],
        false => lines,
    }
}
