//! Further processes in a running container.
//!
//! They are not stored: a daemon that starts again knows of none, as Docker's does.

use crate::attach::{Ends, ends, join};
use crate::container::{Container, no_such_container};
use crate::create::new_id;
use crate::detach::{DetachKeys, Leave};
use crate::locks::lock;
use crate::record::Status;
use crate::request::{
    AttachOptions, Attached, Chunk, ExecRequest, ExecStart, Stream, TerminalSize,
};
use crate::stop::not_running;
use crate::view::ExecView;
use crate::{ContainerError, Containers};
use bytes::Bytes;
use sealane_core::model::Id;
use sealane_runtime::{ExecSpec, Exit, RuntimeError};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an exec that ended can still be inspected.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How long a client's output stays open for the exit code, which clients ask for at its end.
const EXIT_CODE_DELAY: Duration = Duration::from_secs(2);
/// The exit code of an exec that did not start for reasons other than its program.
const NOT_STARTED: i64 = 126;

/// All execs, by id.
#[derive(Debug, Default)]
pub(crate) struct Execs(Mutex<BTreeMap<Id, Arc<Exec>>>);

#[derive(Debug)]
struct Exec {
    id: Id,
    container: Id,
    request: ExecRequest,
    detach_keys: DetachKeys,
    state: Mutex<ExecState>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct ExecState {
    /// It was asked to start, whether or not it did.
    started: bool,
    pid: i32,
    exit_code: Option<i64>,
    /// Its output has no reader any more.
    drained: bool,
    ended_at: Option<Instant>,
}

impl Exec {
    fn running(&self) -> bool {
        let state = lock(&self.state);
        state.started && state.exit_code.is_none()
    }

    /// The program and its arguments in one line.
    fn command(&self) -> String {
        self.request.command.join(" ")
    }

    fn tty(&self) -> bool {
        self.request.tty
    }

    /// Notes how it ended. Returns whether this is news, and whether its output is read.
    fn end(&self, code: i64) -> (bool, bool) {
        let mut state = lock(&self.state);
        if state.exit_code.is_some() {
            return (false, state.drained);
        }
        state.exit_code = Some(code);
        state.ended_at = Some(Instant::now());
        self.ended.notify_all();
        (true, state.drained)
    }

    /// Notes that its output is read. Returns whether it has ended, which is waited for a little.
    fn drain(&self) -> bool {
        let state = lock(&self.state);
        let running = |state: &mut ExecState| state.exit_code.is_none();
        let waited = self
            .ended
            .wait_timeout_while(state, EXIT_CODE_DELAY, running);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.drained = true;
        state.exit_code.is_some()
    }
}

impl Execs {
    fn add(&self, exec: Arc<Exec>) {
        let mut all = lock(&self.0);
        let old = |exec: &Exec| {
            lock(&exec.state)
                .ended_at
                .is_some_and(|ended| ended.elapsed() > REMEMBERED)
        };
        all.retain(|_, exec| !old(exec));
        all.insert(exec.id, exec);
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>, ContainerError> {
        let known = Id::try_from(id)
            .ok()
            .and_then(|id| lock(&self.0).get(&id).cloned());
        known.ok_or_else(|| {
            let shown: String = id.chars().take(80).collect();
            ContainerError::NotFound(format!("No such exec instance: {shown}"))
        })
    }

    /// The execs that run in a container.
    pub(crate) fn running_in(&self, container: &Id) -> Vec<Id> {
        let all = lock(&self.0);
        let running = all
            .values()
            .filter(|exec| exec.container == *container && exec.running());
        running.map(|exec| exec.id).collect()
    }
}

impl Containers {
    /// Prepares a further process in a running container; returns the exec's id.
    pub fn exec_create(
        &self,
        reference: &str,
        request: ExecRequest,
    ) -> Result<String, ContainerError> {
        let container = self.registry.find(reference)?;
        check_active(&container)?;
        if request.command.is_empty() {
            return Err(ContainerError::Invalid("No exec command specified".into()));
        }
        let keys = request.detach_keys.as_deref().unwrap_or_default();
        // Docker calls this a fault of its own, too.
        let detach_keys = DetachKeys::parse(keys).ok_or_else(|| {
            ContainerError::internal(format!("Invalid escape keys ({keys}) provided"))
        })?;
        let exec = Arc::new(Exec {
            id: new_id()?,
            container: container.id,
            detach_keys,
            request,
            state: Mutex::default(),
            ended: Condvar::new(),
        });
        self.execs.add(Arc::clone(&exec));
        self.tell_exec(&exec, &format!("exec_create: {}", exec.command()), []);
        Ok(exec.id.to_string())
    }

    /// Starts it. `None` if detached. A program that cannot be started is reported on the streams.
    pub fn exec_start(
        self: &Arc<Self>,
        id: &str,
        options: ExecStart,
    ) -> Result<Option<Attached>, ContainerError> {
        let exec = self.execs.find(id)?;
        let container = self.registry.get(&exec.container);
        let container = container.ok_or_else(|| no_such_container(id))?;
        check_active(&container)?;
        claim(&exec)?;
        self.tell_exec(&exec, &format!("exec_start: {}", exec.command()), []);
        let started = self.parts.processes.exec_start(&spec(&exec, options));
        match (started, options.detach) {
            (Ok((pid, socket)), detach) => {
                lock(&exec.state).pid = pid;
                match detach {
                    true => {
                        lock(&exec.state).drained = true;
                        Ok(None)
                    }
                    false => self.join_exec(exec, socket).map(Some),
                }
            }
            (Err(error), true) => {
                exec.end(exit_code(&error));
                Err(error.into())
            }
            // Docker has taken over the connection by now and says so on it.
            (Err(error), false) => {
                exec.end(exit_code(&error));
                Ok(Some(told(&exec, &crate::error::chain(&error))))
            }
        }
    }

    fn join_exec(
        self: &Arc<Self>,
        exec: Arc<Exec>,
        socket: OwnedFd,
    ) -> Result<Attached, ContainerError> {
        let (attached, ends) = exec_ends(&exec);
        let ends = ends.with(exec.tty().then(|| self.leave_exec(&exec)));
        let containers = Arc::downgrade(self);
        let finished = move |_| {
            if exec.drain()
                && let Some(containers) = containers.upgrade()
            {
                containers.forget_exec_process(&exec.id);
            }
        };
        join(ends, None, socket, finished).map_err(|error| {
            ContainerError::failed(
                "no thread could be started for the streams of an exec",
                error,
            )
        })?;
        Ok(attached)
    }

    /// What a client types to leave an exec's terminal.
    fn leave_exec(self: &Arc<Self>, exec: &Arc<Exec>) -> Leave {
        let (containers, exec) = (Arc::downgrade(self), Arc::clone(exec));
        Leave::new(exec.detach_keys.clone(), move || {
            if let Some(containers) = containers.upgrade() {
                containers.tell_exec(&exec, "exec_detach", []);
            }
        })
    }

    /// Handles the end that the runtime tells of.
    pub(crate) fn exec_ended(&self, exit: &Exit) {
        let Some(exec) = lock(&self.execs.0).get(&exit.id).cloned() else {
            // One of a daemon before this one.
            return self.forget_exec_process(&exit.id);
        };
        let (news, drained) = exec.end(exit.code.into());
        if news {
            self.tell_exec(&exec, "exec_die", [("exitCode", exit.code.to_string())]);
        }
        if drained {
            self.forget_exec_process(&exec.id);
        }
    }

    fn forget_exec_process(&self, id: &Id) {
        match self.parts.processes.exec_delete(id) {
            Ok(()) | Err(RuntimeError::NotFound(_)) => {}
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::warn!(exec = id.short(12), error, "an exec's traces stay behind");
            }
        }
    }

    /// All about one exec.
    pub fn exec_inspect(&self, id: &str) -> Result<ExecView, ContainerError> {
        let exec = self.execs.find(id)?;
        if self.registry.get(&exec.container).is_none() {
            return Err(ContainerError::NotFound(format!(
                "No such exec instance: {id}"
            )));
        }
        if exec.running()
            && let Some(exit) = self.parts.processes.exec_exit_code(&exec.id)?
        {
            self.exec_ended(&exit);
        }
        let running = exec.running();
        let state = lock(&exec.state);
        Ok(ExecView {
            id: exec.id,
            container: exec.container,
            request: exec.request.clone(),
            running,
            exit_code: state.exit_code,
            pid: state.pid,
        })
    }

    /// Tells an exec's terminal its size.
    pub fn exec_resize(&self, id: &str, size: TerminalSize) -> Result<(), ContainerError> {
        let exec = self.execs.find(id)?;
        if !lock(&exec.state).started {
            return Err(ContainerError::Invalid(
                "exec process is not started".into(),
            ));
        }
        Ok(self
            .parts
            .processes
            .exec_resize(&exec.id, size.height, size.width)?)
    }

    /// Forgets the execs of a container that is removed.
    pub(crate) fn forget_execs(&self, container: &Id) {
        lock(&self.execs.0).retain(|_, exec| exec.container != *container);
    }

    fn tell_exec<const N: usize>(&self, exec: &Exec, action: &str, more: [(&str, String); N]) {
        let Some(container) = self.registry.get(&exec.container) else {
            return;
        };
        let id = [("execID", exec.id.to_string())];
        self.tell(&container.record(), action, id.into_iter().chain(more));
    }
}

/// Marks an exec as started, once.
fn claim(exec: &Exec) -> Result<(), ContainerError> {
    let mut state = lock(&exec.state);
    let refused = |what: &str| {
        Err(ContainerError::Conflict(format!(
            "exec command {} {what}",
            exec.id
        )))
    };
    match (state.started, state.exit_code) {
        (_, Some(_)) => refused("has already run"),
        (true, None) => refused("is already running"),
        (false, None) => {
            state.started = true;
            Ok(())
        }
    }
}

fn check_active(container: &Container) -> Result<(), ContainerError> {
    match container.record().state.status {
        Status::Running => Ok(()),
        Status::Created | Status::Exited => Err(not_running(container)),
        Status::Restarting => Err(ContainerError::Conflict(format!(
            "Container {} is restarting, wait until the container is running",
            container.id
        ))),
    }
}

fn spec(exec: &Exec, options: ExecStart) -> ExecSpec {
    let request = &exec.request;
    let size = options.size.or(request.console_size);
    ExecSpec {
        id: exec.id,
        container: exec.container,
        args: request.command.clone(),
        env: request.env.clone(),
        cwd: request.working_dir.clone(),
        user: request.user.clone().unwrap_or_default(),
        tty: request.tty,
        console_size: size.map(|size| (size.height, size.width)),
        stdin: request.stdin && !options.detach,
        privileged: request.privileged,
    }
}

fn exec_ends(exec: &Exec) -> (Attached, Ends) {
    let request = &exec.request;
    let options = AttachOptions {
        stream: true,
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        ..AttachOptions::default()
    };
    ends(&options, exec.tty(), true)
}

/// Streams that carry only a message.
fn told(exec: &Exec, text: &str) -> Attached {
    let (attached, ends) = exec_ends(exec);
    let bytes = Bytes::from(format!("{text}\r\n"));
    let sent = ends.output.try_send(Chunk {
        stream: Stream::Stdout,
        bytes,
    });
    debug_assert!(sent.is_ok(), "an empty channel has room");
    attached
}

fn exit_code(error: &RuntimeError) -> i64 {
    error.exit_code().map_or(NOT_STARTED, i64::from)
}
