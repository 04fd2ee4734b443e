//! Links on the default bridge: there is no resolver there, so a linked container is known by lines
//! in /etc/hosts, and its ports are open even where containers are kept apart.

use crate::container::no_such_container;
use crate::ports::{self, ContainerPort};
use crate::record::{Link, Record};
use crate::{ContainerError, Containers};
use sealane_core::model::{LegacyLink, Protocol, Sandbox};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// A linked container: who it is, and its stack.
struct Linked {
    target: Arc<Record>,
    link: LegacyLink,
}

impl Linked {
    /// What it is known by; the first of its names.
    fn alias(&self) -> &str {
        self.link.names.first().map_or("", String::as_str)
    }
}

impl Containers {
    /// The links of a container. The others must run.
    pub(crate) fn legacy_links(&self, record: &Record) -> Result<Vec<LegacyLink>, ContainerError> {
        let linked = self.linked(record)?.into_iter();
        Ok(linked.map(|linked| linked.link).collect())
    }

    /// The environment that links once gave to a container, where the daemon was asked to keep it.
    pub(crate) fn link_environment(&self, record: &Record) -> Result<Vec<String>, ContainerError> {
        if !self.config.link_environment {
            return Ok(vec![]);
        }
        let mut environment = Vec::new();
        for linked in &self.linked(record)? {
            environment.extend(variables(record, linked.alias(), linked));
        }
        Ok(environment)
    }

    fn linked(&self, record: &Record) -> Result<Vec<Linked>, ContainerError> {
        if !record.endpoints.contains_key("bridge") {
            return Ok(vec![]);
        }
        // A link ends with the container that it leads to.
        let exists = |link: &&Link| self.registry.get(&link.target).is_some();
        let links = record.links.iter().filter(exists);
        links.map(|link| self.follow_link(record, link)).collect()
    }

    /// The alias, the host name and the name of a linked container, with its addresses and ports.
    fn follow_link(&self, record: &Record, link: &Link) -> Result<Linked, ContainerError> {
        let target = self.registry.get(&link.target);
        let target = target
            .ok_or_else(|| no_such_container(&link.target.to_string()))?
            .record();
        let bridge = self.parts.networks.find_network("bridge")?.id;
        let sandbox = self.parts.networks.sandbox(&target.id);
        let Some(sandbox) = sandbox.filter(|_| target.state.is_running()) else {
            return Err(ContainerError::internal(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                target.name, record.name, link.alias
            )));
        };
        let Some(endpoint) = sandbox.endpoints.get(&bridge) else {
            return Err(ContainerError::internal(format!(
                "Cannot link to /{}, as it does not belong to the default network",
                target.name
            )));
        };
        let mut names = vec![link.alias.clone()];
        for name in [target.hostname(), target.name.as_str()] {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let link = LegacyLink {
            target: target.id,
            network: bridge,
            names,
            ports: open_ports(&target, &sandbox)?,
            addresses: endpoint.addresses().collect(),
        };
        Ok(Linked { target, link })
    }
}

/// The ports that a container exposes or publishes.
fn open_ports(target: &Record, sandbox: &Sandbox) -> Result<Vec<(Protocol, u16)>, ContainerError> {
    let mut all: BTreeSet<ContainerPort> = ports::exposed(&target.config, &target.host_config)?;
    let published = sandbox.ports.iter();
    all.extend(published.map(|mapping| (mapping.container_port, mapping.protocol)));
    Ok(all
        .into_iter()
        .map(|(port, protocol)| (protocol, port))
        .collect())
}

/// The variables of one link.
fn variables(record: &Record, alias: &str, linked: &Linked) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let address = linked.link.addresses.iter().find(|ip| ip.is_ipv4());
    let address = address.map(IpAddr::to_string).unwrap_or_default();
    let mut all = Vec::new();
    if let Some((protocol, port)) = linked.link.ports.first() {
        all.push(format!("{prefix}_PORT={protocol}://{address}:{port}"));
    }
    for (protocol, port) in &linked.link.ports {
        let name = format!(
            "{prefix}_PORT_{port}_{}",
            protocol.to_string().to_uppercase()
        );
        all.push(format!("{name}={protocol}://{address}:{port}"));
        all.push(format!("{name}_ADDR={address}"));
        all.push(format!("{name}_PORT={port}"));
        all.push(format!("{name}_PROTO={protocol}"));
    }
    all.push(format!("{prefix}_NAME=/{}/{alias}", record.name));
    let theirs = linked.target.config.env.iter().flatten();
    let theirs = theirs.filter_map(|variable| variable.split_once('='));
    let told = theirs.filter(|(name, _)| !["HOME", "PATH"].contains(name));
    all.extend(told.map(|(name, value)| format!("{prefix}_ENV_{name}={value}")));
    all
}
