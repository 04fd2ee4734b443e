//! Finding the programs, and finding out what they are.

use crate::conmon::Programs;
use crate::identity::{Identity, arguments, pid_in, readable};
use crate::layout::Folder;
use crate::refusal::Refusal;
use crate::{Result, RuntimeConfig, RuntimeError, fault, files};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sealane_core::model::Id;
use sealane_kernel::descriptors::spawn_with_few;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// How long a command may take. Beyond this it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The folders in which programs are searched.
pub(crate) fn search_path(config: &RuntimeConfig) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/usr/libexec/podman",
    ];
    let mut folders = config.search.clone();
    for folder in std::env::split_paths(&path).chain(usual.iter().map(PathBuf::from)) {
        if !folder.as_os_str().is_empty() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// The conmon to use.
pub(crate) fn conmon(config: &RuntimeConfig, search: &[PathBuf]) -> Result<PathBuf> {
    let found = match &config.conmon {
        Some(path) => Some(path.clone()).filter(|path| is_program(path)),
        None => find("conmon", search).into_iter().next(),
    };
    found.ok_or_else(|| missing("conmon", config.conmon.as_deref(), search))
}

/// The OCI runtimes to try, the preferred one first.
pub(crate) fn runtimes(config: &RuntimeConfig, search: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let found = match &config.runtime {
        Some(path) => Some(path.clone())
            .into_iter()
            .filter(|path| is_program(path))
            .collect(),
        None => [find("runc", search), find("crun", search)].concat(),
    };
    if found.is_empty() {
        return Err(missing("runc", config.runtime.as_deref(), search));
    }
    Ok(found)
}

/// The name and the version in what a program says to `--version`.
pub(crate) fn version(program: &Path) -> Result<(String, String)> {
    let output = run(
        Command::new(program).arg("--version"),
        "exec --version",
        program,
    )?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default();
    let (name, version) = first
        .split_once(" version ")
        .ok_or_else(|| RuntimeError::Damaged {
            path: program.into(),
            reason: format!("to --version it says \"{first}\""),
        })?;
    Ok((name.trim().to_owned(), version.trim().to_owned()))
}

impl Programs {
    /// Runs a command of the OCI runtime for a container; returns its refusal if it failed.
    pub(crate) fn command(
        &self,
        what: &'static str,
        arguments: &[&str],
    ) -> Result<Option<Refusal>> {
        let mut command = Command::new(&self.runtime);
        command
            .arg("--root")
            .arg(&self.runtime_root)
            .args(arguments)
            .env_remove("NOTIFY_SOCKET")
            // Nor is it meant to pass on what systemd passed to us.
            .env_remove("LISTEN_FDS");
        let output = run(&mut command, what, &self.runtime)?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((!output.status.success()).then(|| Refusal::read(&words)))
    }

    /// The same, with the failure as an error.
    pub(crate) fn must(&self, what: &'static str, id: &Id, arguments: &[&str]) -> Result<()> {
        match self.command(what, arguments)? {
            None => Ok(()),
            Some(refusal) => Err(RuntimeError::Program {
                what,
                id: *id,
                message: refusal.text,
            }),
        }
    }
}

/// Runs a program to its end, or kills it when it takes too long.
pub(crate) fn run(command: &mut Command, what: &'static str, program: &Path) -> Result<Output> {
    fault::point(what);
    thread::scope(|scope| {
        let run = spawn_with_few(scope, || run_here(command, program));
        let run = run.map_err(files::failed("start a thread for", program))?;
        let output = run.join().unwrap_or_else(|panic| resume_unwind(panic));
        output.map_err(files::failed("start a thread for", program))?
    })
}

fn run_here(command: &mut Command, program: &Path) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(files::failed("run", program))?;
    if !ends_in_time(child.id()) {
        child.kill().map_err(files::failed("kill", program))?;
        child.wait().map_err(files::failed("wait for", program))?;
        let late = io::Error::new(
            io::ErrorKind::TimedOut,
            "it did not end in time and was killed",
        );
        return Err(files::failed("run", program)(late));
    }
    child
        .wait_with_output()
        .map_err(files::failed("wait for", program))
}

fn ends_in_time(pid: u32) -> bool {
    let handle = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Without a handle nothing bounds the wait that follows, which is what it was before.
    handle.is_none_or(|handle| readable(&handle, DEADLINE))
}

fn find(name: &str, search: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = search
        .iter()
        .map(|folder| folder.join(name))
        .filter(|path| is_program(path))
        .collect();
    // /bin and /usr/bin are often the same.
    found.dedup_by_key(|path| path.canonicalize().ok());
    found
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn missing(program: &'static str, named: Option<&Path>, search: &[PathBuf]) -> RuntimeError {
    let folders = search
        .iter()
        .map(|folder| folder.display().to_string())
        .collect::<Vec<_>>();
    let searched = named.map_or_else(|| folders.join(":"), |path| path.display().to_string());
    RuntimeError::Missing { program, searched }
}

/// The conmon whose pid is in this folder, if that process is the conmon of this container.
pub(crate) fn conmon_in(folder: &Folder, container: &Id) -> Option<Identity> {
    conmons_of(container, &[pid_in(&folder.conmon_pid())?]).pop()
}

/// Those of the candidates that are conmons of this container or its execs.
pub(crate) fn conmons_of(container: &Id, candidates: &[i32]) -> Vec<Identity> {
    let container = container.to_string();
    let is_conmon = |process: &Identity| {
        let arguments = arguments(process.pid);
        arguments
            .first()
            .is_some_and(|name| name.ends_with("conmon"))
            && arguments.contains(&container)
    };
    candidates
        .iter()
        .filter_map(|pid| Identity::of(*pid))
        .filter(is_conmon)
        .collect()
}
