//! To remove containers: one, or all that do not run.
//!
//! The record goes first: from then on the container does not exist, and whatever a crash leaves
//! of it is swept at the next start.

use crate::container::Container;
use crate::locks::lock;
use crate::record::Record;
use crate::request::{Exit, Pruned, RemoveOptions};
use crate::{ContainerError, Containers, fault, filter};
use jiff::Timestamp;
use sealane_images::{ImageId, ImageUser};
use std::collections::BTreeMap;
use std::path::Path;

impl Containers {
    /// Removes a container.
    pub fn remove(&self, reference: &str, options: RemoveOptions) -> Result<(), ContainerError> {
        if options.link {
            return self.discard_link(reference);
        }
        let container = self.registry.find(reference)?;
        if std::mem::replace(&mut lock(&container.life).removing, true) {
            return Err(ContainerError::Conflict(format!(
                "removal of container {reference} is already in progress"
            )));
        }
        let removed = self.discard_marked(&container, options.force);
        lock(&container.life).removing = false;
        removed
            .map_err(|error| error.prefixed(&format!("cannot remove container \"{reference}\": ")))
    }

    fn discard_marked(&self, container: &Container, force: bool) -> Result<(), ContainerError> {
        let state = &container.record().state;
        if state.is_running() {
            if !force {
                return Err(ContainerError::Conflict(format!(
                    "container is {}: stop the container before removing or force remove",
                    state.word()
                )));
            }
            match self.kill_and_wait(container) {
                // It ended by itself.
                Ok(()) | Err(ContainerError::Conflict(_)) => {}
                Err(error) => return Err(error.prefixed("could not kill container: ")),
            }
        }
        let turn = match container.turn() {
            Ok(turn) => turn,
            Err(ContainerError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let record = turn.record();
        self.parts.records.delete(&record.id)?;
        self.registry.remove(record.id);
        if !record.name_given && !record.auto_remove() {
            self.forget_name(&record);
        }
        lock(&container.life).removed = true;
        lock(&container.pending).clear();
        let left = self.remove_traces(&record);
        let error = left.as_ref().err().map(|error| crate::error::chain(error));
        let exit = Exit {
            error,
            ..container.last_exit()
        };
        lock(&container.waiters).removed(&exit);
        self.tell(&record, "destroy", []);
        left
    }

    /// No container comes back under a name that was made up.
    fn forget_name(&self, record: &Record) {
        if let Err(error) = self.parts.networks.forget_name(&record.name) {
            let error = crate::error::chain(&error);
            tracing::warn!(
                container = record.name,
                error,
                "its addresses are still held"
            );
        }
    }

    /// Removes the files of a container. Carries on past errors, and returns the first. The log
    /// goes before the root file system, by which a sweep knows that there is something left.
    fn remove_traces(&self, record: &Record) -> Result<(), ContainerError> {
        let id = &record.id;
        let processes = &self.parts.processes;
        let results = [
            processes.delete(id).map_err(ContainerError::from),
            processes.remove_logs(id).map_err(ContainerError::from),
            self.parts
                .files
                .remove_root(id)
                .map_err(ContainerError::from),
            remove_folder(&self.folder(id)),
        ];
        self.forget_execs(id);
        results
            .into_iter()
            .collect::<Result<(), _>>()
            .map_err(|error| {
                error.prefixed(
                    "unable to remove filesystem, the rest goes at the daemon's next start: ",
                )
            })
    }

    /// Removes the link `PARENT/ALIAS` from its parent, also while that runs.
    fn discard_link(&self, reference: &str) -> Result<(), ContainerError> {
        let target = self.registry.find(reference)?.id;
        let name = reference.strip_prefix('/').unwrap_or(reference);
        let Some((parent, alias)) = name.rsplit_once('/') else {
            return Err(ContainerError::internal(
                "Conflict, cannot remove the default link name of the container",
            ));
        };
        let parent = self.registry.find(parent).map_err(|_| {
            ContainerError::internal(format!("Cannot get parent /{parent} for link name /{name}"))
        })?;
        let turn = parent.turn()?;
        let record = turn.commit(&*self.parts.records, |record| {
            record.links.retain(|link| link.alias != alias);
        })?;
        self.parts
            .networks
            .unlink(&record.id, &target, alias)
            .map_err(ContainerError::from)
    }

    /// Removes all containers that do not run; filters `label`, `label!`, `until`.
    pub fn prune(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Pruned, ContainerError> {
        filter::check_keys(filters, &["label", "label!", "until"])?;
        let until = filter::until(filters, Timestamp::now())?;
        let mut pruned = Pruned::default();
        for container in self.registry.all() {
            let record = container.record();
            let young = until.is_some_and(|until| record.created > until);
            if record.state.is_running() || young || !filter::labels_match(filters, &record) {
                continue;
            }
            match self.remove(&record.id.to_string(), RemoveOptions::default()) {
                Ok(()) => pruned.containers.push(record.id),
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(container = record.name, error, "not pruned");
                }
            }
        }
        Ok(pruned)
    }

    /// Removes what containers left that do not exist any more: root file systems and folders.
    pub(crate) fn sweep_files(&self) -> Result<(), ContainerError> {
        let known = |id| self.registry.get(&id).is_some();
        for id in self.parts.files.roots()? {
            if !known(id) {
                self.parts.processes.remove_logs(&id)?;
                self.parts.files.remove_root(&id)?;
            }
        }
        let folder = self.config.data_root.join("containers");
        let failed =
            |error| ContainerError::failed(format!("cannot read {}", folder.display()), error);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().unwrap_or_default();
            // Only what has the name of a container is ours to remove.
            if let Ok(id) = sealane_core::model::Id::try_from(name.as_str())
                && !known(id)
            {
                remove_folder(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The containers made from an image: for [`Images::remove`](sealane_images::Images::remove).
    pub fn image_users(&self, image: &ImageId) -> Vec<ImageUser> {
        let records = self.registry.all();
        let records = records.iter().map(|container| container.record());
        let using = records.filter(|record| record.image.as_ref() == Some(image));
        using
            .map(|record| ImageUser {
                container: record.id,
                running: record.state.is_running(),
            })
            .collect()
    }
}

fn remove_folder(folder: &Path) -> Result<(), ContainerError> {
    fault::point("remove a container's folder");
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ContainerError::failed(
            format!("cannot remove {}", folder.display()),
            error,
        )),
    }
}
