//! What the daemon says of its host (`GET /info`, `/version`).

use crate::config::Config;
use rustix::system::{sysinfo, uname};
use sealane_docker_api::DaemonFacts;
use sealane_images::Backend;
use sealane_runtime::RuntimeChoice;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

/// The pools that subnets are cut from unless it is said: Docker's.
const USUAL_POOLS: [(&str, u8); 7] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];

/// Gathers the facts, once.
pub(crate) fn facts(
    config: &Config,
    id: String,
    runtime: &RuntimeChoice,
    storage: Backend,
) -> DaemonFacts {
    let kernel = uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let memory = sysinfo();
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let (default_runtime, runtimes) = runtimes(config, runtime);
    DaemonFacts {
        id,
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("SEALANE_COMMIT").unwrap_or_default().into(),
        build_time: option_env!("SEALANE_BUILD_TIME").unwrap_or_default().into(),
        hostname: text(kernel.nodename()),
        operating_system: os_field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
        os_version: os_field(&release, "VERSION_ID").unwrap_or_default(),
        kernel: text(kernel.release()),
        machine: text(kernel.machine()),
        processors: thread::available_parallelism().map_or(1, usize::from),
        memory: memory.totalram.saturating_mul(memory.mem_unit.into()),
        data_root: config.data_root().into(),
        cgroup_driver: "cgroupfs".into(),
        cgroup_version: if unified { "2" } else { "1" }.into(),
        runtimes,
        default_runtime,
        runtime_version: runtime.version.clone(),
        storage_driver: match storage {
            Backend::Overlay => "overlay2",
            Backend::Copy => "vfs",
        }
        .into(),
        address_pools: pools(config),
        warnings: Vec::new(),
        unready: config.unready.clone(),
        reloadable: config.reloadable.clone(),
    }
}

fn runtimes(config: &Config, chosen: &RuntimeChoice) -> (String, BTreeMap<String, String>) {
    let shown = |path: &Path| path.display().to_string();
    let named = config.runtimes.named.iter();
    let mut runtimes: BTreeMap<String, String> = named
        .map(|(name, path)| (name.clone(), shown(path)))
        .collect();
    let named_default = config
        .runtimes
        .default
        .as_ref()
        .map(|(name, _)| name.clone());
    let default = named_default.unwrap_or_else(|| chosen.name.clone());
    runtimes.insert(default.clone(), shown(&chosen.path));
    (default, runtimes)
}

fn pools(config: &Config) -> Vec<(String, u8)> {
    if config.engine.pools.is_empty() {
        return USUAL_POOLS
            .map(|(base, size)| (base.to_owned(), size))
            .into();
    }
    config
        .engine
        .pools
        .iter()
        .map(|pool| (pool.base.to_string(), pool.size))
        .collect()
}

/// A field of os-release (freedesktop.org), without its quotes.
fn os_field(text: &str, name: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_os_release_is_read() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\nNAME=x\n";
        assert_eq!(
            os_field(text, "PRETTY_NAME").as_deref(),
            Some("Debian GNU/Linux 12")
        );
        assert_eq!(os_field(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(os_field(text, "NAME").as_deref(), Some("x"));
        assert_eq!(os_field(text, "ID"), None);
    }
}
