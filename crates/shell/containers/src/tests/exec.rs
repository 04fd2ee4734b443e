//! Further processes in a container.

use crate::ExecRequest;
use crate::ExecStart;
use crate::fake::World;
use rustix::net::{SendFlags, send};
use sealane_core::model::{ErrorClass, Id};
use sealane_runtime::{Exit, ExitOf};

fn request() -> ExecRequest {
    ExecRequest {
        command: vec!["ls".into(), "-l".into()],
        stdout: true,
        ..ExecRequest::default()
    }
}

fn exec_exit(exec: &str, code: i32) -> Exit {
    let id = Id::try_from(exec).unwrap();
    Exit {
        id,
        of: ExitOf::Exec,
        code,
        at: jiff::Timestamp::now(),
        oom: false,
    }
}

#[test]
fn an_exec_runs_once_and_its_exit_code_is_known_at_the_end_of_its_output() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let exec = world.containers.exec_create("web", request()).unwrap();
    let mut attached = world
        .containers
        .exec_start(&exec, ExecStart::default())
        .unwrap()
        .unwrap();
    let shown = world.containers.exec_inspect(&exec).unwrap();
    assert_eq!(
        (shown.running, shown.exit_code, shown.pid),
        (true, None, 99)
    );
    let again = world
        .containers
        .exec_start(&exec, ExecStart::default())
        .unwrap_err();
    assert_eq!(
        again.to_string(),
        format!("exec command {exec} is already running")
    );

    let process = world
        .fake
        .lock()
        .processes
        .get_mut(&id)
        .unwrap()
        .attached
        .remove(0);
    send(&process, b"\x02files", SendFlags::empty()).unwrap();
    drop(process);
    assert_eq!(
        &attached.output.blocking_recv().unwrap().bytes[..],
        b"files"
    );
    world.containers.ended(exec_exit(&exec, 2));
    assert_eq!(attached.output.blocking_recv(), None);
    let shown = world.containers.exec_inspect(&exec).unwrap();
    assert_eq!((shown.running, shown.exit_code), (false, Some(2)));
    let again = world
        .containers
        .exec_start(&exec, ExecStart::default())
        .unwrap_err();
    assert_eq!(
        again.to_string(),
        format!("exec command {exec} has already run")
    );
    assert_eq!(
        world.actions()[2..],
        ["exec_create: ls -l", "exec_start: ls -l", "exec_die"]
    );
}

#[test]
fn a_program_that_cannot_start_is_told_on_the_stream() {
    let world = World::new();
    world.run("web", |_| {});
    let exec = world.containers.exec_create("web", request()).unwrap();
    world.refuse("exec ls -l");
    let mut attached = world
        .containers
        .exec_start(&exec, ExecStart::default())
        .unwrap()
        .unwrap();
    let text = attached.output.blocking_recv().unwrap().bytes;
    assert_eq!(
        &text[..],
        b"OCI runtime exec failed: no such file or directory: unknown\r\n"
    );
    assert_eq!(attached.output.blocking_recv(), None);
    assert_eq!(
        world.containers.exec_inspect(&exec).unwrap().exit_code,
        Some(127)
    );
}

#[test]
fn a_detached_exec_has_no_streams() {
    let world = World::new();
    world.run("web", |_| {});
    let exec = world.containers.exec_create("web", request()).unwrap();
    let options = ExecStart {
        detach: true,
        ..ExecStart::default()
    };
    assert!(
        world
            .containers
            .exec_start(&exec, options)
            .unwrap()
            .is_none()
    );
    world.containers.ended(exec_exit(&exec, 0));
    assert_eq!(world.take_log().last().unwrap(), "no exec");
}

#[test]
fn an_exec_needs_a_running_container() {
    let world = World::new();
    let id = world.create("web", |_| {});
    let error = world.containers.exec_create("web", request()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert_eq!(error.to_string(), format!("container {id} is not running"));
    world.containers.start("web").unwrap();
    let empty = world
        .containers
        .exec_create("web", ExecRequest::default())
        .unwrap_err();
    assert_eq!(empty.to_string(), "No exec command specified");
    let exec = world.containers.exec_create("web", request()).unwrap();
    world.end(id, 0);
    assert!(
        world
            .containers
            .exec_start(&exec, ExecStart::default())
            .is_err()
    );
    world.containers.remove("web", Default::default()).unwrap();
    assert_eq!(
        world
            .containers
            .exec_inspect(&exec)
            .unwrap_err()
            .to_string(),
        format!("No such exec instance: {exec}")
    );
}
