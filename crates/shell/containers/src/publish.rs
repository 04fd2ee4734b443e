//! Published ports of a container that exists: which bindings a change leaves.
//!
//! Reads and rewrites `HostConfig.PortBindings`, which the container starts with from then on.

use crate::endpoint::address;
use crate::options::{HostOptions, PortBinding, PortBindings, Program};
use crate::ports::{self, ContainerPort};
use crate::record::Record;
use crate::request::PortChange;
use crate::settings;
use crate::{ContainerError, Containers};
use sealane_core::model::{Id, PortMapping, Protocol, Sandbox};
use std::net::IpAddr;

impl Containers {
    /// Takes the sandbox of a container, if it has one, to the ports that its settings ask for, and
    /// `closing` away even if they would do. Returns what the user should know.
    pub(crate) fn republish(
        &self,
        id: &Id,
        config: &Program,
        host: &HostOptions,
        closing: &[PortMapping],
    ) -> Result<Vec<String>, ContainerError> {
        let Some(sandbox) = self.parts.networks.sandbox(id).filter(|found| !found.host) else {
            return Ok(vec![]);
        };
        let requests = ports::requests(config, host)?;
        if requests.is_empty() && sandbox.ports.is_empty() {
            return Ok(vec![]);
        }
        let sandbox = self.parts.networks.publish(id, &requests, closing)?;
        Ok(match sandbox.ports.is_empty() && !requests.is_empty() {
            true => vec![
                "no port is published: the container is on no network with a way out".to_owned(),
            ],
            false => vec![],
        })
    }

    /// Publishes the ports of a running container where its gateway is now.
    pub(crate) fn publish_at_gateway(&self, record: &Record) -> Result<(), ContainerError> {
        let told = self.republish(&record.id, &record.config, &record.host_config, &[])?;
        for text in told {
            tracing::warn!(container = record.name, "{text}");
        }
        Ok(())
    }

    /// The same; what cannot be had there is logged, and undoes nothing.
    pub(crate) fn follow_gateway(&self, record: &Record) {
        if let Err(error) = self.publish_at_gateway(record) {
            tell_unpublished(record, &error);
        }
    }
}

/// Says in the log that ports are not published which should be.
pub(crate) fn tell_unpublished(record: &Record, error: &ContainerError) {
    tracing::error!(
        container = record.name,
        error = crate::error::chain(error),
        "the published ports are not as they should be"
    );
}

/// Settings with their bindings changed.
pub(crate) struct Changed {
    pub(crate) host: HostOptions,
    /// What is published now and was named to be taken back.
    pub(crate) closing: Vec<PortMapping>,
}

/// Whether a change asks for anything.
pub(crate) fn is_empty(change: &PortChange) -> bool {
    change.bindings.is_none() && change.publish.is_empty() && change.unpublish.is_empty()
}

/// The settings with their bindings changed; adds what the user should know to `warnings`.
pub(crate) fn changed(
    name: &str,
    config: &Program,
    host: &HostOptions,
    change: &PortChange,
    sandbox: Option<&Sandbox>,
    warnings: &mut Vec<String>,
) -> Result<Changed, ContainerError> {
    let mut host = host.clone();
    let mut bindings = canonical(match &change.bindings {
        Some(bindings) => bindings.clone(),
        None => host.port_bindings.take().unwrap_or_default(),
    })?;
    let mut closing = Vec::new();
    for text in &change.unpublish {
        let port = ports::parse(text).ok_or_else(|| ports::invalid(text))?;
        let published = sandbox.map_or(&[][..], |sandbox| &sandbox.ports);
        closing.extend(unpublish(name, port, &mut bindings, published)?);
    }
    for (port, list) in canonical(change.publish.clone())? {
        let present = bindings.entry(port).or_default().get_or_insert_default();
        for binding in list.into_iter().flatten() {
            let named = binding
                .host_port
                .as_ref()
                .is_some_and(|port| !port.is_empty());
            // To ask twice for the same port is to ask once.
            if !(named && present.iter().any(|other| is_same(other, &binding))) {
                present.push(binding);
            }
        }
    }
    host.port_bindings = Some(bindings);
    settings::check_ports(config, &host, warnings)?;
    Ok(Changed { host, closing })
}

/// The bindings under names that are all of one form: `80/tcp`.
fn canonical(bindings: PortBindings) -> Result<PortBindings, ContainerError> {
    let mut canonical = PortBindings::new();
    for (text, list) in bindings {
        let port = ports::parse(&text).ok_or_else(|| ports::invalid(&text))?;
        let entry = canonical
            .entry(ports::text(port))
            .or_insert_with(|| Some(vec![]));
        entry
            .get_or_insert_default()
            .extend(list.into_iter().flatten());
    }
    Ok(canonical)
}

fn is_same(a: &PortBinding, b: &PortBinding) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    text(&a.host_ip) == text(&b.host_ip) && text(&a.host_port) == text(&b.host_port)
}

/// Strikes every binding to a host port: those that name it, else the open ones that have it now.
/// Returns what is published there.
fn unpublish(
    name: &str,
    (host_port, protocol): ContainerPort,
    bindings: &mut PortBindings,
    published: &[PortMapping],
) -> Result<Vec<PortMapping>, ContainerError> {
    let number = host_port.to_string();
    let names_it = |binding: &PortBinding| binding.host_port.as_deref() == Some(&number);
    let mut struck = 0;
    for (text, list) in bindings.iter_mut() {
        if is_of(text, protocol) {
            let list = list.get_or_insert_default();
            let before = list.len();
            list.retain(|binding| !names_it(binding));
            struck += before - list.len();
        }
    }
    let has_it =
        |mapping: &&PortMapping| (mapping.host_port, mapping.protocol) == (host_port, protocol);
    let closing: Vec<PortMapping> = published.iter().filter(has_it).cloned().collect();
    if struck == 0 {
        for mapping in &closing {
            struck += usize::from(strike_open(mapping, bindings));
        }
    }
    bindings.retain(|_, list| list.as_ref().is_some_and(|list| !list.is_empty()));
    match (struck, closing.is_empty()) {
        (0, false) => Err(ContainerError::Conflict(format!(
            "port {number}/{protocol} of container {name} is published because all exposed ports \
             are (-P); make the container without -P to choose"
        ))),
        (0, true) => Err(ContainerError::NotFound(format!(
            "container {name} publishes no port {number}/{protocol}"
        ))),
        _ => Ok(closing),
    }
}

/// Strikes one binding that leaves its host port open and has this one: of its very address, else
/// one without an address, which the network gave it.
fn strike_open(mapping: &PortMapping, bindings: &mut PortBindings) -> bool {
    let port = ports::text((mapping.container_port, mapping.protocol));
    let Some(Some(list)) = bindings.get_mut(&port) else {
        return false;
    };
    let fits = |binding: &PortBinding| match ports::host_ports(
        binding.host_port.as_deref().unwrap_or_default(),
    ) {
        Ok(Some((first, last))) => (first..=last).contains(&mapping.host_port),
        Ok(None) => true,
        Err(_) => false,
    };
    let of = |ip: Option<IpAddr>| {
        list.iter().position(|binding| {
            let on_it = address(binding.host_ip.as_deref()).is_ok_and(|found| found == ip);
            on_it && fits(binding)
        })
    };
    match of(mapping.host_ip).or_else(|| of(None)) {
        Some(index) => {
            list.remove(index);
            true
        }
        None => false,
    }
}

fn is_of(text: &str, protocol: Protocol) -> bool {
    ports::parse(text).is_some_and(|(_, other)| other == protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(bindings: &[(&str, &str)]) -> PortBindings {
        let mut map = PortBindings::new();
        for (port, host_port) in bindings {
            let binding = PortBinding {
                host_ip: None,
                host_port: Some((*host_port).into()),
                ..PortBinding::default()
            };
            let list = map.entry((*port).into()).or_default();
            list.get_or_insert_default().push(binding);
        }
        map
    }

    /// The bindings that are left, as lines.
    fn after(present: &[(&str, &str)], change: PortChange) -> Result<Vec<String>, String> {
        let host = HostOptions {
            port_bindings: Some(map(present)),
            ..HostOptions::default()
        };
        let config = Program::default();
        let changed = changed("web", &config, &host, &change, None, &mut vec![]);
        let bindings = changed
            .map_err(|error| error.to_string())?
            .host
            .port_bindings;
        let line = |(port, list): (String, Option<Vec<PortBinding>>)| {
            let hosts = list.unwrap_or_default().into_iter();
            let hosts: Vec<_> = hosts.map(|b| b.host_port.unwrap_or_default()).collect();
            format!("{port} {}", hosts.join(","))
        };
        let mut lines: Vec<String> = bindings.unwrap_or_default().into_iter().map(line).collect();
        lines.sort();
        Ok(lines)
    }

    #[test]
    fn ports_come_and_go() {
        let publish = |ports: &[(&str, &str)]| PortChange {
            publish: map(ports),
            ..PortChange::default()
        };
        let present = [("80/tcp", "8080"), ("53/udp", "8080")];
        assert_eq!(
            after(&present, publish(&[("80", "8081"), ("80/TCP", "8080")])).unwrap(),
            ["53/udp 8080", "80/tcp 8080,8081"],
            "a port that is published already is not asked for twice"
        );
        let unpublish = |port: &str| PortChange {
            unpublish: vec![port.into()],
            ..PortChange::default()
        };
        assert_eq!(after(&present, unpublish("8080")).unwrap(), ["53/udp 8080"]);
        let error = after(&present, unpublish("8081/tcp")).unwrap_err();
        assert_eq!(error, "container web publishes no port 8081/tcp");
        let all = PortChange {
            bindings: Some(map(&[("99/sctp", "")])),
            ..PortChange::default()
        };
        assert_eq!(after(&present, all).unwrap(), ["99/sctp "]);
    }

    #[test]
    fn what_is_no_port_changes_nothing() {
        let error = after(
            &[("80/tcp", "8080")],
            PortChange {
                publish: map(&[("80/icmp", "1")]),
                ..PortChange::default()
            },
        );
        assert_eq!(
            error.unwrap_err(),
            "invalid port specification: \"80/icmp\""
        );
    }
}
