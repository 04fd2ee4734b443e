//! The daemon's log: text on standard error.

use std::io::{self, IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// The means to change what is logged.
pub(crate) struct Logging(Handle<LevelFilter, Registry>);

/// Starts to log. Called once.
pub(crate) fn start(level: LevelFilter, raw: bool) -> Logging {
    let (filter, handle) = reload::Layer::new(level);
    let colours = !raw && io::stderr().is_terminal();
    let text = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(text)
        .init();
    Logging(handle)
}

impl Logging {
    /// Logs another level from now on.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        if let Err(error) = self.0.modify(|filter| *filter = level) {
            tracing::error!(%error, "the log level could not be changed");
        }
    }
}
