//! What is shown of containers and execs: facts, for the front to put into words.

use crate::options::{EndpointOptions, HostOptions, Pairs, Program};
use crate::ports::ContainerPort;
use crate::record::State;
use crate::request::ExecRequest;
use jiff::Timestamp;
use sealane_core::model::{Endpoint, Id, NetworkId, Protocol};
use sealane_images::{Backend, ImageId};
use sealane_runtime::Propagation;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// All about one container.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// The image it was made from.
    pub image: Option<ImageId>,
    /// What became of it.
    pub state: State,
    /// Whether it is about to be removed.
    pub removing: bool,
    /// How often its restart policy has started it.
    pub restart_count: i64,
    /// The folder of its hosts, hostname and resolv.conf, once it was started.
    pub files: Option<PathBuf>,
    /// Its log, once there is one.
    pub log: Option<PathBuf>,
    /// How its root file system is made.
    pub storage: Backend,
    /// The execs that run in it.
    pub execs: Vec<Id>,
    /// Its mounts.
    pub mounts: Vec<MountView>,
    /// What runs in it.
    pub config: Program,
    /// How it sits on the host; links with both ends.
    pub host_config: HostOptions,
    /// Its network stack, while it runs and has one of its own.
    pub stack: Option<StackView>,
    /// Its ports, while it runs.
    pub ports: ShownPorts,
    /// Its endpoints, by network.
    pub networks: BTreeMap<String, EndpointView>,
}

/// A network stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackView {
    /// The sandbox.
    pub sandbox: Id,
    /// Where its namespace is mounted; `None` for the host's.
    pub namespace: Option<PathBuf>,
}

/// The ports of a container; those that are not published have no host side.
pub type ShownPorts = BTreeMap<ContainerPort, Option<Vec<HostSide>>>;

/// Where a port is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSide {
    /// The address of the host.
    pub address: IpAddr,
    /// The port of the host; a routed one has none.
    pub port: Option<u16>,
}

/// An endpoint: what was asked for and, while it is there, what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointView {
    /// What was asked for.
    pub asked: EndpointOptions,
    /// The network, once the container was started and if it is there.
    pub network: Option<NetworkId>,
    /// The names it is resolved by, once the container was started; `None` where names are not
    /// resolved.
    pub dns_names: Option<Vec<String>>,
    /// The endpoint of a running container.
    pub endpoint: Option<Endpoint>,
}

/// A folder or file of the host in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountView {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: String,
    /// The mode as the client wrote it.
    pub mode: String,
    /// Whether the container cannot write to it.
    pub read_only: bool,
    /// Which mounts below are seen on the other side.
    pub propagation: Propagation,
}

/// A container in a list.
#[derive(Clone, Debug)]
pub struct ContainerSummary {
    /// Its id.
    pub id: Id,
    /// Its name and those by which others link to it, each with a slash in front, in order.
    pub names: Vec<String>,
    /// The image as it was asked for, or its id if that now leads elsewhere.
    pub image: String,
    /// The image it was made from.
    pub image_id: Option<ImageId>,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Its ports, while it runs.
    pub ports: Vec<PortView>,
    /// Its labels.
    pub labels: Option<Pairs>,
    /// What became of it.
    pub state: State,
    /// How it is networked.
    pub network_mode: Option<String>,
    /// Its annotations.
    pub annotations: Option<Pairs>,
    /// Its endpoints, by network.
    pub networks: BTreeMap<String, EndpointView>,
    /// Its mounts.
    pub mounts: Vec<MountView>,
}

/// A port in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortView {
    /// The address of the host, if it is published there.
    pub address: Option<IpAddr>,
    /// The port in the container.
    pub private: u16,
    /// The port of the host.
    pub public: Option<u16>,
    /// The protocol.
    pub protocol: Protocol,
}

/// All about one exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecView {
    /// Its id.
    pub id: Id,
    /// The container it is of.
    pub container: Id,
    /// What was asked for.
    pub request: ExecRequest,
    /// Whether it runs.
    pub running: bool,
    /// How it ended.
    pub exit_code: Option<i64>,
    /// Its process; 0 if there was none yet.
    pub pid: i32,
}
