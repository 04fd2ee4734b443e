//! The daemon's settings: flags and file, read and checked before anything is touched.
//!
//! Start at [`Config::load`]; `options` is the table of what can be said.

mod error;
mod file;
mod flags;
mod hosts;
mod merge;
mod networks;
mod options;
mod runtimes;
mod settings;

pub(crate) use flags::command;
pub(crate) use hosts::Host;
pub(crate) use runtimes::Runtimes;

use clap::ArgMatches;
use error::{Result, refuse};
use flags::Values;
use sealane_docker_api::{ApiVersion, Reloadable, TlsFiles};
use sealane_engine::EngineConfig;
use settings::Settings;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// How long stopping waits for containers unless it is said.
const SHUTDOWN_SECONDS: i64 = 15;

/// By which name the program was called. It decides where `daemon.json` is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledAs {
    /// `sealane daemon`
    Sealane,
    /// `dockerd`, by a link.
    Dockerd,
}

/// Settings that are checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file that was read, or would have been.
    pub(crate) file: PathBuf,
    /// Check and quit.
    pub(crate) validate: bool,
    /// Where to listen.
    pub(crate) hosts: Vec<Host>,
    /// The files of TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// The group of the unix socket; `None` for the usual one.
    pub(crate) group: Option<String>,
    /// Where the process id is written.
    pub(crate) pidfile: PathBuf,
    /// What is logged.
    pub(crate) level: LevelFilter,
    /// Without colours.
    pub(crate) raw_logs: bool,
    /// The oldest API version served.
    pub(crate) oldest_api: ApiVersion,
    /// The engine's settings.
    pub(crate) engine: EngineConfig,
    /// Which OCI runtime to use.
    pub(crate) runtimes: Runtimes,
    /// Where conmon is; `None` to search.
    pub(crate) conmon: Option<PathBuf>,
    /// The cgroup of all containers' cgroups.
    pub(crate) cgroup_parent: Option<String>,
    /// Whether containers have an init process unless they say otherwise.
    pub(crate) init: bool,
    /// Where metrics are served.
    pub(crate) metrics: Option<SocketAddr>,
    /// Where the state of networks is served.
    pub(crate) diagnosis: Option<SocketAddr>,
    /// What SIGHUP reads again.
    pub(crate) reloadable: Reloadable,
    /// What the operator should know: options without effect.
    pub(crate) notes: Vec<String>,
    /// What is set and cannot be used, or is not: no container asks for it yet.
    pub(crate) unready: Vec<String>,
}

impl Config {
    /// Reads flags and file.
    pub(crate) fn load(matches: &ArgMatches, called_as: CalledAs) -> Result<Self> {
        let flags = flags::values(matches)?;
        let asked_for = flags.get("config-file").and_then(|value| value.as_str());
        let usual = match called_as {
            CalledAs::Sealane => "/etc/sealane/daemon.json",
            CalledAs::Dockerd => "/etc/docker/daemon.json",
        };
        let path = PathBuf::from(asked_for.unwrap_or(usual));
        let file = file::read(&path, asked_for.is_some())?;
        Self::of(flags, file, path)
    }

    /// Reads the text of a file, without flags.
    pub(crate) fn of_text(text: &str) -> Result<Self> {
        let path = PathBuf::from("daemon.json");
        let file = file::parse(&path, text)?;
        Self::of(Values::new(), file, path)
    }

    fn of(flags: Values, file: Values, path: PathBuf) -> Result<Self> {
        let values = merge::merge(flags, file)?;
        let notes = merge::without_effect(&values)?;
        let settings = Settings(values);
        let data_root = absolute(&settings, "data-root", "/var/lib/sealane")?;
        let exec_root = absolute(&settings, "exec-root", "/run/sealane")?;
        let reloadable = reloadable(&settings)?;
        let hosts = hosts::hosts(&settings)?;
        let runtimes = runtimes::runtimes(&settings)?;
        let unready = runtimes.unready.iter().cloned();
        Ok(Self {
            file: path,
            validate: settings.switch("validate", false),
            unready: unready
                .chain(hosts::unused_tls(&settings, &hosts))
                .collect(),
            hosts,
            tls: hosts::tls(&settings),
            group: settings.text("group").map(str::to_owned),
            pidfile: settings.path("pidfile", "/run/sealane.pid"),
            level: level(&settings, reloadable.debug)?,
            raw_logs: settings.switch("raw-logs", false),
            oldest_api: oldest_api(&settings)?,
            engine: networks::engine(&settings, &data_root, &exec_root)?,
            runtimes,
            conmon: settings.text("conmon").map(PathBuf::from),
            cgroup_parent: settings.text("cgroup-parent").map(str::to_owned),
            init: settings.switch("init", false),
            metrics: settings.parsed("metrics-addr", "an address and a port")?,
            diagnosis: diagnosis(&settings)?,
            reloadable,
            notes,
        })
    }

    /// Where desired state is kept.
    pub(crate) fn data_root(&self) -> &Path {
        &self.engine.data_root
    }

    /// Where runtime state is kept.
    pub(crate) fn exec_root(&self) -> &Path {
        &self.engine.exec_root
    }
}

/// A folder that stays the same wherever the daemon is started.
fn absolute(settings: &Settings, name: &str, usual: &str) -> Result<PathBuf> {
    let path = settings.path(name, usual);
    std::path::absolute(&path).or_else(|error| {
        refuse(format!(
            "{name}: \"{}\" cannot be made absolute: {error}",
            path.display()
        ))
    })
}

fn reloadable(settings: &Settings) -> Result<Reloadable> {
    let labels: Vec<String> = settings.texts("labels").map(str::to_owned).collect();
    for (index, label) in labels.iter().enumerate() {
        let Some((key, _)) = label.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return refuse(format!("bad attribute format: {label}; write key=value"));
        };
        let same_key = |other: &&String| {
            other.split_once('=').is_some_and(|(name, _)| name == key) && *other != label
        };
        if let Some(other) = labels[..index].iter().find(same_key) {
            return refuse(format!("conflict labels for {other} and {label}"));
        }
    }
    Ok(Reloadable {
        debug: settings.switch("debug", false),
        live_restore: settings.switch("live-restore", false),
        labels,
        shutdown_timeout: shutdown_timeout(settings),
    })
}

fn level(settings: &Settings, debug: bool) -> Result<LevelFilter> {
    if debug {
        return Ok(LevelFilter::DEBUG);
    }
    Ok(match settings.text("log-level") {
        None | Some("info") => LevelFilter::INFO,
        Some("trace") => LevelFilter::TRACE,
        Some("debug") => LevelFilter::DEBUG,
        Some("warn" | "warning") => LevelFilter::WARN,
        Some("error" | "fatal" | "panic") => LevelFilter::ERROR,
        Some(other) => {
            return refuse(format!(
                "invalid logging level: {other}; use debug, info, warn, error or fatal"
            ));
        }
    })
}

/// The variable wins over the file, as with dockerd.
fn oldest_api(settings: &Settings) -> Result<ApiVersion> {
    let variable = std::env::var("DOCKER_MIN_API_VERSION").ok();
    let text = variable
        .as_deref()
        .or_else(|| settings.text("min-api-version"));
    let Some(text) = text else {
        return Ok(ApiVersion::DEFAULT_MIN);
    };
    ApiVersion::minimum(text).or_else(|error| refuse(error.to_string()))
}

/// Only for who is on the host: it tells everything about its networks.
fn diagnosis(settings: &Settings) -> Result<Option<SocketAddr>> {
    let name = "network-diagnostic-port";
    match settings.number(name).map(u16::try_from) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(port)) => Ok(Some((Ipv4Addr::LOCALHOST, port).into())),
        Some(Err(error)) => refuse(format!("{name}: not a port: {error}")),
    }
}

fn shutdown_timeout(settings: &Settings) -> Duration {
    let seconds = settings
        .number("shutdown-timeout")
        .unwrap_or(SHUTDOWN_SECONDS);
    // Negative waits for ever; a year is near enough and can be added to any clock.
    Duration::from_secs(u64::try_from(seconds).unwrap_or(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::error::ConfigError;
    use super::*;

    fn load(line: &str) -> Result<Config> {
        let words = std::iter::once("daemon").chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words).expect("flags");
        Config::load(&matches, CalledAs::Sealane)
    }

    #[test]
    fn the_usual_places_are_our_own() {
        let config = load("").unwrap();
        assert_eq!(config.data_root(), Path::new("/var/lib/sealane"));
        assert_eq!(config.exec_root(), Path::new("/run/sealane"));
        assert_eq!(config.pidfile, Path::new("/run/sealane.pid"));
        assert_eq!(config.hosts, [Host::Unix("/var/run/docker.sock".into())]);
    }

    #[test]
    fn flags_and_file_make_one_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.json");
        std::fs::write(
            &path,
            r#"{"labels": ["a=1"], "debug": true, "firewall-backend": "iptables"}"#,
        )
        .unwrap();
        let config = load(&format!("--config-file {} --live-restore", path.display())).unwrap();
        assert!(config.reloadable.debug && config.reloadable.live_restore);
        assert_eq!(config.reloadable.labels, ["a=1"]);
        assert_eq!(config.level, LevelFilter::DEBUG);
        assert_eq!(config.notes.len(), 1);
        let twice = load(&format!("--config-file {} -D", path.display())).unwrap_err();
        assert!(matches!(twice, ConfigError::Conflicts { .. }));
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let error = load("--config-file /nosuch/daemon.json").unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }));
    }

    #[test]
    fn labels_have_one_value() {
        let refusal = |line| load(line).unwrap_err().to_string();
        assert_eq!(
            refusal("--label a=1 --label a=2"),
            "conflict labels for a=1 and a=2"
        );
        assert_eq!(
            refusal("--label a"),
            "bad attribute format: a; write key=value"
        );
        assert!(load("--label a=1 --label a=1").is_ok());
    }

    #[test]
    fn an_unknown_level_is_refused() {
        assert!(
            load("-l loud")
                .unwrap_err()
                .to_string()
                .starts_with("invalid logging level: loud")
        );
    }
}
