//! Where a figure is taken: a simulated host of its own, with our daemon on it.

use crate::api::Client;
use crate::engine::Engine;
use crate::error::{Result, failed};
use sealane_testkit::{Daemon, Host, Lab};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where daemons listen, on their hosts.
pub(crate) const SOCKET: &str = "/run/docker.sock";
/// The data root of our daemon.
const DATA_ROOT: &str = "/var/lib/sealane";

/// Hosts on a LAN, and folders on the disk for their data. Dropped in this order: the folders are
/// mounted on the hosts.
#[derive(Debug)]
pub(crate) struct Stage {
    lab: Lab,
    data: Vec<TempDir>,
}

/// Our daemon, and a connection to it.
#[derive(Debug)]
pub(crate) struct Ours {
    /// The connection.
    pub(crate) engine: Engine,
    daemon: Daemon,
}

impl Stage {
    /// Makes hosts. A host of the tests keeps its data in memory; here a commit must reach a disk.
    pub(crate) fn new(hosts: usize) -> Result<Self> {
        let lab = Lab::with_hosts(hosts);
        let target = repository().join("target");
        fs::create_dir_all(&target).map_err(failed("making the folder target"))?;
        let mut data = Vec::new();
        for index in 0..hosts {
            let folder = tempfile::Builder::new()
                .prefix("bench-")
                .tempdir_in(&target);
            let folder = folder.map_err(failed("making a folder for data"))?;
            let path = folder.path().display();
            lab.host(index)
                .sh(&format!("mount --bind {path} {DATA_ROOT}"))
                .ok();
            data.push(folder);
        }
        Ok(Self { lab, data })
    }

    /// A host.
    pub(crate) fn host(&self, index: usize) -> &Host {
        self.lab.host(index)
    }

    /// The LAN's other member.
    pub(crate) fn neighbor(&self) -> &Host {
        self.lab.peer()
    }

    /// What the cgroups of the stage are below.
    pub(crate) fn cgroup(&self) -> String {
        format!("/sealane-lab-{}", self.lab.id())
    }

    /// The folder of a host on the disk.
    pub(crate) fn data(&self, index: usize) -> &Path {
        self.data[index].path()
    }

    /// Starts our daemon on a host, with an image.
    pub(crate) fn start(&self, index: usize) -> Result<Ours> {
        let daemon = Daemon::start(self.host(index), &[]);
        let mut engine = connect(self.host(index), SOCKET)?;
        engine.import(&image()?)?;
        Ok(Ours { engine, daemon })
    }
}

impl Ours {
    /// Kills the daemon and starts it again; returns how long it took from the start to its first
    /// answer.
    pub(crate) fn restart(&mut self) -> Result<Duration> {
        self.daemon.kill9();
        let begin = Instant::now();
        self.daemon.launch();
        let took = begin.elapsed();
        self.engine = connect(self.daemon.host(), SOCKET)?;
        Ok(took)
    }

    /// Ends the daemon in order.
    pub(crate) fn stop(&mut self) {
        self.daemon.stop();
    }

    /// The daemon's process id, as its host sees it.
    pub(crate) fn pid(&self) -> u64 {
        u64::from(self.daemon.pid())
    }
}

/// Connects to a daemon on a host.
pub(crate) fn connect(host: &Host, socket: &str) -> Result<Engine> {
    let client = Client::connect(&host.path(socket));
    let client = client.map_err(failed("connecting to the daemon"))?;
    Ok(Engine::new(host, client))
}

/// The image of all containers.
pub(crate) fn image() -> Result<Vec<u8>> {
    let path = repository().join(".cache/busybox.tar");
    fs::read(path).map_err(failed(
        "reading .cache/busybox.tar, which tools/image builds,",
    ))
}

/// The folder of the workspace.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
