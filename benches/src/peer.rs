//! The peer: Debian's docker.io, unpacked and never installed, on a simulated host.

use crate::engine::Engine;
use crate::error::{BenchError, Result, failed};
use crate::stage::{Stage, connect, image, repository};
use sealane_testkit::{Background, Host};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const SOCKET: &str = "/run/peer/docker.sock";
const START_LIMIT: Duration = Duration::from_secs(30);

/// What the peer is called in the table.
pub(crate) const NAME: &str = "docker.io";

/// A running dockerd.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The connection to it.
    pub(crate) engine: Engine,
    // Held for its end: dockerd is killed with it.
    _process: Background,
}

impl Peer {
    /// Unpacks the peer where it is not yet, and starts it on a host of the stage.
    pub(crate) fn start(stage: &Stage, index: usize) -> Result<Self> {
        unpack()?;
        let host = stage.host(index);
        let process = launch(stage, index);
        wait_until_it_answers(host, &process)?;
        let mut engine = connect(host, SOCKET)?;
        engine.import(&image()?)?;
        Ok(Self {
            engine,
            _process: process,
        })
    }
}

fn unpack() -> Result<()> {
    let output = Command::new(repository().join("benches/unpack-peer")).output();
    let output = output.map_err(failed("running benches/unpack-peer"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(BenchError::Unexpected(format!(
        "docker.io cannot be unpacked here: {said}"
    )))
}

/// It writes to /etc/docker and /opt/containerd: those of the host are covered.
fn launch(stage: &Stage, index: usize) -> Background {
    let root = repository().join(".cache/peer");
    let (root, data) = (root.display(), stage.data(index).join("peer"));
    stage.host(index).spawn(&format!(
        "set -e
         mkdir -p /run/peer/etc /run/peer/work /opt
         mount -t overlay -o lowerdir=/etc,upperdir=/run/peer/etc,workdir=/run/peer/work overlay /etc
         mount -t tmpfs tmpfs /opt
         PATH={root}/usr/bin:{root}/usr/sbin:$PATH
         exec dockerd --data-root {} --exec-root /run/peer/exec --pidfile /run/peer/pid \
           -H unix://{SOCKET} --cgroup-parent {}/peer",
        data.display(),
        stage.cgroup(),
    ))
}

fn wait_until_it_answers(host: &Host, process: &Background) -> Result<()> {
    let end = Instant::now() + START_LIMIT;
    while Instant::now() < end {
        if host.path(SOCKET).exists() && connect(host, SOCKET).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let said = process.output();
    let last = said.lines().last().unwrap_or("it said nothing").to_owned();
    Err(BenchError::Unexpected(format!(
        "dockerd did not come up: {last}"
    )))
}
