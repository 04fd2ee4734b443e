//! What is seen of a host. Everything is read here, and nothing anywhere else.

use rustix::process::{Resource, getrlimit};
use sealane_core::model::Owner;
use sealane_kernel::Kernel;
use sealane_kernel::probe::{self, Feature};
use sealane_kernel::read::{HostAddress, HostChain, HostLink, OnLink, WayOut, runs_here};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The settings that checks look at, below /proc/sys/net.
const SETTINGS: [&str; 9] = [
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "ipv4/conf/all/rp_filter",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
    "netfilter/nf_conntrack_count",
    "netfilter/nf_conntrack_max",
    "ipv4/neigh/default/gc_thresh3",
    "ipv6/conf/all/disable_ipv6",
];

/// The settings of each link, below ipv4/conf/LINK and ipv6/conf/LINK.
const OF_LINKS: [(&str, &str); 2] = [("ipv4", "rp_filter"), ("ipv6", "accept_ra")];

/// The programs that run containers.
const PROGRAMS: [&str; 4] = ["runc", "crun", "conmon", "iptables"];

/// Why a host cannot be examined.
#[derive(Debug, Error)]
#[error("cannot read {what} of this host; run as root")]
pub struct LookError {
    what: &'static str,
    source: io::Error,
}

/// Where a daemon keeps what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Its `--exec-root`.
    pub exec: PathBuf,
    /// Its `--owner`.
    pub owner: Owner,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// A host, as it was seen.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What the kernel can do.
    pub features: Vec<(Feature, bool)>,
    /// Its links.
    pub links: Vec<HostLink>,
    /// Its addresses.
    pub addresses: Vec<HostAddress>,
    /// The prefixes it reaches directly.
    pub on_link: Vec<OnLink>,
    /// Its default routes.
    pub ways_out: Vec<WayOut>,
    /// All chains of nftables, those that iptables made included.
    pub chains: Vec<HostChain>,
    /// Settings below /proc/sys/net; those that the kernel has.
    pub settings: BTreeMap<String, String>,
    /// Its resolv.conf, if it can be read.
    pub resolv_conf: Option<String>,
    /// How many files a process may open.
    pub open_files: Option<u64>,
    /// Open files and their limit, by process.
    pub files_of: BTreeMap<u32, (u64, u64)>,
    /// The namespaces of sandboxes that are bound under the exec root.
    pub namespaces: Vec<String>,
    /// Sandboxes that have a record under the exec root.
    pub sandboxes: usize,
    /// Whether Docker's own daemon runs beside us.
    pub dockerd: bool,
    /// Whether a process of a container is alive.
    pub containers_run: bool,
    /// The cgroup file systems that are mounted: `cgroup`, `cgroup2`.
    pub cgroups: Vec<String>,
    /// The programs that were found, with their paths.
    pub programs: BTreeMap<String, PathBuf>,
}

impl Host {
    /// Looks at this host, and at the open files of the daemon's process.
    pub fn look(roots: &Roots, daemon: Option<u32>) -> Result<Self, LookError> {
        let cannot = |what| move |source| LookError { what, source };
        let folder = roots.exec.join("netns");
        let kernel = Kernel::open_to_look(folder).map_err(cannot("the network"))?;
        let kernel = kernel.owned_by(roots.owner.clone());
        let links = kernel.host_links().map_err(cannot("the links"))?;
        Ok(Self {
            features: probe::features().map_err(cannot("the kernel's features"))?,
            addresses: kernel.addresses().map_err(cannot("the addresses"))?,
            on_link: kernel.routes().map_err(cannot("the routes"))?,
            ways_out: kernel.ways_out().map_err(cannot("the routes"))?,
            chains: kernel.host_chains().map_err(cannot("the firewall"))?,
            settings: settings(&kernel, &links).map_err(cannot("the settings"))?,
            links,
            resolv_conf: fs::read_to_string(&roots.resolv_conf).ok(),
            open_files: getrlimit(Resource::Nofile).maximum,
            files_of: daemon
                .into_iter()
                .filter_map(|pid| Some((pid, files_of(pid)?)))
                .collect(),
            namespaces: names_in(&roots.exec.join("netns")),
            sandboxes: names_in(&roots.exec.join("sandboxes")).len(),
            dockerd: runs_here("dockerd").map_err(cannot("the processes"))?,
            containers_run: container_runs(&roots.exec),
            cgroups: mounted_cgroups(),
            programs: programs(),
        })
    }

    /// A setting as a number.
    pub(crate) fn number(&self, setting: &str) -> Option<u64> {
        self.settings.get(setting)?.parse().ok()
    }

    /// Whether a setting is there and not 0.
    pub(crate) fn is_on(&self, setting: &str) -> bool {
        self.number(setting).is_some_and(|value| value != 0)
    }

    /// The links with a default route, each once.
    pub(crate) fn uplinks(&self) -> Vec<&HostLink> {
        let leads_out = |link: &&HostLink| self.ways_out.iter().any(|way| way.link == link.name);
        self.links.iter().filter(leads_out).collect()
    }
}

fn settings(kernel: &Kernel, links: &[HostLink]) -> io::Result<BTreeMap<String, String>> {
    let mut paths: Vec<String> = SETTINGS.map(str::to_owned).into();
    for link in links.iter().filter(|link| !link.ours) {
        paths.extend(OF_LINKS.map(|(family, name)| format!("{family}/conf/{}/{name}", link.name)));
    }
    let mut found = BTreeMap::new();
    for path in paths {
        if let Some(value) = kernel.host_setting(&path)? {
            found.insert(path, value);
        }
    }
    Ok(found)
}

/// What is in a folder; nothing if there is none.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// The open files of a process and their limit (proc_pid_limits(5)).
fn files_of(pid: u32) -> Option<(u64, u64)> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some((open, soft.parse().unwrap_or(u64::MAX)))
}

/// Whether a supervisor of one of our containers is alive: each has the exec root in its arguments.
fn container_runs(exec_root: &Path) -> bool {
    let root = exec_root.to_string_lossy().into_owned();
    let processes = names_in(Path::new("/proc"));
    let arguments = processes
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok());
    arguments.into_iter().any(|line| {
        let line = String::from_utf8_lossy(&line).into_owned();
        let program = line.split('\0').next().unwrap_or_default();
        program.ends_with("conmon") && line.contains(&root)
    })
}

fn mounted_cgroups() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kinds = mounts.lines().filter_map(|line| line.split(' ').nth(2));
    let mut kinds: Vec<String> = kinds
        .filter(|kind| kind.starts_with("cgroup"))
        .map(str::to_owned)
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn programs() -> BTreeMap<String, PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A daemon that systemd starts looks there, too.
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    let place = |name: &str| {
        let paths = folders.iter().map(|folder| folder.join(name));
        paths.into_iter().find(|path| path.is_file())
    };
    PROGRAMS
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), place(name)?)))
        .collect()
}
