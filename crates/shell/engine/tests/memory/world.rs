//! An engine in memory: what it is asked, and what is left when it is gone.

use crate::fakes::{Hand, Told};
use crate::operation::{Asked, FOREIGN_PORT, Operation, SHAPES, other_name};
use sealane_core::model::{
    EndpointSpec, NameserverConfig, Owner, Policy, PortRequest, Protocol, SandboxId, derive_id,
};
use sealane_core::plan::Key;
use sealane_engine::{
    CreateNetwork, DefaultBridge, Depot, Engine, EngineConfig, EngineError, Environment,
    NetworkChange, PlannedOperation, RequestedSubnet, SandboxSpec,
};
use sealane_kernel::fake::{FakeKernel, Fault, Steps};
use sealane_ports::Ports;
use sealane_store::{BootId, Disk, Journal, MemoryDisk, Store};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MTU: &str = "com.docker.network.driver.mtu";
const BRIDGE: &str = "com.docker.network.bridge.name";
const BOOT: &str = "this one";
/// Where the files of sandboxes are.
pub(crate) const FILES: &str = "/memory/files";
/// How long each operation takes: an address rests for a minute.
const SECONDS: u64 = 10;

/// An engine, and all that it works on.
pub(crate) struct World {
    pub(crate) steps: Steps,
    pub(crate) kernel: Arc<FakeKernel>,
    pub(crate) disk: MemoryDisk,
    pub(crate) told: Told,
    pub(crate) clock: Hand,
    pub(crate) engine: Arc<Engine>,
}

impl World {
    /// A host on which nothing ever ran.
    pub(crate) fn new() -> Self {
        let disk = MemoryDisk::default();
        let id = disk.write(&data_root().join("engine-id"), b"memory");
        id.expect("there is room");
        Self::open(
            &FakeKernel::new(),
            &disk,
            &Hand::default(),
            &BTreeSet::new(),
        )
    }

    /// What a new engine makes of what is left.
    pub(crate) fn revived(&self, alive: &BTreeSet<SandboxId>) -> Self {
        Self::open(&self.kernel, &self.disk, &self.clock, alive)
    }

    fn open(
        kernel: &FakeKernel,
        disk: &MemoryDisk,
        clock: &Hand,
        alive: &BTreeSet<SandboxId>,
    ) -> Self {
        let steps = Steps::default();
        let kernel = Arc::new(kernel.revived_with(steps.clone()));
        let disk = disk.copy(steps.clone());
        let told = Told::new(steps.clone());
        let environment = Environment {
            kernel: kernel.clone(),
            disk: Arc::new(disk.clone()),
            boot: BootId::named(BOOT),
            store: Arc::new(Store::in_memory(&disk).expect("a store")),
            ports: Ports::in_memory([FOREIGN_PORT].into(), steps.clone()),
            resolver: Box::new(told.clone()),
            clock: Box::new(clock.clone()),
        };
        let engine = Engine::open_in(environment, config(), Arc::new(|_| {}));
        let engine = engine.expect("an engine");
        engine.recover(alive).expect("it recovers");
        Self {
            steps,
            kernel,
            disk,
            told,
            clock: clock.clone(),
            engine,
        }
    }

    /// What the journal says.
    pub(crate) fn claimed(&self) -> BTreeSet<Key> {
        let disk = Arc::new(self.disk.copy(Steps::default()));
        let owner = Owner::default();
        let path = exec_root().join("claims");
        let journal = Journal::open_on(disk, &path, BootId::named(BOOT), owner.as_str());
        journal.expect("it can be read").1
    }

    /// Carries an operation out, with a fault ahead.
    pub(crate) fn carry_out(
        &self,
        operation: &Operation,
        fault: Option<Fault>,
    ) -> Result<(), EngineError> {
        self.clock.advance(SECONDS);
        self.steps.begin(fault);
        let done = self.ask(operation);
        // What is found out about it is no part of it.
        if !matches!(fault, Some(Fault::Dead(_))) {
            self.steps.pause();
        }
        done
    }

    fn ask(&self, operation: &Operation) -> Result<(), EngineError> {
        let engine = &self.engine;
        match operation {
            Operation::Create(n) => engine.create_network(&create(*n)).map(drop),
            Operation::Remove(n) => engine.remove_network(&net(*n)),
            Operation::RemoveDefault => engine.remove_network("bridge"),
            Operation::Update(n, mtu, ipv6) => {
                engine.update_network(&net(*n), &change(*mtu, *ipv6))
            }
            Operation::Make(s, asked, ports) => {
                engine.create_sandbox(spec(*s, asked, ports)).map(drop)
            }
            Operation::Drop(s) => engine.remove_sandbox(&id(*s)),
            Operation::Connect(s, n, address) => engine
                .connect(&id(*s), &net(*n), endpoint(*address))
                .map(drop),
            Operation::Disconnect(s, n) => engine.disconnect(&id(*s), &net(*n)),
            Operation::Publish(s, ports) => {
                engine.publish(&id(*s), &requests(ports), &[]).map(drop)
            }
            Operation::Rename(s) => {
                let Some(found) = engine.sandbox(&id(*s)) else {
                    return Ok(());
                };
                engine.rename_sandbox(&found.id, &other_name(*s, &found.name))
            }
            Operation::Reserve(n, address, holder) => {
                engine.reserve_address(&net(*n), *address, holder.as_deref())
            }
            Operation::Release(n, address) => engine.release_address(&net(*n), *address),
            Operation::Prune => engine.prune_networks(&|_| true).map(drop),
        }
    }

    /// The same as a dry run, where there is one.
    pub(crate) fn foresee(&self, operation: &Operation) -> Option<Result<String, EngineError>> {
        let planned = match operation {
            Operation::Create(n) => PlannedOperation::CreateNetwork(create(*n)),
            Operation::Remove(n) => PlannedOperation::RemoveNetwork(net(*n)),
            Operation::RemoveDefault => PlannedOperation::RemoveNetwork("bridge".into()),
            Operation::Update(n, mtu, ipv6) => {
                PlannedOperation::UpdateNetwork(net(*n), change(*mtu, *ipv6))
            }
            Operation::Make(s, asked, ports) => {
                PlannedOperation::CreateSandbox(spec(*s, asked, ports))
            }
            Operation::Drop(s) => PlannedOperation::RemoveSandbox(id(*s)),
            Operation::Connect(s, n, address) => {
                PlannedOperation::Connect(id(*s), net(*n), endpoint(*address))
            }
            Operation::Disconnect(s, n) => PlannedOperation::Disconnect(id(*s), net(*n)),
            Operation::Publish(s, ports) => {
                PlannedOperation::Publish(id(*s), requests(ports), vec![])
            }
            Operation::Rename(_)
            | Operation::Reserve(..)
            | Operation::Release(..)
            | Operation::Prune => return None,
        };
        Some(self.engine.plan(&planned))
    }
}

pub(crate) fn net(n: u64) -> String {
    format!("n{n}")
}

pub(crate) fn bridge(n: u64) -> String {
    format!("br-m{n}")
}

pub(crate) fn id(s: u64) -> SandboxId {
    derive_id(&[b"memory", &s.to_be_bytes()])
}

pub(crate) fn data_root() -> PathBuf {
    PathBuf::from("/memory/data")
}

pub(crate) fn exec_root() -> PathBuf {
    PathBuf::from("/memory/exec")
}

/// The folder of a sandbox's files.
pub(crate) fn files(s: u64) -> PathBuf {
    Path::new(FILES).join(s.to_string())
}

fn create(n: u64) -> CreateNetwork {
    let shape = SHAPES[n as usize];
    let subnet = |subnet: &str| RequestedSubnet {
        subnet: subnet.into(),
        ..RequestedSubnet::default()
    };
    let subnets = [Some(shape.subnet), shape.subnet6].into_iter().flatten();
    CreateNetwork {
        name: net(n),
        internal: shape.internal,
        enable_ipv6: Some(shape.subnet6.is_some()),
        subnets: subnets.map(subnet).collect(),
        options: [(BRIDGE.to_owned(), bridge(n))].into(),
        ..CreateNetwork::default()
    }
}

fn change(mtu: u32, ipv6: bool) -> NetworkChange {
    NetworkChange {
        options: [(MTU.to_owned(), Some(mtu.to_string()))].into(),
        enable_ipv6: ipv6.then_some(true),
        ..NetworkChange::default()
    }
}

fn requests(ports: &BTreeSet<u16>) -> Vec<PortRequest> {
    let request = |port: &u16| PortRequest {
        protocol: Protocol::Tcp,
        container_port: 80,
        host_ip: None,
        host_ports: Some((*port, *port)),
    };
    ports.iter().map(request).collect()
}

fn endpoint(ipv4: Option<Ipv4Addr>) -> EndpointSpec {
    EndpointSpec {
        ipv4,
        ..EndpointSpec::default()
    }
}

fn spec(s: u64, asked: &Asked, ports: &BTreeSet<u16>) -> SandboxSpec {
    let endpoints = asked.iter().map(|(n, ip)| (net(*n), endpoint(*ip)));
    SandboxSpec {
        id: id(s),
        name: format!("c{s}"),
        hostname: format!("c{s}"),
        domainname: String::new(),
        host: false,
        given: None,
        endpoints: endpoints.collect(),
        ports: requests(ports),
        nameserver: NameserverConfig::default(),
        extra_hosts: vec![],
        links: vec![],
        ipv6_disabled: false,
        sticky: s.is_multiple_of(2),
        files: files(s),
    }
}

fn config() -> EngineConfig {
    EngineConfig {
        data_root: data_root(),
        exec_root: exec_root(),
        owner: Owner::default(),
        pools: vec![],
        default_bridge: DefaultBridge::default(),
        ip_forward: true,
        ip_forward_no_drop: false,
        default_network_options: Default::default(),
        userland_proxy: false,
        nameserver: NameserverConfig::default(),
        host_gateway: vec![],
        firewall_integration: false,
        policy: Policy::default(),
        resolv_conf: PathBuf::from("/memory/resolv.conf"),
        depot: Depot::default(),
        one_call: false,
    }
}
