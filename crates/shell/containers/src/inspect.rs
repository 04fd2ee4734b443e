//! All about one container.

use crate::locks::lock;
use crate::network_mode::NetworkMode;
use crate::options::{EndpointOptions, HostOptions};
use crate::record::{Record, Status};
use crate::view::{ContainerView, EndpointView, ShownPorts, StackView};
use crate::{ContainerError, Containers, mounts, ports};
use sealane_core::model::{Mac, Sandbox};
use sealane_runtime::LogQuery;
use std::collections::BTreeMap;
use std::path::PathBuf;

impl Containers {
    /// All about one container.
    pub fn inspect(&self, reference: &str) -> Result<ContainerView, ContainerError> {
        let container = self.registry.find(reference)?;
        let record = container.record();
        let running = record.state.status == Status::Running;
        let sandbox = self.parts.networks.sandbox(&record.id).filter(|_| running);
        let mounts = mounts::wanted(&record.host_config)?;
        let started = record.state.started_at.is_some();
        let removing = lock(&container.life).removing;
        Ok(ContainerView {
            id: record.id,
            name: record.name.clone(),
            created: record.created,
            path: record.path.clone(),
            args: record.args.clone(),
            image: record.image,
            state: record.state.clone(),
            removing,
            restart_count: record.restart_count,
            files: started.then(|| self.files_of(&record)),
            log: self.log_path(&record),
            storage: self.parts.files.backend(),
            execs: self.execs.running_in(&record.id),
            mounts: mounts.iter().filter_map(mounts::shown).collect(),
            config: record.config.clone(),
            host_config: self.host_options(&record),
            stack: sandbox.as_ref().map(|sandbox| StackView {
                sandbox: sandbox.id,
                namespace: self.parts.networks.namespace_path(&sandbox.id),
            }),
            ports: self.shown_ports(&record, sandbox.as_deref()),
            networks: self.shown_networks(&record, sandbox.as_deref()),
        })
    }

    /// Where the log is; `None` where there is none yet.
    fn log_path(&self, record: &Record) -> Option<PathBuf> {
        let nothing = LogQuery {
            tail: Some(0),
            ..LogQuery::default()
        };
        let reader = self.parts.processes.read_logs(&record.id, nothing).ok()?;
        Some(reader.path().to_owned())
    }

    /// Links are shown with both ends.
    fn host_options(&self, record: &Record) -> HostOptions {
        let link = |link: &crate::record::Link| {
            let target = self.registry.get(&link.target)?.record();
            Some(format!("/{}:/{}/{}", target.name, record.name, link.alias))
        };
        let links: Vec<String> = record.links.iter().filter_map(link).collect();
        HostOptions {
            links: Some(links).filter(|links| !links.is_empty()),
            ..record.host_config.clone()
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
    pub(crate) fn shown_ports(&self, record: &Record, sandbox: Option<&Sandbox>) -> ShownPorts {
        let Some(sandbox) = sandbox.filter(|sandbox| has_address(sandbox)) else {
            return ShownPorts::new();
        };
        let exposed = ports::exposed(&record.config, &record.host_config);
        ports::shown(&exposed.unwrap_or_default(), &sandbox.ports)
    }

    /// The endpoints: what was asked for and, of a running container, what became of it.
    pub(crate) fn shown_networks(
        &self,
        record: &Record,
        sandbox: Option<&Sandbox>,
    ) -> BTreeMap<String, EndpointView> {
        let started = record.state.started_at.is_some();
        let show = |(name, asked): (&String, &EndpointOptions)| {
            let network = self.parts.networks.find_network(name).ok();
            let network = network.map(|network| network.id);
            let endpoint = network.and_then(|id| sandbox?.endpoints.get(&id));
            let view = EndpointView {
                asked: asked.clone(),
                network: network.filter(|_| started),
                dns_names: dns_names(record, name, asked).filter(|_| started),
                endpoint: endpoint.cloned(),
            };
            (name.clone(), view)
        };
        record.endpoints.iter().map(show).collect()
    }
}

/// The names of an endpoint, each once; none where names are not resolved.
fn dns_names(record: &Record, network: &str, asked: &EndpointOptions) -> Option<Vec<String>> {
    if matches!(NetworkMode::parse(network), NetworkMode::User(_)) {
        let mut names = vec![record.name.clone()];
        let own = [record.id.short(12), record.hostname().to_owned()];
        for name in asked.aliases.iter().flatten().cloned().chain(own) {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        return Some(names);
    }
    None
}

fn has_address(sandbox: &Sandbox) -> bool {
    let mut endpoints = sandbox.endpoints.values();
    endpoints.any(|endpoint| endpoint.ipv4.is_some() || endpoint.ipv6.is_some())
}
