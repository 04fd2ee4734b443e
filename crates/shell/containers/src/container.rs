//! One container in memory: its record, who waits for it, and whose turn it is.
//!
//! Readers take the record as it was last stored. A change takes a [`Turn`]
//! first: one operation on a container at a time, and none waits for the container's end while
//! it has its turn.

use crate::ContainerError;
use crate::attach::Pending;
use crate::locks::{lock, read, write};
use crate::parts::Records;
use crate::record::Record;
use crate::request::Exit;
use crate::wait::Waiters;
use sealane_core::model::Id;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

/// A container in memory.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: Id,
    turn: Mutex<()>,
    record: RwLock<Arc<Record>>,
    /// Who waits for its end.
    pub(crate) waiters: Mutex<Waiters>,
    /// Clients that attached before its start.
    pub(crate) pending: Mutex<Vec<Pending>>,
    /// What no restart needs to know.
    pub(crate) life: Mutex<Life>,
}

/// What is known of a container only while the daemon runs.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// A removal is under way.
    pub(crate) removing: bool,
    /// It was removed; a request that found it before that comes too late.
    pub(crate) removed: bool,
    /// Its next end is wanted: the restart policy does not answer to it.
    pub(crate) end_wanted: bool,
    /// It is stopped only to be started again, so it is not removed in between.
    pub(crate) restarting_by_hand: bool,
    /// How long its restart policy waited last.
    pub(crate) delay: Option<Duration>,
    /// Dropping it ends the wait of the restart policy.
    pub(crate) timer: Option<Sender<()>>,
}

/// The right to change a container.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    container: &'a Container,
    _alone: MutexGuard<'a, ()>,
}

impl Container {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            id: record.id,
            turn: Mutex::default(),
            record: RwLock::new(Arc::new(record)),
            waiters: Mutex::default(),
            pending: Mutex::default(),
            life: Mutex::default(),
        }
    }

    /// The record as it was last stored.
    pub(crate) fn record(&self) -> Arc<Record> {
        Arc::clone(&read(&self.record))
    }

    /// Waits for the right to change the container. One that was removed meanwhile is not found.
    pub(crate) fn turn(&self) -> Result<Turn<'_>, ContainerError> {
        let alone = lock(&self.turn);
        if lock(&self.life).removed {
            return Err(no_such_container(&self.id.to_string()));
        }
        Ok(Turn {
            container: self,
            _alone: alone,
        })
    }

    /// How it ended last, as waiters see it.
    pub(crate) fn last_exit(&self) -> Exit {
        let record = self.record();
        let error = Some(record.state.error.clone()).filter(|error| !error.is_empty());
        Exit {
            code: record.state.exit_code,
            error,
        }
    }
}

impl Turn<'_> {
    pub(crate) fn container(&self) -> &Container {
        self.container
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        self.container.record()
    }

    /// Changes the record: on the disk first, then for all readers.
    pub(crate) fn commit(
        &self,
        records: &dyn Records,
        change: impl FnOnce(&mut Record),
    ) -> Result<Arc<Record>, ContainerError> {
        let mut record = Record::clone(&self.record());
        change(&mut record);
        records.put(&record)?;
        let record = Arc::new(record);
        *write(&self.container.record) = Arc::clone(&record);
        Ok(record)
    }

    /// Changes the record for readers even if the disk refuses: what it says has happened.
    pub(crate) fn note(
        &self,
        records: &dyn Records,
        change: impl FnOnce(&mut Record),
    ) -> Arc<Record> {
        let mut record = Record::clone(&self.record());
        change(&mut record);
        if let Err(error) = records.put(&record) {
            let error = crate::error::chain(&error);
            tracing::error!(
                container = record.name,
                error,
                "a change could not be stored"
            );
        }
        let record = Arc::new(record);
        *write(&self.container.record) = Arc::clone(&record);
        record
    }
}

/// The error for a reference that leads nowhere.
pub(crate) fn no_such_container(reference: &str) -> ContainerError {
    let shown: String = reference.chars().take(256).collect();
    ContainerError::NotFound(format!("No such container: {shown}"))
}
