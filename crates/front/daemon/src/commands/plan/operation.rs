//! The operations that can be planned, their flags, and what the daemon is asked.

use super::super::network::update;
use super::super::{text, texts};
use super::ports;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

/// The subcommands, one for each operation.
pub(super) fn commands() -> Vec<Command> {
    vec![
        run(),
        Command::new("start")
            .about("Start a container")
            .arg(container()),
        Command::new("stop")
            .about("Stop a container")
            .arg(container()),
        Command::new("rm")
            .about("Remove a container")
            .arg(container()),
        Command::new("connect")
            .about("Join a container to a network")
            .args([network(), container()])
            .args(endpoint_arguments()),
        Command::new("disconnect")
            .about("Part a container from a network")
            .args([network(), container()]),
        Command::new("network")
            .about("Make, change or remove a network")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(network_create("create"))
            .subcommand(update::command())
            .subcommand(network_remove("rm")),
        Command::new("publish")
            .about("Publish ports of a running container, or take them back")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("add")
                    .about("Publish further ports")
                    .args([container(), ports_of("PORT")]),
            )
            .subcommand(
                Command::new("rm")
                    .about("Publish ports no longer")
                    .args([container(), ports_of("HOST_PORT")]),
            ),
        // As they were called first.
        network_create("network-create").hide(true),
        network_remove("network-rm").hide(true),
    ]
}

fn network_remove(name: &'static str) -> Command {
    Command::new(name).about("Remove a network").arg(network())
}

fn ports_of(form: &'static str) -> Arg {
    Arg::new("ports")
        .value_name(form)
        .required(true)
        .num_args(1..)
        .action(ArgAction::Append)
}

/// What the daemon is asked for a subcommand; the error is for the user.
pub(super) fn request(name: &str, matches: &ArgMatches) -> Result<Value, String> {
    let container = text_of(matches, "container");
    let network = text_of(matches, "network");
    Ok(match name {
        "run" => run_request(matches)?,
        "start" => json!({"operation": "start", "container": container}),
        "stop" => json!({"operation": "stop", "container": container}),
        "rm" => json!({"operation": "remove", "container": container}),
        "connect" => json!({
            "operation": "connect",
            "network": network,
            "container": container,
            "endpoint": endpoint(matches),
        }),
        "disconnect" => {
            json!({"operation": "disconnect", "network": network, "container": container})
        }
        "network" | "publish" => {
            let (inner, matches) = matches.subcommand().ok_or("which operation?")?;
            request(&format!("{name}-{inner}"), matches)?
        }
        "network-create" => network_request(matches)?,
        "network-update" => json!({
            "operation": "network-update",
            "network": network,
            "body": update::request(matches)?,
        }),
        "publish-add" => {
            let (_, bindings) = ports::published(&texts(matches, "ports"))?;
            json!({"operation": "publish", "container": container, "publish": bindings})
        }
        "publish-rm" => {
            let exposed = ports::exposed(&texts(matches, "ports"))?;
            let unpublish: Vec<&String> = exposed.keys().collect();
            json!({"operation": "publish", "container": container, "unpublish": unpublish})
        }
        "network-rm" => json!({"operation": "network-remove", "network": network}),
        other => return Err(format!("there is no operation \"{other}\"")),
    })
}

fn text_of<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    match matches.try_contains_id(name) {
        Ok(true) => text(matches, name).unwrap_or_default(),
        Ok(false) | Err(_) => "",
    }
}

fn run() -> Command {
    Command::new("run")
        .about("Make and start a container")
        .arg(option("name", "NAME", "Its name"))
        .arg(option("network", "NETWORK", "The network it joins").visible_alias("net"))
        .args(endpoint_arguments())
        .arg(many("publish", "PORT", "Publish a port, as docker run does").short('p'))
        .arg(switch("publish-all", "Publish all exposed ports").short('P'))
        .arg(many("expose", "PORT", "Expose a port"))
        .arg(Arg::new("image").value_name("IMAGE").required(true))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
}

fn network_create(name: &'static str) -> Command {
    Command::new(name)
        .about("Make a network")
        .arg(option("driver", "DRIVER", "Its driver [bridge]").short('d'))
        .arg(many("subnet", "SUBNET", "A subnet"))
        .arg(many(
            "gateway",
            "ADDRESS",
            "The gateway of the subnet in the same place",
        ))
        .arg(many(
            "ip-range",
            "RANGE",
            "The range of the subnet in the same place",
        ))
        .arg(many("opt", "KEY=VALUE", "A driver option").short('o'))
        .arg(switch("internal", "No way out"))
        .arg(switch("ipv6", "Give it IPv6"))
        .arg(Arg::new("network").value_name("NAME").required(true))
}

fn endpoint_arguments() -> Vec<Arg> {
    vec![
        option("ip", "ADDRESS", "The address wanted"),
        option("ip6", "ADDRESS", "The IPv6 address wanted"),
        option("mac-address", "MAC", "The MAC address wanted"),
        many("alias", "NAME", "A further name on the network").visible_alias("network-alias"),
    ]
}

fn endpoint(matches: &ArgMatches) -> Value {
    let mut addresses = Map::new();
    for (name, field) in [("ip", "IPv4Address"), ("ip6", "IPv6Address")] {
        if let Some(address) = text(matches, name) {
            addresses.insert(field.into(), address.into());
        }
    }
    json!({
        "IPAMConfig": addresses,
        "Aliases": texts(matches, "alias"),
        "MacAddress": text(matches, "mac-address").unwrap_or_default(),
    })
}

fn run_request(matches: &ArgMatches) -> Result<Value, String> {
    let network = text(matches, "network").unwrap_or("bridge");
    let (mut exposed, bindings) = ports::published(&texts(matches, "publish"))?;
    exposed.extend(ports::exposed(&texts(matches, "expose"))?);
    let mut endpoints = Map::new();
    endpoints.insert(network.into(), endpoint(matches));
    let joins = !matches!(network, "host" | "none") && !network.starts_with("container:");
    let endpoints = if joins { endpoints } else { Map::new() };
    Ok(json!({
        "operation": "run",
        "name": text(matches, "name"),
        "body": {
            "Image": text(matches, "image"),
            "Cmd": texts(matches, "command"),
            "ExposedPorts": exposed,
            "HostConfig": {
                "NetworkMode": network,
                "PortBindings": bindings,
                "PublishAllPorts": matches.get_flag("publish-all"),
            },
            "NetworkingConfig": {"EndpointsConfig": endpoints},
        },
    }))
}

fn network_request(matches: &ArgMatches) -> Result<Value, String> {
    let mut options = Map::new();
    for option in texts(matches, "opt") {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        options.insert(key.into(), value.into());
    }
    let (subnets, gateways) = (texts(matches, "subnet"), texts(matches, "gateway"));
    let ranges = texts(matches, "ip-range");
    if gateways.len() > subnets.len() || ranges.len() > subnets.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".into());
    }
    let configs = subnets.iter().enumerate().map(|(place, subnet)| {
        json!({
            "Subnet": subnet,
            "Gateway": gateways.get(place),
            "IPRange": ranges.get(place),
        })
    });
    Ok(json!({
        "operation": "network-create",
        "body": {
            "Name": text(matches, "network"),
            "Driver": text(matches, "driver").unwrap_or("bridge"),
            "Internal": matches.get_flag("internal"),
            "EnableIPv6": matches.get_flag("ipv6").then_some(true),
            "Options": options,
            "IPAM": {"Config": configs.collect::<Vec<_>>()},
        },
    }))
}

fn container() -> Arg {
    Arg::new("container").value_name("CONTAINER").required(true)
}

fn network() -> Arg {
    Arg::new("network").value_name("NETWORK").required(true)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn many(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Value, String> {
        let matches = super::super::command()
            .try_get_matches_from(line.split_whitespace())
            .map_err(|error| error.to_string())?;
        let (name, matches) = matches.subcommand().ok_or("no subcommand")?;
        request(name, matches)
    }

    #[test]
    fn a_run_is_what_docker_would_send() {
        let run = asked("plan run -p 8080:80 --network blue --ip 10.9.0.7 img httpd -f").unwrap();
        assert_eq!(run["body"]["Image"], "img");
        assert_eq!(run["body"]["Cmd"], json!(["httpd", "-f"]));
        let bindings = &run["body"]["HostConfig"]["PortBindings"];
        assert_eq!(
            *bindings,
            json!({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]})
        );
        let endpoint = &run["body"]["NetworkingConfig"]["EndpointsConfig"]["blue"];
        assert_eq!(endpoint["IPAMConfig"], json!({"IPv4Address": "10.9.0.7"}));
    }

    #[test]
    fn each_operation_is_named() {
        for (line, operation) in [
            ("plan start web", "start"),
            ("plan stop web", "stop"),
            ("plan rm web", "remove"),
            ("plan connect blue web --alias w", "connect"),
            ("plan disconnect blue web", "disconnect"),
            (
                "plan network-create blue --subnet 10.9.0.0/24",
                "network-create",
            ),
            ("plan network-rm blue", "network-remove"),
            ("plan network create --ipv6 blue", "network-create"),
            ("plan network rm blue", "network-remove"),
            ("plan network update blue --mtu 1400", "network-update"),
            ("plan publish add web 8080:80 53/udp", "publish"),
            ("plan publish rm web 8080", "publish"),
            ("plan -H unix:///x start web --format json", "start"),
        ] {
            assert_eq!(asked(line).unwrap()["operation"], operation, "{line}");
        }
    }

    #[test]
    fn a_gateway_needs_a_subnet() {
        let error = asked("plan network-create --gateway 10.9.0.1 blue").unwrap_err();
        assert_eq!(
            error,
            "every ip-range or gateway must have a corresponding subnet"
        );
    }
}
