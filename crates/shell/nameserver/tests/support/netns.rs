//! Network namespaces of their own.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

const INSIDE: &str = "SEALANE_TEST_INSIDE";

/// Runs the calling test in a namespace of its own with `lo` up: in a process that is this test
/// and no other.
pub(crate) fn in_netns(test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    let name = thread::current()
        .name()
        .expect("a test has a name")
        .to_owned();
    let status = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$0\" \"$@\"",
        ])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs; this test needs root, util-linux and iproute2");
    assert!(status.success(), "{name} failed in its namespace");
}

/// Another namespace, alive until it is dropped.
pub(crate) struct OtherNetns(Child);

impl OtherNetns {
    /// A namespace with `lo` up.
    pub(crate) fn new() -> Self {
        let script = "ip link set lo up && echo ready && exec sleep infinity";
        let mut child = Command::new("unshare")
            .args(["--net", "--kill-child", "--fork", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    /// Does something in it, in a thread of its own.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.inner_pid())).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).expect("setns");
                work()
            });
            thread.join().expect("the work in the other namespace")
        })
    }

    /// `--fork` keeps `unshare` outside; its child is inside.
    fn inner_pid(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        let text = std::fs::read_to_string(children).unwrap();
        text.split_whitespace()
            .next()
            .expect("unshare has a child")
            .to_owned()
    }
}

impl Drop for OtherNetns {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
