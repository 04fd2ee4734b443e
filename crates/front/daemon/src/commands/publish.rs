//! `sealane publish add|rm|ls`: the published ports of containers that run.

use super::plan::ports;
use super::{Ending, form, host, host_argument, text, texts};
use crate::client::{self, ClientError};
use clap::{Arg, ArgAction, ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};
use std::process::ExitCode;

const ABOUT: &str = "\
Publishes ports of a container that exists, and takes them back, while it runs.

All ports of a command change together or not at all. Connections to the ports that stay go on;
those to a port that is taken back end. The container keeps its ports when it is started again.";

const EXAMPLES: &str = "\
Examples:
  sealane publish add web 8080:80 127.0.0.1:8443:443
  sealane publish add dns 53:53/udp
  sealane publish rm web 8080
  sealane publish ls web";

/// The command line.
pub(super) fn command() -> Command {
    let container = || Arg::new("container").value_name("CONTAINER").required(true);
    let ports = |form: &'static str, help: &'static str| {
        Arg::new("ports")
            .value_name(form)
            .required(true)
            .action(ArgAction::Append)
            .num_args(1..)
            .help(help)
    };
    Command::new("publish")
        .about("Publish ports of a running container, or take them back")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(host_argument())
        .arg(form::argument())
        .subcommand(
            Command::new("add")
                .about("Publish further ports")
                .arg(container())
                .arg(ports("PORT", "As docker run -p has it: 8080:80, 53:53/udp")),
        )
        .subcommand(
            Command::new("rm")
                .about("Publish ports no longer")
                .arg(container())
                .arg(ports("HOST_PORT", "Of the host: 8080, 53/udp, 8000-8010")),
        )
        .subcommand(
            Command::new("ls")
                .about("List the published ports")
                .arg(container().required(false)),
        )
}

/// Changes or lists.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(ExitCode::SUCCESS);
    };
    let container = text(matches, "container");
    match (name, container) {
        ("add", Some(container)) => {
            let (_, bindings) =
                ports::published(&texts(matches, "ports")).map_err(ClientError::Refused)?;
            update(matches, container, &json!({ "Publish": bindings }))?;
        }
        ("rm", Some(container)) => {
            let exposed = ports::exposed(&texts(matches, "ports")).map_err(ClientError::Refused)?;
            let unpublish: Vec<&String> = exposed.keys().collect();
            update(matches, container, &json!({ "Unpublish": unpublish }))?;
        }
        (_, container) => list(matches, container)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn update(matches: &ArgMatches, container: &str, body: &Value) -> Result<(), ClientError> {
    let path = format!("/containers/{}/update", client::segment(container));
    let answer = client::ask(host(matches), Method::POST, &path, Some(body))?;
    for warning in answer["Warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    Ok(())
}

fn list(matches: &ArgMatches, container: Option<&str>) -> Result<(), ClientError> {
    let containers = match container {
        Some(container) => vec![client::segment(container)],
        None => running(matches)?,
    };
    let mut ports = Vec::new();
    for container in containers {
        let path = format!("/containers/{container}/json");
        ports.extend(published(&client::ask(
            host(matches),
            Method::GET,
            &path,
            None,
        )?));
    }
    let text = || ports.iter().map(line).collect::<Vec<_>>().join("\n");
    form::print(matches, &json!({ "ports": ports }), text);
    Ok(())
}

/// The ids of all containers that run.
fn running(matches: &ArgMatches) -> Result<Vec<String>, ClientError> {
    let found = client::ask(host(matches), Method::GET, "/containers/json", None)?;
    let found = found.as_array().ok_or(ClientError::NotUnderstood)?;
    let ids = found.iter().map(|summary| {
        let id = summary["Id"].as_str().ok_or(ClientError::NotUnderstood)?;
        Ok(id.to_owned())
    });
    ids.collect()
}

/// The published ports of a container, each with its host side.
fn published(inspected: &Value) -> Vec<Value> {
    let name = inspected["Name"].as_str().unwrap_or_default();
    let ports = inspected["NetworkSettings"]["Ports"].as_object();
    let mut published = Vec::new();
    for (port, sides) in ports.into_iter().flatten() {
        for side in sides.as_array().into_iter().flatten() {
            published.push(json!({
                "container": name.trim_start_matches('/'),
                "port": port,
                "hostIp": side["HostIp"],
                "hostPort": side["HostPort"],
            }));
        }
    }
    published
}

/// `web 0.0.0.0:8080 -> 80/tcp`
fn line(published: &Value) -> String {
    let text = |key: &str| published[key].as_str().unwrap_or_default().to_owned();
    let ip = text("hostIp");
    let ip = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip
    };
    let (container, port) = (text("container"), text("port"));
    format!("{container} {ip}:{} -> {port}", text("hostPort"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_a_line() {
        let inspected = json!({"Name": "/web", "NetworkSettings": {"Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            "81/tcp": null,
        }}});
        let expected = ["web 0.0.0.0:8080 -> 80/tcp", "web [::]:8080 -> 80/tcp"];
        let lines: Vec<String> = published(&inspected).iter().map(line).collect();
        assert_eq!(lines, expected);
    }
}
