//! The operations on container processes.

use crate::{
    Attach, Created, ExecSpec, Exit, LogQuery, LogReader, ProcessSpec, ProcessTable, Result,
    RunningExec, RuntimeChoice, RuntimeConfig, RuntimeError, State,
};
use sealane_core::model::Id;
use std::sync::mpsc::Receiver;

/// Container processes under one exec root. Usable from many threads.
#[derive(Debug)]
pub struct Runtime {
    choice: RuntimeChoice,
}

fn unfinished<T>() -> Result<T> {
    Err(RuntimeError::InvalidSpec("being written".into()))
}

impl Runtime {
    /// Finds conmon and an OCI runtime that passes a trial.
    pub fn open(config: RuntimeConfig) -> Result<Self> {
        let _ = config;
        unfinished()
    }

    /// The programs that were found to work.
    pub fn chosen(&self) -> &RuntimeChoice {
        &self.choice
    }

    /// Makes a container; its program waits for [`Self::start`]. What it will print is logged,
    /// and can be read from an [`Self::attach`] made before the start.
    pub fn create(&self, spec: &ProcessSpec) -> Result<Created> {
        let _ = spec;
        unfinished()
    }

    /// Lets a created container's program run.
    pub fn start(&self, id: &Id) -> Result<()> {
        let _ = id;
        unfinished()
    }

    /// Connects to a container's output and input.
    pub fn attach(&self, id: &Id) -> Result<Attach> {
        let _ = id;
        unfinished()
    }

    /// Sets the size of a container's terminal.
    pub fn resize(&self, id: &Id, height: u16, width: u16) -> Result<()> {
        let _ = (id, height, width);
        unfinished()
    }

    /// Runs a program in a container.
    pub fn exec_start(&self, spec: &ExecSpec) -> Result<RunningExec> {
        let _ = spec;
        unfinished()
    }

    /// Sets the size of an exec's terminal.
    pub fn exec_resize(&self, exec: &Id, height: u16, width: u16) -> Result<()> {
        let _ = (exec, height, width);
        unfinished()
    }

    /// How an exec ended; `None` while it runs.
    pub fn exec_exit_code(&self, exec: &Id) -> Result<Option<Exit>> {
        let _ = exec;
        unfinished()
    }

    /// Forgets an exec, and kills it if it runs.
    pub fn exec_delete(&self, exec: &Id) -> Result<()> {
        let _ = exec;
        unfinished()
    }

    /// Reads what a container has printed since it exists, over all its starts.
    pub fn read_logs(&self, id: &Id, query: LogQuery) -> Result<LogReader> {
        let _ = (id, query);
        unfinished()
    }

    /// Removes a container's log.
    pub fn remove_logs(&self, id: &Id) -> Result<()> {
        let _ = id;
        unfinished()
    }

    /// Sends a signal to a container's first process.
    pub fn kill(&self, id: &Id, signal: i32) -> Result<()> {
        let _ = (id, signal);
        unfinished()
    }

    /// A container's first process; `None` if none was created.
    pub fn state(&self, id: &Id) -> Result<Option<State>> {
        let _ = id;
        unfinished()
    }

    /// The pids of all processes in a container, as the host numbers them.
    pub fn pids(&self, id: &Id) -> Result<Vec<i32>> {
        let _ = id;
        unfinished()
    }

    /// What `ps` says about the processes in a container; `-ef` if no arguments are given.
    pub fn top(&self, id: &Id, ps_args: &[String]) -> Result<ProcessTable> {
        let _ = (id, ps_args);
        unfinished()
    }

    /// How a container ended, also while nobody watched; `None` while it lives.
    pub fn exit_code(&self, id: &Id) -> Result<Option<Exit>> {
        let _ = id;
        unfinished()
    }

    /// Tells of every end of a container or exec from now on. Then ask [`Self::exit_code`] for
    /// those that ended before.
    pub fn watch_exits(&self) -> Result<Receiver<Exit>> {
        unfinished()
    }

    /// Kills what is left of a container and removes everything but its log: bundle, exit file,
    /// cgroups. Does nothing if there is nothing.
    pub fn delete(&self, id: &Id) -> Result<()> {
        let _ = id;
        unfinished()
    }

    /// The containers with a bundle here.
    pub fn list(&self) -> Result<Vec<Id>> {
        unfinished()
    }

    /// Kills containers whose cgroup exists but whose bundle is gone, as when the exec root was
    /// emptied under them. Returns them.
    pub fn stop_strays(&self) -> Result<Vec<Id>> {
        unfinished()
    }
}
