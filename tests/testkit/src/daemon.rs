//! The product's own binary, started on a simulated host.

use crate::host::Host;
use crate::lab::repository;
use crate::sandbox::Sandbox;
use crate::service_manager::{self, ServiceManager};
use crate::{Outcome, Reply, Stream, eventually, request};
use command_fds::{CommandFdExt, FdMapping};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, io, thread};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOG: &str = "/run/lab/daemon.log";
const PID: &str = "/run/lab/daemon.pid";
const SOCKET: &str = "/run/docker.sock";

/// How to start a daemon.
#[derive(Clone, Debug, Default)]
pub struct DaemonOptions {
    /// Further flags, dockerd's names.
    pub flags: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Who starts it as a service.
    pub manager: Option<ServiceManager>,
}

/// A daemon on a host. It is killed when this is dropped; the containers stay until the lab goes.
#[derive(Debug)]
pub struct Daemon {
    host: Host,
    options: DaemonOptions,
    process: Option<Child>,
}

impl Daemon {
    /// Starts a daemon with further flags and waits until it answers.
    #[track_caller]
    pub fn start(host: &Host, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::start_with(
            host,
            DaemonOptions {
                flags,
                ..DaemonOptions::default()
            },
        )
    }

    /// Starts a daemon and waits until it answers.
    #[track_caller]
    pub fn start_with(host: &Host, options: DaemonOptions) -> Self {
        let mut daemon = Self {
            host: host.clone(),
            options,
            process: None,
        };
        daemon.launch();
        daemon
    }

    /// Starts a daemon and gives it the image `img`, a busybox.
    #[track_caller]
    pub fn with_image(host: &Host, flags: &[&str]) -> Self {
        let daemon = Self::start(host, flags);
        daemon.import("busybox.tar", "img");
        daemon
    }

    /// Starts it again, after [`Daemon::stop`], [`Daemon::kill9`] or a death of its own.
    #[track_caller]
    pub fn launch(&mut self) {
        self.try_launch()
            .unwrap_or_else(|log| panic!("the daemon did not come up; its log:\n{log}"));
    }

    /// Starts it, and returns its log where it ends instead of answering.
    ///
    /// # Errors
    /// When it ends, or does not answer in time.
    pub fn try_launch(&mut self) -> Result<(), String> {
        let mut child = self.spawn().expect("nsenter starts");
        let end = std::time::Instant::now() + START_LIMIT;
        loop {
            if self
                .try_api("GET", "/_ping", b"")
                .is_ok_and(|reply| reply.status == 200)
            {
                self.process = Some(child);
                return Ok(());
            }
            let ended = !matches!(child.try_wait(), Ok(None));
            if ended || std::time::Instant::now() > end {
                drop(child.kill());
                drop(child.wait());
                return Err(self.log());
            }
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// Sends it a signal, by name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        self.host.sh(&format!("kill -{name} $(<{PID})")).ok();
    }

    /// Ends it as a crash would, and waits until it is gone.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal("KILL");
        self.wait_for_end();
    }

    /// Ends it as `systemctl stop` would, and waits until it is gone.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.wait_for_end();
    }

    /// Kills it and starts it again; the containers run on.
    #[track_caller]
    pub fn relaunch(&mut self) {
        self.kill9();
        self.launch();
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait_for_end(&mut self) {
        if let Some(mut process) = self.process.take() {
            eventually(STOP_LIMIT, || process.try_wait().expect("it is a child"));
        }
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Adds flags for the next start.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.options.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Sets the environment for the next start.
    pub fn set_environment(&mut self, variables: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.options.environment = variables.iter().map(owned).collect();
    }

    /// The host it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The process id, as the host sees it.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.host.read(PID).trim().parse().expect("a number")
    }

    /// Everything it has logged, over all starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.host.path(LOG)).unwrap_or_default()
    }

    /// Runs the stock CLI: `docker("run -d --name web img httpd -f")`.
    pub fn docker(&self, arguments: &str) -> Outcome {
        self.host.docker(arguments)
    }

    /// Runs the product's own CLI: `sealane("plan run -p 80:80 img")`.
    pub fn sealane(&self, arguments: &str) -> Outcome {
        let binary = binary();
        let script = format!(
            "DOCKER_HOST=unix://{SOCKET} {} {arguments}",
            binary.display()
        );
        self.host.sh(&script)
    }

    /// Sends an API request and returns status and body: `api("GET", "/networks", &Value::Null)`.
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let bytes = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = self.raw_api(method, path, bytes.as_bytes());
        (reply.status, reply.json())
    }

    /// Sends an API request with any bytes for a body.
    #[track_caller]
    pub fn raw_api(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let answer = self.try_api(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}; log:\n{}", self.log_tail()))
    }

    /// Sends an API request that may find no daemon, or one that dies.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_api(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Reply> {
        request(&self.socket(), method, path, body)
    }

    /// Sends an API request whose answer is read as it comes.
    #[track_caller]
    pub fn stream(&self, method: &str, path: &str) -> Stream {
        Stream::open(&self.socket(), method, path, b"").expect("the daemon answers")
    }

    /// `GET` of a path that must succeed.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.api("GET", path, &Value::Null);
        assert!(status == 200, "GET {path}: {status} {body}");
        body
    }

    /// Imports one of the images that `tools/image` builds.
    #[track_caller]
    pub fn import(&self, tar: &str, name: &str) {
        self.import_with(tar, name, "");
    }

    /// Imports one of them with a line of a Dockerfile for its configuration: `EXPOSE 80`.
    #[track_caller]
    pub fn import_with(&self, tar: &str, name: &str, change: &str) {
        let bytes = fs::read(images().join(tar)).expect("tools/image has built it");
        let changes = match change {
            "" => String::new(),
            change => format!("&changes={}", change.replace(' ', "%20")),
        };
        let path = format!("/images/create?fromSrc=-&repo={name}&tag=latest{changes}");
        let reply = self.raw_api("POST", &path, &bytes);
        assert!(
            reply.status == 200,
            "import of {tar}: {} {}",
            reply.status,
            reply.json()
        );
    }

    /// Runs a container in the background (`run -d ARGUMENTS`) and returns its id.
    #[track_caller]
    pub fn run(&self, arguments: &str) -> String {
        self.docker(&format!("run -d {arguments}")).ok()
    }

    /// What `GET /containers/NAME/json` says.
    #[track_caller]
    pub fn inspect(&self, container: &str) -> Value {
        self.get(&format!("/containers/{container}/json"))
    }

    /// A running container's network stack.
    #[track_caller]
    pub fn sandbox(&self, container: &str) -> Sandbox {
        let pid = self.inspect(container)["State"]["Pid"]
            .as_u64()
            .unwrap_or_default();
        assert!(pid > 0, "{container} does not run");
        Sandbox::new(&self.host, u32::try_from(pid).expect("a process id"))
    }

    /// A container's IPv4 address on a network.
    #[track_caller]
    pub fn address(&self, container: &str, network: &str) -> String {
        let inspected = self.inspect(container);
        let address = &inspected["NetworkSettings"]["Networks"][network]["IPAddress"];
        address
            .as_str()
            .filter(|text| !text.is_empty())
            .map_or_else(
                || {
                    panic!(
                        "{container} has no address on {network}: {}",
                        inspected["NetworkSettings"]
                    )
                },
                str::to_owned,
            )
    }

    /// Where the API's socket is, seen from the test.
    pub fn socket(&self) -> PathBuf {
        self.host.path(SOCKET)
    }

    fn spawn(&self) -> io::Result<Child> {
        let Some(manager) = &self.options.manager else {
            let mut command = self.host.command();
            // Killing nsenter is to kill the daemon.
            command.args(["setpriv", "--pdeathsig", "KILL"]);
            return self.complete(&mut command).spawn();
        };
        let mut command = self.host.lone_command();
        pass(self.complete(&mut command), manager);
        self.host.spawn_alone(command)
    }

    fn complete<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let script = format!(
            "echo $$ >{PID}; export LISTEN_PID=$$; exec \"$@\" --data-root /var/lib/sealane --exec-root /run/sealane \
             --pidfile /run/sealane.pid -H unix://{SOCKET} --cgroup-parent /sealane-lab-{} \
             {} >>{LOG} 2>&1",
            self.host.lab(),
            self.options.flags.join(" "),
        );
        command
            .args(["bash", "-c", &script, "bash"])
            .arg(binary())
            .arg("daemon")
            .envs(
                self.options
                    .environment
                    .iter()
                    .map(|(key, value)| (key, value)),
            )
            .stdin(Stdio::null())
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(60).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the end of the daemon's log:\n{}", self.log_tail());
        }
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Has a command started as a service: with what the manager keeps for it.
fn pass(command: &mut Command, manager: &ServiceManager) {
    let passed = manager.passed();
    let names: Vec<&str> = passed.iter().map(|(name, _)| name.as_str()).collect();
    command.env("NOTIFY_SOCKET", service_manager::ADDRESS);
    if names.is_empty() {
        return;
    }
    command
        .env("LISTEN_FDS", names.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"));
    let mapping = |(child_fd, (_, parent_fd))| FdMapping {
        parent_fd,
        child_fd,
    };
    let mappings = (3..).zip(passed).map(mapping).collect();
    command.fd_mappings(mappings).expect("numbers that differ");
}

/// The product's binary: `SEALANE`, or the one built beside this test.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    let beside = || {
        let test = env::current_exe().ok()?;
        Some(test.ancestors().nth(2)?.join("sealane"))
    };
    let found = env::var_os("SEALANE")
        .map(PathBuf::from)
        .or_else(beside)
        .unwrap_or_default();
    assert!(
        found.is_file(),
        "{} is missing; run `cargo build` first",
        found.display()
    );
    found
}

/// The folder of the test images, built if need be.
fn images() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(repository().join("tools/image"))
            .stdout(Stdio::null())
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "tools/image failed"
        );
        repository().join(".cache")
    })
}
