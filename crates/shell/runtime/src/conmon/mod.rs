//! Starting conmon, which starts the OCI runtime and stays with the process it makes.
//!
//! conmon reads from one pipe when it may go on, and reports on another: one JSON line with the
//! pid, or with a negative number and a message. It detaches itself: nothing of ours stays open
//! in it, and nothing of it is our child.

mod command;

use crate::cgroups::Cgroups;
use crate::identity::{Identity, readable};
use crate::layout::Folder;
use crate::programs::conmon_in;
use crate::refusal::Refusal;
use crate::{Result, RuntimeError, Stdin, fault, files};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use sealane_core::model::Id;
use sealane_kernel::descriptors::spawn_with_few;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long an OCI runtime may take. Beyond this it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long conmon may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The programs, and the state they share.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) conmon: PathBuf,
    pub(crate) runtime: PathBuf,
    /// `runc` logs to a file of its own and says on standard error only why it failed.
    pub(crate) is_runc: bool,
    pub(crate) runtime_root: PathBuf,
}

/// One process to be made.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Where its files are.
    pub(crate) folder: &'a Folder,
    /// The container's id, in both cases.
    pub(crate) container: Id,
    /// Where the exit code goes.
    pub(crate) exits: PathBuf,
    pub(crate) tty: bool,
    pub(crate) stdin: Stdin,
    pub(crate) kind: Kind,
}

/// What is to be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A container, which will wait for its start.
    Container,
    /// A program in a container, which runs at once.
    Exec,
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) pid: i32,
    /// The conmon that watches over it, unless both have ended already.
    pub(crate) conmon: Option<Identity>,
}

/// What conmon said instead of a pid.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The OCI runtime refused.
    Refused(Refusal),
    /// Something else went wrong.
    Other(RuntimeError),
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::Other(error)
    }
}

#[derive(Deserialize)]
struct Report {
    data: i32,
    #[serde(default)]
    message: String,
}

/// Our ends of conmon's pipes.
struct Pipes {
    start: File,
    report: OwnedFd,
    attached: Option<OwnedFd>,
}

/// conmon's ends. The program that starts next inherits them under the numbers they have here.
struct TheirEnds {
    start: OwnedFd,
    report: OwnedFd,
    attached: Option<OwnedFd>,
}

/// Says that conmon accepts connections, and hears whether one stands.
struct Listening {
    says: Sender<()>,
    hears: Receiver<Result<()>>,
}

impl Programs {
    /// Starts conmon and waits until the process exists. `listening` is called for an exec once
    /// conmon accepts connections and before the program runs. After a failure conmon is gone.
    pub(crate) fn launch(
        &self,
        launch: &Launch<'_>,
        cgroups: &Cgroups,
        listening: impl FnOnce() -> Result<()>,
    ) -> Result<Launched, Failure> {
        let (says, heard) = channel();
        let (answer, hears) = channel();
        let there = Listening { says, hears };
        thread::scope(|scope| {
            let launching = spawn_with_few(scope, || self.launch_here(launch, cgroups, there))
                .map_err(files::failed("start a thread for", &self.conmon))?;
            if heard.recv().is_ok() {
                // It may have given up meanwhile, and says why.
                drop(answer.send(listening()));
            }
            let launched = launching
                .join()
                .unwrap_or_else(|panic| resume_unwind(panic));
            launched.map_err(files::failed("start a thread for", &self.conmon))?
        })
    }

    /// The same, on a thread whose descriptors its programs inherit.
    fn launch_here(
        &self,
        launch: &Launch<'_>,
        cgroups: &Cgroups,
        listening: Listening,
    ) -> Result<Launched, Failure> {
        let pipes = self.spawn(launch, cgroups)?;
        let conmon = conmon_in(launch.folder, &launch.container);
        match self.await_report(launch, pipes, listening) {
            Ok(pid) => Ok(Launched { pid, conmon }),
            Err(failure) => {
                let ends = matches!(failure, Failure::Refused(_));
                if let Some(conmon) = conmon.filter(|conmon| !ends || !conmon.wait(PATIENCE)) {
                    conmon.kill(PATIENCE);
                }
                Err(failure)
            }
        }
    }

    fn await_report(
        &self,
        launch: &Launch<'_>,
        mut pipes: Pipes,
        listening: Listening,
    ) -> Result<i32, Failure> {
        let path = launch.folder.path();
        if let Some(attached) = pipes.attached.take() {
            if read_line(attached, path)?.is_none() {
                return Err(Failure::Other(self.silent(launch)));
            }
            // Who asked for this waits for one of both.
            if listening.says.send(()).is_ok()
                && let Ok(stands) = listening.hears.recv()
            {
                stands?;
            }
            let went_on = pipes.start.write_all(b"0");
            went_on.map_err(files::failed("let conmon go on in", path))?;
        }
        let Some(line) = read_line(pipes.report, path)? else {
            return Err(Failure::Other(self.silent(launch)));
        };
        let report: Report = serde_json::from_str(&line).unwrap_or(Report {
            data: -1,
            message: line,
        });
        match report.data {
            pid @ 1.. => Ok(pid),
            _ => Err(Failure::Refused(Refusal::read(&report.message))),
        }
    }

    fn spawn(&self, launch: &Launch<'_>, cgroups: &Cgroups) -> Result<Pipes> {
        let path = launch.folder.path();
        let pipes = pipes(launch.kind == Kind::Exec);
        let (theirs, ours) = pipes.map_err(files::failed("make a pipe for", path))?;
        let mut command = self.conmon_command(launch, &theirs)?;
        fault::point("exec conmon");
        let mut child = command
            .spawn()
            .map_err(files::failed("run", &self.conmon))?;
        // With our copies of conmon's ends open, its death would not be seen.
        drop(theirs);
        let Pipes {
            mut start,
            report,
            attached,
        } = ours;
        if let Err(error) = cgroups.adopt_supervisor(child.id()) {
            tracing::warn!(%error, "conmon stays in the daemon's cgroup");
        }
        let went_on = start.write_all(b"0");
        // It forks and ends at once.
        child
            .wait()
            .map_err(files::failed("wait for", &self.conmon))?;
        went_on.map_err(|_| self.silent(launch))?;
        Ok(Pipes {
            start,
            report,
            attached,
        })
    }

    /// The error when conmon ended without a word on its pipe.
    fn silent(&self, launch: &Launch<'_>) -> RuntimeError {
        let said = |path: PathBuf| {
            let bytes = files::read(&path).ok().flatten().unwrap_or_default();
            String::from_utf8_lossy(&bytes).trim().to_owned()
        };
        let words = [
            said(launch.folder.conmon_log()),
            said(launch.folder.runtime_log()),
        ];
        let words: Vec<_> = words
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        let words = if words.is_empty() {
            "it said nothing".into()
        } else {
            words.join("; ")
        };
        RuntimeError::Supervisor {
            conmon: self.conmon.clone(),
            words,
        }
    }
}

/// The pipes to and from a conmon.
fn pipes(exec: bool) -> io::Result<(TheirEnds, Pipes)> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let (their_start, start) = pipe()?;
    let (report, their_report) = pipe()?;
    let (attached, their_attached) = match exec {
        true => pipe().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
        false => (None, None),
    };
    for end in [&their_start, &their_report]
        .into_iter()
        .chain(&their_attached)
    {
        fcntl_setfd(end, FdFlags::empty())?;
    }
    let theirs = TheirEnds {
        start: their_start,
        report: their_report,
        attached: their_attached,
    };
    let ours = Pipes {
        start: File::from(start),
        report,
        attached,
    };
    Ok((theirs, ours))
}

/// Reads one line from a pipe; `None` if the other end went away or said nothing in time.
fn read_line(pipe: OwnedFd, path: &Path) -> Result<Option<String>> {
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    while !line.contains(&b'\n') {
        if !readable(&pipe, DEADLINE) {
            return Ok(None);
        }
        match rustix::io::read(&pipe, &mut buffer) {
            Ok(0) => break,
            Ok(length) => line.extend_from_slice(&buffer[..length]),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(files::failed("hear from conmon in", path)(errno.into())),
        }
    }
    // The exit code of a short exec may follow in the same breath.
    let text = String::from_utf8_lossy(&line)
        .lines()
        .next()
        .map(str::to_owned);
    Ok(text.filter(|text| !text.is_empty()))
}
