//! Changes of desired state.

use crate::StoreError;
use redb::TableDefinition;
use serde::Serialize;

/// A table, by name. `meta` is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table(pub &'static str);

impl Table {
    pub(crate) fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(self.0)
    }
}

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch(pub(crate) Vec<Change>);

/// One change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: String,
    /// `None` deletes.
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    /// Adds a value, or replaces the one under the same key.
    pub fn put<T: Serialize>(
        &mut self,
        table: Table,
        key: impl ToString,
        value: &T,
    ) -> Result<(), StoreError> {
        let key = key.to_string();
        match serde_json::to_vec(value) {
            Ok(value) => {
                self.0.push(Change {
                    table,
                    key,
                    value: Some(value),
                });
                Ok(())
            }
            Err(source) => Err(StoreError::Encode {
                table: table.0,
                key,
                source,
            }),
        }
    }

    /// Removes a value; there need not be one.
    pub fn delete(&mut self, table: Table, key: impl ToString) {
        self.0.push(Change {
            table,
            key: key.to_string(),
            value: None,
        });
    }

    /// Whether it only removes.
    pub(crate) fn only_deletes(&self) -> bool {
        self.0.iter().all(|change| change.value.is_none())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
