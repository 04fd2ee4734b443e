//! Removing names and images, by Docker's rules.

use crate::record::{ImageRecord, Index};
use crate::reference::{Meaning, Reference, meaning};
use crate::{ImageError, ImageId, ImageUser, Images, Removed, Result};
use sealane_core::model::Id;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Tells which containers use an image.
type Users<'a> = &'a dyn Fn(&ImageId) -> Vec<ImageUser>;

impl Images {
    /// Removes a name, and the image with its last one. `users` tells which containers use an
    /// image; the rules about them are Docker's. It must not call this store.
    pub fn remove(&self, reference: &str, force: bool, users: Users<'_>) -> Result<Vec<Removed>> {
        let mut index = self.index();
        let id = index.find(reference)?;
        let name = match meaning(reference)? {
            Meaning::Name(name) => Some(name.or_latest()),
            Meaning::Id(_) => None,
        };
        // The beginning of an id looks like a name.
        let name = name.filter(|name| index.names.get(&name.to_string()) == Some(&id));
        match name {
            Some(name) => self.remove_name(&mut index, &id, &name, force, users),
            None => self.remove_id(&mut index, &id, force, users),
        }
    }

    fn remove_name(
        &self,
        index: &mut Index,
        id: &ImageId,
        name: &Reference,
        force: bool,
        users: Users<'_>,
    ) -> Result<Vec<Removed>> {
        let names = index.names_of(id);
        let last = names
            .iter()
            .all(|other| other == name || other.has_digest());
        let users = if last { users(id) } else { Vec::new() };
        if let Some(user) = users.first().filter(|_| !force) {
            return Err(ImageError::Conflict(format!(
                "unable to remove repository reference \"{}\" (must force) - container {} is \
                 using its referenced image {}",
                name.familiar(),
                user.container.short(12),
                id.short()
            )));
        }
        if !last {
            return self.untag(index, std::slice::from_ref(name));
        }
        if users.iter().any(|user| user.running) {
            // The name goes, the image stays for the container that runs.
            return self.untag(index, std::slice::from_ref(name));
        }
        let mut removed = self.untag(index, &names)?;
        removed.extend(self.delete(index, id)?);
        Ok(removed)
    }

    fn remove_id(
        &self,
        index: &mut Index,
        id: &ImageId,
        force: bool,
        users: Users<'_>,
    ) -> Result<Vec<Removed>> {
        let names = index.names_of(id);
        let conflict = |forced: &str, reason: String| {
            let text = format!("unable to delete {} ({forced}) - {reason}", id.short());
            Err(ImageError::Conflict(text))
        };
        let users = users(id);
        if let Some(user) = users.iter().find(|user| user.running) {
            let container = user.container.short(12);
            let reason = format!("image is being used by running container {container}");
            return conflict("cannot be forced", reason);
        }
        let repositories: BTreeSet<String> = names.iter().map(Reference::repository).collect();
        if repositories.len() > 1 && !force {
            let reason = "image is referenced in multiple repositories".into();
            return conflict("must be forced", reason);
        }
        if let Some(user) = users.first().filter(|_| !force) {
            let container = user.container.short(12);
            let reason = format!("image is being used by stopped container {container}");
            return conflict("must be forced", reason);
        }
        let mut removed = self.untag(index, &names)?;
        removed.extend(self.delete(index, id)?);
        Ok(removed)
    }

    fn untag(&self, index: &mut Index, names: &[Reference]) -> Result<Vec<Removed>> {
        let mut left = index.names.clone();
        for name in names {
            left.remove(&name.to_string());
        }
        if left != index.names {
            self.index_files.write_names(&self.workshop, &left)?;
            index.names = left;
        }
        Ok(names
            .iter()
            .map(|name| Removed::Untagged(name.familiar()))
            .collect())
    }

    /// Deletes an image, and what no other image, root file system or import needs of it. The
    /// record goes first: what a crash leaves then is swept by the next start.
    fn delete(&self, index: &mut Index, id: &ImageId) -> Result<Vec<Removed>> {
        let Some(record) = index.images.get(id).cloned() else {
            return Ok(Vec::new());
        };
        self.index_files.remove_image(id)?;
        index.images.remove(id);
        let mut removed = vec![Removed::Deleted(id.to_string())];
        if !index.uses_blob(&id.digest()) {
            self.blobs.remove(&id.digest())?;
        }
        for (layer, chain_id) in record.layers.iter().zip(chain_ids(&record)).rev() {
            if !index.uses_layer(&layer.diff_id) {
                self.layers.remove(&self.workshop, &layer.diff_id)?;
                removed.push(Removed::Deleted(format!("sha256:{chain_id}")));
            }
            if !index.uses_blob(&layer.blob) {
                self.blobs.remove(&layer.blob)?;
            }
        }
        Ok(removed)
    }
}

/// The names Docker gives to layers together with all below them.
fn chain_ids(record: &ImageRecord) -> Vec<Id> {
    let mut chain: Vec<Id> = Vec::new();
    for layer in &record.layers {
        let next = match chain.last() {
            None => layer.diff_id,
            Some(below) => {
                let text = format!("sha256:{below} sha256:{}", layer.diff_id);
                Id::from_bytes(Sha256::digest(text).into())
            }
        };
        chain.push(next);
    }
    chain
}
