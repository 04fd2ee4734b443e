//! A place for one test: namespaces of its own, and a server on the real parts.

use sealane_containers::{Containers, ContainersConfig, EventBus, network_sink};
use sealane_core::model::NameserverConfig;
use sealane_docker_api::{Api, ApiVersion, DaemonFacts, Listener, Parts, serve};
use sealane_engine::{DefaultBridge, Depot, Engine, EngineConfig};
use sealane_images::Images;
use sealane_runtime::{Runtime, RuntimeConfig};
use sealane_store::Store;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

const STAGE: &str = "SEALANE_TEST_STAGE";

/// Runs the test of this name again in namespaces of its own, which the kernel takes away with it.
pub(crate) fn on_stage(name: &str, test: impl FnOnce()) {
    if env::var_os(STAGE).is_some() {
        give_the_host_an_address();
        return test();
    }
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(STAGE, folder.path())
        .status()
        .expect("unshare is installed");
    remove_cgroups(folder.path());
    assert!(status.success(), "{name} failed on its stage");
}

fn give_the_host_an_address() {
    for line in ["link set lo up", "address add 192.0.2.1/24 dev lo"] {
        let status = Command::new("ip").args(line.split(' ')).status();
        assert!(
            status.expect("iproute2 is installed").success(),
            "ip {line}"
        );
    }
}

/// The cgroup of a stage: the one thing that outlives its namespaces.
fn cgroup(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    format!("/sealane-test-{}", name.trim_start_matches('.'))
}

fn remove_cgroups(folder: &Path) {
    let name = cgroup(folder);
    let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else {
        return;
    };
    for hierarchy in hierarchies.flatten() {
        // Most hierarchies do not have it.
        drop(fs::remove_dir(hierarchy.path().join(&name[1..])));
    }
    drop(fs::remove_dir(Path::new("/sys/fs/cgroup").join(&name[1..])));
}

/// A server that runs until the test's process ends.
pub(crate) struct Server {
    socket: PathBuf,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = PathBuf::from(env::var_os(STAGE).expect("a stage"));
        let socket = folder.join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let api = api(&folder);
        thread::spawn(move || {
            let event_loop = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            event_loop.block_on(async {
                let listener = tokio::net::UnixListener::from_std(listener).unwrap();
                serve(api, vec![Listener::Unix(listener)], std::future::pending()).await;
            });
        });
        Self { socket }
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).expect("the server listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends bytes and reads all that comes back. Where the server cannot tell that they have
    /// ended, this half of the connection is closed.
    pub(crate) fn exchange(&self, bytes: &[u8], whole: bool) -> Vec<u8> {
        let mut stream = self.connect();
        // A server that has seen enough may close before all is sent.
        drop(stream.write_all(bytes));
        if !whole {
            drop(stream.shutdown(Shutdown::Write));
        }
        // The answer about events has no end of its own.
        let endless = bytes.windows(6).any(|window| window == b"events");
        if endless {
            stream
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
        }
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => answer,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => answer,
            Err(error) if endless && error.kind() == ErrorKind::WouldBlock => answer,
            Err(error) => panic!("no end: {error}; {:?}", String::from_utf8_lossy(bytes)),
        }
    }

    pub(crate) fn answers_ping(&self) -> bool {
        let ping = b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n";
        let mut stream = self.connect();
        stream.write_all(ping).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).is_ok() && answer.ends_with(b"OK")
    }
}

fn api(folder: &Path) -> Arc<Api> {
    let (data_root, exec_root) = (folder.join("data"), folder.join("exec"));
    let store = Arc::new(Store::open(&data_root).unwrap());
    let events = EventBus::new(64);
    let engine = engine_config(&data_root, &exec_root);
    let engine = Engine::open(engine, Arc::clone(&store), network_sink(&events)).unwrap();
    let images = Arc::new(Images::open(&data_root).unwrap());
    let runtime = Runtime::open(RuntimeConfig {
        exec_root,
        data_root: data_root.clone(),
        cgroup_parent: Some(cgroup(folder)),
        ..RuntimeConfig::default()
    });
    let containers = Containers::open(
        ContainersConfig {
            data_root,
            live_restore: false,
            link_environment: false,
            init: false,
        },
        Arc::clone(&engine),
        Arc::clone(&images),
        Arc::new(runtime.unwrap()),
        store,
        events.clone(),
    )
    .unwrap();
    containers.recover().unwrap();
    let parts = Parts {
        engine,
        containers,
        images,
        events,
    };
    Api::new(parts, DaemonFacts::default(), ApiVersion::FLOOR)
}

fn engine_config(data_root: &Path, exec_root: &Path) -> EngineConfig {
    EngineConfig {
        owner: sealane_core::model::Owner::default(),
        data_root: data_root.into(),
        exec_root: exec_root.into(),
        pools: Vec::new(),
        default_bridge: DefaultBridge::default(),
        ip_forward: false,
        ip_forward_no_drop: false,
        default_network_options: BTreeMap::new(),
        userland_proxy: true,
        nameserver: NameserverConfig::default(),
        host_gateway: Vec::new(),
        firewall_integration: false,
        policy: sealane_core::model::Policy::default(),
        resolv_conf: "/etc/resolv.conf".into(),
        depot: Depot::default(),
        one_call: false,
    }
}
