//! A place for one test: namespaces, folders and a cgroup of its own, and a busybox to run.
//!
//! A test runs itself again below `unshare`, so that the kernel takes everything away with it.

use sealane_core::model::{Id, derive_id};
use sealane_runtime::{
    Attach, Exit, LogQuery, ProcessSpec, Runtime, RuntimeConfig, RuntimeError, Stream,
};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

const STAGE: &str = "SEALANE_TEST_STAGE";
/// Far beyond what anything here takes: only a hang is this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` in namespaces of its own. `path` is the path of the calling test.
pub(crate) fn on_stage(path: &str, test: impl FnOnce(Stage)) {
    let name = test_name(path);
    if let Some(folder) = std::env::var_os(STAGE) {
        return test(Stage::new(folder.into()));
    }
    sweep_the_dead();
    let folder = tempfile::Builder::new()
        .prefix(&format!("{}.", std::process::id()))
        .tempdir();
    let folder = folder.unwrap();
    let status = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        // Process 1 is a shell, which reaps processes that lost their parent, as an init does.
        .args(["sh", "-c", "\"$@\"; exit $?", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(STAGE, folder.path())
        .status()
        .expect("unshare is installed");
    let left = cgroups_below(&cgroup_parent(folder.path()));
    for cgroup in left.iter().rev() {
        fs::remove_dir(cgroup).unwrap();
    }
    assert!(status.success(), "{name} failed on its stage");
    assert!(left.is_empty(), "cgroups were left: {left:?}");
}

/// What the test runner calls the test with this path.
pub(crate) fn test_name(path: &str) -> &str {
    path.split_once("::").unwrap().1
}

/// Where a test plays.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) rootfs: PathBuf,
}

impl Stage {
    fn new(folder: PathBuf) -> Self {
        let rootfs = folder.join("rootfs");
        if !rootfs.exists() {
            make_rootfs(&rootfs);
            make_network_namespace(&folder.join("netns"));
        }
        Self { folder, rootfs }
    }

    pub(crate) fn config(&self) -> RuntimeConfig {
        RuntimeConfig {
            exec_root: self.folder.join("exec"),
            data_root: self.folder.join("data:root"),
            cgroup_parent: Some(cgroup_parent(&self.folder)),
            ..RuntimeConfig::default()
        }
    }

    pub(crate) fn runtime(&self) -> Runtime {
        Runtime::open(self.config()).unwrap()
    }

    /// A container that runs a shell script.
    pub(crate) fn shell(&self, name: &str, script: &str) -> ProcessSpec {
        self.program(name, &["/bin/sh", "-c", script])
    }

    pub(crate) fn program(&self, name: &str, args: &[&str]) -> ProcessSpec {
        let args = args.iter().map(|argument| (*argument).to_owned()).collect();
        let mut spec = ProcessSpec::new(id(name), self.rootfs.clone(), args);
        spec.hostname = Some(name.to_owned());
        spec.network = Some(self.folder.join("netns"));
        spec
    }

    /// Runs a container to its end; returns its exit code, what it printed and what it said.
    pub(crate) fn run(&self, runtime: &Runtime, spec: &ProcessSpec) -> (i32, String, String) {
        let exits = runtime.watch_exits().unwrap();
        runtime.create(spec).unwrap();
        let attach = runtime.attach(&spec.id).unwrap();
        runtime.start(&spec.id).unwrap();
        let (out, err) = read_all(&attach);
        let exit = next(&exits);
        assert_eq!(exit.id, spec.id);
        assert_eq!(runtime.exit_code(&spec.id).unwrap(), Some(exit));
        runtime.delete(&spec.id).unwrap();
        (exit.code, out, err)
    }

    /// What a container printed, from its log.
    pub(crate) fn log(&self, runtime: &Runtime, id: &Id) -> String {
        let mut reader = runtime.read_logs(id, LogQuery::default()).unwrap();
        let mut log = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            log.extend(entry.bytes);
        }
        String::from_utf8(log).unwrap()
    }

    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        cgroups_below(&cgroup_parent(&self.folder))
    }
}

pub(crate) fn id(name: &str) -> Id {
    derive_id(&[name.as_bytes()])
}

pub(crate) fn next(exits: &Receiver<Exit>) -> Exit {
    exits.recv_timeout(PATIENCE).expect("an end is told")
}

pub(crate) fn read_all(attach: &Attach) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((stream, bytes)) = attach.read().unwrap() {
        match stream {
            Stream::Stdout => out.extend(bytes),
            Stream::Stderr => err.extend(bytes),
        }
    }
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// Reads until what was printed contains `text`.
pub(crate) fn read_until(attach: &Attach, text: &str) -> String {
    let mut printed = String::new();
    while !printed.contains(text) {
        let (_, bytes) = attach.read().unwrap().expect("more output");
        printed.push_str(&String::from_utf8(bytes).unwrap());
    }
    printed
}

/// The processes that can be seen here, besides this one and process 1.
pub(crate) fn processes() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Ok(pid) = name.parse::<u32>() else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let ended = stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"));
        if pid != 1 && pid != std::process::id() && !ended {
            found.push(stat);
        }
    }
    found
}

/// Waits for something that nothing tells of.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

pub(crate) fn words(error: &RuntimeError) -> String {
    error.to_string()
}

fn cgroup_parent(folder: &Path) -> String {
    format!(
        "sealane-test-{}",
        folder.file_name().unwrap().to_str().unwrap()
    )
}

/// Removes the cgroups of tests that were killed.
fn sweep_the_dead() {
    for cgroup in cgroups_below("sealane-test-").iter().rev() {
        let path = cgroup.to_str().unwrap();
        let pid = path
            .split("/sealane-test-")
            .nth(1)
            .unwrap()
            .split('.')
            .next()
            .unwrap();
        if !Path::new("/proc").join(pid).exists() {
            // Another test may sweep at the same time.
            let _gone = fs::remove_dir(cgroup);
        }
    }
}

fn cgroups_below(parent: &str) -> Vec<PathBuf> {
    let output = Command::new("find")
        .args([
            "/sys/fs/cgroup",
            "-type",
            "d",
            "-path",
            &format!("*/{parent}*"),
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(PathBuf::from)
        .collect()
}

fn make_network_namespace(path: &Path) {
    fs::write(path, "").unwrap();
    let bound = format!("--net={}", path.display());
    let up = ["ip", "link", "set", "lo", "up"];
    assert!(
        Command::new("unshare")
            .arg(bound)
            .args(up)
            .status()
            .unwrap()
            .success()
    );
}

fn make_rootfs(rootfs: &Path) {
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp", "home/me"] {
        fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines() {
        if applet != "busybox" {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
    }
    let passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
    fs::write(rootfs.join("etc/passwd"), passwd).unwrap();
    fs::write(
        rootfs.join("etc/group"),
        "root:x:0:\nme:x:1000:\nlogs:x:50:me\n",
    )
    .unwrap();
    fs::write(rootfs.join("etc/not-a-program"), "x").unwrap();
}
