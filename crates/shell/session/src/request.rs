//! What can be asked for in one call, and what is answered.

use sealane_core::drivers::Driven;
use sealane_core::model::{ErrorClass, Network, NetworkId, Sandbox, SandboxId, derive_id};
use sealane_engine::{
    CreateNetwork, CreatedNetwork, Engine, EngineError, PlannedOperation, SandboxSpec,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error as ThisError;

/// One use case with everything it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Makes a network.
    CreateNetwork(CreateNetwork),
    /// Removes one, named by id, name or unique id prefix.
    RemoveNetwork(String),
    /// All networks.
    Networks,
    /// Makes a sandbox. Without a folder for its files, they are kept under the exec root.
    CreateSandbox(SandboxSpec),
    /// Removes one that a call has made, named by name or id.
    RemoveSandbox(String),
    /// Those that calls have made.
    Sandboxes,
    /// What an operation would change.
    Plan(PlannedOperation),
}

/// What a use case has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// A network was made.
    Network(CreatedNetwork),
    /// The networks, by creation.
    Networks(Vec<Network>),
    /// A sandbox as it is now.
    Sandbox(Box<ShownSandbox>),
    /// The sandboxes, by name.
    Sandboxes(Vec<ShownSandbox>),
    /// The changes, one object a line.
    Plan(String),
}

/// A sandbox with what its networks are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSandbox {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The names of the networks that it is on.
    pub networks: BTreeMap<NetworkId, String>,
}

/// A use case that was refused or failed, in the engine's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ThisError)]
#[error("{text}")]
pub struct Refusal {
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// What happened, with its causes.
    pub text: String,
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self {
            class: error.class(),
            text,
        }
    }
}

/// The id of the sandbox that a call makes under a name: the same each time, so that a call that was
/// broken off can be made again.
pub fn sandbox_id(name: &str) -> SandboxId {
    derive_id(&[b"sandbox", name.as_bytes()])
}

impl Call {
    /// Whether it can be made again when it is not known whether it was carried out: a network has
    /// another id each time.
    pub(crate) fn can_be_repeated(&self) -> bool {
        match self {
            Self::CreateNetwork(_) => false,
            Self::RemoveNetwork(_)
            | Self::Networks
            | Self::CreateSandbox(_)
            | Self::RemoveSandbox(_)
            | Self::Sandboxes
            | Self::Plan(_) => true,
        }
    }

    /// Runs the use case. Where it is made `again`, what is done already is no fault.
    pub(crate) fn run(self, engine: &Engine, again: bool) -> Result<Answer, EngineError> {
        match self {
            Self::CreateNetwork(request) => engine.create_network(&request).map(Answer::Network),
            Self::RemoveNetwork(reference) => {
                let removed = engine.remove_network(&reference);
                done(removed, again)
            }
            Self::Networks => {
                let networks = engine.networks().into_iter();
                let networks = networks.map(|network| Network::clone(&network));
                Ok(Answer::Networks(networks.collect()))
            }
            Self::CreateSandbox(spec) => create(engine, spec, again),
            Self::RemoveSandbox(reference) => {
                let removed =
                    find(engine, &reference).and_then(|sandbox| engine.remove_sandbox(&sandbox.id));
                done(removed, again)
            }
            Self::Sandboxes => {
                let mut sandboxes: Vec<_> = of_calls(engine).collect();
                sandboxes.sort_by(|one, other| one.name.cmp(&other.name));
                let shown = sandboxes.iter().map(|sandbox| shown(engine, sandbox));
                Ok(Answer::Sandboxes(shown.collect()))
            }
            Self::Plan(mut operation) => {
                if let PlannedOperation::CreateSandbox(spec) = &mut operation {
                    spec.files = files(engine, spec);
                }
                engine.plan(&operation).map(Answer::Plan)
            }
        }
    }
}

fn done(result: Result<(), EngineError>, again: bool) -> Result<Answer, EngineError> {
    match result {
        Err(error) if again && error.class() == ErrorClass::NotFound => Ok(Answer::Done),
        other => other.map(|()| Answer::Done),
    }
}

fn create(engine: &Engine, mut spec: SandboxSpec, again: bool) -> Result<Answer, EngineError> {
    spec.files = files(engine, &spec);
    let there = engine.sandbox(&spec.id).filter(|there| {
        let given = there.given.as_ref().map(|given| &given.path);
        again && given == spec.given.as_ref()
    });
    let sandbox = match there {
        Some(sandbox) => sandbox,
        None => {
            let mut others = of_calls(engine);
            if others.any(|other| other.name == spec.name) {
                let name = &spec.name;
                let text = format!("sandbox {name} exists; remove it, or choose another name");
                return Err(EngineError::Conflict(text));
            }
            engine.create_sandbox(spec)?
        }
    };
    Ok(Answer::Sandbox(Box::new(shown(engine, &sandbox))))
}

fn files(engine: &Engine, spec: &SandboxSpec) -> PathBuf {
    if spec.files.as_os_str().is_empty() {
        engine.own_files(&spec.id)
    } else {
        spec.files.clone()
    }
}

/// The sandboxes that calls have made: others are containers'.
fn of_calls(engine: &Engine) -> impl Iterator<Item = Arc<Sandbox>> {
    let all = engine.sandboxes().into_iter();
    all.filter(|sandbox| sandbox.given.is_some())
}

fn find(engine: &Engine, reference: &str) -> Result<Arc<Sandbox>, EngineError> {
    let is_meant =
        |sandbox: &Arc<Sandbox>| sandbox.name == reference || sandbox.id.to_string() == reference;
    let found = of_calls(engine).find(is_meant);
    found.ok_or_else(|| EngineError::NotFound(format!("sandbox {reference} not found")))
}

fn shown(engine: &Engine, sandbox: &Arc<Sandbox>) -> ShownSandbox {
    let named = |id: &NetworkId| {
        let network: Arc<Driven> = engine.find_network(&id.to_string()).ok()?;
        Some((*id, network.spec.name.clone()))
    };
    ShownSandbox {
        sandbox: Sandbox::clone(sandbox),
        networks: sandbox.endpoints.keys().filter_map(named).collect(),
    }
}
