//! To start a container: sandbox, process, record, in this order.
//!
//! What fails is undone by removing what was made; the record then says why.

use crate::attach::Pending;
use crate::container::{Container, Turn};
use crate::locks::lock;
use crate::network_mode::NetworkMode;
use crate::process::{Place, process_spec};
use crate::record::{Record, Status};
use crate::request::RemoveOptions;
use crate::{ContainerError, Containers};
use jiff::Timestamp;
use sealane_core::model::Id;
use std::path::PathBuf;
use std::sync::Arc;

/// What Docker puts in front of every failure of the network side.
const NETWORKING: &str = "failed to set up container networking: ";
/// The exit code of a container that did not start for reasons other than its program.
const NOT_STARTED: i64 = 128;
/// Stacks shared of stacks shared: more than are nested in practice, fewer than would loop.
const DEEPEST: usize = 16;

/// Who starts a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartBy {
    /// A user, or the daemon at its start.
    User,
    /// The restart policy, after an end.
    Policy,
}

/// Why a container did not start.
struct Failure {
    error: ContainerError,
    exit_code: i64,
}

impl From<ContainerError> for Failure {
    fn from(error: ContainerError) -> Self {
        Self {
            error,
            exit_code: NOT_STARTED,
        }
    }
}

impl From<sealane_images::ImageError> for Failure {
    fn from(error: sealane_images::ImageError) -> Self {
        ContainerError::from(error).into()
    }
}

impl From<sealane_runtime::RuntimeError> for Failure {
    fn from(error: sealane_runtime::RuntimeError) -> Self {
        let exit_code = error.exit_code().map_or(NOT_STARTED, i64::from);
        Self {
            error: error.into(),
            exit_code,
        }
    }
}

/// The network stack a container runs in.
struct Stack {
    /// `None` for the host's.
    namespace: Option<PathBuf>,
    /// Whose names it has.
    owner: Arc<Record>,
}

impl Containers {
    /// Starts a container.
    pub fn start(&self, reference: &str) -> Result<(), ContainerError> {
        let container = self.registry.find(reference)?;
        self.start_container(&container, StartBy::User)
    }

    pub(crate) fn start_container(
        &self,
        container: &Container,
        by: StartBy,
    ) -> Result<(), ContainerError> {
        let turn = container.turn()?;
        let record = turn.record();
        if lock(&container.life).removing {
            return Err(ContainerError::Conflict(
                "container is marked for removal and cannot be started".into(),
            ));
        }
        match (by, record.state.status) {
            (StartBy::User, Status::Created | Status::Exited)
            | (StartBy::Policy, Status::Restarting) => {}
            (StartBy::User, Status::Running | Status::Restarting) => {
                return Err(ContainerError::NotModified(
                    "container is already running".into(),
                ));
            }
            // A stop that came meanwhile was meant.
            (StartBy::Policy, Status::Created | Status::Running | Status::Exited) => {
                return Ok(());
            }
        }
        match self.launch(&turn, by) {
            Ok(record) => {
                self.tell(&record, "start", []);
                Ok(())
            }
            Err(failure) => Err(self.give_up_start(turn, failure)),
        }
    }

    fn launch(&self, turn: &Turn<'_>, by: StartBy) -> Result<Arc<Record>, Failure> {
        let record = turn.record();
        let rootfs = self.parts.files.mount(&record.id)?;
        let stack = self.make_stack(&record)?;
        let hostname = stack.owner.hostname().to_owned();
        let place = Place {
            rootfs,
            network: stack.namespace,
            files: self.files_of(&record),
            hostname: hostname.clone(),
            domainname: stack.owner.config.domainname.clone().unwrap_or_default(),
            environment: self.link_environment(&record)?,
            init: self.config.init,
        };
        let process = self
            .parts
            .processes
            .create(&process_spec(&record, place)?)?;
        self.release_mount(&record);
        self.join_pending(turn.container())?;
        let started_at = Timestamp::now();
        self.parts.processes.start(&record.id)?;
        self.reset_life(turn.container(), by);
        let running = turn.commit(&*self.parts.records, |record| {
            record.config.hostname = Some(hostname);
            let state = &mut record.state;
            state.status = Status::Running;
            state.pid = process.pid;
            state.start_time = process.start_time;
            state.exit_code = 0;
            state.error.clear();
            state.oom_killed = false;
            state.started_at = Some(started_at);
            if by == StartBy::User {
                state.manually_stopped = false;
                record.restart_count = 0;
            }
        })?;
        Ok(running)
    }

    /// Takes the root file system off the host's mounts: a container that is made has it in its own
    /// namespace. Left there, it would lengthen the list of mounts that the runtime reads again and
    /// again for every further container.
    pub(crate) fn release_mount(&self, record: &Record) {
        if let Err(error) = self.parts.files.unmount(&record.id) {
            let error = crate::error::chain(&error);
            tracing::warn!(container = record.name, error, "its root stays mounted");
        }
    }

    fn reset_life(&self, container: &Container, by: StartBy) {
        let mut life = lock(&container.life);
        life.timer = None;
        life.end_wanted = false;
        if by == StartBy::User {
            life.delay = None;
        }
    }

    /// Makes the sandbox, or finds the one that is shared.
    fn make_stack(&self, record: &Arc<Record>) -> Result<Stack, ContainerError> {
        if let NetworkMode::Container(target) = record.network_mode() {
            return self.shared_stack(record, target);
        }
        // Docker looks at the links before the network, and words their faults as they are.
        self.legacy_links(record)?;
        let networking = |error: ContainerError| error.prefixed(NETWORKING);
        let Some(spec) = self.sandbox_spec(record).map_err(networking)? else {
            return Err(ContainerError::internal(
                "a container without a stack of its own",
            ));
        };
        self.parts
            .networks
            .create_sandbox(spec)
            .map_err(|error| networking(error.into()))?;
        self.stack_of(Arc::clone(record))
    }

    fn shared_stack(&self, record: &Record, target: &str) -> Result<Stack, ContainerError> {
        let mut target = self.shared_with(record, target)?.record();
        for _ in 0..DEEPEST {
            let NetworkMode::Container(next) = target.network_mode() else {
                return self.stack_of(target);
            };
            let next = self.shared_with(&target, next)?;
            target = next.record();
        }
        Err(ContainerError::Conflict(format!(
            "container {} shares the network stack of one that shares another's, more than \
             {DEEPEST} deep; name the owner of the stack",
            record.name
        )))
    }

    /// A container's own stack. A missing namespace must never mean the host's.
    fn stack_of(&self, owner: Arc<Record>) -> Result<Stack, ContainerError> {
        let namespace = self.parts.networks.namespace_path(&owner.id);
        if namespace.is_none() && owner.network_mode() != NetworkMode::Host {
            return Err(ContainerError::internal(format!(
                "container {} has no network namespace; restart it",
                owner.name
            )));
        }
        Ok(Stack { namespace, owner })
    }

    /// Removes what a failed start made, and says in the record why it failed.
    fn give_up_start(&self, turn: Turn<'_>, failure: Failure) -> ContainerError {
        let Failure { error, exit_code } = failure;
        let id = turn.record().id;
        self.clean_up(&id);
        // Who attached for this start sees it end.
        let waiting: Vec<Pending> = lock(&turn.container().pending).drain(..).collect();
        drop(waiting);
        let text = crate::error::chain(&error);
        let restarting = turn.record().state.status == Status::Restarting;
        let record = turn.note(&*self.parts.records, |record| {
            let state = &mut record.state;
            state.error = text;
            state.exit_code = exit_code;
            state.pid = 0;
            state.start_time = 0;
            state.status = if state.started_at.is_some() {
                Status::Exited
            } else {
                Status::Created
            };
        });
        let exit = turn.container().last_exit();
        let mut waiters = lock(&turn.container().waiters);
        match restarting {
            true => waiters.exited(&exit),
            false => waiters.run_ended(&exit),
        }
        drop(waiters);
        drop(turn);
        if record.auto_remove() {
            self.remove_ended(&record.id);
        }
        error
    }

    /// Removes all that a run of a container has on the host. What fails is logged, and swept at
    /// the next start.
    pub(crate) fn clean_up(&self, id: &Id) {
        let warn = |what: &str, error: &dyn std::error::Error| {
            let error = crate::error::chain(error);
            tracing::error!(container = id.short(12), error, "cannot remove {what}");
        };
        if let Err(error) = self.parts.processes.delete(id) {
            warn("the process of a container", &error);
        }
        if let Err(error) = self.parts.networks.remove_sandbox(id) {
            warn("the sandbox of a container", &error);
        }
        if let Err(error) = self.parts.files.unmount(id) {
            warn("the mounts of a container", &error);
        }
    }

    /// Removes a container that was to be removed at its end.
    pub(crate) fn remove_ended(&self, id: &Id) {
        let options = RemoveOptions {
            force: true,
            volumes: true,
            link: false,
        };
        match self.remove(&id.to_string(), options) {
            // Another request was faster.
            Ok(()) | Err(ContainerError::NotFound(_) | ContainerError::Conflict(_)) => {}
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::error!(container = id.short(12), error, "cannot remove a container");
            }
        }
    }
}
