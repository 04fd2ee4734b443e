//! Published and exposed ports: read from the request, shown from the sandbox.

use crate::ContainerError;
use crate::endpoint::address;
use crate::options::{HostOptions, PortBinding, Program};
use crate::view::{HostSide, ShownPorts};
use sealane_core::model::{PortMapping, PortRequest, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

/// A port in the container: `80/tcp`.
pub type ContainerPort = (u16, Protocol);

/// Reads `80` or `80/tcp`. Zero is no port that can be reached.
pub(crate) fn parse(text: &str) -> Option<ContainerPort> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = number(port).filter(|port| *port != 0)?;
    Some((port, Protocol::from_str(protocol).ok()?))
}

/// Checks all ports of a request.
pub(crate) fn check(config: &Program, host: &HostOptions) -> Result<(), ContainerError> {
    exposed(config, host)?;
    requests(config, host).map(drop)
}

/// The ports to publish, in order of the container's ports.
pub(crate) fn requests(
    config: &Program,
    host: &HostOptions,
) -> Result<Vec<PortRequest>, ContainerError> {
    let bindings = bindings(host)?;
    let mut requests = Vec::new();
    for ((container_port, protocol), bindings) in &bindings {
        for binding in *bindings {
            requests.push(PortRequest {
                protocol: *protocol,
                container_port: *container_port,
                host_ip: address(binding.host_ip.as_deref())?,
                host_ports: host_ports(binding.host_port.as_deref().unwrap_or_default())?,
            });
        }
    }
    if host.publish_all_ports.unwrap_or_default() {
        let all = exposed(config, host)?;
        let unbound = all
            .into_iter()
            .filter(|port| bindings.get(port).is_none_or(|list| list.is_empty()));
        requests.extend(unbound.map(|(container_port, protocol)| PortRequest {
            protocol,
            container_port,
            host_ip: None,
            host_ports: None,
        }));
    }
    Ok(requests)
}

/// All ports that the container tells of: exposed ones, and those to publish.
pub(crate) fn exposed(
    config: &Program,
    host: &HostOptions,
) -> Result<BTreeSet<ContainerPort>, ContainerError> {
    let mut ports: BTreeSet<_> = bindings(host)?.into_keys().collect();
    for text in config.exposed_ports.iter().flatten() {
        ports.insert(parse(text).ok_or_else(|| invalid(text))?);
    }
    Ok(ports)
}

/// The ports of a running container as inspect shows them: published ones with their host side,
/// others without.
pub(crate) fn shown(exposed: &BTreeSet<ContainerPort>, published: &[PortMapping]) -> ShownPorts {
    let mut map: ShownPorts = exposed.iter().map(|port| (*port, None)).collect();
    for mapping in published {
        let port = (mapping.container_port, mapping.protocol);
        let list = map.entry(port).or_default().get_or_insert_default();
        list.extend(host_sides(mapping));
    }
    map
}

/// One host port is shown once for each family it is bound in.
fn host_sides(mapping: &PortMapping) -> impl Iterator<Item = HostSide> {
    // A routed port has none.
    let port = Some(mapping.host_port).filter(|port| *port != 0);
    let addresses = host_addresses(mapping).into_iter();
    addresses.map(move |address| HostSide { address, port })
}

/// The addresses a mapping is bound to.
pub(crate) fn host_addresses(mapping: &PortMapping) -> Vec<IpAddr> {
    match mapping.host_ip {
        Some(address) => vec![address],
        None => vec![IpAddr::from([0; 4]), IpAddr::from([0; 16])],
    }
}

/// `80/tcp`
pub(crate) fn text((port, protocol): ContainerPort) -> String {
    format!("{port}/{protocol}")
}

fn bindings(host: &HostOptions) -> Result<BTreeMap<ContainerPort, &[PortBinding]>, ContainerError> {
    let mut bindings = BTreeMap::new();
    for (text, list) in host.port_bindings.iter().flatten() {
        let port = parse(text).ok_or_else(|| invalid(text))?;
        bindings.insert(port, list.as_deref().unwrap_or_default());
    }
    Ok(bindings)
}

/// Empty or `0` takes any port; `8000` that one; `8000-8010` the first free one.
pub(crate) fn host_ports(text: &str) -> Result<Option<(u16, u16)>, ContainerError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(0), Some(0)) => Ok(None),
        (Some(first), Some(last)) if 0 < first && first <= last => Ok(Some((first, last))),
        _ => Err(invalid(text)),
    }
}

/// Digits only: neither sign nor space.
fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// The refusal of what is no port.
pub(crate) fn invalid(text: &str) -> ContainerError {
    let shown: String = text.chars().take(80).collect();
    ContainerError::Invalid(format!("invalid port specification: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(bindings: &[(&str, &str, &str)]) -> HostOptions {
        let mut map = crate::options::PortBindings::new();
        for (port, ip, host_port) in bindings {
            let binding = PortBinding {
                host_ip: Some((*ip).into()),
                host_port: Some((*host_port).into()),
                ..PortBinding::default()
            };
            map.entry((*port).into())
                .or_default()
                .get_or_insert_default()
                .push(binding);
        }
        HostOptions {
            port_bindings: Some(map),
            ..HostOptions::default()
        }
    }

    fn exposing(ports: &[&str]) -> Program {
        Program {
            exposed_ports: Some(ports.iter().map(|port| (*port).into()).collect()),
            ..Program::default()
        }
    }

    fn told(config: &Program, host: &HostOptions) -> Vec<String> {
        let line = |request: PortRequest| {
            let ip = request.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
            let (container, protocol) = (request.container_port, request.protocol);
            format!("{ip}:{:?}->{container}/{protocol}", request.host_ports)
        };
        requests(config, host)
            .unwrap()
            .into_iter()
            .map(line)
            .collect()
    }

    #[test]
    fn every_form_of_a_binding_is_understood() {
        let host = host(&[
            ("80/tcp", "", "8080"),
            ("80/tcp", "127.0.0.1", ""),
            ("53/udp", "::1", "5300-5310"),
            ("99/SCTP", "0.0.0.0", "0"),
            ("100", "", "0"),
        ]);
        assert_eq!(
            told(&Program::default(), &host),
            [
                "::1:Some((5300, 5310))->53/udp",
                ":Some((8080, 8080))->80/tcp",
                "127.0.0.1:None->80/tcp",
                "0.0.0.0:None->99/sctp",
                ":None->100/tcp",
            ]
        );
    }

    #[test]
    fn publishing_all_takes_what_is_exposed_and_not_bound() {
        let mut host = host(&[("80/tcp", "", "8080")]);
        let config = exposing(&["80/tcp", "443/tcp", "53/udp"]);
        assert_eq!(told(&config, &host).len(), 1);
        host.publish_all_ports = Some(true);
        assert_eq!(
            told(&config, &host),
            [
                ":Some((8080, 8080))->80/tcp",
                ":None->53/udp",
                ":None->443/tcp"
            ]
        );
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (port, host_port) in [
            ("0/tcp", ""),
            ("65536/tcp", ""),
            ("80/icmp", ""),
            ("80-90/tcp", ""),
            ("", ""),
            ("80/tcp", "65536"),
            ("80/tcp", "9-8"),
            ("80/tcp", "+80"),
            ("80/tcp", "http"),
            ("80/tcp", "0-5"),
        ] {
            let error = check(&Program::default(), &host(&[(port, "", host_port)]));
            let shown = if host_port.is_empty() {
                port
            } else {
                host_port
            };
            assert_eq!(
                error.unwrap_err().to_string(),
                format!("invalid port specification: {shown:?}")
            );
        }
        assert!(check(&exposing(&["x/tcp"]), &HostOptions::default()).is_err());
    }

    #[test]
    fn a_port_bound_in_both_families_is_told_twice() {
        let mapping = |host_ip: Option<IpAddr>, container_port| PortMapping {
            protocol: Protocol::Tcp,
            host_ip,
            host_port: 8080,
            container_port,
        };
        let exposed = BTreeSet::from([(80, Protocol::Tcp), (81, Protocol::Tcp)]);
        let published = [mapping(None, 80), mapping(Some([127, 0, 0, 1].into()), 82)];
        let map = shown(&exposed, &published);
        let sides = |port: u16| -> Option<Vec<String>> {
            let list = map.get(&(port, Protocol::Tcp)).unwrap().as_ref()?;
            Some(list.iter().map(|side| side.address.to_string()).collect())
        };
        assert_eq!(sides(80).unwrap(), ["0.0.0.0", "::"]);
        assert_eq!(sides(81), None);
        assert_eq!(sides(82).unwrap(), ["127.0.0.1"]);
    }
}
