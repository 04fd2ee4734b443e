//! What a daemon's flags decide, for the calls that run while it does not: written down at its start
//! under the data root.

use sealane_core::model::Owner;
use sealane_engine::EngineConfig;
use sealane_store::private;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

const FILE: &str = "settings.json";
const NEW_FILE: &str = "settings.json.new";

/// Why settings cannot be written or read.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The system refused.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what a daemon wrote.
    #[error("{} cannot be read; remove it, and the next daemon writes it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Writes down the settings of a daemon.
pub fn save(config: &EngineConfig) -> Result<(), SettingsError> {
    let path = config.data_root.join(FILE);
    let new = config.data_root.join(NEW_FILE);
    let text = serde_json::to_vec(config).map_err(|source| SettingsError::Damaged {
        path: path.clone(),
        source,
    })?;
    let written = private::write(&new, text).and_then(|()| fs::rename(&new, &path));
    written.map_err(|source| SettingsError::Io { path, source })
}

/// The settings for a call: those of the last daemon, or of one without flags.
pub(crate) fn load(
    owner: &Owner,
    data_root: &Path,
    exec_root: &Path,
) -> Result<EngineConfig, SettingsError> {
    let path = data_root.join(FILE);
    let (owner, data_root, exec_root) = (owner.clone(), data_root.into(), exec_root.into());
    let saved = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|source| SettingsError::Damaged { path, source })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => EngineConfig::usual(
            owner.clone(),
            PathBuf::clone(&data_root),
            PathBuf::clone(&exec_root),
        ),
        Err(source) => return Err(SettingsError::Io { path, source }),
    };
    Ok(EngineConfig {
        owner,
        data_root,
        exec_root,
        one_call: true,
        ..saved
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_flags_of_the_last_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::default();
        let loaded = || load(&owner, folder.path(), Path::new("/run/x")).unwrap();
        assert!(loaded().ip_forward && loaded().one_call);
        let daemon = EngineConfig {
            ip_forward: false,
            one_call: false,
            ..EngineConfig::usual(owner.clone(), folder.path().into(), "/run/y".into())
        };
        save(&daemon).unwrap();
        assert!(!loaded().ip_forward && loaded().one_call);
        assert_eq!(loaded().exec_root, Path::new("/run/x"));
    }
}
