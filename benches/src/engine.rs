//! A daemon to be measured, ours or the peer, by the API that both speak.

use crate::api::Client;
use crate::error::{BenchError, Result};
use crate::namespace::Namespace;
use crate::wanted::{IMAGE, Port, Wanted, bindings};
use sealane_testkit::Host;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A daemon on a host, and a connection to it.
#[derive(Debug)]
pub(crate) struct Engine {
    client: Client,
    host: Host,
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
        let options = json!({ "com.docker.network.bridge.name": bridge });
        self.create_network_of("bridge", name, subnet, &options)
    }

    /// Creates a network of any driver.
    pub(crate) fn create_network_of(
        &mut self,
        driver: &str,
        name: &str,
        subnet: &str,
        options: &Value,
    ) -> Result<()> {
        let body = json!({
            "Name": name,
            "Driver": driver,
            "IPAM": { "Config": [{ "Subnet": subnet }] },
            "Options": options,
        });
        self.client
            .call("POST", "/networks/create", &body)
            .map(drop)
    }

    /// Lists the networks and returns how many there are.
    pub(crate) fn count_networks(&mut self) -> Result<usize> {
        let list = self.client.call("GET", "/networks", &Value::Null)?;
        let list = list.as_array().map(Vec::len);
        list.ok_or_else(|| BenchError::Unexpected("GET /networks answers no list".into()))
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

    /// Publishes just these ports of a running container.
    pub(crate) fn publish(&mut self, container: &str, ports: &[Port]) -> Result<()> {
        let path = format!("/containers/{container}/update");
        let body = json!({ "PortBindings": bindings(ports) });
        self.client.call("POST", &path, &body).map(drop)
    }

    /// The IPv4 address of a running container on a network.
    pub(crate) fn address(&mut self, container: &str, network: &str) -> Result<Ipv4Addr> {
        let networks = &self.inspect(container)?["NetworkSettings"]["Networks"];
        let address = networks[network]["IPAddress"].as_str();
        let address = address.and_then(|text| text.parse().ok());
        let none = || BenchError::Unexpected(format!("{container} has no address on {network}"));
        address.ok_or_else(none)
    }

    /// The network namespace of a running container.
    pub(crate) fn namespace(&mut self, container: &str) -> Result<Namespace> {
        let inspected = self.inspect(container)?;
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

    fn inspect(&mut self, container: &str) -> Result<Value> {
        let path = format!("/containers/{container}/json");
        self.client.call("GET", &path, &Value::Null)
    }

    fn post(&mut self, path: &str) -> Result<()> {
        self.client.call("POST", path, &Value::Null).map(drop)
    }
}
