//! Programs run in a container besides its first one.

use crate::stage::{Stage, id, next, on_stage, processes, read_all, read_until};
use sealane_core::model::ErrorClass;
use sealane_runtime::{ExecSpec, ExitOf, Runtime, RuntimeError};

/// Starts a container that does nothing.
fn idle(stage: &Stage, runtime: &Runtime) -> ExecSpec {
    let mut spec = stage.program("a", &["sleep", "1000"]);
    spec.env = vec!["A=1".into()];
    runtime.create(&spec).unwrap();
    runtime.start(&spec.id).unwrap();
    ExecSpec {
        id: id("exec"),
        container: spec.id,
        args: vec![],
        env: vec![],
        cwd: String::new(),
        user: String::new(),
        tty: false,
        console_size: None,
        stdin: false,
        privileged: false,
    }
}

fn script(idle: &ExecSpec, script: &str) -> ExecSpec {
    ExecSpec {
        args: vec!["sh".into(), "-c".into(), script.into()],
        ..idle.clone()
    }
}

#[test]
fn an_exec_prints_and_ends_and_is_told() {
    on_stage(
        concat!(module_path!(), "::an_exec_prints_and_ends_and_is_told"),
        |stage| {
            let runtime = stage.runtime();
            let exits = runtime.watch_exits().unwrap();
            let idle = idle(&stage, &runtime);
            let text = "echo out; echo err >&2; echo $A $B; id -u; pwd; grep CapEff /proc/self/status; exit 4";
            let spec = ExecSpec {
                env: vec!["B=2".into()],
                cwd: "/etc".into(),
                ..script(&idle, text)
            };
            let running = runtime.exec_start(&spec).unwrap();
            let (out, err) = read_all(&running.attach);
            assert_eq!(out, "out\n1 2\n0\n/etc\nCapEff:\t00000000a80425fb\n");
            assert_eq!(err, "err\n");
            let exit = next(&exits);
            assert_eq!((exit.id, exit.of, exit.code), (spec.id, ExitOf::Exec, 4));
            assert_eq!(runtime.exec_exit_code(&spec.id).unwrap(), Some(exit));
            assert_eq!(
                stage.log(&runtime, &idle.container),
                "",
                "an exec is not logged"
            );
            runtime.exec_delete(&spec.id).unwrap();
            assert!(matches!(
                runtime.exec_exit_code(&spec.id),
                Err(RuntimeError::NotFound(_))
            ));
            runtime.delete(&idle.container).unwrap();
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn the_output_of_short_programs_is_whole() {
    on_stage(
        concat!(module_path!(), "::the_output_of_short_programs_is_whole"),
        |stage| {
            let runtime = stage.runtime();
            let idle = idle(&stage, &runtime);
            for turn in 0..20 {
                let name = format!("exec {turn}");
                let spec = ExecSpec {
                    id: id(&name),
                    tty: turn % 2 == 1,
                    ..script(&idle, "echo whole")
                };
                let running = runtime.exec_start(&spec).unwrap();
                let wanted = if spec.tty { "whole\r\n" } else { "whole\n" };
                assert_eq!(read_all(&running.attach).0, wanted, "turn {turn}");
            }
            runtime.delete(&idle.container).unwrap();
            assert_eq!(
                std::fs::read_dir(stage.folder.join("exec/execs"))
                    .unwrap()
                    .count(),
                0
            );
        },
    );
}

#[test]
fn an_exec_has_input_a_terminal_and_another_user() {
    on_stage(
        concat!(
            module_path!(),
            "::an_exec_has_input_a_terminal_and_another_user"
        ),
        |stage| {
            let runtime = stage.runtime();
            let idle = idle(&stage, &runtime);
            let spec = ExecSpec {
                stdin: true,
                ..script(&idle, "cat; echo end")
            };
            let running = runtime.exec_start(&spec).unwrap();
            running.attach.write_stdin(b"in\n").unwrap();
            running.attach.close_stdin().unwrap();
            assert_eq!(read_all(&running.attach).0, "in\nend\n");

            let spec = ExecSpec {
                id: id("terminal"),
                tty: true,
                stdin: true,
                user: "me".into(),
                console_size: Some((20, 40)),
                ..script(
                    &idle,
                    "trap 'stty size' WINCH; id -un; echo $HOME $TERM; stty size; while :; do sleep 0.05; done",
                )
            };
            let running = runtime.exec_start(&spec).unwrap();
            read_until(&running.attach, "me\r\n/home/me xterm\r\n20 40\r\n");
            runtime.exec_resize(&spec.id, 30, 60).unwrap();
            read_until(&running.attach, "30 60\r\n");
            runtime.exec_delete(&spec.id).unwrap();

            let spec = ExecSpec {
                id: id("privileged"),
                privileged: true,
                ..script(&idle, "grep -c 'CapEff:.*a80425fb' /proc/self/status")
            };
            assert_eq!(
                read_all(&runtime.exec_start(&spec).unwrap().attach).0,
                "0\n"
            );
            runtime.delete(&idle.container).unwrap();
            assert_eq!(processes(), [""; 0]);
        },
    );
}

#[test]
fn an_exec_that_cannot_start_says_why() {
    on_stage(
        concat!(module_path!(), "::an_exec_that_cannot_start_says_why"),
        |stage| {
            let runtime = stage.runtime();
            let idle = idle(&stage, &runtime);
            let refused = |args: &[&str]| {
                let args = args.iter().map(|argument| (*argument).to_owned()).collect();
                runtime
                    .exec_start(&ExecSpec {
                        args,
                        ..idle.clone()
                    })
                    .unwrap_err()
            };
            let error = refused(&["nosuch"]);
            assert_eq!(
                error.to_string(),
                "OCI runtime exec failed: exec failed: unable to start container process: \
             exec: \"nosuch\": executable file not found in $PATH: unknown"
            );
            assert_eq!(
                (error.exit_code(), error.class()),
                (Some(127), ErrorClass::InvalidArgument)
            );
            assert_eq!(refused(&["/etc/not-a-program"]).exit_code(), Some(126));
            let user = ExecSpec {
                user: "who".into(),
                ..script(&idle, "true")
            };
            let error = runtime.exec_start(&user).unwrap_err();
            assert_eq!(
                error.to_string(),
                "unable to find user who: no matching entries in passwd file"
            );
            let elsewhere = ExecSpec {
                container: id("none"),
                ..script(&idle, "true")
            };
            assert!(matches!(
                runtime.exec_start(&elsewhere),
                Err(RuntimeError::NotFound(_))
            ));
            runtime.delete(&idle.container).unwrap();
        },
    );
}

#[test]
fn top_shows_the_processes_of_one_container() {
    on_stage(
        concat!(module_path!(), "::top_shows_the_processes_of_one_container"),
        |stage| {
            let runtime = stage.runtime();
            let idle = idle(&stage, &runtime);
            let running = runtime
                .exec_start(&script(&idle, "sleep 999 & echo up; wait"))
                .unwrap();
            read_until(&running.attach, "up");
            let table = runtime.top(&idle.container, &[]).unwrap();
            assert_eq!(
                table.titles,
                ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
            );
            let commands: Vec<_> = table.processes.iter().map(|row| row[7].as_str()).collect();
            assert_eq!(
                commands,
                ["sleep 1000", "sh -c sleep 999 & echo up; wait", "sleep 999"]
            );
            let table = runtime
                .top(&idle.container, &["-o".into(), "pid,comm".into()])
                .unwrap();
            assert_eq!(table.titles, ["PID", "COMMAND"]);
            assert_eq!(table.processes.len(), 3);
            runtime.delete(&idle.container).unwrap();
            assert!(matches!(
                runtime.top(&idle.container, &[]),
                Err(RuntimeError::Ended(_))
            ));
        },
    );
}
