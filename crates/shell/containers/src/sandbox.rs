//! The sandbox that a record asks for.

use crate::container::Container;
use crate::network_mode::NetworkMode;
use crate::record::Record;
use crate::{ContainerError, Containers, endpoint, ports, settings};
use sealane_core::model::{EndpointSpec, Id, NameserverConfig, PortRequest};
use sealane_engine::{HostTarget, SandboxSpec};
use std::path::PathBuf;
use std::sync::Arc;

impl Containers {
    /// The sandbox of a container; `None` if it shares another's.
    pub(crate) fn sandbox_spec(
        &self,
        record: &Record,
    ) -> Result<Option<SandboxSpec>, ContainerError> {
        let mode = record.network_mode();
        if matches!(mode, NetworkMode::Container(_)) {
            return Ok(None);
        }
        Ok(Some(SandboxSpec {
            id: record.id,
            name: record.name.clone(),
            hostname: record.hostname().to_owned(),
            domainname: record.config.domainname.clone().unwrap_or_default(),
            host: mode == NetworkMode::Host,
            given: None,
            endpoints: self.endpoint_specs(record)?,
            ports: port_requests(record)?,
            nameserver: nameserver(record)?,
            extra_hosts: extra_hosts(record)?,
            links: self.legacy_links(record)?,
            ipv6_disabled: ipv6_disabled(record),
            sticky: !record.auto_remove(),
            files: self.files_of(record),
        }))
    }

    /// The endpoints wanted, in the order in which they become `eth0`, `eth1`: the one of the
    /// mode first, so that adding a network to a container does not rename its first link.
    fn endpoint_specs(
        &self,
        record: &Record,
    ) -> Result<Vec<(String, EndpointSpec)>, ContainerError> {
        if record.config.network_disabled.unwrap_or_default() {
            return Ok(vec![]);
        }
        let main = record
            .network_mode()
            .network()
            .map(|network| self.network_name(network));
        let mut specs = Vec::new();
        for network in record.endpoints.keys() {
            if network == "bridge" && self.parts.networks.find_network(network).is_err() {
                // With `--bridge none` there is no default network, and containers do without.
                continue;
            }
            specs.push((network.clone(), self.endpoint_spec(record, network)?));
        }
        specs.sort_by_key(|(network, _)| Some(network) != main.as_ref());
        Ok(specs)
    }

    /// One endpoint wanted, as it is asked of the engine.
    pub(crate) fn endpoint_spec(
        &self,
        record: &Record,
        network: &str,
    ) -> Result<EndpointSpec, ContainerError> {
        let none = Default::default();
        let settings = record.endpoints.get(network).unwrap_or(&none);
        let (spec, faults) = endpoint::specify(settings)?;
        if let [fault, ..] = faults.as_slice() {
            return Err(ContainerError::Invalid(format!(
                "invalid endpoint settings:\n{fault}"
            )));
        }
        Ok(spec)
    }

    /// The container whose stack this one shares, running.
    pub(crate) fn shared_with(
        &self,
        record: &Record,
        target: &str,
    ) -> Result<Arc<Container>, ContainerError> {
        let target = self.registry.find(target).map_err(|error| {
            ContainerError::internal(format!("joining network namespace of container: {error}"))
        })?;
        if target.id == record.id {
            return Err(ContainerError::internal(
                "cannot join own network namespace",
            ));
        }
        let other = target.record();
        match other.state.status {
            crate::record::Status::Running => Ok(target),
            crate::record::Status::Restarting => Err(ContainerError::Conflict(format!(
                "cannot join network namespace of container: Container {} is restarting, wait \
                 until the container is running",
                other.id
            ))),
            crate::record::Status::Created | crate::record::Status::Exited => {
                Err(ContainerError::Conflict(format!(
                    "cannot join network namespace of a non running container: container {} is {}",
                    other.name,
                    other.state.word()
                )))
            }
        }
    }

    /// The id of the container whose network stack a container has: its own, or the one it shares.
    pub fn stack_id(&self, reference: &str) -> Result<Id, ContainerError> {
        let record = self.registry.find(reference)?.record();
        match record.network_mode() {
            NetworkMode::Container(target) => Ok(self.registry.find(target)?.id),
            NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None | NetworkMode::User(_) => {
                Ok(record.id)
            }
        }
    }

    /// The folder of a container's own files.
    pub(crate) fn folder(&self, id: &sealane_core::model::Id) -> PathBuf {
        self.config
            .data_root
            .join("containers")
            .join(id.to_string())
    }

    /// The folder of the files hosts, hostname and resolv.conf that a container sees: its own, or
    /// those of the one whose stack it shares.
    pub(crate) fn files_of(&self, record: &Record) -> PathBuf {
        if let NetworkMode::Container(target) = record.network_mode()
            && let Ok(target) = self.registry.find(target)
        {
            return self.folder(&target.id);
        }
        self.folder(&record.id)
    }
}

/// Ports have a meaning only where the container has a stack of its own.
fn port_requests(record: &Record) -> Result<Vec<PortRequest>, ContainerError> {
    match record.network_mode().is_private() {
        true => ports::requests(&record.config, &record.host_config),
        false => Ok(vec![]),
    }
}

fn nameserver(record: &Record) -> Result<NameserverConfig, ContainerError> {
    let host = &record.host_config;
    let servers = host
        .dns
        .iter()
        .flatten()
        .map(|text| endpoint::address(Some(text)));
    let servers: Result<Vec<_>, _> = servers.collect();
    Ok(NameserverConfig {
        servers: servers?.into_iter().flatten().collect(),
        search: host.dns_search.clone().unwrap_or_default(),
        options: host.dns_options.clone().unwrap_or_default(),
    })
}

fn extra_hosts(record: &Record) -> Result<Vec<(String, HostTarget)>, ContainerError> {
    let parse = |text: &String| {
        let (name, address) = settings::parse_extra_host(text)?;
        Ok((
            name.to_owned(),
            address.map_or(HostTarget::Gateway, HostTarget::Address),
        ))
    };
    record
        .host_config
        .extra_hosts
        .iter()
        .flatten()
        .map(parse)
        .collect()
}

/// Whether the user's sysctls switch IPv6 off for all links.
fn ipv6_disabled(record: &Record) -> bool {
    let on = |key: &str| {
        let sysctls = record.host_config.sysctls.as_ref();
        sysctls
            .and_then(|sysctls| sysctls.get(key))
            .is_some_and(|value| value.trim() == "1")
    };
    on("net.ipv6.conf.all.disable_ipv6") || on("net.ipv6.conf.default.disable_ipv6")
}
