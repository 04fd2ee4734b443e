//! The floor of a container's life: conmon, with create, start and delete by an OCI runtime.
//!
//! It has to happen on the simulated host, and entering one costs milliseconds. So a worker of
//! this same program waits there: for each line it reads it does one round and prints how many
//! microseconds that took.

use crate::error::{BenchError, Result, failed};
use command_fds::{CommandFdExt, FdMapping};
use rustix::pipe::{PipeFlags, pipe_with};
use sealane_testkit::Host;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where the bundle is, on the host.
const FOLDER: &str = "/run/lab/floor";
const PATIENCE: Duration = Duration::from_secs(30);
/// Well below what is measured.
const PAUSE: Duration = Duration::from_micros(200);

// The descriptors in conmon.
const START: i32 = 3;
const REPORT: i32 = 4;

/// A worker on a host.
#[derive(Debug)]
pub(crate) struct Supervisor {
    worker: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    /// Starts a worker that runs the bundle of a container of ours, with another command.
    pub(crate) fn start(host: &Host, container: &str, cgroup: &str) -> Result<Self> {
        write_bundle(host, container, cgroup)?;
        let program = std::env::current_exe().map_err(failed("finding this program"))?;
        let worker = Command::new("nsenter")
            .args(["-t", &host.pid().to_string(), "-a", "--"])
            .arg(program)
            .args(["supervise", FOLDER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut worker = worker.map_err(failed("starting a worker on the host"))?;
        let lost = || BenchError::Unexpected("the worker has no pipes".into());
        let answers = BufReader::new(worker.stdout.take().ok_or_else(lost)?);
        Ok(Self {
            requests: worker.stdin.take(),
            answers,
            worker,
        })
    }

    /// One life of a container.
    pub(crate) fn round(&mut self) -> Result<Duration> {
        let lost = || BenchError::Unexpected("the worker has ended".into());
        let requests = self.requests.as_mut().ok_or_else(lost)?;
        requests
            .write_all(b"\n")
            .map_err(failed("asking the worker"))?;
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        read.map_err(failed("reading the worker's answer"))?;
        let line = line.trim();
        let microseconds = line
            .parse()
            .map_err(|_| BenchError::Unexpected(format!("conmon with the OCI runtime: {line}")))?;
        Ok(Duration::from_micros(microseconds))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.requests.take());
        // How it ended is of no interest: it has nothing that must be saved.
        drop(self.worker.wait());
    }
}

/// Copies the bundle of a container that runs, with the files of the same image.
fn write_bundle(host: &Host, container: &str, cgroup: &str) -> Result<()> {
    let path = host.path(format!("/run/sealane/containers/{container}/config.json"));
    let text = fs::read(&path).map_err(failed(format!("reading {}", path.display())))?;
    let parsed = serde_json::from_slice::<Value>(&text).map_err(io::Error::from);
    let mut config = parsed.map_err(failed("reading a bundle"))?;
    config["process"]["args"] = json!(["true"]);
    config["linux"]["cgroupsPath"] = json!(format!("{cgroup}/floor"));
    config["root"]["path"] = json!(format!("{FOLDER}/rootfs"));
    let folder = host.path(FOLDER);
    let written = fs::create_dir_all(folder.join("exits"))
        .and_then(|()| fs::write(folder.join("config.json"), config.to_string()));
    written.map_err(failed("writing a bundle"))?;
    let image = folder.join("image.tar");
    fs::write(&image, crate::stage::image()?).map_err(failed("writing the image of a bundle"))?;
    let unpack = format!("mkdir {FOLDER}/rootfs && tar -xf {FOLDER}/image.tar -C {FOLDER}/rootfs");
    host.sh(&unpack).ok();
    Ok(())
}

/// What the worker does: a round for each line of standard input.
pub(crate) fn work(folder: &Path) -> io::Result<()> {
    let mut answers = io::stdout().lock();
    for (number, line) in io::stdin().lines().enumerate() {
        line?;
        match life(folder, &format!("floor{number}")) {
            Ok(took) => writeln!(answers, "{}", took.as_micros())?,
            Err(error) => writeln!(answers, "{error}")?,
        }
        answers.flush()?;
    }
    Ok(())
}

/// Creates, starts, waits for and deletes a container.
fn life(folder: &Path, id: &str) -> io::Result<Duration> {
    let exit = folder.join("exits").join(id);
    let begin = Instant::now();
    create(folder, id)?;
    runtime(folder, &["start", id])?;
    while !exit.exists() {
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::other("the container does not end"));
        }
        thread::sleep(PAUSE);
    }
    runtime(folder, &["delete", id])?;
    Ok(begin.elapsed())
}

fn create(folder: &Path, id: &str) -> io::Result<()> {
    let (their_start, start) = pipe_with(PipeFlags::CLOEXEC)?;
    let (report, their_report) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = conmon(folder, id);
    let mapped = command.fd_mappings(vec![pass(their_start, START), pass(their_report, REPORT)]);
    mapped.map_err(io::Error::other)?;
    let mut conmon = command.spawn()?;
    drop(command); // with it our copies of conmon's ends
    File::from(start).write_all(b"0")?;
    conmon.wait()?;
    let mut line = String::new();
    BufReader::new(File::from(report)).read_line(&mut line)?;
    let report: Value = serde_json::from_str(&line)?;
    if report["data"].as_i64().is_some_and(|pid| pid > 0) {
        Ok(())
    } else {
        Err(io::Error::other(line))
    }
}

fn pass(parent_fd: OwnedFd, child_fd: i32) -> FdMapping {
    FdMapping {
        parent_fd,
        child_fd,
    }
}

fn conmon(folder: &Path, id: &str) -> Command {
    let file = |name: &str| folder.join(name);
    let mut command = Command::new("conmon");
    command
        .env("_OCI_STARTPIPE", START.to_string())
        .env("_OCI_SYNCPIPE", REPORT.to_string())
        .args([
            "--api-version",
            "--full-attach",
            "--no-sync-log",
            "-c",
            id,
            "-u",
            id,
            "-r",
        ])
        .arg(which("runc"))
        .arg("-b")
        .arg(folder)
        .arg("-p")
        .arg(file("pid"))
        .arg("--exit-dir")
        .arg(file("exits"))
        .args(["--runtime-arg", "--root", "--runtime-arg"])
        .arg(file("state"))
        .args(["-l", "k8s-file:log"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn runtime(folder: &Path, arguments: &[&str]) -> io::Result<()> {
    let state = folder.join("state");
    let status = Command::new(which("runc"))
        .arg("--root")
        .arg(state)
        .args(arguments)
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("runc {arguments:?}: {status}")))
    }
}

/// conmon wants a path. Debian has its programs in these two folders.
fn which(program: &str) -> PathBuf {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join(program))
        .into_iter()
        .find(|path| path.exists());
    found.unwrap_or_else(|| program.into())
}
