//! From checked settings to a daemon that serves, and to its end.

use super::error::{DaemonError, Result};
use super::logging::Logging;
use super::monitors::Monitors;
use super::parts::{Parts, make_roots, open_store};
use super::pidfile::Pidfile;
use super::reload::Reload;
use super::signals::{Asked, Signals};
use super::sockets::Sockets;
use super::{facts, identity, limits, passed, sockets};
use crate::config::{CalledAs, Config};
use clap::ArgMatches;
use rustix::process::geteuid;
use sd_notify::NotifyState;
use sealane_docker_api::{Api, ApiVersion, DaemonFacts, Listener};
use sealane_session::{Calls, TURN, Territory, settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime as EventLoop;

/// How long requests under way may take to end once the daemon has ended its work.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// How many requests may block at once: as many stops as a large host has containers.
const REQUESTS_AT_ONCE: usize = 2048;
/// After so many further signals an end in order is given up.
const IMPATIENCE: usize = 2;

/// Runs a daemon until a signal ends it.
pub(crate) fn serve(
    mut config: Config,
    matches: &ArgMatches,
    called_as: CalledAs,
    logging: &Logging,
) -> Result<()> {
    if !geteuid().is_root() {
        return Err(DaemonError::NotRoot);
    }
    limits::raise_open_files();
    // Whatever refuses a second daemon comes before anything is made.
    sockets::refuse_taken(&config.hosts)?;
    let pidfile = Pidfile::take(&config.pidfile)?;
    let store = open_store(&config)?;
    make_roots(&config)?;
    let territory = Territory::take(config.exec_root(), &config.engine.owner, TURN);
    let territory = territory.map_err(DaemonError::Territory)?;
    let (passed, depot) = passed::take()?;
    config.engine.depot = depot;
    let mut sockets = Sockets::open(&config, passed)?;
    let monitors = Monitors::open(&config)?;
    let parts = Parts::open(&config, store)?;
    let id = identity::id(config.data_root())?;
    let facts = facts::facts(&config, id, parts.runtime.chosen(), parts.images.backend());
    say_hello(&config, &parts, &facts);
    parts
        .containers
        .recover()
        .map_err(DaemonError::Containers)?;

    settings::save(&config.engine).map_err(DaemonError::Settings)?;
    let engine = Arc::clone(&parts.engine);
    let calls = Calls::serve(config.exec_root(), Arc::clone(&engine));
    let calls = calls.map_err(|source| DaemonError::Calls {
        path: config.exec_root().into(),
        source,
    })?;

    let event_loop = event_loop()?;
    let daemon = Daemon::new(&config, parts, facts);
    event_loop.block_on(async {
        let mut signals = Signals::catch().map_err(DaemonError::Loop)?;
        let listeners = sockets.listeners()?;
        monitors.serve(&daemon.api)?;
        daemon
            .serve(listeners, &mut signals, matches, called_as, logging)
            .await;
        daemon.end(&mut signals).await;
        Ok(())
    })?;
    event_loop.shutdown_timeout(LAST_REQUESTS);
    drop(calls);
    engine.end(true);
    drop(sockets);
    drop(territory);
    drop(pidfile);
    tracing::info!("ended");
    Ok(())
}

/// A daemon whose parts are up.
struct Daemon {
    parts: Parts,
    api: Arc<Api>,
    id: String,
    hostname: String,
}

impl Daemon {
    fn new(config: &Config, parts: Parts, facts: DaemonFacts) -> Self {
        let (id, hostname) = (facts.id.clone(), facts.hostname.clone());
        let answered_from = sealane_docker_api::Parts {
            engine: Arc::clone(&parts.engine),
            containers: Arc::clone(&parts.containers),
            images: Arc::clone(&parts.images),
            events: parts.events.clone(),
        };
        let api = Api::new(answered_from, facts, config.oldest_api);
        Self {
            parts,
            api,
            id,
            hostname,
        }
    }

    /// Answers requests until a signal asks for the end.
    async fn serve(
        &self,
        listeners: Vec<Listener>,
        signals: &mut Signals,
        matches: &ArgMatches,
        called_as: CalledAs,
        logging: &Logging,
    ) {
        let reload = Reload {
            matches,
            called_as,
            logging,
            api: &self.api,
            events: &self.parts.events,
            id: &self.id,
            name: &self.hostname,
        };
        let asked_to_end = async {
            loop {
                match signals.next().await {
                    Asked::End => return,
                    Asked::Reload => reload.run(),
                    Asked::Report => self.report(),
                }
            }
        };
        tell_systemd(&[NotifyState::Ready]);
        tracing::info!("serving");
        sealane_docker_api::serve(Arc::clone(&self.api), listeners, asked_to_end).await;
    }

    /// Ends the work, or gives up on that when asked again and again.
    async fn end(&self, signals: &mut Signals) {
        tell_systemd(&[NotifyState::Stopping]);
        tracing::info!("ending");
        if self.api.live_restore() {
            tracing::info!("containers run on; the next daemon takes them up");
            return;
        }
        let containers = Arc::clone(&self.parts.containers);
        let patience = self.api.shutdown_timeout();
        let ending = tokio::task::spawn_blocking(move || containers.shut_down(patience));
        let impatient = async {
            let mut left = IMPATIENCE;
            while left > 0 {
                if signals.next().await == Asked::End {
                    left -= 1;
                }
            }
        };
        tokio::select! {
            ended = ending => {
                if let Err(error) = ended {
                    tracing::error!(%error, "containers were not stopped in order");
                }
            }
            () = impatient => tracing::warn!("ending at once; containers are left as they are"),
        }
    }

    fn report(&self) {
        let counts = self.parts.containers.counts();
        let networks = self.parts.engine.networks().len();
        tracing::info!(
            networks,
            containers = counts.total,
            running = counts.running,
            "report"
        );
    }
}

/// One thread serves all sockets; what blocks runs on threads that end when they are idle.
fn event_loop() -> Result<EventLoop> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("request")
        .max_blocking_threads(REQUESTS_AT_ONCE)
        .build()
        .map_err(DaemonError::Loop)
}

fn say_hello(config: &Config, parts: &Parts, facts: &DaemonFacts) {
    let runtime = parts.runtime.chosen();
    tracing::info!(
        "sealane {} serves API {} to {}; data root {}, exec root {}; containers by {} {} ({}) and \
         conmon {}, files by {}",
        facts.version,
        config.oldest_api,
        ApiVersion::MAX,
        config.data_root().display(),
        config.exec_root().display(),
        runtime.name,
        runtime.version,
        runtime.path.display(),
        runtime.conmon_version,
        facts.storage_driver,
    );
    for note in config.notes.iter().chain(&config.unready) {
        tracing::warn!("{note}");
    }
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd was not told");
    }
}
