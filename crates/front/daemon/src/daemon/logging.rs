//! The daemon's log, text on standard error; and spans, where they are collected.

use super::spans::Spans;
use sealane_engine::SPANS;
use std::io::{self, IsTerminal};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// The means to change what is logged.
pub(crate) struct Logging(Handle<LevelFilter, Registry>);

/// Starts to log. Called once.
pub(crate) fn start(level: LevelFilter, raw: bool, spans: Option<&Spans>) -> Logging {
    let (filter, handle) = reload::Layer::new(level);
    let colours = !raw && io::stderr().is_terminal();
    let text = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .with_filter(filter.and(filter_fn(|metadata| !is_span(metadata))));
    let spans = spans.map(|spans| {
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(is_span))
    });
    tracing_subscriber::registry().with(text).with(spans).init();
    Logging(handle)
}

/// Whether something is for collectors of traces, not for the log.
fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.target() == SPANS
}

impl Logging {
    /// Logs another level from now on.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        if let Err(error) = self.0.modify(|filter| *filter = level) {
            tracing::error!(%error, "the log level could not be changed");
        }
    }
}
