//! What is made, and what is refused at once.

use crate::fake::{World, create_request};
use crate::options::EndpointOptions;
use crate::record::Status;
use crate::{ContainerError, CreateRequest};
use sealane_core::model::ErrorClass;

fn refusal(world: &World, change: impl FnOnce(&mut CreateRequest)) -> ContainerError {
    let mut request = create_request();
    change(&mut request);
    let records = world.fake.lock().records.len();
    let error = world.containers.create(request).unwrap_err();
    assert_eq!(
        world.fake.lock().records.len(),
        records,
        "nothing is stored"
    );
    assert_eq!(world.fake.lock().roots.len(), records, "nothing is left");
    error
}

fn aliased() -> EndpointOptions {
    EndpointOptions {
        aliases: Some(vec!["a".into()]),
        ..EndpointOptions::default()
    }
}

#[test]
fn a_container_is_stored_before_it_is_told() {
    let world = World::new();
    let mut request = create_request();
    request.name = Some("/web".into());
    let created = world.containers.create(request).unwrap();
    assert_eq!(world.take_log(), ["root", "store web created"]);
    assert_eq!(world.actions(), ["create"]);
    let record = world.record(created.id);
    assert_eq!(record.name, "web");
    assert_eq!(record.hostname(), created.id.short(12));
    assert_eq!(record.path, "sh", "the image says so");
    assert_eq!(record.state.status, Status::Created);
    assert!(record.endpoints.contains_key("bridge"));
}

#[test]
fn a_name_is_made_up_where_none_is_given() {
    let world = World::new();
    let id = world.containers.create(create_request()).unwrap().id;
    assert!(world.record(id).name.contains('_'));
}

#[test]
fn a_name_is_taken_until_its_container_goes() {
    let world = World::new();
    let first = world.create("web", |_| {});
    let error = refusal(&world, |request| request.name = Some("web".into()));
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert!(
        error
            .to_string()
            .contains(&format!("by container \"{first}\""))
    );
    world.containers.remove("web", Default::default()).unwrap();
    world.create("web", |_| {});
}

#[test]
fn a_container_that_cannot_be_stored_leaves_nothing() {
    let world = World::new();
    world.refuse("store web created");
    let error = refusal(&world, |request| request.name = Some("web".into()));
    assert_eq!(error.class(), ErrorClass::Internal);
    assert_eq!(world.actions(), [""; 0]);
    world.fake.lock().refuse = None;
    world.create("web", |_| {});
}

#[test]
fn a_missing_image_is_not_found() {
    let world = World::new();
    let error = refusal(&world, |request| {
        request.config.image = Some("nosuch".into())
    });
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(error.to_string(), "No such image: nosuch:latest");
}

#[test]
fn all_faults_of_all_endpoints_are_listed() {
    let world = World::new();
    let error = refusal(&world, |request| {
        request.endpoints.insert("bridge".into(), aliased());
    });
    assert_eq!(error.class(), ErrorClass::InvalidArgument);
    assert_eq!(
        error.to_string(),
        "invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped aliases \
         are only supported for user-defined networks"
    );
    let error = refusal(&world, |request| {
        let mut settings = EndpointOptions::default();
        let options = [(
            "com.docker.network.endpoint.sysctls".to_owned(),
            "x".to_owned(),
        )];
        settings.driver_opts = Some(options.into());
        request.endpoints.insert("blue".into(), settings);
        request.endpoints.insert("bridge".into(), aliased());
    });
    let text = error.to_string();
    assert!(
        text.starts_with("* invalid config for network blue: "),
        "{text}"
    );
    assert!(
        text.contains("\n* invalid config for network bridge: "),
        "{text}"
    );
}

#[test]
fn networks_are_known_by_name_and_the_missing_ones_as_given() {
    let world = World::new();
    let blue = world.fake.lock().networks["blue"].id;
    let id = world.create("web", |request| {
        request.host_config.network_mode = Some(blue.to_string());
        request.endpoints.insert(blue.to_string(), aliased());
        request
            .endpoints
            .insert("nosuch".into(), EndpointOptions::default());
    });
    let record = world.record(id);
    let names: Vec<&String> = record.endpoints.keys().collect();
    assert_eq!(names, ["blue", "nosuch"]);
    let error = world.containers.start("web").unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(
        error.to_string(),
        "failed to set up container networking: network nosuch not found"
    );
    assert_eq!(world.record(id).state.status, Status::Created);
}

#[test]
fn links_lead_to_containers_that_exist() {
    let world = World::new();
    let error = refusal(&world, |request| {
        request.host_config.links = Some(vec!["db:d".into()])
    });
    assert_eq!(error.class(), ErrorClass::InvalidArgument);
    assert_eq!(
        error.to_string(),
        "could not get container for db: No such container: db"
    );
    let db = world.run("db", |_| {});
    let id = world.create("web", |request| {
        request.host_config.links = Some(vec!["db:d".into()]);
    });
    assert_eq!(world.record(id).links[0].alias, "d");
    world.containers.start("web").unwrap();
    let links = world.fake.lock().sandboxes[&id].links.clone();
    assert_eq!(links[0].target, db);
    assert_eq!(links[0].names, ["d", &db.short(12), "db"]);
    let shown = world.containers.inspect("web").unwrap();
    assert_eq!(shown.host_config.links.unwrap(), ["/db:/web/d"]);
}

#[test]
fn a_link_to_what_does_not_run_is_refused_at_the_start() {
    let world = World::new();
    world.create("db", |_| {});
    world.create("web", |request| {
        request.host_config.links = Some(vec!["db:d".into()]);
    });
    let error = world.containers.start("web").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Internal);
    assert_eq!(
        error.to_string(),
        "Cannot link to a non running container: /db AS /web/d"
    );
}
