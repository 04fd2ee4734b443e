//! All about one container, as `inspect` shows it.

use crate::container::Container;
use crate::locks::lock;
use crate::network_mode::NetworkMode;
use crate::record::{Record, State, Status};
use crate::{ContainerError, Containers, mounts, ports};
use bollard_stubs::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, DriverData,
    EndpointSettings, HostConfig, NetworkSettings, PortMap,
};
use sealane_core::model::{Endpoint, Mac, Sandbox};
use sealane_images::Backend;
use sealane_runtime::LogQuery;
use std::collections::HashMap;

/// A point in time that never was, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Where Docker says the host's own network stack is.
const HOST_STACK: &str = "/var/run/docker/netns/default";

impl Containers {
    /// All about one container.
    pub fn inspect(&self, reference: &str) -> Result<ContainerInspectResponse, ContainerError> {
        let container = self.registry.find(reference)?;
        let record = container.record();
        let execs = self.execs.running_in(&record.id);
        let exec_ids = Some(execs.iter().map(ToString::to_string).collect());
        let file = |name: &str| match record.state.started_at {
            Some(_) => self.files_of(&record).join(name).display().to_string(),
            None => String::new(),
        };
        let mounts = mounts::wanted(&record.host_config)?;
        Ok(ContainerInspectResponse {
            id: Some(record.id.to_string()),
            created: Some(record.created.to_string()),
            path: Some(record.path.clone()),
            args: Some(record.args.clone()),
            state: Some(state(&container, &record.state)),
            image: record.image.as_ref().map(ToString::to_string),
            resolv_conf_path: Some(file("resolv.conf")),
            hostname_path: Some(file("hostname")),
            hosts_path: Some(file("hosts")),
            log_path: Some(self.log_path(&record)),
            name: Some(format!("/{}", record.name)),
            restart_count: Some(record.restart_count),
            driver: Some(self.storage_driver().into()),
            platform: Some("linux".into()),
            exec_ids: exec_ids.filter(|ids: &Vec<String>| !ids.is_empty()),
            host_config: Some(self.host_config(&record)),
            graph_driver: Some(DriverData {
                name: self.storage_driver().into(),
                data: HashMap::new(),
            }),
            mounts: Some(mounts.iter().filter_map(mounts::shown).collect()),
            config: Some(record.config.clone()),
            network_settings: Some(self.network_settings(&record)),
            ..ContainerInspectResponse::default()
        })
    }

    /// How root file systems are made, in the words of Docker's storage drivers.
    pub(crate) fn storage_driver(&self) -> &'static str {
        match self.parts.files.backend() {
            Backend::Overlay => "overlay2",
            Backend::Copy => "vfs",
        }
    }

    /// Where the log is; empty where there is none yet.
    fn log_path(&self, record: &Record) -> String {
        let nothing = LogQuery {
            tail: Some(0),
            ..LogQuery::default()
        };
        let reader = self.parts.processes.read_logs(&record.id, nothing);
        reader.map_or_else(
            |_| String::new(),
            |reader| reader.path().display().to_string(),
        )
    }

    /// Links are shown with both ends.
    fn host_config(&self, record: &Record) -> HostConfig {
        let link = |link: &crate::record::Link| {
            let target = self.registry.get(&link.target)?.record();
            Some(format!("/{}:/{}/{}", target.name, record.name, link.alias))
        };
        let links: Vec<String> = record.links.iter().filter_map(link).collect();
        HostConfig {
            links: Some(links).filter(|links| !links.is_empty()),
            ..record.host_config.clone()
        }
    }

    fn network_settings(&self, record: &Record) -> NetworkSettings {
        let running = record.state.status == Status::Running;
        let sandbox = self.parts.networks.sandbox(&record.id).filter(|_| running);
        let key = sandbox.as_ref().map(|sandbox| {
            let path = self.parts.networks.namespace_path(&sandbox.id);
            path.map_or_else(|| HOST_STACK.into(), |path| path.display().to_string())
        });
        NetworkSettings {
            sandbox_id: Some(
                sandbox
                    .as_ref()
                    .map(|s| s.id.to_string())
                    .unwrap_or_default(),
            ),
            sandbox_key: Some(key.unwrap_or_default()),
            ports: Some(self.shown_ports(record, sandbox.as_deref())),
            networks: Some(self.shown_networks(record, sandbox.as_deref())),
        }
    }

    /// The hardware address that was asked for on the network that a container is mainly on.
    pub fn wished_mac(&self, reference: &str) -> Result<Option<String>, ContainerError> {
        let record = self.registry.find(reference)?.record();
        Ok(self.mac_of_mode(&record))
    }

    /// The hardware address asked for on the network of a container's mode.
    fn mac_of_mode(&self, record: &Record) -> Option<String> {
        let main = match record.network_mode() {
            NetworkMode::Bridge => "bridge",
            NetworkMode::User(name) => name,
            NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => return None,
        };
        // The mode may name a network by its id.
        let by_id = || {
            let network = self.parts.networks.find_network(main).ok()?;
            record.endpoints.get(&network.spec.name)
        };
        let wish = record.endpoints.get(main).or_else(by_id)?;
        let mac = Mac::try_from(wish.mac_address.as_deref()?).ok()?;
        Some(mac.shown())
    }

    /// The ports of a running container; none of one without a network.
    pub(crate) fn shown_ports(&self, record: &Record, sandbox: Option<&Sandbox>) -> PortMap {
        let Some(sandbox) = sandbox.filter(|sandbox| has_address(sandbox)) else {
            return PortMap::new();
        };
        let exposed = ports::exposed(&record.config, &record.host_config);
        ports::shown(&exposed.unwrap_or_default(), &sandbox.ports)
    }

    /// The endpoints: what was asked for and, of a running container, what became of it.
    pub(crate) fn shown_networks(
        &self,
        record: &Record,
        sandbox: Option<&Sandbox>,
    ) -> HashMap<String, EndpointSettings> {
        let show = |(name, wish): (&String, &EndpointSettings)| {
            let network = self
                .parts
                .networks
                .find_network(name)
                .ok()
                .map(|network| network.id);
            let endpoint = network.and_then(|id| sandbox?.endpoints.get(&id));
            let mut shown = EndpointSettings {
                mac_address: None,
                ..wish.clone()
            };
            if record.state.started_at.is_some() {
                shown.network_id = network.map(|id| id.to_string());
                shown.dns_names = dns_names(record, name, wish);
            }
            if let Some(endpoint) = endpoint {
                show_endpoint(&mut shown, endpoint);
            }
            (name.clone(), shown)
        };
        record.endpoints.iter().map(show).collect()
    }
}

/// The names of an endpoint, each once; none where names are not resolved.
fn dns_names(record: &Record, network: &str, wish: &EndpointSettings) -> Option<Vec<String>> {
    if matches!(NetworkMode::parse(network), NetworkMode::User(_)) {
        let mut names = vec![record.name.clone()];
        let own = [record.id.short(12), record.hostname().to_owned()];
        for name in wish.aliases.iter().flatten().cloned().chain(own) {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        return Some(names);
    }
    None
}

fn show_endpoint(shown: &mut EndpointSettings, endpoint: &Endpoint) {
    let text = |address: Option<String>| Some(address.unwrap_or_default());
    shown.endpoint_id = Some(endpoint.id.to_string());
    let addressed = endpoint.ipv4.is_some() || endpoint.ipv6.is_some();
    shown.mac_address = addressed.then(|| endpoint.mac.shown());
    shown.gateway = text(endpoint.gateway4.map(|ip| ip.to_string()));
    shown.ip_address = text(endpoint.ipv4.map(|net| net.addr().to_string()));
    shown.ip_prefix_len = Some(endpoint.ipv4.map_or(0, |net| net.prefix_len().into()));
    shown.ipv6_gateway = text(endpoint.gateway6.map(|ip| ip.to_string()));
    shown.global_ipv6_address = text(endpoint.ipv6.map(|net| net.addr().to_string()));
    shown.global_ipv6_prefix_len = Some(endpoint.ipv6.map_or(0, |net| net.prefix_len().into()));
}

fn has_address(sandbox: &Sandbox) -> bool {
    let mut endpoints = sandbox.endpoints.values();
    endpoints.any(|endpoint| endpoint.ipv4.is_some() || endpoint.ipv6.is_some())
}

fn state(container: &Container, state: &State) -> ContainerState {
    let time = |time: Option<jiff::Timestamp>| {
        Some(time.map_or_else(|| NEVER.to_owned(), |time| time.to_string()))
    };
    let removing = lock(&container.life).removing;
    let status = match state.status {
        Status::Running => ContainerStateStatusEnum::RUNNING,
        Status::Restarting => ContainerStateStatusEnum::RESTARTING,
        Status::Created | Status::Exited if removing => ContainerStateStatusEnum::REMOVING,
        Status::Created => ContainerStateStatusEnum::CREATED,
        Status::Exited => ContainerStateStatusEnum::EXITED,
    };
    ContainerState {
        status: Some(status),
        running: Some(state.is_running()),
        paused: Some(false),
        restarting: Some(state.status == Status::Restarting),
        oom_killed: Some(state.oom_killed),
        dead: Some(false),
        pid: Some(state.pid.into()),
        exit_code: Some(state.exit_code),
        error: Some(state.error.clone()),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        health: None,
    }
}
