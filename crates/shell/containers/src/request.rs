//! What the front asks of the containers, and what it is answered.

use crate::detach::DetachKeys;
use crate::options::{EndpointOptions, HostOptions, PortBindings, Program, RestartPolicy};
use bytes::Bytes;
use jiff::Timestamp;
use sealane_core::model::Id;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// The version of the Docker API that a request speaks: major, minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u16, pub u16);

/// A container to make.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRequest {
    /// Its name, with or without the leading slash; `None` or empty to have one made up.
    pub name: Option<String>,
    /// What runs in it.
    pub config: Program,
    /// How it sits on the host.
    pub host_config: HostOptions,
    /// `NetworkingConfig.EndpointsConfig`: settings by network name or id.
    pub endpoints: BTreeMap<String, EndpointOptions>,
    /// The container-wide `MacAddress` of API versions before 1.44; empty and `None` are the same.
    pub mac_address: Option<String>,
    /// The version that the request speaks.
    pub api_version: ApiVersion,
}

/// A container that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: Id,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How to stop a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// The signal that asks it to end; `None` for the container's own, else SIGTERM.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative for never; `None` for the container's own, else 10.
    pub timeout: Option<i64>,
}

/// How to remove a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a link between containers instead of the container.
    pub link: bool,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That it does not run; at once if it does not.
    #[default]
    NotRunning,
    /// Its next exit.
    NextExit,
    /// That it is removed.
    Removed,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub code: i64,
    /// Why its removal failed, for [`WaitCondition::Removed`].
    pub error: Option<String>,
}

/// Which containers to list. The filters are those of `GET /containers/json`, each key with its
/// values; unknown keys are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many, the newest; those that do not run, too.
    pub limit: Option<usize>,
    /// Filters by key.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Which log lines to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Go on as the container writes.
    pub follow: bool,
    /// Put the time in front of each line.
    pub timestamps: bool,
    /// Only the last so many.
    pub tail: Option<usize>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only until then.
    pub until: Option<Timestamp>,
}

/// Which output stream bytes came from. With a terminal all is [`Stream::Stdout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Output as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it came from.
    pub stream: Stream,
    /// What came.
    pub bytes: Bytes,
}

/// What to attach to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// First what was logged until now.
    pub logs: bool,
    /// Then what comes.
    pub stream: bool,
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// What the client types to leave a terminal.
    pub detach_keys: DetachKeys,
}

/// The open streams of a container or an exec. The output ends when the process does; dropping
/// it detaches.
#[derive(Debug)]
pub struct Attached {
    /// Whether there is a terminal: then the wire has no frames.
    pub tty: bool,
    /// What the process writes.
    pub output: mpsc::Receiver<Chunk>,
    /// What it reads, if asked for and open; dropping it closes the process's standard input
    /// where that was made with `StdinOnce`.
    pub input: Option<mpsc::Sender<Bytes>>,
}

/// The log of a container. It ends with the log, or with the container if followed.
#[derive(Debug)]
pub struct Logs {
    /// Whether there is a terminal: then the wire has no frames.
    pub tty: bool,
    /// The lines.
    pub output: mpsc::Receiver<Chunk>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

impl TerminalSize {
    /// A size as height and width; zeros say nothing.
    pub fn of(size: &[usize]) -> Option<Self> {
        let [height, width] = size else { return None };
        let (height, width) = (u16::try_from(*height).ok()?, u16::try_from(*width).ok()?);
        (height > 0 && width > 0).then_some(Self { height, width })
    }
}

/// A further process to run in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables beside the container's.
    pub env: Vec<String>,
    /// The folder; empty for the container's own.
    pub working_dir: String,
    /// The user; `None` for the container's own.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The size of the terminal.
    pub console_size: Option<TerminalSize>,
    /// Whether it may do all that the host's root may.
    pub privileged: bool,
    /// Whether a client writes to it.
    pub stdin: bool,
    /// Whether a client reads its standard output.
    pub stdout: bool,
    /// Whether a client reads its standard error.
    pub stderr: bool,
    /// What the client types to leave the terminal, as it wrote it.
    pub detach_keys: Option<String>,
}

/// What is to change of a container's settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateRequest {
    /// Whether it is started again; `None` leaves that as it is.
    pub restart_policy: Option<RestartPolicy>,
    /// Its published ports.
    pub ports: PortChange,
}

/// How to start an exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecStart {
    /// There is no listener.
    pub detach: bool,
    /// Whether the request says there is a terminal; it must agree with the exec's own.
    pub tty: bool,
    /// The size of the caller's terminal.
    pub size: Option<TerminalSize>,
}

/// What a prune removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The ids of the containers.
    pub containers: Vec<Id>,
    /// Bytes that are free again.
    pub space: u64,
}

/// An operation on a container to be planned only.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanRequest {
    /// `start NAME`
    Start(String),
    /// `stop NAME`
    Stop(String),
    /// `rm NAME`
    Remove(String),
    /// `connect NETWORK NAME`
    Connect {
        /// The network, by id, name or prefix.
        network: String,
        /// The container, likewise.
        container: String,
        /// The endpoint wanted.
        settings: Box<EndpointOptions>,
    },
    /// `disconnect NETWORK NAME`
    Disconnect {
        /// The network, by id, name or prefix.
        network: String,
        /// The container, likewise.
        container: String,
    },
    /// `publish add|rm`
    Publish {
        /// The container, by id, name or prefix.
        container: String,
        /// What becomes of its ports.
        ports: PortChange,
    },
    /// `run`: a container that is not made yet.
    Run(Box<CreateRequest>),
}

/// What the daemon's flags decide about containers.
#[derive(Clone, Debug)]
pub struct ContainersConfig {
    /// Where containers keep their files: `<data root>/containers/<id>/`.
    pub data_root: std::path::PathBuf,
    /// Whether running containers outlive the daemon (`--live-restore`). A kill -9 never harms
    /// them; this only decides about an orderly end.
    pub live_restore: bool,
    /// Whether containers have an init process unless they say otherwise (`--init`).
    pub init: bool,
    /// Whether links on the default bridge set variables in the environment
    /// (`DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS=1`).
    pub link_environment: bool,
}

/// How many containers there are, by state (`GET /info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Those that run.
    pub running: usize,
    /// Those that are paused: none, for there is no pause.
    pub paused: usize,
    /// Those that do not run.
    pub stopped: usize,
}

/// What is to become of a container's published ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortChange {
    /// All its bindings from now on; `None` leaves them as they are.
    pub bindings: Option<PortBindings>,
    /// Further bindings.
    pub publish: PortBindings,
    /// Host ports, `8080` or `8080/tcp`, whose bindings go.
    pub unpublish: Vec<String>,
}
