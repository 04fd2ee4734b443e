//! What lists, inspections and plans say.

use crate::Status;
use crate::fake::{World, create_request};
use crate::options::{EndpointOptions, PortBinding, RestartMode, RestartPolicy};
use crate::request::{ListOptions, PlanRequest, UpdateRequest};
use sealane_core::model::Protocol;
use std::collections::BTreeMap;
use std::path::Path;

fn names(world: &World, all: bool, filters: &[(&str, &str)]) -> Vec<String> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in filters {
        map.entry((*key).into()).or_default().push((*value).into());
    }
    let options = ListOptions {
        all,
        limit: None,
        filters: map,
    };
    match world.containers.list(&options) {
        Ok(list) => list
            .into_iter()
            .map(|summary| summary.names[0].clone())
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_list_has_what_runs_or_what_is_chosen() {
    let world = World::new();
    let web = world.run("web", |request| {
        request.config.labels = Some([("tier".to_owned(), "front".to_owned())].into());
        request.host_config.network_mode = Some("blue".into());
    });
    let done = world.run("done", |_| {});
    world.end(done, 3);
    world.create("new", |_| {});
    assert_eq!(names(&world, false, &[]), ["/web"]);
    assert_eq!(names(&world, true, &[]), ["/new", "/done", "/web"]);
    for (filter, expected) in [
        (("name", "^/?we"), vec!["/web"]),
        (("id", &*web.to_string()), vec!["/web"]),
        (("label", "tier=front"), vec!["/web"]),
        (("status", "created"), vec!["/new"]),
        (("exited", "3"), vec!["/done"]),
        (("network", "blue"), vec!["/web"]),
        (("since", "done"), vec!["/new"]),
        (("before", "done"), vec!["/web"]),
        (("ancestor", "busybox"), vec!["/new", "/done", "/web"]),
        (("ancestor", "other"), vec![]),
        (("nosuch", "x"), vec!["invalid filter 'nosuch'"]),
    ] {
        assert_eq!(names(&world, true, &[filter]), expected, "{filter:?}");
    }
    let limited = ListOptions {
        limit: Some(1),
        ..ListOptions::default()
    };
    assert_eq!(world.containers.list(&limited).unwrap().len(), 1);
}

#[test]
fn a_published_port_is_listed_and_inspected_in_both_families() {
    let world = World::new();
    world.run("web", |request| {
        let binding = PortBinding {
            host_ip: Some(String::new()),
            host_port: Some("8080".into()),
            ..PortBinding::default()
        };
        let bindings = [("80/tcp".to_owned(), Some(vec![binding]))];
        request.host_config.port_bindings = Some(bindings.into());
        request.config.exposed_ports = Some(
            ["80/tcp", "443/tcp"]
                .map(str::to_owned)
                .into_iter()
                .collect(),
        );
    });
    let list = world.containers.list(&ListOptions::default()).unwrap();
    let ports = list[0].ports.iter();
    let ports: Vec<_> = ports
        .map(|p| (p.private, p.public, p.address.map(|ip| ip.to_string())))
        .collect();
    assert_eq!(
        ports,
        [
            (80, Some(8080), Some("0.0.0.0".into())),
            (80, Some(8080), Some("::".into())),
            (443, None, None)
        ]
    );
    let shown = world.containers.inspect("web").unwrap();
    let sides = |port| shown.ports[&(port, Protocol::Tcp)].as_deref();
    assert_eq!(sides(80).unwrap().len(), 2);
    assert_eq!(sides(443), None);
    let namespace = shown.stack.unwrap().namespace;
    assert_eq!(namespace.as_deref(), Some(Path::new("/netns/web")));
}

#[test]
fn an_endpoint_is_shown_as_wanted_and_as_it_is() {
    let world = World::new();
    let id = world.run("web", |request| {
        request.host_config.network_mode = Some("blue".into());
        let settings = EndpointOptions {
            aliases: Some(vec!["www".into()]),
            mac_address: Some("02:00:00:00:00:05".into()),
            ..Default::default()
        };
        request.endpoints.insert("blue".into(), settings);
    });
    let shown = || world.containers.inspect("web").unwrap().networks["blue"].clone();
    let running = shown();
    let endpoint = running.endpoint.unwrap();
    assert_eq!(endpoint.ipv4.unwrap().addr().to_string(), "10.0.0.2");
    assert_eq!(endpoint.mac.shown(), "02:00:00:00:00:05");
    assert_eq!(
        running.dns_names.unwrap(),
        ["web".into(), "www".into(), id.short(12)]
    );
    world.end(id, 0);
    let stopped = shown();
    assert_eq!(stopped.endpoint, None);
    assert_eq!(stopped.asked.aliases.unwrap(), ["www"]);
}

#[test]
fn a_state_is_shown_with_the_times_it_has() {
    let world = World::new();
    let id = world.create("web", |_| {});
    let state = || world.containers.inspect("web").unwrap().state;
    assert_eq!(state().started_at, None);
    assert_eq!(state().status, Status::Created);
    world.containers.start("web").unwrap();
    assert_eq!((state().status, state().pid), (Status::Running, 1));
    world.end(id, 1);
    assert!(state().finished_at.is_some());
    assert_eq!((state().exit_code, state().pid), (1, 0));
}

#[test]
fn a_plan_is_made_of_what_is_on_the_host() {
    let world = World::new();
    let plan = |request| world.containers.plan(&request).unwrap();
    world.create("web", |_| {});
    assert_eq!(plan(PlanRequest::Start("web".into())), "make web\n");
    assert_eq!(plan(PlanRequest::Remove("web".into())), "");
    let connect = || PlanRequest::Connect {
        network: "blue".into(),
        container: "web".into(),
        settings: Box::default(),
    };
    assert_eq!(plan(connect()), "");
    world.containers.start("web").unwrap();
    assert_eq!(plan(connect()), "connect blue\n");
    assert_eq!(plan(PlanRequest::Stop("web".into())), "unmake\n");
    let mut request = create_request();
    request.name = Some("new".into());
    assert_eq!(plan(PlanRequest::Run(Box::new(request))), "make new\n");
    assert!(world.containers.resolve("new").is_err(), "nothing is made");
}

#[test]
fn a_policy_can_be_changed() {
    let world = World::new();
    let id = world.create("web", |_| {});
    let policy = RestartPolicy {
        name: Some(RestartMode::Always),
        maximum_retry_count: Some(0),
        ..RestartPolicy::default()
    };
    let request = UpdateRequest {
        restart_policy: Some(policy.clone()),
        ..UpdateRequest::default()
    };
    world.containers.update("web", &request).unwrap();
    assert_eq!(world.record(id).host_config.restart_policy, Some(policy));
}

#[test]
fn a_prune_removes_what_does_not_run_and_is_chosen() {
    let world = World::new();
    world.run("web", |_| {});
    world.create("kept", |request| {
        request.config.labels = Some([("keep".to_owned(), String::new())].into());
    });
    let old = world.create("old", |_| {});
    let filters = BTreeMap::from([("label!".to_owned(), vec!["keep".to_owned()])]);
    assert_eq!(world.containers.prune(&filters).unwrap().containers, [old]);
    assert_eq!(names(&world, true, &[]), ["/kept", "/web"]);
    let counts = world.containers.counts();
    assert_eq!((counts.total, counts.running, counts.stopped), (2, 1, 1));
}
