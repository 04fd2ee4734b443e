//! What `sealane sandbox create` asks for.

use super::name_argument;
use crate::commands::{text, texts};
use clap::{Arg, ArgAction, ArgMatches, Command};
use sealane_core::model::{EndpointSpec, Mac, NameserverConfig, PortRequest};
use sealane_engine::SandboxSpec;
use sealane_session::sandbox_id;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where `ip netns` keeps namespaces by name.
const NAMED: &str = "/run/netns";

/// The command line, but for the roots.
pub(in crate::commands) fn create_command() -> Command {
    let one = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let many = |name, value, help| one(name, value, help).action(ArgAction::Append);
    Command::new("create")
        .about("Put a namespace on networks")
        .arg(name_argument())
        .arg(
            one(
                "netns",
                "PATH",
                "The namespace: a path, or a name of `ip netns`",
            )
            .required(true),
        )
        .arg(many("network", "NETWORK", "A network to join").required(true))
        .arg(one(
            "ip",
            "ADDRESS",
            "The IPv4 address on the first network",
        ))
        .arg(one("ip6", "ADDRESS", "The IPv6 address there"))
        .arg(one("mac-address", "MAC", "The hardware address there"))
        .arg(many("alias", "NAME", "A further name there"))
        .arg(
            many(
                "publish",
                "PORT",
                "Publish a port: 8080:80, 127.0.0.1:53:53/udp, or 80 for any port of the host",
            )
            .short('p'),
        )
        .arg(many(
            "dns",
            "ADDRESS",
            "A DNS server in place of the host's",
        ))
}

/// What is to be made.
pub(in crate::commands) fn spec(matches: &ArgMatches) -> Result<SandboxSpec, String> {
    let name = text(matches, "name").unwrap_or_default();
    if !is_name(name) {
        return Err(format!(
            "\"{name}\" cannot be a name; use letters, digits, '_', '.' and '-', a letter or digit first"
        ));
    }
    let mut first = Some(first_endpoint(matches)?);
    let networks = texts(matches, "network").into_iter();
    let endpoints = networks.map(|network| (network.to_owned(), first.take().unwrap_or_default()));
    let ports = texts(matches, "publish").into_iter().map(port);
    let servers = texts(matches, "dns").into_iter();
    let servers = servers.map(|server| read::<IpAddr>(server, "a DNS server's address"));
    Ok(SandboxSpec {
        given: Some(namespace(text(matches, "netns").unwrap_or_default())),
        endpoints: endpoints.collect(),
        ports: ports.collect::<Result<_, _>>()?,
        nameserver: NameserverConfig {
            servers: servers.collect::<Result<_, _>>()?,
            ..NameserverConfig::default()
        },
        ..SandboxSpec::named(name, sandbox_id(name))
    })
}

/// As Docker's names of containers are.
fn is_name(name: &str) -> bool {
    let further = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(further)
}

fn namespace(text: &str) -> PathBuf {
    if text.contains('/') {
        PathBuf::from(text)
    } else {
        PathBuf::from(NAMED).join(text)
    }
}

fn first_endpoint(matches: &ArgMatches) -> Result<EndpointSpec, String> {
    let ipv4 = text(matches, "ip").map(|text| read(text, "an IPv4 address"));
    let ipv6 = text(matches, "ip6").map(|text| read(text, "an IPv6 address"));
    let mac = text(matches, "mac-address");
    let mac = mac.map(|text| Mac::try_from(text).map_err(|error| error.to_string()));
    Ok(EndpointSpec {
        ipv4: ipv4.transpose()?,
        ipv6: ipv6.transpose()?,
        mac: mac.transpose()?,
        aliases: texts(matches, "alias")
            .into_iter()
            .map(str::to_owned)
            .collect(),
        ..EndpointSpec::default()
    })
}

fn read<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not {what}"))
}

/// Reads `[[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]`.
fn port(text: &str) -> Result<PortRequest, String> {
    let wrong = || format!("invalid port \"{text}\"; write 8080:80, 127.0.0.1:53:53/udp or 80");
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (outside, inside) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (address, host) = outside.rsplit_once(':').unwrap_or(("", outside));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let host = match host {
        "" => None,
        host => Some(number(host).ok_or_else(wrong)?),
    };
    Ok(PortRequest {
        protocol: protocol.parse()?,
        container_port: number(inside).ok_or_else(wrong)?,
        host_ip: match address {
            "" => None,
            address => Some(address.parse().map_err(|_| wrong())?),
        },
        host_ports: host.map(|port| (port, port)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::Protocol;

    fn asked(line: &str) -> Result<SandboxSpec, String> {
        let words = ["create"].into_iter().chain(line.split(' '));
        spec(&create_command().get_matches_from(words))
    }

    #[test]
    fn flags_become_a_sandbox() {
        let spec = asked("--netns web --network blue --ip 10.9.0.7 --network red -p 53:5353/udp w");
        let spec = spec.unwrap();
        assert_eq!(spec.given, Some("/run/netns/web".into()));
        let networks: Vec<&str> = spec
            .endpoints
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(networks, ["blue", "red"]);
        let addresses: Vec<_> = spec.endpoints.iter().map(|(_, asked)| asked.ipv4).collect();
        assert_eq!(addresses, [Some("10.9.0.7".parse().unwrap()), None]);
        let port = &spec.ports[0];
        assert_eq!((port.protocol, port.container_port), (Protocol::Udp, 5353));
        assert_eq!((port.host_ip, port.host_ports), (None, Some((53, 53))));
    }

    #[test]
    fn a_port_may_name_its_address() {
        let read = port("[::1]:8443:443").unwrap();
        assert_eq!(read.host_ip, Some("::1".parse().unwrap()));
        assert_eq!(port("80").unwrap().host_ports, None);
        for wrong in ["x:80", "1.2.3:80:80", "80:", "0", "80/icmp"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(asked("--netns web --network blue --ip ten w").is_err());
        assert!(asked("--netns web --network blue .w").is_err());
    }
}
