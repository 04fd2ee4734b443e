//! A daemon that dies, and what the next one finds.

use crate::stage::{Stage, id, next, on_stage, processes, read_until, test_name, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sealane_runtime::{ExecSpec, ExitOf, LogQuery, Runtime, Stdin};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

const DAEMON: &str = "SEALANE_TEST_DAEMON";

/// Runs `daemon` in a process of its own, which is killed without warning at its end.
fn die_after(name: &str, stage: &Stage, daemon: impl FnOnce(&Runtime)) {
    if std::env::var_os(DAEMON).is_some() {
        daemon(&stage.runtime());
        kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
    }
    let status = Command::new("setsid")
        .args(["--wait"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(DAEMON, "1")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9), "the daemon did its work and died");
}

#[test]
fn a_killed_daemon_harms_no_container() {
    on_stage(
        concat!(module_path!(), "::a_killed_daemon_harms_no_container"),
        |stage| {
            let mut long = stage.shell(
                "long",
                "echo up; while read line; do echo got $line; done; exit 6",
            );
            long.stdin = Stdin::Open;
            let short = stage.shell("short", "sleep 0.3; exit 9");
            die_after(
                "restart::a_killed_daemon_harms_no_container",
                &stage,
                |runtime| {
                    for spec in [&long, &short] {
                        runtime.create(spec).unwrap();
                        runtime.start(&spec.id).unwrap();
                    }
                },
            );
            let runtime = stage.runtime();
            let exits = runtime.watch_exits().unwrap();
            let mut found = runtime.list().unwrap();
            found.sort_unstable();
            let mut wanted = [long.id, short.id];
            wanted.sort_unstable();
            assert_eq!(found, wanted);
            wait_until("the short one ends", || {
                runtime.exit_code(&short.id).unwrap().is_some()
            });
            assert_eq!(runtime.exit_code(&short.id).unwrap().unwrap().code, 9);

            let state = runtime.state(&long.id).unwrap().unwrap();
            assert!(state.alive && state.started);
            let attach = runtime.attach(&long.id).unwrap();
            attach.write_stdin(b"news\n").unwrap();
            read_until(&attach, "got news\n");
            assert_eq!(stage.log(&runtime, &long.id), "up\ngot news\n");
            runtime.kill(&long.id, 9).unwrap();
            let exit = exits.iter().find(|exit| exit.id == long.id).unwrap();
            assert_eq!(exit.code, 137);
            runtime.delete(&long.id).unwrap();
            runtime.delete(&short.id).unwrap();
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn nothing_of_the_daemons_is_in_a_container_or_its_conmon() {
    on_stage(
        concat!(
            module_path!(),
            "::nothing_of_the_daemons_is_in_a_container_or_its_conmon"
        ),
        |stage| {
            let runtime = stage.runtime();
            let (leaky, _other_end) = std::io::pipe().unwrap();
            let spec = stage.program("a", &["sleep", "1000"]);
            runtime.create(&spec).unwrap();
            runtime.start(&spec.id).unwrap();
            let pid = runtime.state(&spec.id).unwrap().unwrap().pid;
            let own = fs::read_to_string("/proc/self/cgroup").unwrap();
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let conmon = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
            assert_eq!(
                fs::read_to_string(format!("/proc/{conmon}/comm")).unwrap(),
                "conmon\n"
            );
            let cgroup = fs::read_to_string(format!("/proc/{conmon}/cgroup")).unwrap();
            for hierarchy in ["0::", "name=systemd:"] {
                let line = |text: &str| {
                    text.lines()
                        .find(|line| line.contains(hierarchy))
                        .unwrap()
                        .to_owned()
                };
                assert!(line(&cgroup).ends_with("/conmon"), "{cgroup}");
                assert_ne!(line(&cgroup), line(&own));
            }
            let session = fs::read_to_string(format!("/proc/{conmon}/stat")).unwrap();
            let session = session
                .rsplit(") ")
                .next()
                .unwrap()
                .split(' ')
                .nth(3)
                .unwrap()
                .to_owned();
            assert_eq!(session, conmon, "conmon leads a session of its own");
            let ours = fs::read_link(format!(
                "/proc/self/fd/{}",
                std::os::fd::AsRawFd::as_raw_fd(&leaky)
            ));
            for fd in fs::read_dir(format!("/proc/{conmon}/fd")).unwrap() {
                let target = fs::read_link(fd.unwrap().path()).unwrap();
                assert_ne!(Some(&target), ours.as_ref().ok());
                let own = |fd: u32| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
                let inherited = (0..3)
                    .map(own)
                    .any(|own| own == target && own != Path::new("/dev/null"));
                assert!(!inherited, "{} is the daemon's", target.display());
            }
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn a_lost_conmon_ends_its_container() {
    on_stage(
        concat!(module_path!(), "::a_lost_conmon_ends_its_container"),
        |stage| {
            let runtime = stage.runtime();
            let early = stage.program("early", &["sleep", "1000"]);
            runtime.create(&early).unwrap();
            runtime.start(&early.id).unwrap();
            let exits = runtime.watch_exits().unwrap();
            let late = stage.program("late", &["sleep", "1000"]);
            runtime.create(&late).unwrap();
            runtime.start(&late.id).unwrap();
            let exec = ExecSpec {
                id: id("exec"),
                container: late.id,
                args: vec!["sleep".into(), "999".into()],
                env: vec![],
                cwd: String::new(),
                user: String::new(),
                tty: false,
                console_size: None,
                stdin: false,
                privileged: false,
            };
            let _attach = runtime.exec_start(&exec).unwrap();
            let exec_folder = stage.folder.join("exec/execs").join(exec.id.to_string());
            for (folder, wanted, of) in [
                (exec_folder, exec.id, ExitOf::Exec),
                (
                    stage
                        .folder
                        .join("exec/containers")
                        .join(early.id.to_string()),
                    early.id,
                    ExitOf::Container,
                ),
                (
                    stage
                        .folder
                        .join("exec/containers")
                        .join(late.id.to_string()),
                    late.id,
                    ExitOf::Container,
                ),
            ] {
                let pid = fs::read_to_string(folder.join("conmon.pid")).unwrap();
                kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
                let exit = next(&exits);
                assert_eq!((exit.id, exit.of, exit.code), (wanted, of, 137));
            }
            runtime.delete(&early.id).unwrap();
            runtime.delete(&late.id).unwrap();
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn strays_are_stopped() {
    on_stage(concat!(module_path!(), "::strays_are_stopped"), |stage| {
        let spec = stage.program("a", &["sleep", "1000"]);
        let runtime = stage.runtime();
        runtime.create(&spec).unwrap();
        runtime.start(&spec.id).unwrap();
        assert_eq!(runtime.stop_strays(&|_| true).unwrap(), []);
        fs::remove_dir_all(stage.folder.join("exec")).unwrap();
        let runtime = stage.runtime();
        assert_eq!(runtime.stop_strays(&|_| true).unwrap(), [spec.id]);
        wait_until("the processes end", || processes().is_empty());
        assert_eq!(runtime.stop_strays(&|_| true).unwrap(), []);
        assert_eq!(
            runtime
                .read_logs(&spec.id, LogQuery::default())
                .unwrap()
                .next_entry()
                .unwrap(),
            None
        );
    });
}

#[test]
fn whenever_the_daemon_dies_the_next_one_can_clean_up() {
    let path = concat!(
        module_path!(),
        "::whenever_the_daemon_dies_the_next_one_can_clean_up"
    );
    let name = test_name(path);
    on_stage(path, |stage| {
        let spec = stage.program("a", &["sleep", "1000"]);
        let order = stage.folder.join("fault");
        if std::env::var_os(DAEMON).is_some() {
            let runtime = stage.runtime();
            // The order counts from when it changes: not before the daemon is up.
            fs::rename(stage.folder.join("next fault"), &order).unwrap();
            runtime.create(&spec).unwrap();
            runtime.start(&spec.id).unwrap();
            runtime.delete(&spec.id).unwrap();
            return;
        }
        let mut deaths = 0;
        loop {
            fs::write(stage.folder.join("next fault"), format!("{}", deaths + 1)).unwrap();
            let status = Command::new(std::env::current_exe().unwrap())
                .args([name, "--exact", "--nocapture", "--test-threads=1"])
                .env(DAEMON, "1")
                .env("SEALANE_FAULT_FILE", &order)
                .status()
                .unwrap();
            fs::remove_file(&order).unwrap();
            if status.success() {
                break;
            }
            deaths += 1;
            let runtime = stage.runtime();
            let state = runtime.state(&spec.id).unwrap();
            let listed = runtime.list().unwrap();
            assert!(
                state.is_none() || listed == [spec.id],
                "after death {deaths}"
            );
            runtime.delete(&spec.id).unwrap();
            assert_eq!(processes(), [""; 0], "after death {deaths}");
            assert_eq!(stage.cgroups().len(), 0, "after death {deaths}");
            assert_eq!(runtime.list().unwrap(), []);
        }
        let log = fs::read_to_string(stage.folder.join("fault.log")).unwrap();
        assert!(deaths >= 5, "{log}");
    });
}

#[test]
fn what_is_from_before_a_reboot_is_forgotten() {
    on_stage(
        concat!(
            module_path!(),
            "::what_is_from_before_a_reboot_is_forgotten"
        ),
        |stage| {
            let runtime = stage.runtime();
            let spec = stage.shell("a", "exit 1");
            let exits = runtime.watch_exits().unwrap();
            runtime.create(&spec).unwrap();
            runtime.start(&spec.id).unwrap();
            next(&exits);
            assert!(
                stage.runtime().exit_code(&spec.id).unwrap().is_some(),
                "no reboot"
            );
            fs::write(stage.folder.join("exec/boot-id"), "another").unwrap();
            let runtime = stage.runtime();
            assert_eq!(runtime.list().unwrap(), []);
            assert_eq!(runtime.exit_code(&spec.id).unwrap(), None);
            assert_eq!(runtime.state(&spec.id).unwrap(), None);
            runtime.delete(&spec.id).unwrap();
        },
    );
}
