//! What a new daemon makes of what an earlier one left.

use crate::CreateRequest;
use crate::fake::World;
use crate::options::{RestartMode, RestartPolicy};
use crate::record::Status;
use crate::request::StopOptions;

fn policy(name: RestartMode, most: i64) -> impl FnOnce(&mut CreateRequest) {
    move |request| {
        let policy = RestartPolicy {
            name: Some(name),
            maximum_retry_count: Some(most),
            ..RestartPolicy::default()
        };
        request.host_config.restart_policy = Some(policy);
    }
}

/// Everything that lived is gone, as after a power failure.
fn reboot(world: World) -> World {
    world.fake.lock().processes.clear();
    world.fake.lock().sandboxes.clear();
    world.fake.lock().mounted.clear();
    world.restarted()
}

#[test]
fn what_runs_goes_on_undisturbed() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let before = world.record(id);
    let world = world.restarted();
    assert_eq!(world.take_log(), ["recover 1"]);
    assert_eq!(world.record(id), before);
    world.end(id, 4);
    assert_eq!(world.record(id).state.exit_code, 4);
}

#[test]
fn ends_of_meanwhile_are_noted_with_their_code_and_time() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let exit = world.fake.end_silently(id, 9);
    let world = world.restarted();
    let state = world.record(id).state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 9));
    assert_eq!(state.finished_at, Some(exit.at));
    assert!(world.fake.lock().processes.is_empty() && world.fake.lock().sandboxes.is_empty());
}

#[test]
fn after_a_reboot_nothing_runs_but_what_its_policy_wants() {
    let world = World::new();
    let plain = world.run("plain", |_| {});
    let always = world.run("always", policy(RestartMode::Always, 0));
    let unless = world.run("unless", policy(RestartMode::UnlessStopped, 0));
    let failed = world.run("failed", policy(RestartMode::OnFailure, 1));
    let stopped = world.run("stopped", policy(RestartMode::UnlessStopped, 0));
    let never = world.create("never", policy(RestartMode::Always, 0));
    world
        .containers
        .stop("stopped", &StopOptions::default())
        .unwrap();
    let world = reboot(world);
    let status = |id| world.record(id).state.status;
    assert_eq!(status(plain), Status::Exited);
    assert_eq!(world.record(plain).state.exit_code, 255);
    assert_eq!(status(always), Status::Running);
    assert_eq!(status(unless), Status::Running);
    assert_eq!(status(failed), Status::Running);
    assert_eq!(status(stopped), Status::Exited);
    assert_eq!(status(never), Status::Created);
}

#[test]
fn sharers_of_a_stack_start_after_its_owner() {
    let world = World::new();
    world.run("web", policy(RestartMode::Always, 0));
    let side = world.run("side", |request| {
        request.host_config.network_mode = Some("container:web".into());
        policy(RestartMode::Always, 0)(request);
    });
    let world = reboot(world);
    assert_eq!(world.record(side).state.status, Status::Running);
}

#[test]
fn endpoints_are_brought_in_line_with_the_record() {
    let world = World::new();
    let id = world.run("web", |_| {});
    {
        // The daemon ended between storing a wish and connecting: `red` is wanted, `bridge` not.
        let mut inner = world.fake.lock();
        let record = inner.records.get_mut(&id).unwrap();
        record.endpoints.remove("bridge");
        record.endpoints.insert("red".into(), Default::default());
    }
    let world = world.restarted();
    let bridge = world.fake.lock().networks["bridge"].id;
    assert_eq!(
        world.take_log(),
        [
            "recover 1".into(),
            "connect web red".into(),
            format!("disconnect web {bridge}")
        ]
    );
}

#[test]
fn what_was_made_but_not_started_is_swept() {
    let world = World::new();
    let id = world.run("web", |_| {});
    {
        let mut inner = world.fake.lock();
        inner.processes.get_mut(&id).unwrap().started = false;
        let state = &mut inner.records.get_mut(&id).unwrap().state;
        *state = Default::default();
    }
    let world = world.restarted();
    assert_eq!(world.record(id).state.status, Status::Created);
    let inner = world.fake.lock();
    assert!(inner.processes.is_empty() && inner.sandboxes.is_empty() && inner.mounted.is_empty());
}

#[test]
fn what_was_started_but_not_noted_is_adopted() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.fake.lock().records.get_mut(&id).unwrap().state = Default::default();
    let world = world.restarted();
    let state = world.record(id).state;
    assert_eq!((state.status, state.pid), (Status::Running, 1));
    assert!(state.started_at.is_some());
}

#[test]
fn what_ran_and_ended_but_was_not_noted_is_noted() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.fake.lock().records.get_mut(&id).unwrap().state = Default::default();
    world.fake.end_silently(id, 5);
    let world = world.restarted();
    let state = world.record(id).state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 5));
}

#[test]
fn files_of_containers_that_do_not_exist_are_swept() {
    let world = World::new();
    let id = world.run("web", |_| {});
    let folder = world.containers.folder(&id);
    assert!(folder.is_dir());
    // The record went, and then the daemon.
    world.fake.lock().records.remove(&id);
    let world = world.restarted();
    assert!(!folder.exists());
    let inner = world.fake.lock();
    assert!(inner.roots.is_empty() && inner.processes.is_empty());
}

#[test]
fn containers_that_go_at_their_end_are_gone() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.host_config.auto_remove = Some(true)
    });
    world.fake.end_silently(id, 0);
    let world = world.restarted();
    assert!(world.fake.lock().records.is_empty());
}
