//! Which programs are used, and many containers at once.

use crate::stage::{next, on_stage, processes, wait_until, words};
use sealane_core::model::ErrorClass;
use sealane_runtime::{Runtime, RuntimeConfig};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Mutex;

#[test]
fn the_daemon_says_what_it_took() {
    on_stage(
        concat!(module_path!(), "::the_daemon_says_what_it_took"),
        |stage| {
            let runtime = stage.runtime();
            let chosen = runtime.chosen();
            assert_eq!(chosen.name, "runc");
            let told = Command::new(&chosen.path)
                .arg("--version")
                .output()
                .unwrap()
                .stdout;
            assert!(String::from_utf8(told).unwrap().contains(&chosen.version));
            assert!(chosen.conmon.ends_with("conmon") && chosen.conmon_version.starts_with("2."));
        },
    );
}

#[test]
fn a_missing_or_broken_program_is_named() {
    on_stage(
        concat!(module_path!(), "::a_missing_or_broken_program_is_named"),
        |stage| {
            let refused = |change: &dyn Fn(&mut RuntimeConfig)| {
                let mut config = stage.config();
                change(&mut config);
                let error = Runtime::open(config).unwrap_err();
                assert_eq!(error.class(), ErrorClass::Unavailable);
                words(&error)
            };
            let nowhere = || Some(stage.folder.join("nowhere"));
            assert!(
                refused(&|config| config.conmon = nowhere()).contains("install the package conmon")
            );
            assert!(
                refused(&|config| config.runtime = nowhere()).contains("install the package runc")
            );
            let broken = stage.folder.join("broken");
            let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo runc version 0 && exit\necho no cgroups here >&2\nexit 1\n";
            fs::write(&broken, script).unwrap();
            fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).unwrap();
            let text = refused(&|config| config.runtime = Some(broken.clone()));
            assert!(
                text.contains("no cgroups here") && text.ends_with("install runc"),
                "{text}"
            );
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn crun_does_it_too() {
    on_stage(concat!(module_path!(), "::crun_does_it_too"), |stage| {
        // It refuses hybrid cgroups; outside this mount namespace they stay.
        const HYBRID: &str = "/sys/fs/cgroup/unified";
        if fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(HYBRID)
        {
            let gone = Command::new("umount").arg(HYBRID).status().unwrap();
            assert!(gone.success(), "{HYBRID} is mounted here");
        }
        let crun = Command::new("sh")
            .args(["-c", "command -v crun"])
            .output()
            .unwrap()
            .stdout;
        let path = String::from_utf8(crun).unwrap().trim().to_owned();
        assert!(!path.is_empty(), "crun is installed");
        let config = RuntimeConfig {
            runtime: Some(path.into()),
            ..stage.config()
        };
        let runtime = Runtime::open(config).unwrap();
        assert_eq!(runtime.chosen().name, "crun");
        let ended = stage.run(
            &runtime,
            &stage.shell("a", "echo out; echo err >&2; exit 3"),
        );
        assert_eq!(ended, (3, "out\n".into(), "err\n".into()));
        for (program, code) in [("nosuch", 127), ("/etc/not-a-program", 126)] {
            let error = runtime.create(&stage.program("a", &[program])).unwrap_err();
            assert_eq!(error.exit_code(), Some(code), "{error}");
        }
        assert_eq!(processes(), [""; 0]);
        // It makes plain folders where that hierarchy was mounted.
        let made = stage.cgroups();
        let elsewhere = made
            .iter()
            .find(|folder| !folder.starts_with("/sys/fs/cgroup/unified"));
        assert_eq!(elsewhere, None);
        if let Some(folder) = made.first() {
            fs::remove_dir_all(folder).unwrap();
        }
    });
}

#[test]
fn containers_come_and_go_at_once() {
    on_stage(
        concat!(module_path!(), "::containers_come_and_go_at_once"),
        |stage| {
            let runtime = stage.runtime();
            let exits = runtime.watch_exits().unwrap();
            let told = Mutex::new(BTreeMap::new());
            let live = |thread: usize| {
                for turn in 0..4 {
                    let spec = stage.shell(&format!("{thread} {turn}"), "exit 7");
                    runtime.create(&spec).unwrap();
                    runtime.start(&spec.id).unwrap();
                    wait_until("its end is told", || {
                        told.lock().unwrap().contains_key(&spec.id)
                    });
                    runtime.delete(&spec.id).unwrap();
                }
            };
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn({
                        let live = &live;
                        move || live(thread)
                    });
                }
                for _ in 0..16 {
                    let exit = next(&exits);
                    assert_eq!(told.lock().unwrap().insert(exit.id, exit.code), None);
                }
            });
            assert!(told.lock().unwrap().values().all(|code| *code == 7));
            assert_eq!(processes(), [""; 0]);
            assert_eq!(stage.cgroups().len(), 0);
        },
    );
}
