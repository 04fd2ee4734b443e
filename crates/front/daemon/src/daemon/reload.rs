//! SIGHUP: settings that can change while the daemon runs.

use super::logging::Logging;
use crate::config::{CalledAs, Config};
use clap::ArgMatches;
use sealane_containers::{EventBus, EventKind};
use sealane_docker_api::{Api, Reloadable};
use std::collections::BTreeMap;

/// What a reload needs.
pub(crate) struct Reload<'a> {
    pub(crate) matches: &'a ArgMatches,
    pub(crate) called_as: CalledAs,
    pub(crate) logging: &'a Logging,
    pub(crate) api: &'a Api,
    pub(crate) events: &'a EventBus,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
}

impl Reload<'_> {
    /// Reads the settings again and takes over what can change: debug and the level of the log,
    /// labels, live-restore, shutdown-timeout.
    /// A fault leaves everything as it was.
    pub(crate) fn run(&self) {
        let config = match Config::load(self.matches, self.called_as) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the settings were not read again; all stays as it was");
                return;
            }
        };
        self.logging.set_level(config.level);
        self.api.reload(config.reloadable.clone());
        self.publish(&config.reloadable);
        tracing::info!(file = %config.file.display(), "settings were read again");
    }

    fn publish(&self, settings: &Reloadable) {
        let attributes = BTreeMap::from([
            ("name".to_owned(), self.name.to_owned()),
            ("debug".to_owned(), settings.debug.to_string()),
            ("labels".to_owned(), format!("{:?}", settings.labels)),
            ("live-restore".to_owned(), settings.live_restore.to_string()),
            (
                "shutdown-timeout".to_owned(),
                settings.shutdown_timeout.as_secs().to_string(),
            ),
        ]);
        self.events
            .publish(EventKind::Daemon, "reload", self.id, attributes);
    }
}
