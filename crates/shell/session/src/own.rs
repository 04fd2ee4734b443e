//! A session of one call: opened, used once, left.

use crate::call::{Roots, SessionError};
use crate::request::{Answer, Call, Refusal};
use crate::settings;
use crate::territory::{Territory, make_exec_root};
use sealane_core::model::ErrorClass;
use sealane_engine::Engine;
use sealane_store::private::{PASSABLE, make_folder};
use sealane_store::{Store, Tenure};
use std::sync::Arc;
use std::time::Duration;

/// The roots, held for one call.
pub(crate) struct Own {
    // First, so that it is gone before others may come.
    engine: Arc<Engine>,
    _territory: Territory,
}

impl Own {
    /// Waits for its turn and takes the roots. Refused while a daemon has them.
    pub(crate) fn open(roots: &Roots, patience: Duration) -> Result<Self, SessionError> {
        make_folder(&roots.data_root, PASSABLE).map_err(|source| SessionError::Folder {
            path: roots.data_root.clone(),
            source,
        })?;
        let store = Store::open_for(&roots.data_root, Tenure::Call, patience);
        let store = Arc::new(store.map_err(SessionError::Store)?);
        make_exec_root(&roots.exec_root).map_err(SessionError::Territory)?;
        let territory = Territory::take(&roots.exec_root, &roots.owner, patience);
        let territory = territory.map_err(SessionError::Territory)?;
        let config = settings::load(&roots.owner, &roots.data_root, &roots.exec_root);
        let config = config.map_err(SessionError::Settings)?;
        let engine = Engine::open(config, store, Arc::new(|_| {})).map_err(refused)?;
        Ok(Self {
            engine,
            _territory: territory,
        })
    }

    /// Runs the use case. What the host lacks although the last session ended in order is put back,
    /// and the use case tried again.
    pub(crate) fn run(self, call: &Call, again: bool) -> Result<Answer, SessionError> {
        let compared = self.engine.begin_call().map_err(refused)?;
        let mut answer = call.clone().run(&self.engine, again);
        if !compared && is_failure(&answer) {
            self.engine.compare_all().map_err(refused)?;
            answer = call.clone().run(&self.engine, again);
        }
        self.engine.end(!is_failure(&answer));
        answer.map_err(refused)
    }
}

/// Whether the host refused, and not we.
fn is_failure(answer: &Result<Answer, sealane_engine::EngineError>) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| error.class() == ErrorClass::Internal)
}

fn refused(error: sealane_engine::EngineError) -> SessionError {
    SessionError::Refused(Refusal::from(error))
}
