//! What a process is to be: the request from which an OCI bundle is made.

use sealane_core::model::Id;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What becomes of a process's standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// There is none: it reads the end of file at once.
    #[default]
    Closed,
    /// Open until the first attached client ends its input or goes away.
    Once,
    /// Open as long as the process lives, however many clients attach and go.
    Open,
}

/// How mounts below a mount point travel between the host and the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the host into the container.
    Slave,
    /// Both ways.
    Shared,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A file or folder of the host.
    Bind {
        /// Its path on the host; it must exist.
        source: PathBuf,
        /// How mounts below it travel.
        propagation: Propagation,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Its options, such as `size=64m`.
        options: Vec<String>,
    },
}

/// One mount in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its path in the container.
    pub destination: String,
    /// What is there.
    pub kind: MountKind,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// A limit of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// Its name without the prefix, such as `nofile`.
    pub name: String,
    /// What the process has.
    pub soft: u64,
    /// How far it may raise it.
    pub hard: u64,
}

/// A device of the host's in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its path on the host.
    pub host: PathBuf,
    /// Its path in the container.
    pub container: String,
    /// What is allowed: letters of `rwm`.
    pub permissions: String,
}

/// Limits of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; -1 for no limit.
    pub memory_swap: Option<i64>,
    /// Bytes of memory to which it is pushed back under pressure.
    pub memory_reservation: Option<i64>,
    /// Billionths of a processor.
    pub nano_cpus: Option<i64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// Microseconds of `cpu_period`.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Processors it may run on, such as `0-1`.
    pub cpuset_cpus: Option<String>,
    /// Number of processes; -1 for no limit.
    pub pids: Option<i64>,
}

/// A container's first process and its surroundings.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// The container.
    pub id: Id,
    /// Its mounted root file system.
    pub rootfs: PathBuf,
    /// Whether the container may only read it.
    pub readonly_rootfs: bool,
    /// The network namespace, by path; `None` for the host's.
    pub network: Option<PathBuf>,
    /// The host name, in a UTS namespace of its own; `None` for the host's namespace.
    pub hostname: Option<String>,
    /// The domain name; empty for none. Without a host name it has no effect.
    pub domainname: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`. `PATH`, `HOSTNAME`, `HOME`, and `TERM` with a terminal, are added if absent.
    pub env: Vec<String>,
    /// The folder it starts in; empty for `/`.
    pub cwd: String,
    /// `name`, `uid`, `name:group` or `uid:gid`; empty for root.
    pub user: String,
    /// More groups, by name or number.
    pub groups: Vec<String>,
    /// Mounts besides the usual ones; the same destination replaces a usual one.
    pub mounts: Vec<Mount>,
    /// Capabilities besides Docker's default ones, with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities taken away, or `ALL`.
    pub cap_drop: Vec<String>,
    /// All capabilities and devices, no seccomp filter, nothing masked.
    pub privileged: bool,
    /// Whether set-user-id programs have no effect.
    pub no_new_privileges: bool,
    /// Whether the seccomp filter is left out.
    pub seccomp_unconfined: bool,
    /// Sysctls set in the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The terminal's height and width, if known.
    pub console_size: Option<(u16, u16)>,
    /// Its input.
    pub stdin: Stdin,
    /// Whether a small init runs as process 1 and reaps.
    pub init: bool,
    /// Limits of the process.
    pub rlimits: Vec<Rlimit>,
    /// Limits of the container.
    pub resources: Resources,
    /// Devices besides the usual ones.
    pub devices: Vec<Device>,
    /// Bytes of /dev/shm; Docker's 64 MiB if `None`.
    pub shm_size: Option<i64>,
    /// How readily the kernel kills it for want of memory, -1000 to 1000.
    pub oom_score_adj: i32,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
}

impl ProcessSpec {
    /// A process with Docker's defaults: everything not named here is off, empty or root.
    pub fn new(id: Id, rootfs: PathBuf, args: Vec<String>) -> Self {
        Self {
            id,
            rootfs,
            args,
            readonly_rootfs: false,
            network: None,
            hostname: None,
            domainname: String::new(),
            env: Vec::new(),
            cwd: String::new(),
            user: String::new(),
            groups: Vec::new(),
            mounts: Vec::new(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            privileged: false,
            no_new_privileges: false,
            seccomp_unconfined: false,
            sysctls: BTreeMap::new(),
            tty: false,
            console_size: None,
            stdin: Stdin::Closed,
            init: false,
            rlimits: Vec::new(),
            resources: Resources::default(),
            devices: Vec::new(),
            shm_size: None,
            oom_score_adj: 0,
            annotations: BTreeMap::new(),
        }
    }
}

/// A program to run in a container besides its first process.
#[derive(Clone, Debug)]
pub struct ExecSpec {
    /// Its own id.
    pub id: Id,
    /// The container.
    pub container: Id,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value`, besides the container's own.
    pub env: Vec<String>,
    /// The folder it starts in; empty for the container's.
    pub cwd: String,
    /// As in [`ProcessSpec::user`]; empty for the container's.
    pub user: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The terminal's height and width, if known.
    pub console_size: Option<(u16, u16)>,
    /// Whether it has input.
    pub stdin: bool,
    /// Whether it has all capabilities.
    pub privileged: bool,
}
