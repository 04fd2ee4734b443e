//! Stand-ins for the engine, the runtime, the images and the store: they remember in order what
//! they were asked, and refuse what a test tells them to.

use crate::options::{HostOptions, Program};
use crate::parts::{Networks, Parts, Processes, Records, RootFiles};
use crate::record::{Record, State as RecordState};
use crate::request::{ApiVersion, CreateRequest};
use crate::{ContainerError, Containers, ContainersConfig, EventBus};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use sealane_core::drivers::Driven;
use sealane_core::model::{
    DriverName, Endpoint, EndpointSpec, Id, InterfaceName, IpamSpec, Mac, Network, NetworkId,
    NetworkSpec, PortMapping, PortRequest, Sandbox, SandboxId, Scope, derive_id,
};
use sealane_engine::{EngineError, HostTarget, LinkCounters, PlannedOperation, SandboxSpec};
use sealane_images::{Backend, Image, ImageConfig, ImageError, ImageId};
use sealane_runtime::{
    Created, ExecSpec, Exit, ExitOf, LogQuery, LogReader, ProcessSpec, ProcessTable, Refusal,
    RuntimeError, State, Usage,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use tempfile::TempDir;

/// A world of containers without a kernel.
pub(crate) struct World {
    pub(crate) containers: Arc<Containers>,
    pub(crate) fake: Arc<Fake>,
    pub(crate) events: EventBus,
    root: TempDir,
}

#[derive(Default)]
pub(crate) struct Fake {
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// What was asked, in order: `sandbox web`, `start web` ...
    pub(crate) log: Vec<String>,
    /// What is refused, by the words that the log would have.
    pub(crate) refuse: Option<String>,
    pub(crate) records: BTreeMap<Id, Record>,
    pub(crate) sandboxes: BTreeMap<Id, Arc<Sandbox>>,
    pub(crate) networks: BTreeMap<String, Arc<Driven>>,
    pub(crate) processes: BTreeMap<Id, Process>,
    pub(crate) roots: BTreeSet<Id>,
    pub(crate) mounted: BTreeSet<Id>,
    exits: Option<Sender<Exit>>,
    next_pid: i32,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) started: bool,
    pub(crate) exit: Option<Exit>,
    pub(crate) hostname: Option<String>,
    pub(crate) network: Option<PathBuf>,
    /// The far ends of attachments.
    pub(crate) attached: Vec<OwnedFd>,
    /// Signals that do not end it.
    pub(crate) ignores: BTreeSet<i32>,
}

impl World {
    /// An empty world with the three default networks and one of the user's, `blue`.
    pub(crate) fn new() -> Self {
        let fake = Arc::new(Fake::default());
        for (name, driver) in [
            ("bridge", "bridge"),
            ("host", "host"),
            ("none", "null"),
            ("blue", "bridge"),
            ("red", "bridge"),
        ] {
            fake.lock()
                .networks
                .insert(name.into(), Arc::new(network(name, driver)));
        }
        let root = tempfile::tempdir().unwrap();
        let events = EventBus::new(256);
        let containers = open(&fake, &root, &events);
        containers.recover().unwrap();
        let world = Self {
            containers,
            fake,
            events,
            root,
        };
        world.take_log();
        world
    }

    /// The same world under a new daemon, which has recovered.
    pub(crate) fn restarted(self) -> Self {
        let Self {
            containers,
            fake,
            events,
            root,
        } = self;
        drop(containers);
        fake.lock().exits = None;
        let containers = open(&fake, &root, &events);
        containers.recover().unwrap();
        Self {
            containers,
            fake,
            events,
            root,
        }
    }

    /// Makes a container and forgets that it was asked for.
    pub(crate) fn create(&self, name: &str, change: impl FnOnce(&mut CreateRequest)) -> Id {
        let mut request = create_request();
        request.name = Some(name.into());
        change(&mut request);
        let id = self.containers.create(request).unwrap().id;
        self.take_log();
        id
    }

    /// Makes and starts a container.
    pub(crate) fn run(&self, name: &str, change: impl FnOnce(&mut CreateRequest)) -> Id {
        let id = self.create(name, change);
        self.containers.start(name).unwrap();
        self.take_log();
        id
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.lock().log)
    }

    pub(crate) fn refuse(&self, what: &str) {
        self.fake.lock().refuse = Some(what.into());
    }

    pub(crate) fn record(&self, id: Id) -> Record {
        self.fake.lock().records[&id].clone()
    }

    /// The process of a container ends by itself, and its end is handled.
    pub(crate) fn end(&self, id: Id, code: i32) {
        let exit = self.fake.end_silently(id, code);
        self.containers.ended(exit);
    }

    /// The actions of all events so far.
    pub(crate) fn actions(&self) -> Vec<String> {
        let (past, _) = self.events.subscribe(Some(jiff::Timestamp::UNIX_EPOCH));
        past.iter().map(|event| event.action.clone()).collect()
    }
}

fn open(fake: &Arc<Fake>, root: &TempDir, events: &EventBus) -> Arc<Containers> {
    let parts = Parts {
        networks: fake.clone(),
        processes: fake.clone(),
        files: fake.clone(),
        records: fake.clone(),
    };
    let config = ContainersConfig {
        data_root: root.path().into(),
        live_restore: false,
        link_environment: false,
        init: false,
    };
    Containers::with_parts(config, parts, events.clone()).unwrap()
}

/// A record as `create` would make it.
pub(crate) fn record(id: Id, name: &str) -> Record {
    Record {
        id,
        name: name.into(),
        name_given: true,
        created: jiff::Timestamp::UNIX_EPOCH,
        image: None,
        path: "true".into(),
        args: vec![],
        config: Program::default(),
        host_config: HostOptions::default(),
        endpoints: BTreeMap::new(),
        links: vec![],
        restart_count: 0,
        state: RecordState::default(),
    }
}

/// What `docker create busybox` sends.
pub(crate) fn create_request() -> CreateRequest {
    CreateRequest {
        name: None,
        config: Program {
            image: Some("busybox".into()),
            ..Program::default()
        },
        host_config: HostOptions::default(),
        endpoints: BTreeMap::new(),
        mac_address: None,
        api_version: ApiVersion(1, 55),
    }
}

fn network(name: &str, driver: &'static str) -> Driven {
    Driven::of(Network {
        id: derive_id(&[b"network", name.as_bytes()]),
        created: String::new(),
        segments: 0,
        spec: NetworkSpec {
            name: name.into(),
            driver: DriverName::known(driver),
            scope: Scope::Local,
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: None,
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: IpamSpec::default(),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        },
        users_device: None,
    })
    .unwrap()
}

impl Fake {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Notes what is asked, and says whether it is refused.
    fn asked(&self, what: String) -> bool {
        let mut inner = self.lock();
        let refused = inner.refuse.as_deref() == Some(what.as_str());
        inner.log.push(if refused {
            format!("{what}: refused")
        } else {
            what
        });
        refused
    }

    fn name(&self, id: &Id) -> String {
        let inner = self.lock();
        inner
            .records
            .get(id)
            .map_or_else(|| id.short(6), |record| record.name.clone())
    }

    /// A process ends without a notification.
    pub(crate) fn end_silently(&self, id: Id, code: i32) -> Exit {
        let at = jiff::Timestamp::now();
        let exit = Exit {
            id,
            of: ExitOf::Container,
            code,
            at,
            oom: false,
        };
        if let Some(process) = self.lock().processes.get_mut(&id) {
            process.exit = Some(exit);
            process.attached.clear();
        }
        exit
    }

    fn endpoint(&self, id: &Id, network: &Network, spec: EndpointSpec) -> Endpoint {
        let endpoint = Endpoint::id_of(id, &network.id);
        let address = spec.ipv4.unwrap_or([10, 0, 0, 2].into());
        let bridged = network.spec.driver == DriverName::known("bridge");
        Endpoint {
            id: endpoint,
            network: network.id,
            interface: InterfaceName::try_from("eth0").unwrap(),
            host_interface: Endpoint::host_interface_of(&endpoint),
            segment: 0,
            mac: spec.mac.unwrap_or_else(|| Mac::from_id(&endpoint)),
            ipv4: bridged.then(|| ipnet::Ipv4Net::new(address, 24).unwrap()),
            ipv6: None,
            gateway4: None,
            gateway6: None,
            host6: vec![],
            alias: None,
            spec,
        }
    }
}

fn known((name, target): (String, HostTarget)) -> Option<(String, IpAddr)> {
    match target {
        HostTarget::Address(address) => Some((name, address)),
        HostTarget::Gateway => None,
    }
}

impl Networks for Fake {
    fn counters(&self, id: &SandboxId) -> Result<BTreeMap<String, LinkCounters>, EngineError> {
        let sandbox = self.lock().sandboxes.get(id).cloned();
        let endpoints = sandbox
            .iter()
            .flat_map(|sandbox| sandbox.endpoints.values());
        let interfaces = endpoints.map(|endpoint| endpoint.interface.to_string());
        Ok(interfaces
            .map(|name| (name, LinkCounters::default()))
            .collect())
    }

    fn recover(&self, alive: &BTreeSet<SandboxId>) -> Result<(), EngineError> {
        self.lock().sandboxes.retain(|id, _| alive.contains(id));
        self.asked(format!("recover {}", alive.len()));
        Ok(())
    }

    fn find_network(&self, reference: &str) -> Result<Arc<Driven>, EngineError> {
        let inner = self.lock();
        let by_id = || {
            let mut all = inner.networks.values();
            all.find(|network| network.id.to_string().starts_with(reference))
        };
        let found = inner.networks.get(reference).or_else(by_id).cloned();
        found.ok_or_else(|| EngineError::NotFound(format!("network {reference} not found")))
    }

    fn check_endpoint(&self, network: &str, spec: &EndpointSpec) -> Vec<String> {
        let text = "network-scoped aliases are only supported for user-defined networks";
        match network == "bridge" && !spec.aliases.is_empty() {
            true => vec![text.into()],
            false => vec![],
        }
    }

    fn create_sandbox(&self, spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        if self.asked(format!("sandbox {}", spec.name)) {
            return Err(EngineError::Forbidden("Address already in use".into()));
        }
        std::fs::create_dir_all(&spec.files).unwrap();
        let mut endpoints = BTreeMap::new();
        for (reference, endpoint) in &spec.endpoints {
            let network = Networks::find_network(self, reference)?;
            endpoints.insert(
                network.id,
                self.endpoint(&spec.id, &network, endpoint.clone()),
            );
        }
        let ports = spec.ports.iter().map(mapping);
        let sandbox = Arc::new(Sandbox {
            id: spec.id,
            name: spec.name,
            hostname: spec.hostname,
            domainname: spec.domainname,
            host: spec.host,
            endpoints,
            ports: ports.collect(),
            given: None,
            closed: BTreeSet::new(),
            nameserver: spec.nameserver,
            links: spec.links.clone(),
            extra_hosts: spec.extra_hosts.into_iter().filter_map(known).collect(),
            resolver_ports: None,
            files: spec.files,
            ipv6_disabled: spec.ipv6_disabled,
            sticky: spec.sticky,
        });
        self.lock().sandboxes.insert(spec.id, sandbox.clone());
        Ok(sandbox)
    }

    fn remove_sandbox(&self, id: &SandboxId) -> Result<(), EngineError> {
        if self.lock().sandboxes.remove(id).is_some() {
            self.asked(format!("no sandbox {}", self.name(id)));
        }
        Ok(())
    }

    fn sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        self.lock().sandboxes.get(id).cloned()
    }

    fn namespace_path(&self, id: &SandboxId) -> Option<PathBuf> {
        let sandbox = Networks::sandbox(self, id).filter(|sandbox| !sandbox.host)?;
        Some(PathBuf::from("/netns").join(&sandbox.name))
    }

    fn connect(
        &self,
        id: &SandboxId,
        network: &str,
        spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        if self.asked(format!("connect {} {network}", self.name(id))) {
            return Err(EngineError::Forbidden("Address already in use".into()));
        }
        let network = Networks::find_network(self, network)?;
        let endpoint = self.endpoint(id, &network, spec);
        let mut inner = self.lock();
        let mut sandbox = Sandbox::clone(&inner.sandboxes[id]);
        sandbox.endpoints.insert(network.id, endpoint.clone());
        inner.sandboxes.insert(*id, Arc::new(sandbox));
        Ok(endpoint)
    }

    fn disconnect(&self, id: &SandboxId, network: &str) -> Result<(), EngineError> {
        if self.asked(format!("disconnect {} {network}", self.name(id))) {
            return Err(EngineError::Conflict("refused".into()));
        }
        let network = Networks::find_network(self, network)?.id;
        let mut inner = self.lock();
        let mut sandbox = Sandbox::clone(&inner.sandboxes[id]);
        sandbox.endpoints.remove(&network);
        inner.sandboxes.insert(*id, Arc::new(sandbox));
        Ok(())
    }

    fn publish(
        &self,
        id: &SandboxId,
        ports: &[PortRequest],
        _closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError> {
        if self.asked(format!("publish {} {}", self.name(id), ports.len())) {
            return Err(EngineError::Conflict("port is already allocated".into()));
        }
        let mut inner = self.lock();
        let sandbox = Arc::new(Sandbox {
            ports: ports.iter().map(mapping).collect(),
            given: None,
            closed: BTreeSet::new(),
            ..Sandbox::clone(&inner.sandboxes[id])
        });
        inner.sandboxes.insert(*id, sandbox.clone());
        Ok(sandbox)
    }

    fn expect(
        &self,
        network: &str,
        name: &str,
        _ipv4: Option<Ipv4Addr>,
        _ipv6: Option<Ipv6Addr>,
    ) -> Result<(), EngineError> {
        self.asked(format!("expect {name} on {network}"));
        Ok(())
    }

    fn forget_name(&self, name: &str) -> Result<(), EngineError> {
        self.asked(format!("forget {name}"));
        Ok(())
    }

    fn rename_sandbox(&self, _id: &SandboxId, name: &str) -> Result<(), EngineError> {
        match self.asked(format!("rename to {name}")) {
            true => Err(EngineError::Conflict("refused".into())),
            false => Ok(()),
        }
    }

    fn unlink(&self, _id: &SandboxId, _target: &SandboxId, alias: &str) -> Result<(), EngineError> {
        self.asked(format!("unlink {alias}"));
        Ok(())
    }

    fn leads_out(&self, id: &SandboxId, network: &NetworkId) -> bool {
        let joined = Networks::sandbox(self, id);
        joined.is_some_and(|sandbox| sandbox.endpoints.contains_key(network))
    }

    fn plan(&self, operation: &PlannedOperation) -> Result<String, EngineError> {
        Ok(match operation {
            PlannedOperation::CreateSandbox(spec) => format!("make {}\n", spec.name),
            PlannedOperation::RemoveSandbox(_) => "unmake\n".into(),
            PlannedOperation::Connect(_, network, _) => format!("connect {network}\n"),
            PlannedOperation::Disconnect(_, network) => format!("disconnect {network}\n"),
            PlannedOperation::Publish(_, wanted, _) => format!("publish {}\n", wanted.len()),
            PlannedOperation::CreateNetwork(_)
            | PlannedOperation::RemoveNetwork(_)
            | PlannedOperation::UpdateNetwork(..) => String::new(),
        })
    }
}

impl Processes for Fake {
    fn usage(&self, id: &Id) -> Result<Usage, RuntimeError> {
        let inner = self.lock();
        let alive = inner.processes.get(id).filter(|p| p.exit.is_none());
        alive
            .map(|_| Usage::default())
            .ok_or(RuntimeError::Ended(*id))
    }

    fn create(&self, spec: &ProcessSpec) -> Result<Created, RuntimeError> {
        if self.asked(format!("process {}", self.name(&spec.id))) {
            let text = "exec: \"x\": executable file not found in $PATH";
            return Err(RuntimeError::Create(Refusal::read(text)));
        }
        let mut inner = self.lock();
        inner.next_pid += 1;
        let pid = inner.next_pid;
        let process = Process {
            pid,
            started: false,
            exit: None,
            hostname: spec.hostname.clone(),
            network: spec.network.clone(),
            attached: vec![],
            ignores: BTreeSet::new(),
        };
        inner.processes.insert(spec.id, process);
        Ok(Created { pid, start_time: 7 })
    }

    fn start(&self, id: &Id) -> Result<(), RuntimeError> {
        if self.asked(format!("start {}", self.name(id))) {
            return Err(RuntimeError::Start(Refusal::read("permission denied")));
        }
        let mut inner = self.lock();
        inner
            .processes
            .get_mut(id)
            .ok_or(RuntimeError::NotFound(*id))?
            .started = true;
        Ok(())
    }

    fn attach(&self, id: &Id) -> Result<OwnedFd, RuntimeError> {
        self.asked(format!("streams {}", self.name(id)));
        let flags = SocketFlags::CLOEXEC;
        let (near, far) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let mut inner = self.lock();
        let process = inner
            .processes
            .get_mut(id)
            .ok_or(RuntimeError::NotFound(*id))?;
        process.attached.push(far);
        Ok(near)
    }

    fn resize(&self, id: &Id, height: u16, width: u16) -> Result<(), RuntimeError> {
        self.asked(format!("resize {} {height}x{width}", self.name(id)));
        Ok(())
    }

    fn exec_start(&self, spec: &ExecSpec) -> Result<(i32, OwnedFd), RuntimeError> {
        if self.asked(format!("exec {}", spec.args.join(" "))) {
            let refusal = Refusal::read("no such file or directory");
            return Err(RuntimeError::Exec(refusal));
        }
        Ok((99, Processes::attach(self, &spec.container)?))
    }

    fn exec_resize(&self, _exec: &Id, height: u16, width: u16) -> Result<(), RuntimeError> {
        self.asked(format!("resize exec {height}x{width}"));
        Ok(())
    }

    fn exec_exit_code(&self, _exec: &Id) -> Result<Option<Exit>, RuntimeError> {
        Ok(None)
    }

    fn exec_delete(&self, _exec: &Id) -> Result<(), RuntimeError> {
        self.asked("no exec".into());
        Ok(())
    }

    fn read_logs(&self, id: &Id, _query: LogQuery) -> Result<LogReader, RuntimeError> {
        Err(RuntimeError::NotFound(*id))
    }

    fn remove_logs(&self, id: &Id) -> Result<(), RuntimeError> {
        self.asked(format!("no logs {}", id.short(6)));
        Ok(())
    }

    fn kill(&self, id: &Id, signal: i32) -> Result<(), RuntimeError> {
        self.asked(format!("kill {} {signal}", self.name(id)));
        let ignored = {
            let inner = self.lock();
            let process = inner.processes.get(id).ok_or(RuntimeError::NotFound(*id))?;
            process.ignores.contains(&signal)
        };
        if !ignored {
            let exit = self.end_silently(*id, 128 + signal);
            if let Some(exits) = &self.lock().exits {
                exits.send(exit).unwrap();
            }
        }
        Ok(())
    }

    fn state(&self, id: &Id) -> Result<Option<State>, RuntimeError> {
        let inner = self.lock();
        Ok(inner.processes.get(id).map(|process| State {
            pid: process.pid,
            start_time: 7,
            alive: process.exit.is_none(),
            started: process.started,
            oom: false,
        }))
    }

    fn top(&self, _id: &Id, _ps_args: &[String]) -> Result<ProcessTable, RuntimeError> {
        Ok(ProcessTable {
            titles: vec!["PID".into()],
            processes: vec![vec!["1".into()]],
        })
    }

    fn exit_code(&self, id: &Id) -> Result<Option<Exit>, RuntimeError> {
        Ok(self
            .lock()
            .processes
            .get(id)
            .and_then(|process| process.exit))
    }

    fn watch_exits(&self) -> Result<Receiver<Exit>, RuntimeError> {
        let (sender, receiver) = channel();
        self.lock().exits = Some(sender);
        Ok(receiver)
    }

    fn delete(&self, id: &Id) -> Result<(), RuntimeError> {
        let name = self.name(id);
        if self.lock().processes.remove(id).is_some() {
            self.asked(format!("no process {name}"));
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<Id>, RuntimeError> {
        Ok(self.lock().processes.keys().copied().collect())
    }

    fn stop_strays(&self, _ours: &dyn Fn(&Id) -> bool) -> Result<Vec<Id>, RuntimeError> {
        Ok(vec![])
    }
}

impl RootFiles for Fake {
    fn backend(&self) -> Backend {
        Backend::Overlay
    }

    fn inspect(&self, reference: &str) -> Result<Image, ImageError> {
        if reference != "busybox" {
            return Err(ImageError::NotFound(format!("{reference}:latest")));
        }
        Ok(Image {
            id: ImageId::from_digest(derive_id(&[b"image"])),
            created: None,
            repo_tags: vec!["busybox:latest".into()],
            repo_digests: vec![],
            size: 0,
            config: ImageConfig {
                cmd: Some(vec!["sh".into()]),
                ..ImageConfig::default()
            },
            architecture: "amd64".into(),
            variant: String::new(),
            os: "linux".into(),
            author: String::new(),
            comment: String::new(),
            layers: vec![],
        })
    }

    fn prepare(&self, _image: &ImageId, container: &Id) -> Result<(), ImageError> {
        self.asked("root".into());
        self.lock().roots.insert(*container);
        Ok(())
    }

    fn mount(&self, container: &Id) -> Result<PathBuf, ImageError> {
        self.asked(format!("mount {}", self.name(container)));
        self.lock().mounted.insert(*container);
        Ok("/root".into())
    }

    fn unmount(&self, container: &Id) -> Result<(), ImageError> {
        let name = self.name(container);
        if self.lock().mounted.remove(container) {
            self.asked(format!("no mount {name}"));
        }
        Ok(())
    }

    fn remove_root(&self, container: &Id) -> Result<(), ImageError> {
        if self.lock().roots.remove(container) {
            self.asked("no root".into());
        }
        Ok(())
    }

    fn roots(&self) -> Result<Vec<Id>, ImageError> {
        Ok(self.lock().roots.iter().copied().collect())
    }
}

impl Records for Fake {
    fn load(&self) -> Result<Vec<Record>, ContainerError> {
        Ok(self.lock().records.values().cloned().collect())
    }

    fn put(&self, record: &Record) -> Result<(), ContainerError> {
        // As the real one: what cannot be written and read back is no record.
        let text = serde_json::to_string(record).unwrap();
        let record: Record = serde_json::from_str(&text).unwrap();
        if self.asked(format!("store {} {}", record.name, record.state.word())) {
            return Err(ContainerError::internal("no space left on the disk"));
        }
        self.lock().records.insert(record.id, record);
        Ok(())
    }

    fn delete(&self, id: &Id) -> Result<(), ContainerError> {
        if self.asked(format!("forget {}", self.name(id))) {
            return Err(ContainerError::internal("no space left on the disk"));
        }
        self.lock().records.remove(id);
        Ok(())
    }
}

/// A port as asked for, had at once.
fn mapping(request: &PortRequest) -> PortMapping {
    PortMapping {
        protocol: request.protocol,
        host_ip: request.host_ip,
        host_port: request.host_ports.map_or(32768, |(first, _)| first),
        container_port: request.container_port,
    }
}
