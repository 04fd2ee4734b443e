//! A daemon to be measured, ours or the peer, by the API that both speak.

use crate::api::Client;
use crate::error::{BenchError, Result};
use crate::namespace::Namespace;
use sealane_testkit::Host;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The image that every daemon is given.
pub(crate) const IMAGE: &str = "img";

/// A daemon on a host, and a connection to it.
#[derive(Debug)]
pub(crate) struct Engine {
    client: Client,
    host: Host,
}

/// A container to be created.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What its first network is.
    pub(crate) network: String,
    /// What it runs.
    pub(crate) command: Vec<String>,
    /// TCP ports: on the host, inside.
    pub(crate) ports: Vec<(u16, u16)>,
    /// Further names on its first network.
    pub(crate) aliases: Vec<String>,
}

impl Wanted {
    /// A container that stays.
    pub(crate) fn lasting(network: &str) -> Self {
        Self {
            network: network.into(),
            command: vec!["sleep".into(), "100000".into()],
            ports: vec![],
            aliases: vec![],
        }
    }

    /// A container that ends at once.
    pub(crate) fn brief(network: &str) -> Self {
        Self {
            command: vec!["true".into()],
            ..Self::lasting(network)
        }
    }

    /// The same with published ports.
    pub(crate) fn publishing(self, ports: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self {
            ports: ports.into_iter().collect(),
            ..self
        }
    }

    /// The same with further names on its network.
    pub(crate) fn called(self, names: &[String]) -> Self {
        Self {
            aliases: names.to_vec(),
            ..self
        }
    }

    fn body(&self) -> Value {
        let exposed: Map<String, Value> = self
            .ports
            .iter()
            .map(|(_, inside)| (format!("{inside}/tcp"), json!({})))
            .collect();
        let bindings: Map<String, Value> = self
            .ports
            .iter()
            .map(|(outside, inside)| {
                let binding = json!([{ "HostPort": outside.to_string() }]);
                (format!("{inside}/tcp"), binding)
            })
            .collect();
        let mut body = json!({
            "Image": IMAGE,
            "Cmd": self.command,
            "ExposedPorts": exposed,
            "HostConfig": { "NetworkMode": self.network, "PortBindings": bindings },
        });
        if !self.aliases.is_empty() {
            let endpoint = json!({ (&self.network): { "Aliases": self.aliases } });
            body["NetworkingConfig"] = json!({ "EndpointsConfig": endpoint });
        }
        body
    }
}

impl Engine {
    /// Uses a daemon that listens.
    pub(crate) fn new(host: &Host, client: Client) -> Self {
        Self {
            client,
            host: host.clone(),
        }
    }

    /// The host it runs on.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Imports a tar as the image of all containers.
    pub(crate) fn import(&mut self, tar: &[u8]) -> Result<()> {
        let path = format!("/images/create?fromSrc=-&repo={IMAGE}&tag=latest");
        self.client.send("POST", &path, tar).map(drop)
    }

    /// Creates a bridge network. Its gateway is the first address of the subnet.
    pub(crate) fn create_network(&mut self, name: &str, bridge: &str, subnet: &str) -> Result<()> {
        let body = json!({
            "Name": name,
            "Driver": "bridge",
            "IPAM": { "Config": [{ "Subnet": subnet }] },
            "Options": { "com.docker.network.bridge.name": bridge },
        });
        self.client
            .call("POST", "/networks/create", &body)
            .map(drop)
    }

    /// Creates a container and returns its id.
    pub(crate) fn create(&mut self, wanted: &Wanted) -> Result<String> {
        let created = self
            .client
            .call("POST", "/containers/create", &wanted.body())?;
        let id = created["Id"].as_str().map(str::to_owned);
        id.ok_or_else(|| BenchError::Unexpected(format!("no id in {created}")))
    }

    /// Starts a container.
    pub(crate) fn start(&mut self, id: &str) -> Result<()> {
        self.post(&format!("/containers/{id}/start"))
    }

    /// Waits until a container has ended.
    pub(crate) fn wait(&mut self, id: &str) -> Result<()> {
        self.post(&format!("/containers/{id}/wait"))
    }

    /// Ends and removes a container.
    pub(crate) fn remove(&mut self, id: &str) -> Result<()> {
        let path = format!("/containers/{id}?force=1");
        self.client.call("DELETE", &path, &Value::Null).map(drop)
    }

    /// Creates and starts a container.
    pub(crate) fn run(&mut self, wanted: &Wanted) -> Result<String> {
        let id = self.create(wanted)?;
        self.start(&id)?;
        Ok(id)
    }

    /// Connects a container to a network.
    pub(crate) fn connect(&mut self, network: &str, container: &str) -> Result<()> {
        let path = format!("/networks/{network}/connect");
        let body = json!({ "Container": container });
        self.client.call("POST", &path, &body).map(drop)
    }

    /// Disconnects a container from a network.
    pub(crate) fn disconnect(&mut self, network: &str, container: &str) -> Result<()> {
        let path = format!("/networks/{network}/disconnect");
        let body = json!({ "Container": container });
        self.client.call("POST", &path, &body).map(drop)
    }

    /// The network namespace of a running container.
    pub(crate) fn namespace(&mut self, container: &str) -> Result<Namespace> {
        let path = format!("/containers/{container}/json");
        let inspected = self.client.call("GET", &path, &Value::Null)?;
        let pid = inspected["State"]["Pid"].as_u64().unwrap_or_default();
        if pid == 0 {
            let state = &inspected["State"];
            let why = format!("{container} does not run: {state}");
            return Err(BenchError::Unexpected(why));
        }
        Namespace::of_process(&self.process(pid))
    }

    /// The folder below /proc of a process of the host.
    pub(crate) fn process(&self, pid: u64) -> PathBuf {
        self.host.path(format!("/proc/{pid}"))
    }

    fn post(&mut self, path: &str) -> Result<()> {
        self.client.call("POST", path, &Value::Null).map(drop)
    }
}
