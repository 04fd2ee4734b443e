//! A container's life, on the real machine: made, started, ended, removed without a trace.

use crate::stage::{id, next, on_stage, processes, read_all, read_until, words};
use rustix::process::Signal;
use sealane_core::model::ErrorClass;
use sealane_runtime::{ExitOf, RuntimeError, Stdin};

#[test]
fn a_container_runs_and_leaves_nothing() {
    on_stage(
        concat!(module_path!(), "::a_container_runs_and_leaves_nothing"),
        |stage| {
            let runtime = stage.runtime();
            assert_eq!(stage.cgroups().len(), 0, "the trial left its cgroup");
            let spec = stage.shell("a", "echo out; echo err >&2; exit 3");
            let ended = stage.run(&runtime, &spec);
            assert_eq!(ended, (3, "out\n".into(), "err\n".into()));
            let log = stage.log(&runtime, &spec.id);
            assert!(log == "out\nerr\n" || log == "err\nout\n", "{log}");
            assert_eq!(runtime.state(&spec.id).unwrap(), None);
            assert_eq!(runtime.list().unwrap(), []);
            assert_eq!(processes(), [""; 0]);
            assert_eq!(stage.cgroups().len(), 0);
            for folder in ["containers", "exits", "execs", "runtime"] {
                let left = std::fs::read_dir(stage.folder.join("exec").join(folder)).unwrap();
                assert_eq!(left.count(), 0, "something is left in {folder}");
            }
            runtime.remove_logs(&spec.id).unwrap();
            assert_eq!(
                std::fs::read_dir(stage.folder.join("data:root/logs"))
                    .unwrap()
                    .count(),
                0
            );
        },
    );
}

#[test]
fn all_output_is_read_and_logged() {
    on_stage(
        concat!(module_path!(), "::all_output_is_read_and_logged"),
        |stage| {
            let runtime = stage.runtime();
            let spec = stage.shell("a", "seq 1 100000; printf end");
            let (code, out, _) = stage.run(&runtime, &spec);
            let wanted = (1..=100_000).map(|n| format!("{n}\n")).collect::<String>() + "end";
            assert_eq!(code, 0);
            assert!(
                out == wanted,
                "{} bytes were read of {}",
                out.len(),
                wanted.len()
            );
            assert!(stage.log(&runtime, &spec.id) == wanted);
        },
    );
}

#[test]
fn input_ends_when_the_first_reader_ends_it() {
    on_stage(
        concat!(module_path!(), "::input_ends_when_the_first_reader_ends_it"),
        |stage| {
            let runtime = stage.runtime();
            let mut spec = stage.shell("a", "cat; echo done");
            spec.stdin = Stdin::Once;
            runtime.create(&spec).unwrap();
            let attach = runtime.attach(&spec.id).unwrap();
            attach.write_stdin(&vec![b'x'; 100_000]).unwrap();
            runtime.start(&spec.id).unwrap();
            attach.close_stdin().unwrap();
            let (out, _) = read_all(&attach);
            assert_eq!(out, "x".repeat(100_000) + "done\n");
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn open_input_outlives_its_readers() {
    on_stage(
        concat!(module_path!(), "::open_input_outlives_its_readers"),
        |stage| {
            let runtime = stage.runtime();
            let mut spec = stage.shell("a", "while read line; do echo got $line; done");
            spec.stdin = Stdin::Open;
            runtime.create(&spec).unwrap();
            runtime.start(&spec.id).unwrap();
            for text in ["one", "two"] {
                let attach = runtime.attach(&spec.id).unwrap();
                attach.write_stdin(format!("{text}\n").as_bytes()).unwrap();
                attach.close_stdin().unwrap();
                assert_eq!(read_until(&attach, "\n"), format!("got {text}\n"));
            }
            assert!(runtime.state(&spec.id).unwrap().unwrap().alive);
            runtime.delete(&spec.id).unwrap();
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn no_input_is_the_end_of_input() {
    on_stage(
        concat!(module_path!(), "::no_input_is_the_end_of_input"),
        |stage| {
            let runtime = stage.runtime();
            let ended = stage.run(&runtime, &stage.shell("a", "cat; echo done"));
            assert_eq!(ended, (0, "done\n".into(), String::new()));
        },
    );
}

#[test]
fn a_terminal_has_a_size_that_follows() {
    on_stage(
        concat!(module_path!(), "::a_terminal_has_a_size_that_follows"),
        |stage| {
            let runtime = stage.runtime();
            let script =
                "echo $TERM; tty; trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done";
            let mut spec = stage.shell("a", script);
            spec.tty = true;
            spec.stdin = Stdin::Once;
            spec.console_size = Some((33, 77));
            let exits = runtime.watch_exits().unwrap();
            runtime.create(&spec).unwrap();
            let attach = runtime.attach(&spec.id).unwrap();
            runtime.start(&spec.id).unwrap();
            let first = read_until(&attach, "33 77\r\n");
            assert!(first.starts_with("xterm\r\n/dev/pts/0\r\n"), "{first}");
            runtime.resize(&spec.id, 44, 88).unwrap();
            read_until(&attach, "44 88\r\n");
            // Ctrl-C reaches the program through its terminal.
            attach.write_stdin(b"\x03").unwrap();
            read_all(&attach);
            assert_eq!(next(&exits).code, 130);
            runtime.delete(&spec.id).unwrap();
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn a_signal_ends_a_container_and_only_once() {
    on_stage(
        concat!(module_path!(), "::a_signal_ends_a_container_and_only_once"),
        |stage| {
            let runtime = stage.runtime();
            let exits = runtime.watch_exits().unwrap();
            let spec = stage.shell(
                "a",
                "trap 'exit 5' TERM; trap 'echo rt' RTMIN; echo up; while :; do sleep 0.05; done",
            );
            let created = runtime.create(&spec).unwrap();
            let state = runtime.state(&spec.id).unwrap().unwrap();
            assert!(state.alive && !state.started);
            assert_eq!(
                (state.pid, state.start_time),
                (created.pid, created.start_time)
            );
            let attach = runtime.attach(&spec.id).unwrap();
            runtime.start(&spec.id).unwrap();
            read_until(&attach, "up");
            assert!(runtime.state(&spec.id).unwrap().unwrap().started);
            assert!(matches!(
                runtime.create(&spec),
                Err(RuntimeError::Exists(_))
            ));
            runtime.kill(&spec.id, 34).unwrap();
            runtime.kill(&spec.id, Signal::TERM.as_raw()).unwrap();
            let exit = next(&exits);
            assert_eq!(
                (exit.id, exit.of, exit.code, exit.oom),
                (spec.id, ExitOf::Container, 5, false)
            );
            assert!(!runtime.state(&spec.id).unwrap().unwrap().alive);
            assert!(matches!(
                runtime.kill(&spec.id, 15),
                Err(RuntimeError::Ended(_))
            ));
            assert!(matches!(
                runtime.attach(&spec.id),
                Err(RuntimeError::Ended(_))
            ));
            assert!(matches!(
                runtime.kill(&id("b"), 15),
                Err(RuntimeError::NotFound(_))
            ));
            assert!(matches!(
                runtime.start(&id("b")),
                Err(RuntimeError::NotFound(_))
            ));
            assert!(matches!(
                runtime.attach(&id("b")),
                Err(RuntimeError::NotFound(_))
            ));
            runtime.delete(&id("b")).unwrap();
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn an_ended_container_starts_again_under_its_id() {
    on_stage(
        concat!(
            module_path!(),
            "::an_ended_container_starts_again_under_its_id"
        ),
        |stage| {
            let runtime = stage.runtime();
            let spec = stage.shell("a", "echo turn; exit 1");
            for _ in 0..2 {
                let exits = runtime.watch_exits().unwrap();
                runtime.create(&spec).unwrap();
                assert_eq!(
                    runtime.exit_code(&spec.id).unwrap(),
                    None,
                    "of an earlier turn"
                );
                runtime.start(&spec.id).unwrap();
                assert_eq!(next(&exits).code, 1);
            }
            assert_eq!(stage.log(&runtime, &spec.id), "turn\nturn\n");
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn failures_to_start_are_told_in_dockers_words() {
    on_stage(
        concat!(
            module_path!(),
            "::failures_to_start_are_told_in_dockers_words"
        ),
        |stage| {
            let runtime = stage.runtime();
            let refused = |args: &[&str]| runtime.create(&stage.program("a", args)).unwrap_err();

            let error = refused(&["nosuch", "x"]);
            assert_eq!(
                words(&error),
                "failed to create task for container: failed to create shim task: \
             OCI runtime create failed: runc create failed: unable to start container process: \
             exec: \"nosuch\": executable file not found in $PATH: unknown"
            );
            assert_eq!(
                (error.exit_code(), error.class()),
                (Some(127), ErrorClass::InvalidArgument)
            );

            let error = refused(&["/etc/not-a-program"]);
            assert!(
                words(&error).contains("exec: \"/etc/not-a-program\": permission denied: unknown")
            );
            assert_eq!(
                (error.exit_code(), error.class()),
                (Some(126), ErrorClass::InvalidArgument)
            );

            let mut spec = stage.shell("a", "true");
            spec.user = "nobody-here".into();
            let error = runtime.create(&spec).unwrap_err();
            assert_eq!(
                words(&error),
                "unable to find user nobody-here: no matching entries in passwd file"
            );

            let mut spec = stage.shell("a", "true");
            spec.sysctls.insert("kernel.nosuch".into(), "1".into());
            let error = runtime.create(&spec).unwrap_err();
            assert_eq!(
                (error.exit_code(), error.class()),
                (Some(128), ErrorClass::Internal),
                "{error}"
            );

            assert_eq!(processes(), [""; 0]);
            assert_eq!(stage.cgroups().len(), 0);
            assert_eq!(runtime.list().unwrap(), []);
        },
    );
}
