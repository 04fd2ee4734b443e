//! Start, end, stop, restart, remove.

use crate::fake::World;
use crate::options::{RestartMode, RestartPolicy};
use crate::record::Status;
use crate::request::{RemoveOptions, StopOptions, WaitCondition};
use crate::{AttachOptions, CreateRequest, Exit};
use rustix::net::{SendFlags, send};
use sealane_core::model::{ErrorClass, Id};
use std::path::PathBuf;
use std::time::Duration;

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    volumes: false,
    link: false,
};

fn policy(name: RestartMode) -> impl FnOnce(&mut CreateRequest) {
    move |request| {
        let policy = RestartPolicy {
            name: Some(name),
            ..RestartPolicy::default()
        };
        request.host_config.restart_policy = Some(policy);
    }
}

fn exit(code: i64) -> Option<Exit> {
    Some(Exit { code, error: None })
}

/// The host has nothing of any container.
fn assert_bare(world: &World) {
    let inner = world.fake.lock();
    assert!(inner.sandboxes.is_empty() && inner.processes.is_empty() && inner.mounted.is_empty());
}

/// Waits for what another thread does next.
fn eventually(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_start_makes_sandbox_process_and_note_in_this_order() {
    let world = World::new();
    let id = world.create("web", |_| {});
    world.containers.start("web").unwrap();
    assert_eq!(
        world.take_log(),
        [
            "mount web",
            "sandbox web",
            "process web",
            "no mount web",
            "start web",
            "store web running"
        ]
    );
    assert_eq!(world.actions(), ["create", "start"]);
    let record = world.record(id);
    assert_eq!((record.state.pid, record.state.start_time), (1, 7));
    assert_eq!(
        world.fake.lock().processes[&id].network,
        Some(PathBuf::from("/netns/web"))
    );
    let again = world.containers.start("web").unwrap_err();
    assert_eq!(again.class(), ErrorClass::NotModified);
}

#[test]
fn a_start_that_fails_is_undone_wherever_it_fails() {
    for (refused, class, code) in [
        ("sandbox web", ErrorClass::Forbidden, 128),
        ("process web", ErrorClass::InvalidArgument, 127),
        ("start web", ErrorClass::InvalidArgument, 126),
        ("store web running", ErrorClass::Internal, 128),
    ] {
        let world = World::new();
        let id = world.create("web", |_| {});
        world.refuse(refused);
        let error = world.containers.start("web").unwrap_err();
        assert_eq!(error.class(), class, "{refused}: {error}");
        assert_bare(&world);
        let state = world.record(id).state;
        assert_eq!(
            (state.status, state.exit_code),
            (Status::Created, code),
            "{refused}"
        );
        assert_eq!(state.error, error.to_string());
        world.fake.lock().refuse = None;
        world.containers.start("web").unwrap();
        assert_eq!(world.record(id).state.error, "");
    }
}

#[test]
fn failures_of_the_network_are_named_so() {
    let world = World::new();
    world.create("web", |_| {});
    world.refuse("sandbox web");
    assert_eq!(
        world.containers.start("web").unwrap_err().to_string(),
        "failed to set up container networking: Address already in use"
    );
}

#[test]
fn an_end_is_noted_before_the_traces_of_the_process_go() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let waiter = world
        .containers
        .wait("web", WaitCondition::NextExit)
        .unwrap();
    world.end(id, 3);
    assert_eq!(
        world.take_log(),
        ["no sandbox web", "store web exited", "no process web"]
    );
    assert_eq!(waiter.wait(), exit(3));
    let now = world
        .containers
        .wait("web", WaitCondition::NotRunning)
        .unwrap();
    assert_eq!(now.wait(), exit(3));
    assert_eq!(world.actions(), ["create", "start", "die"]);
    let (past, _) = world.events.subscribe(Some(jiff::Timestamp::UNIX_EPOCH));
    let die = &past[2].attributes;
    assert_eq!(
        (die["exitCode"].as_str(), die["name"].as_str()),
        ("3", "web")
    );
    assert_eq!(die["image"], "busybox");
}

#[test]
fn a_late_notice_of_an_end_is_not_taken_for_a_new_one() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let late = world.fake.end_silently(id, 0);
    world.containers.ended(late);
    world.containers.start("web").unwrap();
    world.containers.ended(late);
    assert_eq!(world.record(id).state.status, Status::Running);
}

#[test]
fn a_container_may_be_removed_at_its_end() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.host_config.auto_remove = Some(true)
    });
    let waiter = world
        .containers
        .wait("web", WaitCondition::Removed)
        .unwrap();
    world.end(id, 7);
    assert_eq!(waiter.wait(), exit(7));
    assert_bare(&world);
    assert!(world.fake.lock().records.is_empty() && world.fake.lock().roots.is_empty());
    assert_eq!(world.actions(), ["create", "start", "die", "destroy"]);
}

#[test]
fn a_container_to_be_removed_at_its_end_goes_when_it_cannot_start() {
    let world = World::new();
    world.create("web", |request| {
        request.host_config.auto_remove = Some(true)
    });
    let waiter = world
        .containers
        .wait("web", WaitCondition::NextExit)
        .unwrap();
    world.refuse("process web");
    world.containers.start("web").unwrap_err();
    assert_eq!(waiter.wait(), exit(127));
    assert!(world.fake.lock().records.is_empty());
}

#[test]
fn a_stop_asks_then_kills() {
    let world = World::new();
    let id = world.run("web", |request| request.config.stop_timeout = Some(0));
    world
        .fake
        .lock()
        .processes
        .get_mut(&id)
        .unwrap()
        .ignores
        .insert(15);
    world
        .containers
        .stop("web", &StopOptions::default())
        .unwrap();
    let log = world.take_log();
    assert_eq!(
        log[..3],
        ["store web running", "kill web 15", "kill web 9"],
        "{log:?}"
    );
    let state = world.record(id).state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
    assert!(state.manually_stopped);
    assert_eq!(world.actions()[2..], ["kill", "kill", "die", "stop"]);
    let again = world
        .containers
        .stop("web", &StopOptions::default())
        .unwrap_err();
    assert_eq!(again.class(), ErrorClass::NotModified);
}

#[test]
fn a_stop_uses_the_signal_of_the_request_or_the_container() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.config.stop_signal = Some("USR1".into())
    });
    let options = |signal: &str| StopOptions {
        signal: Some(signal.into()),
        timeout: None,
    };
    let error = world
        .containers
        .stop("web", &options("nosuch"))
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidArgument);
    world
        .containers
        .stop("web", &StopOptions::default())
        .unwrap();
    assert_eq!(world.record(id).state.exit_code, 128 + 10);
}

#[test]
fn a_kill_needs_something_that_runs() {
    let world = World::new();
    let id = world.create("web", |_| {});
    let error = world.containers.kill("web", None).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert_eq!(
        error.to_string(),
        format!("cannot kill container: web: container {id} is not running")
    );
    assert_eq!(
        world
            .containers
            .kill("web", Some("nosuch"))
            .unwrap_err()
            .to_string(),
        "cannot kill container: web: invalid signal: nosuch"
    );
    world.containers.start("web").unwrap();
    world.containers.kill("web", None).unwrap();
    assert_eq!(world.record(id).state.exit_code, 137);
}

#[test]
fn a_policy_starts_a_container_again() {
    let world = World::new();
    let id = world.run("web", policy(RestartMode::Always));
    world.end(id, 0);
    assert_eq!(world.record(id).restart_count, 1);
    eventually(|| world.record(id).state.status == Status::Running);
    assert_eq!(world.fake.lock().processes[&id].pid, 2);
}

#[test]
fn a_stop_ends_the_wait_for_the_next_run() {
    let world = World::new();
    let id = world.run("web", policy(RestartMode::Always));
    world.end(id, 1);
    assert_eq!(world.record(id).state.status, Status::Restarting);
    world
        .containers
        .stop("web", &StopOptions::default())
        .unwrap();
    let state = world.record(id).state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 1));
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(world.record(id).state.status, Status::Exited);
}

#[test]
fn a_stopped_container_stays_stopped_whatever_its_policy() {
    let world = World::new();
    let id = world.run("web", policy(RestartMode::Always));
    world
        .containers
        .stop("web", &StopOptions::default())
        .unwrap();
    assert_eq!(world.record(id).state.status, Status::Exited);
}

#[test]
fn a_restart_keeps_a_container_that_goes_at_its_end() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.host_config.auto_remove = Some(true)
    });
    world
        .containers
        .restart("web", &StopOptions::default())
        .unwrap();
    assert_eq!(world.record(id).state.status, Status::Running);
    assert_eq!(
        world.actions()[2..],
        ["kill", "die", "stop", "start", "restart"]
    );
}

#[test]
fn only_a_force_removes_what_runs() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let error = world
        .containers
        .remove("web", RemoveOptions::default())
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert_eq!(
        error.to_string(),
        "cannot remove container \"web\": container is running: stop the container before \
         removing or force remove"
    );
    world.containers.remove("web", FORCE).unwrap();
    assert_bare(&world);
    assert_eq!(world.actions()[2..], ["kill", "die", "destroy"]);
    let gone = world.containers.remove(&id.to_string(), FORCE).unwrap_err();
    assert_eq!(gone.to_string(), format!("No such container: {id}"));
}

#[test]
fn a_container_that_cannot_be_forgotten_stays() {
    let world = World::new();
    let id = world.create("web", |_| {});
    world.refuse("forget web");
    world.containers.remove("web", FORCE).unwrap_err();
    assert!(world.fake.lock().roots.contains(&id));
    world.fake.lock().refuse = None;
    world.containers.remove("web", FORCE).unwrap();
    assert!(world.fake.lock().roots.is_empty());
}

#[test]
fn a_rename_changes_record_sandbox_and_reference() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.containers.rename("web", "/api").unwrap();
    assert_eq!(world.take_log(), ["store api running", "rename to api"]);
    assert_eq!(world.containers.resolve("api").unwrap(), id);
    assert_eq!(
        world.containers.resolve("web").unwrap_err().to_string(),
        "No such container: web"
    );
    world.refuse("rename to other");
    world.containers.rename("api", "other").unwrap_err();
    assert_eq!(world.record(id).name, "api");
    assert!(world.containers.resolve("other").is_err());
    assert_eq!(
        world
            .containers
            .rename("api", "api")
            .unwrap_err()
            .to_string(),
        "Renaming a container with the same name as its current name"
    );
}

#[test]
fn a_shared_stack_is_that_of_its_owner() {
    let world = World::new();
    let web = world.run("web", |_| {});
    let side = world.run("side", |request| {
        request.host_config.network_mode = Some("container:web".into());
    });
    {
        let inner = world.fake.lock();
        assert_eq!(
            inner.processes[&side].network,
            Some(PathBuf::from("/netns/web"))
        );
        assert_eq!(inner.processes[&side].hostname, Some(web.short(12)));
        assert!(!inner.sandboxes.contains_key(&side));
    }
    let mode = world.record(side).host_config.network_mode;
    assert_eq!(mode, Some(format!("container:{web}")), "it may be renamed");
    let nested = world.run("nested", |request| {
        request.host_config.network_mode = Some("container:side".into());
    });
    assert_eq!(
        world.fake.lock().processes[&nested].network,
        Some(PathBuf::from("/netns/web"))
    );
}

#[test]
fn a_stack_can_be_shared_while_its_owner_runs() {
    let world = World::new();
    let shared = |name: &str, target: &str| {
        let mode = format!("container:{target}");
        world.create(name, |request| {
            request.host_config.network_mode = Some(mode)
        });
        let error = world.containers.start(name).unwrap_err();
        (error.class(), error.to_string())
    };
    world.create("idle", |_| {});
    assert_eq!(
        shared("one", "idle"),
        (
            ErrorClass::Conflict,
            "cannot join network namespace of a non running container: container idle is created"
                .into()
        )
    );
    let (class, text) = shared("two", "nosuch");
    assert_eq!(class, ErrorClass::Internal);
    assert_eq!(
        text,
        "joining network namespace of container: No such container: nosuch"
    );
    assert_eq!(
        shared("own", "own"),
        (
            ErrorClass::Internal,
            "cannot join own network namespace".into()
        )
    );
}

#[test]
fn the_hosts_stack_has_no_namespace_of_its_own() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.host_config.network_mode = Some("host".into());
    });
    assert_eq!(world.fake.lock().processes[&id].network, None);
    assert!(world.fake.lock().sandboxes[&id].host);
}

#[test]
fn who_attaches_before_the_start_misses_nothing() {
    let world = World::new();
    let id = world.create("web", |_| {});
    let options = AttachOptions {
        stream: true,
        stdout: true,
        ..AttachOptions::default()
    };
    let mut attached = world.containers.attach("web", options).unwrap();
    world.containers.start("web").unwrap();
    let log = world.take_log();
    let expected = ["process web", "no mount web", "streams web", "start web"];
    assert_eq!(log[2..6], expected);
    let said = |id: &Id, text: &[u8]| {
        let inner = world.fake.lock();
        send(&inner.processes[id].attached[0], text, SendFlags::empty()).unwrap();
    };
    said(&id, b"\x02hello");
    assert_eq!(
        &attached.output.blocking_recv().unwrap().bytes[..],
        b"hello"
    );
    world.end(id, 0);
    assert_eq!(attached.output.blocking_recv(), None);
}

#[test]
fn who_attaches_to_what_just_ended_sees_the_end() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.fake.end_silently(id, 0);
    let options = AttachOptions {
        stream: true,
        stdout: true,
        ..AttachOptions::default()
    };
    let mut attached = world.containers.attach("web", options).unwrap();
    assert_eq!(attached.output.blocking_recv(), None);
}

#[test]
fn who_attaches_for_a_start_that_fails_sees_the_end() {
    let world = World::new();
    world.create("web", |_| {});
    let options = AttachOptions {
        stream: true,
        stdout: true,
        ..AttachOptions::default()
    };
    let mut attached = world.containers.attach("web", options).unwrap();
    world.refuse("sandbox web");
    world.containers.start("web").unwrap_err();
    assert_eq!(attached.output.blocking_recv(), None);
}

#[test]
fn an_orderly_end_stops_all_and_forbids_no_later_start() {
    let world = World::new();
    let id = world.run("web", policy(RestartMode::UnlessStopped));
    world.containers.shut_down(Duration::from_secs(15));
    let state = world.record(id).state;
    assert_eq!(state.status, Status::Exited);
    assert!(!state.manually_stopped);
    let world = world.restarted();
    assert_eq!(world.record(id).state.status, Status::Running);
}
