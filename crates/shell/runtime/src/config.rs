//! Where the runtime keeps its files, and which programs it uses.

use std::path::PathBuf;

/// How to open a [`crate::Runtime`].
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Bundles, pids and exit files; gone after a reboot.
    pub exec_root: PathBuf,
    /// Log files are kept in `logs` below it.
    pub data_root: PathBuf,
    /// The cgroup that containers' cgroups are made in; `/sealane` if `None`.
    pub cgroup_parent: Option<String>,
    /// The OCI runtime to use; searched if `None`.
    pub runtime: Option<PathBuf>,
    /// The conmon to use; searched if `None`.
    pub conmon: Option<PathBuf>,
    /// Folders searched for programs before those of `PATH`.
    pub search: Vec<PathBuf>,
    /// Soft and hard limit of open files in containers. If `None`: 1,024 and the hard limit of
    /// this process.
    pub open_files: Option<(u64, u64)>,
}

/// The programs that were found to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeChoice {
    /// `runc` or `crun`.
    pub name: String,
    /// What it says its version is.
    pub version: String,
    /// Where it is.
    pub path: PathBuf,
    /// Where conmon is.
    pub conmon: PathBuf,
    /// What conmon says its version is.
    pub conmon_version: String,
}
