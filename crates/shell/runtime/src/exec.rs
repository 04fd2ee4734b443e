//! Programs run in a container besides its first process.

use crate::conmon::{Failure, Kind, Launch};
use crate::identity::Identity;
use crate::layout::Folder;
use crate::refusal::Refusal;
use crate::watch::Supervised;
use crate::{
    Attach, ExecSpec, Exit, ExitOf, Result, RunningExec, Runtime, RuntimeError, Stdin, attach,
    bundle, exits, files, programs,
};
use oci_spec::runtime::Spec;
use sealane_core::model::Id;
use sealane_kernel::descriptors;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How long conmon may take to end after its exec.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known about an exec: what conmon's files do not say.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    container: Id,
    process: Option<Identity>,
    conmon: Option<Identity>,
}

impl Runtime {
    /// Runs a program in a container. Nothing it prints is lost: conmon lets it run once the
    /// connection that is returned stands.
    pub fn exec_start(&self, spec: &ExecSpec) -> Result<RunningExec> {
        descriptors::check_room()
            .map_err(|error| RuntimeError::Exec(Refusal::read(&error.to_string())))?;
        let config = self.config_of(&spec.container)?;
        let process = bundle::exec(spec, &config, &self.root_of(&spec.container)?, &self.host)?;
        let folder = self.layout.exec(&spec.id);
        if folder.path().exists() {
            return Err(RuntimeError::Exists(spec.id));
        }
        files::make_folder(folder.path())?;
        let record = Record {
            container: spec.container,
            process: None,
            conmon: None,
        };
        let started = files::write_json(&folder.process(), &process)
            .and_then(|()| files::write_json(&folder.record(), &record))
            .and_then(|()| self.watchers.watch_exec(&spec.id))
            .and_then(|()| self.run_exec(spec, &folder));
        if started.is_err() {
            self.exec_delete(&spec.id)?;
        }
        started
    }

    /// The root file system of a container that runs, as it is in there: on the host it is not
    /// mounted any more.
    fn root_of(&self, id: &Id) -> Result<PathBuf> {
        let process = self.record(id)?.map(|record| record.process);
        let process = process.filter(Identity::is_alive);
        let process = process.ok_or(RuntimeError::Ended(*id))?;
        Ok(PathBuf::from(format!("/proc/{}/root", process.pid)))
    }

    fn run_exec(&self, spec: &ExecSpec, folder: &Folder) -> Result<RunningExec> {
        let launch = Launch {
            folder,
            container: spec.container,
            exits: folder.path().into(),
            tty: spec.tty,
            stdin: if spec.stdin {
                Stdin::Once
            } else {
                Stdin::Closed
            },
            kind: Kind::Exec,
        };
        let mut attached: Option<Attach> = None;
        let listening = || {
            attached = Some(attach::connect(folder)?);
            Ok(())
        };
        let launched = self
            .programs
            .launch(&launch, &self.cgroups, listening)
            .map_err(|failure| match failure {
                Failure::Refused(reason) => RuntimeError::Exec(reason),
                Failure::Other(error) => error,
            })?;
        let (pid, conmon) = (launched.pid, launched.conmon);
        let process = self.process_in(folder, &spec.container)?;
        let record = Record {
            container: spec.container,
            process,
            conmon,
        };
        files::write_json(&folder.record(), &record)?;
        self.supervise_exec(&spec.id, &record);
        let attach = attached.ok_or(RuntimeError::NotFound(spec.id))?;
        Ok(RunningExec {
            pid,
            start_time: process.map_or(0, |process| process.start_time),
            attach,
        })
    }

    /// Sets the size of an exec's terminal.
    pub fn exec_resize(&self, exec: &Id, height: u16, width: u16) -> Result<()> {
        attach::resize(exec, &self.layout.exec(exec), height, width)
    }

    /// How an exec ended; `None` while it runs.
    pub fn exec_exit_code(&self, exec: &Id) -> Result<Option<Exit>> {
        let record = self
            .exec_record(exec)?
            .ok_or(RuntimeError::NotFound(*exec))?;
        exits::of_exec(&self.layout, exec, &record.container)
    }

    /// Forgets an exec, and kills it if it runs.
    pub fn exec_delete(&self, exec: &Id) -> Result<()> {
        let folder = self.layout.exec(exec);
        self.watchers.forget(exec);
        if let Some(record) = self.exec_record(exec)? {
            // A daemon that died right after starting it did not write down what it started.
            let process = match record.process {
                Some(process) => Some(process),
                None => self.process_in(&folder, &record.container)?,
            };
            if let Some(process) = process {
                process.kill(PATIENCE);
            }
            let conmon = record
                .conmon
                .or_else(|| programs::conmon_in(&folder, &record.container));
            if let Some(conmon) = conmon.filter(|conmon| !conmon.wait(PATIENCE)) {
                conmon.kill(PATIENCE);
            }
        }
        files::remove_folder(folder.path())
    }

    /// Tells of the ends of all execs there are.
    pub(crate) fn watch_execs(&self) -> Result<()> {
        for exec in self.execs()? {
            let Some(record) = self.exec_record(&exec)? else {
                // A daemon died before it had written down whose it is.
                self.exec_delete(&exec)?;
                continue;
            };
            self.watchers.watch_exec(&exec)?;
            self.supervise_exec(&exec, &record);
        }
        Ok(())
    }

    fn supervise_exec(&self, exec: &Id, record: &Record) {
        if let (Some(process), Some(conmon)) = (record.process, record.conmon) {
            let (of, container) = (ExitOf::Exec, record.container);
            self.watchers.supervise(&Supervised {
                id: *exec,
                of,
                container,
                process,
                conmon,
            });
        }
    }

    /// Forgets the execs of a container. One without a record is about to be started, and may be of
    /// any.
    pub(crate) fn delete_execs(&self, container: &Id) -> Result<()> {
        for name in files::names(&self.layout.execs())? {
            let Ok(exec) = Id::try_from(name.as_str()) else {
                continue;
            };
            if self
                .exec_record(&exec)?
                .is_some_and(|record| record.container == *container)
            {
                self.exec_delete(&exec)?;
            }
        }
        Ok(())
    }

    fn execs(&self) -> Result<Vec<Id>> {
        let names = files::names(&self.layout.execs())?;
        Ok(names
            .iter()
            .filter_map(|name| Id::try_from(name.as_str()).ok())
            .collect())
    }

    fn exec_record(&self, exec: &Id) -> Result<Option<Record>> {
        files::read_json(&self.layout.exec(exec).record())
    }

    fn config_of(&self, container: &Id) -> Result<Spec> {
        files::read_json(&self.layout.container(container).config())?
            .ok_or(RuntimeError::NotFound(*container))
    }
}
