//! To give a container another name.

use crate::container::Turn;
use crate::{ContainerError, Containers, names};

impl Containers {
    /// Gives a container another name.
    pub fn rename(&self, reference: &str, name: &str) -> Result<(), ContainerError> {
        let (reference, name) = (reference.trim(), name.trim());
        let bare = |text: &str| text.strip_prefix('/').unwrap_or(text).is_empty();
        if bare(reference) || bare(name) {
            return Err(ContainerError::Invalid(
                "Neither old nor new names may be empty".into(),
            ));
        }
        let container = self.registry.find(reference)?;
        let turn = container.turn()?;
        let old = turn.record().name.clone();
        if name.strip_prefix('/').unwrap_or(name) == old {
            return Err(ContainerError::Invalid(
                "Renaming a container with the same name as its current name".into(),
            ));
        }
        let new = names::check(name)?;
        self.registry
            .reserve(new, container.id)
            .map_err(|error| error.prefixed("Error when allocating new name: "))?;
        if let Err(error) = self.rename_reserved(&turn, &old, new) {
            self.registry.release(new, container.id);
            return Err(error);
        }
        self.registry.release(&old, container.id);
        self.tell(&turn.record(), "rename", [("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// The record first, then the sandbox: after a crash the record is the truth.
    fn rename_reserved(&self, turn: &Turn<'_>, old: &str, new: &str) -> Result<(), ContainerError> {
        let records = &*self.parts.records;
        let record = turn.commit(records, |record| {
            record.name = new.to_owned();
            record.name_given = true;
        })?;
        let Err(error) = self.parts.networks.rename_sandbox(&record.id, new) else {
            return Ok(());
        };
        turn.note(records, |record| record.name = old.to_owned());
        Err(error.into())
    }
}
