//! Removing names and images, by Docker's rules.

use crate::record::{ImageRecord, Index};
use crate::reference::{Meaning, Reference, meaning};
use crate::{ImageError, ImageId, ImageUser, Images, Removed, Result};
use sealane_core::model::Id;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

impl Images {
    /// Removes a name, and the image with its last one. `users` tells which containers use an
    /// image; the rules about them are Docker's.
    pub fn remove(
        &self,
        reference: &str,
        force: bool,
        users: &dyn Fn(&ImageId) -> Vec<ImageUser>,
    ) -> Result<Vec<Removed>> {
        let id = self.index().find(reference)?;
        // Not under the lock: what answers may be waiting for this store.
        let users = users(&id);
        let mut index = self.index();
        if index.find(reference)? != id {
            let text = format!("image {reference} was replaced while it was being removed");
            return Err(ImageError::Conflict(text));
        }
        let name = match meaning(reference)? {
            Meaning::Name(name) => Some(name.or_latest()),
            Meaning::Id(_) => None,
        };
        // The beginning of an id looks like a name.
        let name = name.filter(|name| index.names.get(&name.to_string()) == Some(&id));
        let names = index.names_of(&id);
        let going = match &name {
            Some(name) => check_name(&id, &names, name, force, &users)?,
            None => check_id(&id, &names, force, &users)?,
        };
        match going {
            Going::Name(name) => self.untag(&mut index, &[name]),
            Going::Image => {
                let mut removed = self.untag(&mut index, &names)?;
                removed.extend(self.delete(&mut index, &id)?);
                Ok(removed)
            }
        }
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

/// What a removal takes away.
enum Going {
    /// A name; others lead to the image, or a container that runs needs it.
    Name(Reference),
    /// The image with all its names.
    Image,
}

/// The rules where an image was named.
fn check_name(
    id: &ImageId,
    names: &[Reference],
    name: &Reference,
    force: bool,
    users: &[ImageUser],
) -> Result<Going> {
    let last = names
        .iter()
        .all(|other| other == name || other.has_digest());
    if !last {
        return Ok(Going::Name(name.clone()));
    }
    if let Some(user) = users.first().filter(|_| !force) {
        return Err(ImageError::Conflict(format!(
            "unable to remove repository reference \"{}\" (must force) - container {} is using \
             its referenced image {}",
            name.familiar(),
            user.container.short(12),
            id.short()
        )));
    }
    let runs = users.iter().any(|user| user.running);
    Ok(if runs {
        Going::Name(name.clone())
    } else {
        Going::Image
    })
}

/// The rules where an image was given by its id.
fn check_id(id: &ImageId, names: &[Reference], force: bool, users: &[ImageUser]) -> Result<Going> {
    let conflict = |forced: &str, reason: String| {
        let text = format!("unable to delete {} ({forced}) - {reason}", id.short());
        Err(ImageError::Conflict(text))
    };
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
    Ok(Going::Image)
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
