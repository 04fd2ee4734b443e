//! The sockets for metrics and diagnosis, where the settings ask for them.

use super::error::{DaemonError, Result};
use crate::config::Config;
use sealane_docker_api::{Api, Monitor, serve_monitor};
use std::net::TcpListener;
use std::sync::Arc;

/// Sockets that are open, and not yet served.
pub(crate) struct Monitors(Vec<(Monitor, TcpListener)>);

impl Monitors {
    /// Opens those that the settings ask for.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let wanted = [
            (Monitor::Metrics, config.metrics),
            (Monitor::Diagnosis, config.diagnosis),
        ];
        let open = wanted.into_iter().filter_map(|(monitor, address)| {
            let address = address?;
            let bound = TcpListener::bind(address).and_then(|socket| {
                socket.set_nonblocking(true)?;
                Ok((monitor, socket))
            });
            Some(bound.map_err(|source| DaemonError::Listen {
                address: address.to_string(),
                source,
            }))
        });
        open.collect::<Result<_>>().map(Self)
    }

    /// Serves them, as long as the event loop runs that this is called on.
    pub(crate) fn serve(self, api: &Arc<Api>) -> Result<()> {
        for (monitor, socket) in self.0 {
            let socket = tokio::net::TcpListener::from_std(socket).map_err(DaemonError::Loop)?;
            tokio::spawn(serve_monitor(Arc::clone(api), socket, monitor));
        }
        Ok(())
    }
}
