//! Any OCI runtime is handed a namespace that is there, and files to mount (B3.17).

use sealane_conformance::*;

#[test]
fn b3_17_runc_is_handed_the_namespace_and_the_files() {
    is_handed_all("runc");
}

/// Debian's crun wants cgroups of version 2 alone.
#[test]
fn b3_17_crun_is_handed_the_namespace_and_the_files() {
    in_kernel_lab(|| is_handed_all("crun"));
}

fn is_handed_all(runtime: &str) {
    let mut world = World::with_flags(&["--live-restore", "--default-runtime", runtime]);
    let info = world.docker("info --format '{{.DefaultRuntime}}'").ok();
    assert_eq!(info, runtime);
    world.network("--subnet 10.37.0.0/24 net");
    world.serve("--name web --network net --hostname page --add-host far:192.0.2.9 -p 8080:80");
    let handed = |world: &World| {
        let shown = world.inspect("web");
        let key = shown["NetworkSettings"]["SandboxKey"]
            .as_str()
            .expect("a path")
            .to_owned();
        let inode = |path: &str| world.host().sh(&format!("stat -Lc %i {path}")).ok();
        let own = inode(&format!("/proc/{}/ns/net", shown["State"]["Pid"]));
        assert_eq!(own, inode(&key));
        assert_ne!(own, inode("/proc/self/ns/net"));
        own
    };
    let namespace = handed(&world);
    let inside = |command: &str| world.docker(&format!("exec web {command}")).ok();
    let mounts = inside("cat /proc/mounts");
    for (file, text) in [
        ("/etc/hosts", "192.0.2.9\tfar"),
        ("/etc/hostname", "page"),
        ("/etc/resolv.conf", "nameserver 127.0.0.11"),
    ] {
        assert!(mounts.contains(&format!(" {file} ")), "{file}: {mounts}");
        let content = inside(&format!("cat {file}"));
        assert!(content.contains(text), "{file}: {content}");
    }
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    // What it was handed is its own as long as it runs, whichever daemon runs.
    world.relaunch();
    assert_eq!(handed(&world), namespace);
    world.docker("restart -t 0 web").ok();
    assert_ne!(handed(&world), namespace);
    world.docker("rm -f web").ok();
}
