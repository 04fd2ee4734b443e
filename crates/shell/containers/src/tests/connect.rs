//! Networks joined and left.

use crate::fake::World;
use crate::options::EndpointOptions;
use crate::{ApiVersion, CreateRequest};
use sealane_core::model::{ErrorClass, Id};

fn connect(world: &World, network: &str, container: &str) -> Result<(), (ErrorClass, String)> {
    let settings = EndpointOptions::default();
    let connected = world
        .containers
        .connect(network, container, settings, ApiVersion(1, 55));
    connected.map_err(|error| (error.class(), error.to_string()))
}

fn disconnect(world: &World, network: &str, container: &str) -> Result<(), (ErrorClass, String)> {
    let parted = world.containers.disconnect(network, container, false);
    parted.map_err(|error| (error.class(), error.to_string()))
}

fn mode(text: &'static str) -> impl FnOnce(&mut CreateRequest) {
    move |request| request.host_config.network_mode = Some(text.into())
}

fn wanted(world: &World, id: Id) -> Vec<String> {
    world.record(id).endpoints.into_keys().collect()
}

/// What happened, where two things happen at the same time.
fn sorted_log(world: &World) -> Vec<String> {
    let mut log = world.take_log();
    log.sort();
    log
}

#[test]
fn a_running_container_is_stored_and_connected_at_once() {
    let world = World::new();
    let id = world.run("web", |_| {});
    connect(&world, "blue", "web").unwrap();
    assert_eq!(
        sorted_log(&world),
        ["connect web blue", "store web running"]
    );
    assert_eq!(wanted(&world, id), ["blue", "bridge"]);
    assert_eq!(
        connect(&world, "blue", "web").unwrap_err(),
        (
            ErrorClass::Forbidden,
            "endpoint with name web already exists in network blue".into()
        )
    );
    disconnect(&world, "blue", "web").unwrap();
    assert_eq!(
        world.take_log(),
        ["store web running", "disconnect web blue"]
    );
    assert_eq!(wanted(&world, id), ["bridge"]);
}

#[test]
fn what_the_engine_refuses_is_wanted_no_more() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.refuse("connect web blue");
    assert_eq!(
        connect(&world, "blue", "web").unwrap_err(),
        (ErrorClass::Forbidden, "Address already in use".into())
    );
    assert_eq!(wanted(&world, id), ["bridge"]);
    world.refuse("disconnect web bridge");
    disconnect(&world, "bridge", "web").unwrap_err();
    assert_eq!(wanted(&world, id), ["bridge"]);
}

#[test]
fn what_cannot_be_stored_does_not_stay_connected() {
    let world = World::new();
    let id = world.run("web", |_| {});
    world.refuse("store web running");
    connect(&world, "blue", "web").unwrap_err();
    assert_eq!(
        sorted_log(&world),
        [
            "connect web blue",
            "disconnect web blue",
            "store web running: refused"
        ]
    );
    let shown = world.containers.inspect("web").unwrap();
    assert_eq!(shown.networks.len(), 1);
    assert_eq!(wanted(&world, id), ["bridge"]);
}

#[test]
fn a_stopped_container_is_only_stored() {
    let world = World::new();
    let id = world.create("web", |_| {});
    connect(&world, "blue", "web").unwrap();
    connect(&world, "blue", "web").unwrap();
    connect(&world, "later", "web").unwrap();
    assert_eq!(world.take_log(), ["store web created", "store web created"]);
    assert_eq!(wanted(&world, id), ["blue", "bridge", "later"]);
    disconnect(&world, "later", "web").unwrap();
    let (class, text) = disconnect(&world, "red", "web").unwrap_err();
    assert_eq!(class, ErrorClass::Internal);
    assert_eq!(
        text,
        format!("container {id} is not connected to the network red")
    );
}

#[test]
fn some_networks_stand_alone() {
    const SHARED: &str = "container sharing network namespace with another container or host \
                          cannot be connected to any other network";
    const PRIVATE: &str = "container cannot be connected to multiple networks with one of the \
                           networks in private (none) mode";
    const HOST: &str = "cannot connect container to host network - container must be created in \
                        host network mode";
    let world = World::new();
    world.run("web", |_| {});
    world.run("bare", mode("none"));
    world.run("open", mode("host"));
    world.run("side", mode("container:web"));
    for (network, container, text) in [
        ("host", "web", HOST),
        ("none", "web", PRIVATE),
        ("blue", "bare", PRIVATE),
        ("blue", "open", SHARED),
        ("blue", "side", SHARED),
    ] {
        assert_eq!(
            connect(&world, network, container).unwrap_err(),
            (ErrorClass::InvalidArgument, text.into()),
            "{container} to {network}"
        );
    }
    assert_eq!(
        disconnect(&world, "host", "open").unwrap_err(),
        (
            ErrorClass::InvalidArgument,
            "cannot disconnect container from host network - container was created in host \
             network mode"
                .into()
        )
    );
    disconnect(&world, "none", "bare").unwrap();
    connect(&world, "blue", "bare").unwrap();
}

#[test]
fn what_does_not_exist_is_said_so() {
    let world = World::new();
    let id = world.run("web", |_| {});
    assert_eq!(
        connect(&world, "nosuch", "web").unwrap_err(),
        (ErrorClass::NotFound, "network nosuch not found".into())
    );
    assert_eq!(
        connect(&world, "blue", "nosuch").unwrap_err(),
        (ErrorClass::NotFound, "No such container: nosuch".into())
    );
    assert_eq!(
        disconnect(&world, "blue", "web").unwrap_err(),
        (
            ErrorClass::Internal,
            format!("container {id} is not connected to network blue")
        )
    );
    let forced = |network: &str, container: &str| {
        let error = world
            .containers
            .disconnect(network, container, true)
            .unwrap_err();
        (error.class(), error.to_string())
    };
    assert_eq!(
        forced("blue", "nosuch"),
        (ErrorClass::NotFound, "endpoint nosuch not found".into())
    );
    assert_eq!(
        forced("blue", "web"),
        (
            ErrorClass::Internal,
            format!("container {id} is not connected to network blue")
        )
    );
}

#[test]
fn faults_of_an_endpoint_are_told() {
    let world = World::new();
    world.run("web", |request| {
        request.host_config.network_mode = Some("blue".into())
    });
    let settings = EndpointOptions {
        aliases: Some(vec!["a".into()]),
        ..EndpointOptions::default()
    };
    let error = world
        .containers
        .connect("bridge", "web", settings, ApiVersion(1, 55))
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidArgument);
    assert_eq!(
        error.to_string(),
        "invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined \
         networks"
    );
}

#[test]
fn a_mac_address_is_taken_since_1_54() {
    let world = World::new();
    let id = world.create("web", |_| {});
    for (minor, network) in [(53, "blue"), (54, "red")] {
        let settings = EndpointOptions {
            mac_address: Some("02:00:00:00:00:09".into()),
            ..EndpointOptions::default()
        };
        world
            .containers
            .connect(network, "web", settings, ApiVersion(1, minor))
            .unwrap();
    }
    let endpoints = world.record(id).endpoints;
    assert_eq!(endpoints["blue"].mac_address, None);
    assert_eq!(
        endpoints["red"].mac_address.as_deref(),
        Some("02:00:00:00:00:09")
    );
}
