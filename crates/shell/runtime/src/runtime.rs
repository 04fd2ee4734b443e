//! The operations on containers' first processes.

use crate::bundle::{Available, Host};
use crate::cgroups::Cgroups;
use crate::conmon::{Failure, Kind, Launch, Programs};
use crate::exits;
use crate::identity::{Identity, pid_in};
use crate::layout::{Folder, Layout};
use crate::watch::{Supervised, Watchers};
use crate::{
    Attach, Created, Exit, ExitOf, LogQuery, LogReader, ProcessSpec, ProcessTable, Result,
    RuntimeChoice, RuntimeConfig, RuntimeError, State, Usage, attach, bundle, files, programs, top,
};
use rustix::io::Errno;
use rustix::process::{Resource, Signal, getrlimit};
use sealane_core::model::Id;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Soft limit of open files in containers, as the kernel gives it to its first process.
const SOFT_OPEN_FILES: u64 = 1024;

/// Container processes under one exec root. Usable from many threads; operations on one
/// container are put in order by the caller.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) layout: Arc<Layout>,
    pub(crate) host: Host,
    pub(crate) cgroups: Cgroups,
    pub(crate) programs: Programs,
    pub(crate) watchers: Watchers,
    choice: RuntimeChoice,
}

/// Who runs in a container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) process: Identity,
    pub(crate) conmon: Option<Identity>,
}

impl Runtime {
    /// Finds conmon and an OCI runtime that passes a trial: one throw-away container is created
    /// and deleted.
    pub fn open(config: RuntimeConfig) -> Result<Self> {
        let search = programs::search_path(&config);
        let conmon = programs::conmon(&config, &search)?;
        let (_, conmon_version) = programs::version(&conmon)?;
        let mut attempts = Vec::new();
        for path in programs::runtimes(&config, &search)? {
            let (name, version) = programs::version(&path)?;
            let (conmon, conmon_version) = (conmon.clone(), conmon_version.clone());
            let choice = RuntimeChoice {
                name,
                version,
                path,
                conmon,
                conmon_version,
            };
            let runtime = Self::with(&config, choice, search.clone())?;
            match runtime.trial() {
                Ok(()) => return Ok(runtime),
                Err(error) => {
                    attempts.push(format!("{}: {error}", runtime.choice.path.display()));
                }
            }
        }
        Err(RuntimeError::NoneWorks {
            attempts: attempts.join("; "),
        })
    }

    fn with(
        config: &RuntimeConfig,
        choice: RuntimeChoice,
        search: Vec<std::path::PathBuf>,
    ) -> Result<Self> {
        let layout = Arc::new(Layout::open(&config.exec_root, &config.data_root)?);
        let cgroups = Cgroups::open(config.cgroup_parent.as_deref())?;
        let host = Host {
            available: Available::of_this_process()?,
            open_files: config.open_files.unwrap_or_else(open_files),
            search,
            cgroup_namespace: cgroups.unified(),
        };
        let programs = Programs {
            conmon: choice.conmon.clone(),
            runtime: choice.path.clone(),
            is_runc: choice.name == "runc",
            runtime_root: layout.runtime_root(),
        };
        Ok(Self {
            layout,
            host,
            cgroups,
            programs,
            watchers: Watchers::default(),
            choice,
        })
    }

    /// The programs that were found to work.
    pub fn chosen(&self) -> &RuntimeChoice {
        &self.choice
    }

    /// Makes a container; its program waits for [`Self::start`]. What it will print is logged,
    /// and can be read from an [`Self::attach`] made before the start.
    pub fn create(&self, spec: &ProcessSpec) -> Result<Created> {
        if self.state(&spec.id)?.is_some_and(|state| state.alive) {
            return Err(RuntimeError::Exists(spec.id));
        }
        if self.layout.container(&spec.id).path().exists() {
            self.delete(&spec.id)?;
        }
        self.layout.room.take();
        let created = self.create_new(spec);
        if created.is_err()
            && let Err(error) = self.delete(&spec.id)
        {
            tracing::error!(%error, id = %spec.id, "a container that failed to start left something");
        }
        created
    }

    fn create_new(&self, spec: &ProcessSpec) -> Result<Created> {
        let config = bundle::container(spec, &self.host, &self.cgroups.path(&spec.id))?;
        let _parent = self.cgroups.hold();
        let folder = self.layout.container(&spec.id);
        let log = self.layout.log(&spec.id);
        files::make_folder(folder.path())?;
        files::remove(&self.layout.exit_file(&spec.id))?;
        files::write_json(&folder.config(), &config)?;
        symlink(&log, folder.log_link()).map_err(files::failed("link", &folder.log_link()))?;
        let launch = Launch {
            folder: &folder,
            container: spec.id,
            exits: self.layout.exits(),
            tty: spec.tty,
            stdin: spec.stdin,
            kind: Kind::Container,
        };
        let launched = self
            .programs
            .launch(&launch, &self.cgroups, || Ok(()))
            .map_err(|failure| match failure {
                Failure::Refused(reason) => RuntimeError::Create(reason),
                Failure::Other(error) => error,
            })?;
        let process = Identity::of(launched.pid).ok_or(RuntimeError::Ended(spec.id))?;
        let conmon = launched.conmon;
        let record = Record { process, conmon };
        files::write_json(&folder.record(), &record)?;
        self.supervise(&spec.id, &record);
        Ok(Created {
            pid: process.pid,
            start_time: process.start_time,
        })
    }

    /// Lets a created container's program run.
    pub fn start(&self, id: &Id) -> Result<()> {
        match self
            .programs
            .command("exec runtime start", &["start", &id.to_string()])?
        {
            None => Ok(()),
            Some(refusal) if self.state(id)?.is_none() => {
                tracing::debug!(%refusal, "start of an unknown container");
                Err(RuntimeError::NotFound(*id))
            }
            Some(refusal) => Err(RuntimeError::Start(refusal)),
        }
    }

    /// Connects to a container's output and input.
    pub fn attach(&self, id: &Id) -> Result<Attach> {
        match attach::connect(&self.layout.container(id)) {
            Err(_) if self.state(id)?.is_none() => Err(RuntimeError::NotFound(*id)),
            Err(_) if !self.is_alive(id)? => Err(RuntimeError::Ended(*id)),
            connected => connected,
        }
    }

    /// Sets the size of a container's terminal.
    pub fn resize(&self, id: &Id, height: u16, width: u16) -> Result<()> {
        attach::resize(id, &self.layout.container(id), height, width)
    }

    /// Reads what a container has printed since it exists, over all its starts.
    pub fn read_logs(&self, id: &Id, query: LogQuery) -> Result<LogReader> {
        LogReader::open(self.layout.log(id), query)
    }

    /// Removes a container's log.
    pub fn remove_logs(&self, id: &Id) -> Result<()> {
        files::remove(&self.layout.log(id))
    }

    /// Sends a signal to a container's first process.
    pub fn kill(&self, id: &Id, signal: i32) -> Result<()> {
        let record = self.record(id)?.ok_or(RuntimeError::NotFound(*id))?;
        self.layout.room.give_up();
        let alive = match Signal::from_named_raw(signal) {
            Some(signal) => record
                .process
                .signal(signal)
                .map_err(|errno| self.refused(id, errno))?,
            // Signals without a name, the real-time ones.
            None if record.process.is_alive() => {
                let arguments = ["kill", &id.to_string(), &signal.to_string()];
                self.programs.must("exec runtime kill", id, &arguments)?;
                true
            }
            None => false,
        };
        if alive {
            Ok(())
        } else {
            Err(RuntimeError::Ended(*id))
        }
    }

    fn refused(&self, id: &Id, errno: Errno) -> RuntimeError {
        let folder = self.layout.container(id);
        files::failed("signal the process of", folder.path())(errno.into())
    }

    /// A container's first process; `None` if none was created.
    pub fn state(&self, id: &Id) -> Result<Option<State>> {
        let Some(record) = self.record(id)? else {
            return Ok(None);
        };
        let alive = record.process.is_alive();
        Ok(Some(State {
            pid: record.process.pid,
            start_time: record.process.start_time,
            alive,
            started: !self.layout.start_fifo(id).exists(),
            oom: self.layout.container(id).oom().exists(),
        }))
    }

    fn is_alive(&self, id: &Id) -> Result<bool> {
        Ok(self.state(id)?.is_some_and(|state| state.alive))
    }

    /// The pids of all processes in a container, as the host numbers them.
    pub fn pids(&self, id: &Id) -> Result<Vec<i32>> {
        self.cgroups.pids(id)
    }

    /// What `ps` says about the processes in a container; `-ef` if no arguments are given.
    pub fn top(&self, id: &Id, ps_args: &[String]) -> Result<ProcessTable> {
        if !self.is_alive(id)? {
            return Err(RuntimeError::Ended(*id));
        }
        top::table(&self.pids(id)?, ps_args)
    }

    /// What a container uses of the host: see [`Usage`].
    pub fn usage(&self, id: &Id) -> Result<Usage> {
        if !self.is_alive(id)? {
            return Err(RuntimeError::Ended(*id));
        }
        Usage::read(&|file| self.cgroups.read(id, file))
    }

    /// How a container ended, also while no daemon watched; `None` while it lives.
    pub fn exit_code(&self, id: &Id) -> Result<Option<Exit>> {
        exits::of_container(&self.layout, id)
    }

    /// Tells of every end of a container or exec from now on. Then ask [`Self::exit_code`] for
    /// those that ended before.
    ///
    /// A container whose conmon ends before it is killed, and told of with the code 137. Of one
    /// that is deleted before its end was reported, nothing may be reported.
    pub fn watch_exits(&self) -> Result<Receiver<Exit>> {
        let exits = self.watchers.add(&self.layout)?;
        self.watch_execs()?;
        for id in self.list()? {
            if let Some(record) = self.record(&id)? {
                self.supervise(&id, &record);
            }
        }
        Ok(exits)
    }

    fn supervise(&self, id: &Id, record: &Record) {
        if let Some(conmon) = record.conmon {
            let of = ExitOf::Container;
            let process = record.process;
            let supervised = Supervised {
                id: *id,
                of,
                container: *id,
                process,
                conmon,
            };
            self.watchers.supervise(&supervised);
        }
    }

    /// The containers with a bundle here.
    pub fn list(&self) -> Result<Vec<Id>> {
        let names = files::names(&self.layout.containers())?;
        Ok(names
            .iter()
            .filter_map(|name| Id::try_from(name.as_str()).ok())
            .collect())
    }

    /// The record, or what can be found out if the daemon died before it was written: the pid
    /// that the OCI runtime wrote down, if that process is in the container's cgroup.
    pub(crate) fn record(&self, id: &Id) -> Result<Option<Record>> {
        let folder = self.layout.container(id);
        let written = files::read_json(&folder.record())?;
        if written.is_some() {
            return Ok(written);
        }
        let Some(process) = self.process_in(&folder, id)? else {
            return Ok(None);
        };
        let record = Record {
            process,
            conmon: programs::conmon_in(&folder, id),
        };
        files::write_json(&folder.record(), &record)?;
        Ok(Some(record))
    }

    /// The process whose pid the OCI runtime wrote into this folder, if it is in the container.
    pub(crate) fn process_in(&self, folder: &Folder, container: &Id) -> Result<Option<Identity>> {
        let process = pid_in(&folder.pid()).and_then(Identity::of);
        let inside = self.pids(container)?;
        Ok(process.filter(|process| inside.contains(&process.pid)))
    }
}

fn open_files() -> (u64, u64) {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    (SOFT_OPEN_FILES.min(hard), hard)
}
