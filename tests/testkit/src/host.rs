//! A simulated host: a set of namespaces to run commands and code in.

use crate::Outcome;
use crate::lab::repository;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

/// No command of a test takes this long; one that does hangs.
const PATIENCE: &str = "60";

/// Run inside the host; the anchor, this script and what waits for it stay.
const POWER_FAILURE: &str = r#"
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  case $pid in 1|$$|$PPID) ;; *) kill -9 "$pid" 2>/dev/null ;; esac
done
findmnt -rn -o TARGET | grep -E '^/(run|var/lib)/sealane/' | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf /run/sealane /run/docker.sock /run/sealane.pid
ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | grep -vE '^(lo|eth0)$' | while read -r link; do
  ip link delete "$link" 2>/dev/null
done
nft flush ruleset
umount /proc/sys/kernel/random/boot_id 2>/dev/null
cat /proc/sys/kernel/random/uuid >/run/lab/boot_id
mount --bind /run/lab/boot_id /proc/sys/kernel/random/boot_id
"#;

/// A host of a [`Lab`](crate::Lab). Cloning gives another handle to the same host.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    pid: u32,
    lab: String,
}

impl Host {
    pub(crate) fn new(name: &str, pid: u32, lab: &str) -> Self {
        Self {
            name: name.into(),
            pid,
            lab: lab.into(),
        }
    }

    /// What it is called: `host0`, `peer`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab's id.
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// Runs a line of bash there and waits for it, a minute at most.
    pub fn sh(&self, script: &str) -> Outcome {
        self.sh_with_input(script, b"")
    }

    /// Runs a line of bash there with something to read.
    pub fn sh_with_input(&self, script: &str, input: &[u8]) -> Outcome {
        let mut command = self.command();
        command.args(["timeout", "-k", "1", PATIENCE, "bash", "-c", script]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let output = thread::scope(|scope| {
            // A command that reads nothing closes its end: no fault of the test's.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().expect("nsenter ends")
        });
        Outcome::new(script, output)
    }

    /// Starts a line of bash there that goes on until the handle is dropped.
    pub fn spawn(&self, script: &str) -> Background {
        Background::start(self, script)
    }

    /// Runs the stock CLI there, on the daemon with the usual socket: `docker("network ls")`.
    pub fn docker(&self, arguments: &str) -> Outcome {
        self.sh(&format!("docker {arguments}"))
    }

    /// A file of the host, as a path that can be opened from outside.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let relative = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref());
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(relative)
    }

    /// The text of a file of the host.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes a file of the host. Not for /proc/sys: see [`Host::sysctl`].
    ///
    /// # Panics
    /// When that is refused.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Sets a network sysctl, named as a path below /proc/sys/net.
    #[track_caller]
    pub fn sysctl(&self, path: &str, value: &str) {
        self.sh(&format!("echo {value} >/proc/sys/net/{path}")).ok();
    }

    /// Lets bridged packets pass the host's IP filters, or not: both occur in the wild.
    #[track_caller]
    pub fn br_netfilter(&self, on: bool) {
        for family in ["iptables", "ip6tables"] {
            self.sysctl(
                &format!("bridge/bridge-nf-call-{family}"),
                if on { "1" } else { "0" },
            );
        }
    }

    /// What `ip -json` says: `ip_json("-details link show docker0")`.
    #[track_caller]
    pub fn ip_json(&self, arguments: &str) -> Value {
        let outcome = self.sh(&format!("ip -json {arguments}"));
        // Of an empty list, ip prints nothing at all or "[]", by its version.
        if outcome.ok().is_empty() {
            Value::Array(vec![])
        } else {
            outcome.json()
        }
    }

    /// What `nft -j` says: `nft_json("list ruleset")`.
    #[track_caller]
    pub fn nft_json(&self, arguments: &str) -> Value {
        self.sh(&format!("nft -j {arguments}")).json()
    }

    /// Does to the host what a power failure does: no process, link, rule or mount of before is
    /// there, /run/sealane is empty, and the boot id is another. What is on disk stays.
    #[track_caller]
    pub fn lose_power(&self) {
        self.sh(POWER_FAILURE).ok();
    }

    /// Runs code on a thread that is in the host's network namespace, for sockets.
    pub fn in_netns<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        in_netns(Path::new(&format!("/proc/{}/ns/net", self.pid)), code)
    }

    /// The process id by which the host's namespaces can be entered from outside.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A command inside all of the host's namespaces.
    pub(crate) fn command(&self) -> Command {
        self.command_in(&["-a"])
    }

    /// A command that has no `nsenter` to wait for it, and to hold what it was passed. It is for
    /// [`Host::spawn_alone`].
    pub(crate) fn lone_command(&self) -> Command {
        self.command_in(&["-m", "-u", "-i", "-n", "-C"])
    }

    /// Starts a [`Host::lone_command`].
    pub(crate) fn spawn_alone(&self, mut command: Command) -> io::Result<Child> {
        let namespace = File::open(format!("/proc/{}/ns/pid", self.pid))?;
        // Only what the thread starts is in there.
        let start = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
            command.spawn()
        };
        let started = thread::spawn(start).join();
        started.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn command_in(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let search = std::env::var("PATH").unwrap_or_default();
        // Debian's docker package starts an engine when installed, so its client is only unpacked.
        let client = repository().join(".cache/docker/usr/bin");
        command
            .args(["-t", &self.pid.to_string()])
            .args(namespaces)
            .arg("--")
            .current_dir("/")
            .env(
                "PATH",
                format!("{search}:/usr/sbin:/sbin:{}", client.display()),
            )
            .env("TMPDIR", "/run/tmp")
            .env("HOME", "/run/tmp")
            .env_remove("DOCKER_HOST")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

/// Runs code on a thread in the network namespace that `handle` names.
pub(crate) fn in_netns<T: Send>(handle: &Path, code: impl FnOnce() -> T + Send) -> T {
    let namespace =
        File::open(handle).unwrap_or_else(|error| panic!("{}: {error}", handle.display()));
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a thread may enter a network namespace; run as root");
            code()
        });
        inside.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// A command that goes on until this is dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    output: PathBuf,
}

impl Background {
    fn start(host: &Host, script: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let output = host.path(format!("/run/lab/output.{number}"));
        let file = File::create(&output).expect("the host's /run is a tmpfs");
        let both = file.try_clone().expect("a file can be cloned");
        let child = host
            .command()
            // Killing nsenter is to kill the command.
            .args(["setpriv", "--pdeathsig", "KILL", "bash", "-c", script])
            .stdout(file)
            .stderr(both)
            .spawn()
            .expect("nsenter starts");
        Self { child, output }
    }

    /// All it has printed so far.
    pub fn output(&self) -> String {
        // The host may be gone already, and the file with it.
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until it has printed `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let limit = std::time::Duration::from_secs(10);
        crate::eventually(limit, || self.output().contains(text).then_some(()));
    }

    /// Waits until it ends by itself, and returns all it printed.
    pub fn finish(&mut self) -> String {
        drop(self.child.wait());
        self.output()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
