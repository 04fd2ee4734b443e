//! The removal itself: processes first, then what they used, files last.

use super::Purge;
use super::files::{DATA_ENTRIES, EXEC_ENTRIES, remove};
use crate::chain;
use crate::daemon::{DaemonError, Pidfile};
use sealane_core::model::Policy;
use sealane_engine::{Engine, EngineConfig};
use sealane_images::Images;
use sealane_runtime::{Runtime, RuntimeConfig};
use sealane_session::{TURN, Territory, TerritoryError, make_exec_root};
use sealane_store::{Store, StoreError};
use std::error::Error;
use std::sync::Arc;
use thiserror::Error as ThisError;

/// Why something is left.
#[derive(Debug, ThisError)]
pub(super) enum PurgeError {
    /// A daemon runs, or the store cannot be opened.
    #[error("the state cannot be opened")]
    Store(#[source] StoreError),
    /// A daemon with other roots works here.
    #[error("nothing was removed")]
    Daemon(#[source] DaemonError),
    /// Another works on these roots.
    #[error("nothing was removed")]
    Territory(#[source] TerritoryError),
    /// Some of it could not be removed.
    #[error("not everything could be removed; purge again when this is solved:\n  {}", .0.join("\n  "))]
    Left(Vec<String>),
}

/// Removes everything, going on past failures. False when there was nothing.
pub(super) fn remove_all(purge: &Purge) -> Result<bool, PurgeError> {
    if !purge.data_root.exists() && !purge.exec_root.exists() {
        return Ok(false);
    }
    // Holds off any daemon, and is refused while one runs.
    let store = Store::open(&purge.data_root)
        .map(Arc::new)
        .map_err(PurgeError::Store)?;
    make_exec_root(&purge.exec_root).map_err(PurgeError::Territory)?;
    let territory = Territory::take(&purge.exec_root, &purge.owner, TURN);
    let _territory = territory.map_err(PurgeError::Territory)?;
    // Taken now and removed when it is let go of, as by a daemon that ends.
    let _pidfile = Pidfile::take(&purge.pidfile).map_err(PurgeError::Daemon)?;
    let mut left = Vec::new();
    end_containers(purge, &mut left);
    remove_root_file_systems(purge, &mut left);
    remove_networks(purge, store, &mut left);
    // Files say what is still there to be removed, so they stay while something is.
    if left.is_empty() {
        remove_files(purge, &mut left);
    }
    if left.is_empty() {
        Ok(true)
    } else {
        Err(PurgeError::Left(left))
    }
}

fn end_containers(purge: &Purge, left: &mut Vec<String>) {
    let runtime = Runtime::open(RuntimeConfig {
        exec_root: purge.exec_root.clone(),
        data_root: purge.data_root.clone(),
        cgroup_parent: purge.cgroup_parent.clone(),
        ..RuntimeConfig::default()
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return left.push(told("containers", &error)),
    };
    match runtime.list() {
        Ok(ids) => {
            for id in ids {
                if let Err(error) = runtime.delete(&id) {
                    left.push(told(&format!("container {}", id.short(12)), &error));
                }
            }
        }
        Err(error) => left.push(told("containers", &error)),
    }
    // Another daemon may keep its containers in the same cgroup: ours have a root file system here.
    let roots = match Images::open(&purge.data_root).and_then(|images| images.roots()) {
        Ok(roots) => roots,
        Err(error) => return left.push(told("processes without a record", &error)),
    };
    if let Err(error) = runtime.stop_strays(&|id| roots.contains(id)) {
        left.push(told("processes without a record", &error));
    }
}

fn remove_root_file_systems(purge: &Purge, left: &mut Vec<String>) {
    let images = match Images::open(&purge.data_root) {
        Ok(images) => images,
        Err(error) => return left.push(told("root file systems", &error)),
    };
    let roots = match images.roots() {
        Ok(roots) => roots,
        Err(error) => return left.push(told("root file systems", &error)),
    };
    for id in roots {
        // Kept data is still unmounted: a mount is an object of the host.
        let removed = if purge.keep_data {
            images.unmount(&id)
        } else {
            images.remove_root(&id)
        };
        if let Err(error) = removed {
            left.push(told(
                &format!("root file system of {}", id.short(12)),
                &error,
            ));
        }
    }
}

fn remove_networks(purge: &Purge, store: Arc<Store>, left: &mut Vec<String>) {
    let (data_root, exec_root) = (purge.data_root.clone(), purge.exec_root.clone());
    let config = EngineConfig {
        ip_forward: false,
        userland_proxy: false,
        policy: Policy::default(),
        ..EngineConfig::usual(purge.owner.clone(), data_root, exec_root)
    };
    let purged = Engine::open(config, store, Arc::new(|_| {})).and_then(|engine| engine.purge());
    if let Err(error) = purged {
        left.push(told("networks", &error));
    }
}

fn remove_files(purge: &Purge, left: &mut Vec<String>) {
    let mut failures = remove(&purge.exec_root, &EXEC_ENTRIES);
    if !purge.keep_data {
        failures.extend(remove(&purge.data_root, &DATA_ENTRIES));
    }
    for (path, error) in failures {
        left.push(format!("{}: {error}", path.display()));
    }
}

fn told(what: &str, error: &dyn Error) -> String {
    format!("{what}: {}", chain(error))
}
