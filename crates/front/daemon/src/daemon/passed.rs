//! What systemd passed to this process: sockets to serve, and the sockets of published ports that
//! it kept while no daemon ran.

use super::error::{DaemonError, Result};
use sealane_engine::Depot;
use sealane_kernel::passed;
use std::env;
use std::os::fd::OwnedFd;

/// Where systemd takes notifications.
const MANAGER: &str = "NOTIFY_SOCKET";

/// A socket to serve.
pub(crate) struct Passed {
    /// Its number, by which some settings name it.
    pub(crate) number: String,
    /// Its name: the unit's, unless that says otherwise.
    pub(crate) name: String,
    /// Itself.
    pub(crate) socket: OwnedFd,
}

/// Takes over everything that was passed.
pub(crate) fn take() -> Result<(Vec<Passed>, Depot)> {
    let failed = |error: std::io::Error| DaemonError::NotPassed(error.to_string());
    let told: Vec<_> = sd_notify::listen_fds_with_names()
        .map_err(failed)?
        .collect();
    let sockets = passed::take(told.len()).map_err(failed)?;
    let (mut serve, mut kept) = (Vec::new(), Vec::new());
    for ((number, name), socket) in told.into_iter().zip(sockets) {
        if Depot::is_kept(&name) {
            kept.push((name, socket));
        } else {
            let number = number.to_string();
            serve.push(Passed {
                number,
                name,
                socket,
            });
        }
    }
    Ok((serve, depot(kept)))
}

/// Where ports are kept from now on. Without systemd they are not.
fn depot(kept: Vec<(String, OwnedFd)>) -> Depot {
    let Some(address) = env::var_os(MANAGER) else {
        return Depot::default();
    };
    Depot::open(&address, kept).unwrap_or_else(|error| {
        tracing::warn!(%error, "published ports are not held while the daemon restarts");
        Depot::default()
    })
}
