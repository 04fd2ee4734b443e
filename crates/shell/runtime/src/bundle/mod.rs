//! The OCI bundle: a request, turned into the `config.json` that a runtime reads.
//!
//! Docker's defaults are written down here and beside it, one file for each question. Reads the
//! container's `/etc/passwd` and `/etc/group` and the host's devices; writes nothing.
//! Start at [`container`].

mod capabilities;
mod devices;
mod environment;
mod init;
mod limits;
mod mounts;
mod seccomp;
pub(crate) mod user;

pub(crate) use capabilities::Available;
pub use capabilities::check_capabilities;

use crate::{ExecSpec, ProcessSpec, Result, RuntimeError};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Box as ConsoleSize, BoxBuilder, Capabilities, Linux, LinuxBuilder, LinuxCapabilities,
    LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Process, ProcessBuilder,
    RootBuilder, Spec, SpecBuilder,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What of a bundle depends on the host and not on the request.
#[derive(Debug)]
pub(crate) struct Host {
    /// The capabilities this process may hand on.
    pub(crate) available: Available,
    /// Soft and hard limit of open files.
    pub(crate) open_files: (u64, u64),
    /// Folders where an init may be found.
    pub(crate) search: Vec<PathBuf>,
    /// Whether containers get a cgroup namespace, as Docker gives them where cgroups are v2.
    pub(crate) cgroup_namespace: bool,
}

/// The configuration of a container in the cgroup `cgroup`.
pub(crate) fn container(spec: &ProcessSpec, host: &Host, cgroup: &str) -> Result<Spec> {
    if spec.args.is_empty() {
        return Err(RuntimeError::InvalidSpec("no command specified".into()));
    }
    let granted = capabilities::granted(spec, &host.available)?;
    let mut args = spec.args.clone();
    let mut mounts = mounts::mounts(spec);
    if spec.init {
        let init = init::find(&host.search)?;
        mounts.push(mounts::bind_read_only(&init, init::DESTINATION));
        args.splice(0..0, [init::DESTINATION.to_owned(), "--".to_owned()]);
    }
    let process = Program {
        args,
        cwd: &spec.cwd,
        tty: spec.tty,
        console_size: spec.console_size,
        env: environment::container(spec),
        no_new_privileges: spec.no_new_privileges,
    };
    let user = user::resolve(&spec.rootfs, &spec.user, &spec.groups)?;
    let process = process
        .builder(user, &granted)
        .rlimits(limits::rlimits(&spec.rlimits, host.open_files)?)
        .oom_score_adj(spec.oom_score_adj)
        .build()
        .map_err(invalid)?;
    let root = RootBuilder::default()
        .path(&spec.rootfs)
        .readonly(spec.readonly_rootfs);
    let mut config = SpecBuilder::default()
        .version("1.0.2")
        .root(root.build().map_err(invalid)?)
        .mounts(mounts)
        .process(process)
        .annotations(
            spec.annotations
                .clone()
                .into_iter()
                .collect::<HashMap<_, _>>(),
        )
        .linux(linux(spec, host, cgroup, &granted)?)
        .build()
        .map_err(invalid)?;
    config.set_hostname(spec.hostname.clone());
    Ok(config)
}

/// The process of an exec in the container that `config` describes and whose files are at `rootfs`.
pub(crate) fn exec(spec: &ExecSpec, config: &Spec, rootfs: &Path, host: &Host) -> Result<Process> {
    let damaged =
        || RuntimeError::InvalidSpec(format!("the bundle of {} is not whole", spec.container));
    let first = config.process().as_ref().ok_or_else(damaged)?;
    if spec.args.is_empty() {
        return Err(RuntimeError::InvalidSpec(
            "No exec command specified".into(),
        ));
    }
    let user = match spec.user.as_str() {
        "" => (first.user().clone(), None),
        named => user::resolve(rootfs, named, &[])?,
    };
    let granted: Capabilities = match (spec.privileged, first.capabilities()) {
        (true, _) => host.available.all(),
        (false, Some(capabilities)) => capabilities.bounding().iter().flatten().copied().collect(),
        (false, None) => Capabilities::new(),
    };
    let program = Program {
        args: spec.args.clone(),
        cwd: if spec.cwd.is_empty() {
            first.cwd().to_str().unwrap_or("/")
        } else {
            &spec.cwd
        },
        tty: spec.tty,
        console_size: spec.console_size,
        env: environment::exec(first.env().as_deref().unwrap_or_default(), spec),
        no_new_privileges: first.no_new_privileges().unwrap_or(false),
    };
    program
        .builder(user, &granted)
        .rlimits(first.rlimits().clone().unwrap_or_default())
        .build()
        .map_err(invalid)
}

/// What a container's first process and an exec have in common.
struct Program<'a> {
    args: Vec<String>,
    cwd: &'a str,
    tty: bool,
    console_size: Option<(u16, u16)>,
    env: Vec<String>,
    no_new_privileges: bool,
}

impl Program<'_> {
    fn builder(self, (user, home): user::Resolved, granted: &Capabilities) -> ProcessBuilder {
        let root = user.uid() == 0;
        let builder = ProcessBuilder::default()
            .terminal(self.tty)
            .user(user)
            .args(self.args)
            .env(environment::with_home(self.env, home))
            .cwd(if self.cwd.is_empty() {
                Path::new("/")
            } else {
                Path::new(self.cwd)
            })
            .capabilities(process_capabilities(root, granted))
            .no_new_privileges(self.no_new_privileges);
        match self.console_size.filter(|_| self.tty) {
            Some(size) => builder.console_size(console_size(size)),
            None => builder,
        }
    }
}

/// A process that is not root starts with none in force, as `execve` would have it.
fn process_capabilities(root: bool, granted: &Capabilities) -> LinuxCapabilities {
    let in_force = if root {
        granted.clone()
    } else {
        Default::default()
    };
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(granted.clone()))
        .set_effective(Some(in_force.clone()))
        .set_permitted(Some(in_force))
        .set_inheritable(Some(Default::default()))
        .set_ambient(Some(Default::default()));
    capabilities
}

fn console_size((height, width): (u16, u16)) -> ConsoleSize {
    BoxBuilder::default()
        .height(height)
        .width(width)
        .build()
        .unwrap_or_default()
}

fn linux(spec: &ProcessSpec, host: &Host, cgroup: &str, granted: &Capabilities) -> Result<Linux> {
    let mut linux = LinuxBuilder::default()
        .cgroups_path(cgroup)
        .namespaces(namespaces(spec, host)?)
        .devices(devices::nodes(spec)?)
        .resources(limits::resources(&spec.resources, devices::rules(spec)?)?)
        .sysctl(sysctls(spec))
        .masked_paths(mounts::masked(spec.privileged))
        .readonly_paths(mounts::read_only(spec.privileged))
        .build()
        .map_err(invalid)?;
    let filtered = !spec.privileged && !spec.seccomp_unconfined;
    linux.set_seccomp(filtered.then(|| seccomp::profile(granted)).transpose()?);
    linux.set_rootfs_propagation(mounts::root_propagation(spec).map(str::to_owned));
    Ok(linux)
}

/// The domain name is set as a sysctl, because not every runtime knows the field for it.
fn sysctls(spec: &ProcessSpec) -> HashMap<String, String> {
    let mut sysctls: HashMap<_, _> = spec.sysctls.clone().into_iter().collect();
    if spec.hostname.is_some() && !spec.domainname.is_empty() {
        sysctls
            .entry("kernel.domainname".into())
            .or_insert_with(|| spec.domainname.clone());
    }
    sysctls
}

fn namespaces(spec: &ProcessSpec, host: &Host) -> Result<Vec<LinuxNamespace>> {
    let own = |kind| {
        LinuxNamespaceBuilder::default()
            .typ(kind)
            .build()
            .map_err(invalid)
    };
    let mut namespaces = vec![
        own(LinuxNamespaceType::Mount)?,
        own(LinuxNamespaceType::Pid)?,
        own(LinuxNamespaceType::Ipc)?,
    ];
    if spec.hostname.is_some() {
        namespaces.push(own(LinuxNamespaceType::Uts)?);
    }
    if host.cgroup_namespace && !spec.privileged {
        namespaces.push(own(LinuxNamespaceType::Cgroup)?);
    }
    if let Some(path) = &spec.network {
        let joined = LinuxNamespaceBuilder::default()
            .typ(LinuxNamespaceType::Network)
            .path(path);
        namespaces.push(joined.build().map_err(invalid)?);
    }
    Ok(namespaces)
}

fn invalid(error: OciSpecError) -> RuntimeError {
    RuntimeError::InvalidSpec(error.to_string())
}
