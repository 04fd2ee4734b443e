//! Namespaces that others made and sandboxes are given by a path.
//!
//! They are worked in, and neither made nor removed. A sandbox in one lives as long as the very
//! namespace is bound to the path; what is left of one whose namespace is gone is removed.

use crate::{Engine, EngineError, SandboxSpec};
use sealane_core::model::{GivenNamespace, Sandbox, SandboxId};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// How often a daemon looks whether others have removed a namespace. It keeps one alive until it
/// does, by its sockets in there.
const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// The namespace that a sandbox is to be given, which is there and not the host's.
    pub(crate) fn given_to(
        &self,
        spec: &SandboxSpec,
    ) -> Result<Option<GivenNamespace>, EngineError> {
        let Some(path) = &spec.given else {
            return Ok(None);
        };
        let (kernel, shown) = (self.executor.kernel(), path.display());
        let failed = |error| {
            EngineError::failed(
                format!("cannot look at the network namespace {shown}"),
                error,
            )
        };
        let Some(identity) = kernel.identify(path).map_err(failed)? else {
            return Err(EngineError::NotFound(format!(
                "there is no network namespace at {shown}; make one with: ip netns add NAME"
            )));
        };
        if identity == kernel.host_identity().map_err(failed)? {
            return Err(EngineError::Invalid(format!(
                "{shown} is the network namespace of the host; give the sandbox one of its own"
            )));
        }
        Ok(Some(GivenNamespace {
            path: path.clone(),
            identity,
        }))
    }

    /// Has the kernel find the namespace that a sandbox was given, and writes down first where it
    /// is: after a crash a sweep finds in there what has no end on the host.
    pub(crate) fn take_given(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        let Some(given) = &sandbox.given else {
            return Ok(());
        };
        let written = self.given.write(&sandbox.id.to_string(), given);
        written.map_err(|error| {
            let text = format!("cannot write down the namespace of {}", sandbox.name);
            EngineError::failed(text, error)
        })?;
        self.executor.kernel().give(sandbox.id, given);
        Ok(())
    }

    /// Leaves the namespace that a sandbox was given to others.
    pub(crate) fn leave_given(&self, sandbox: &Sandbox) {
        if sandbox.given.is_some() {
            self.forget_given(&sandbox.id);
            self.remove_own_files(sandbox);
        }
    }

    /// Where the files of a sandbox are whose maker names no place for them.
    pub fn own_files(&self, id: &SandboxId) -> PathBuf {
        self.config.exec_root.join("files").join(id.to_string())
    }

    /// Removes the files of a sandbox that are kept there.
    pub(crate) fn remove_own_files(&self, sandbox: &Sandbox) {
        if sandbox.files != self.own_files(&sandbox.id) {
            return;
        }
        match fs::remove_dir_all(&sandbox.files) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(sandbox = sandbox.name, %error, "its files stay");
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn forget_given(&self, id: &SandboxId) {
        self.executor.kernel().forget_given(id);
        if let Err(error) = self.given.remove(&id.to_string()) {
            tracing::warn!(%error, "a namespace that was given to a sandbox is still written down");
        }
    }

    /// After everything was compared: what was written down for sandboxes that are not there, and
    /// their files.
    pub(crate) fn forget_unused_given(&self, written: &BTreeSet<SandboxId>) {
        let state = self.state();
        for id in written.iter().filter(|id| state.sandbox(id).is_none()) {
            self.forget_given(id);
        }
        let known = |name: &OsStr| {
            let id = name
                .to_str()
                .and_then(|name| SandboxId::try_from(name).ok());
            id.is_some_and(|id| state.sandbox(&id).is_some())
        };
        let folder = self.config.exec_root.join("files");
        let entries = fs::read_dir(folder).into_iter().flatten();
        for entry in entries.flatten().filter(|entry| !known(&entry.file_name())) {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "files of no sandbox stay");
            }
        }
    }

    /// Whether a sandbox was given a namespace that is still there.
    pub(crate) fn is_given_still(&self, sandbox: &Sandbox) -> bool {
        sandbox.given.as_ref().is_some_and(|given| {
            let found = self.executor.kernel().identify(&given.path);
            found.is_ok_and(|found| found == Some(given.identity))
        })
    }

    /// Removes the sandboxes whose namespaces others have removed.
    pub(crate) fn remove_abandoned(&self) -> Result<(), EngineError> {
        let abandoned =
            |sandbox: &Arc<Sandbox>| sandbox.given.is_some() && !self.is_given_still(sandbox);
        for sandbox in self.sandboxes().into_iter().filter(abandoned) {
            tracing::info!(sandbox = sandbox.name, "its network namespace is gone");
            self.remove_sandbox(&sandbox.id)?;
        }
        Ok(())
    }

    /// Looks after given namespaces, until the engine is dropped.
    pub(crate) fn watch_given(self: &Arc<Self>) -> Result<(), EngineError> {
        let engine = Arc::downgrade(self);
        let run = move || {
            while let Some(engine) = Weak::upgrade(&engine) {
                if let Err(error) = engine.remove_abandoned() {
                    tracing::warn!(%error, "cannot remove what is left of a sandbox");
                }
                drop(engine);
                thread::sleep(LOOK);
            }
        };
        let started = thread::Builder::new().name("given".into()).spawn(run);
        started
            .map(drop)
            .map_err(|error| EngineError::failed("cannot watch given namespaces", error))
    }

    /// Serves names in a namespace that was given: until then its resolv.conf has the servers of the
    /// host, and it keeps them where no resolver can listen, as with the loopback down.
    pub(crate) fn serve_given(&self, sandbox: &Arc<Sandbox>) -> Result<(), EngineError> {
        if sandbox.given.is_none() || !self.wants_resolver(sandbox) {
            return Ok(());
        }
        let had = sandbox.resolver_ports;
        let ports = had.unwrap_or_else(|| self.free_resolver_ports(&sandbox.id));
        let served = self.resolver.is_free(&sandbox.id, ports).then_some(ports);
        if served.is_none() {
            tracing::info!(
                sandbox = sandbox.name,
                "names are not served: nothing can listen at 127.0.0.11 while its loopback is down"
            );
        }
        if served == had {
            return Ok(());
        }
        let new = Sandbox {
            resolver_ports: served,
            ..Sandbox::clone(sandbox)
        };
        self.change_sandbox(sandbox, &Arc::new(new))
    }

    /// Gives the sandboxes that live on without us the servers of the host, as no resolver will be
    /// there.
    pub(crate) fn unserve_given(&self) {
        for sandbox in self.sandboxes() {
            if sandbox.given.is_none() || sandbox.resolver_ports.is_none() {
                continue;
            }
            self.resolver.end(&sandbox.id);
            let alone = Sandbox {
                resolver_ports: None,
                ..Sandbox::clone(&sandbox)
            };
            if let Err(error) = self.change_sandbox(&sandbox, &Arc::new(alone)) {
                tracing::warn!(sandbox = sandbox.name, %error, "it still asks a resolver of ours");
            }
        }
    }
}
