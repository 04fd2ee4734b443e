//! Finding out whether an OCI runtime works here: by making a container.

use crate::{ProcessSpec, Result, Runtime, RuntimeError, files};
use sealane_core::model::Id;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Runtime {
    /// Creates and deletes a container whose program is an empty file: it is never run.
    pub(crate) fn trial(&self) -> Result<()> {
        let mut id = [0; 32];
        getrandom::fill(&mut id).map_err(|error| RuntimeError::InvalidSpec(error.to_string()))?;
        let id = Id::from_bytes(id);
        let rootfs = self.layout.trial().join(id.short(12));
        files::make_folder(&rootfs)?;
        let program = rootfs.join("trial");
        let written = files::write(&program, b"")
            .and_then(|()| make_executable(&program))
            .and_then(|()| {
                let spec = ProcessSpec::new(id, rootfs.clone(), vec!["/trial".into()]);
                self.create(&spec).map(drop)
            });
        let removed = self
            .delete(&id)
            .and_then(|()| self.remove_logs(&id))
            .and_then(|()| files::remove_folder(&self.layout.trial()));
        written.and(removed)
    }
}

fn make_executable(path: &Path) -> Result<()> {
    let mode = PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, mode).map_err(files::failed("make executable", path))
}
