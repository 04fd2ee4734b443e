//! The tour of the README, and what the demo and the labs leave behind: nothing.

use sealane_conformance::*;
use std::path::Path;
use std::process::{Command, Stdio};

fn tools(name: &str) -> String {
    format!("{}/../../tools/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The cgroups of demos, of whatever state.
fn cgroups_of_demos() -> String {
    let found = Command::new("find")
        .args([
            "/sys/fs/cgroup",
            "-maxdepth",
            "4",
            "-name",
            "sealane-lab-*-demo",
        ])
        .output()
        .expect("find runs");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

#[test]
fn the_tour_goes_as_told_and_leaves_nothing_when_killed() {
    let sealane = binary();
    let demo = |limit: &str| {
        Command::new("timeout")
            .args(["-s", "KILL", limit])
            .arg(tools("demo"))
            .env("SEALANE", &sealane)
            .stdin(Stdio::null())
            .output()
            .expect("timeout runs")
    };
    let whole = demo("120");
    let text = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(
        whole.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&whole.stderr)
    );
    assert!(text.contains("everything was as expected"), "{text}");
    assert_eq!(cgroups_of_demos(), "");

    // Killed with containers running: the kernel takes the processes, the lab's keeper the rest.
    let cut = demo("3");
    let text = String::from_utf8_lossy(&cut.stdout).into_owned();
    assert!(
        !cut.status.success() && text.contains("docker run -d"),
        "{text}"
    );
    eventually_is(SOON, String::new(), cgroups_of_demos);
    let left = Command::new("ps")
        .args(["-e", "-o", "args="])
        .output()
        .expect("ps runs");
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(
        !left
            .lines()
            .any(|line| line.contains("tools/lab") && line.contains("-demo")),
        "{left}"
    );
    assert!(!Path::new("/run/bin/sealane").exists());
}

#[test]
fn called_dockerd_it_is_the_daemon() {
    let lab = Lab::new();
    let host = lab.host(0);
    host.sh(&format!("ln -s {} /run/dockerd", binary().display()))
        .ok();
    let _daemon = host.spawn(
        "exec /run/dockerd --data-root /var/lib/sealane --exec-root /run/sealane --pidfile /run/d.pid \
         -H unix:///run/docker.sock --iptables=true --storage-driver overlay2 --containerd /run/x.sock",
    );
    eventually(Duration::from_secs(10), || {
        host.docker("version").succeeded().then_some(())
    });
    let mode = host.sh("stat -c %a /run/docker.sock").ok();
    assert_eq!(mode, "660");
    assert_eq!(host.docker("network ls -q").ok().lines().count(), 3);
}
