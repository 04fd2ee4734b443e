//! Chapter B1: every route of Docker's Engine API, as `docs/api.md` lists them, and what the stock
//! CLI makes of a node without swarm, volumes, builds and plugins.

use sealane_conformance::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The routes that moby's routers register for API 1.24 to 1.54, one a line; `{}` is any text.
const OF_DOCKER: &str = "\
OPTIONS /{}
GET /_ping
HEAD /_ping
GET /events
GET /info
GET /version
GET /system/df
POST /auth
GET /networks
GET /networks/
GET /networks/{}
POST /networks/create
POST /networks/{}/connect
POST /networks/{}/disconnect
POST /networks/prune
DELETE /networks/{}
HEAD /containers/{}/archive
GET /containers/json
GET /containers/{}/export
GET /containers/{}/changes
GET /containers/{}/json
GET /containers/{}/top
GET /containers/{}/logs
GET /containers/{}/stats
GET /containers/{}/attach/ws
GET /exec/{}/json
GET /containers/{}/archive
POST /containers/create
POST /containers/{}/kill
POST /containers/{}/pause
POST /containers/{}/unpause
POST /containers/{}/restart
POST /containers/{}/start
POST /containers/{}/stop
POST /containers/{}/wait
POST /containers/{}/resize
POST /containers/{}/attach
POST /containers/{}/exec
POST /exec/{}/start
POST /exec/{}/resize
POST /containers/{}/rename
POST /containers/{}/update
POST /containers/prune
POST /commit
PUT /containers/{}/archive
DELETE /containers/{}
GET /containers/{}/checkpoints
POST /containers/{}/checkpoints
DELETE /containers/{}/checkpoints/{}
GET /images/json
GET /images/search
GET /images/get
GET /images/{}/get
GET /images/{}/history
GET /images/{}/json
POST /images/load
POST /images/create
POST /images/{}/push
POST /images/{}/tag
POST /images/prune
DELETE /images/{}
GET /distribution/{}/json
POST /build
POST /build/prune
POST /build/cancel
POST /session
POST /grpc
GET /volumes
GET /volumes/{}
POST /volumes/create
POST /volumes/prune
PUT /volumes/{}
DELETE /volumes/{}
GET /plugins
GET /plugins/{}/json
GET /plugins/privileges
DELETE /plugins/{}
POST /plugins/{}/enable
POST /plugins/{}/disable
POST /plugins/pull
POST /plugins/{}/push
POST /plugins/{}/upgrade
POST /plugins/{}/set
POST /plugins/create
POST /swarm/init
POST /swarm/join
POST /swarm/leave
GET /swarm
GET /swarm/unlockkey
POST /swarm/update
POST /swarm/unlock
GET /services
GET /services/{}
POST /services/create
POST /services/{}/update
DELETE /services/{}
GET /services/{}/logs
GET /nodes
GET /nodes/{}
DELETE /nodes/{}
POST /nodes/{}/update
GET /tasks
GET /tasks/{}
GET /tasks/{}/logs
GET /secrets
POST /secrets/create
DELETE /secrets/{}
GET /secrets/{}
POST /secrets/{}/update
GET /configs
POST /configs/create
DELETE /configs/{}
GET /configs/{}
POST /configs/{}/update";

const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \
                             \"docker swarm join\" to connect this node to swarm and try again.";

/// A row of `docs/api.md`.
struct Row {
    method: String,
    path: String,
    here: String,
    status: Option<u16>,
    answer: String,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(repository().join("docs/api.md")).expect("docs/api.md");
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [request, here, status, answer] = cells[..] else {
                panic!("four cells: {line}");
            };
            let request = request.trim_matches('`');
            let (method, path) = request.split_once(' ').expect("a method and a path");
            Row {
                method: method.into(),
                path: path.into(),
                here: here.into(),
                status: status.parse().ok(),
                answer: answer.trim_matches('`').into(),
            }
        })
        .collect()
}

/// Whether a path is of a route: as many segments, the fixed ones the same.
fn is_of(row: &Row, route: &str) -> bool {
    let (method, pattern) = route.split_once(' ').expect("a method and a path");
    let path = row.path.split('?').next().unwrap_or_default();
    let (path, pattern): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), pattern.split('/').collect());
    method == row.method
        && path.len() == pattern.len()
        && path
            .iter()
            .zip(&pattern)
            .all(|(part, wanted)| *wanted == "{}" || part == wanted)
}

#[test]
fn b1_27_every_route_of_docker_is_answered_as_the_page_says() {
    let world = World::new();
    let web = world.idle("--name web");
    let rows = rows();
    for route in OF_DOCKER.lines() {
        assert!(
            rows.iter().any(|row| is_of(row, route)),
            "{route} has no row in docs/api.md"
        );
    }
    for row in &rows {
        let request = format!("{} {}", row.method, row.path);
        let known = OF_DOCKER.lines().any(|route| is_of(row, route));
        assert!(known, "{request} is no route of Docker's");
        let (status, answer) = world.api(&row.method, &row.path, &json!({}));
        let text = match answer["message"].as_str() {
            Some(message) => message.to_owned(),
            None if answer.is_null() => String::new(),
            None => answer.to_string(),
        };
        match row.here.as_str() {
            "served" => {
                assert_ne!(text, "page not found", "{request}");
                assert_ne!(status, 501, "{request}: {text}");
            }
            "none here" | "not supported" => {
                let wanted = row.answer.replace("WEB", &web);
                // JSON is compared as such: the order of its keys does not matter.
                let same = match serde_json::from_str::<Value>(&wanted) {
                    Ok(json) => json == answer,
                    Err(_) => wanted == text,
                };
                assert!(same, "{request} is answered by {answer}, not {wanted}");
                assert_eq!(Some(status), row.status, "{request}: {text}");
                let refused = row.here == "not supported";
                assert!(!refused || status == 501, "{request}: {status}");
            }
            other => panic!("{request}: what is \"{other}\"?"),
        }
    }
}

#[test]
fn b1_27_what_is_wrong_in_a_request_is_said_first() {
    let world = World::new();
    for (method, path, status, text) in [
        ("GET", "/containers/x/export", 404, "No such container: x"),
        ("POST", "/containers/x/pause", 404, "No such container: x"),
        ("POST", "/commit?container=x", 404, "No such container: x"),
        ("POST", "/build/cancel", 400, "build ID not provided"),
        (
            "POST",
            "/services/x/update",
            400,
            "invalid service version '': strconv.ParseUint: parsing \"\": invalid syntax",
        ),
        ("POST", "/secrets/x/update", 400, "invalid secret version"),
        (
            "GET",
            "/tasks/x/logs",
            400,
            "must specify at least one of 'stdout' or 'stderr'",
        ),
        ("GET", "/v1.41/volumes/x?y=1", 404, "get x: no such volume"),
        (
            "PUT",
            "/v1.41/volumes/x",
            400,
            "PUT /volumes/{name:.*} requires minimum API version 1.42",
        ),
    ] {
        assert_eq!(
            refused(&world, method, path, &json!({})),
            (status, text.into()),
            "{method} {path}"
        );
    }
    let filters = |path: &str, filters: Value| {
        refused(&world, "GET", &filtered(path, &filters), &Value::Null)
    };
    assert_eq!(
        filters("/volumes", json!({"nosuch": ["x"]})),
        (400, "invalid filter 'nosuch'".into())
    );
    assert_eq!(
        filters("/volumes", json!({"dangling": ["x"]})),
        (400, "invalid filter 'dangling=[x]'".into())
    );
    assert_eq!(
        filters("/plugins", json!({"enabled": ["x"]})),
        (400, "invalid filter 'enabled=[x]'".into())
    );
    // A volume that is to be gone is gone.
    let (status, answer) = world.api("DELETE", "/volumes/x?force=1", &Value::Null);
    assert_eq!((status, answer), (204, Value::Null));
    let cluster = json!({"Name": "v", "ClusterVolumeSpec": {}});
    assert_eq!(
        refused(&world, "POST", "/volumes/create", &cluster),
        (503, NOT_A_MANAGER.into())
    );
}

#[test]
fn b1_14_networks_of_a_swarm_are_refused_without_one() {
    let world = World::new();
    for (arguments, text) in [
        (
            "--ingress n",
            "Ingress network can only be global scope network",
        ),
        ("-d overlay n", NOT_A_MANAGER),
        ("-d overlay --ingress n", NOT_A_MANAGER),
        (
            "--scope swarm n",
            "cannot create a swarm scoped network when swarm is not active",
        ),
    ] {
        let created = world.docker(&format!("network create {arguments}"));
        created.fails_with(1, text);
        let by_driver = match arguments.contains("overlay") {
            true => json!({"Name": "n", "Driver": "overlay"}),
            false => json!({"Name": "n", "Ingress": true}),
        };
        let (status, _) = refused(&world, "POST", "/networks/create", &by_driver);
        assert_eq!(status, 403, "{by_driver}");
    }
    let links = world.host().sh("ip -o link show type bridge").ok();
    assert!(!links.contains("br-"), "nothing was made: {links}");
}

#[test]
fn b1_27_the_cli_is_told_as_by_docker() {
    let world = World::new();
    assert_eq!(world.docker("volume ls -q").ok(), "");
    assert_eq!(world.docker("plugin ls -q").ok(), "");
    let pruned = world.docker("volume prune -f").ok();
    assert_eq!(pruned, "Total reclaimed space: 0B");
    world
        .docker("volume inspect x")
        .fails_with(1, "get x: no such volume");
    world
        .docker("swarm leave --force")
        .fails_with(1, "This node is not part of a swarm");
    for arguments in [
        "node ls",
        "service ls",
        "secret ls",
        "config ls",
        "swarm ca",
    ] {
        world.docker(arguments).fails_with(1, NOT_A_MANAGER);
    }
    world.docker("inspect nosuch").fails_with(1, "nosuch");
    world
        .docker("swarm init")
        .fails_with(1, "Swarm is not supported");
}

#[test]
fn b1_26_a_refusal_reaches_a_client_that_sends_its_body_late() {
    let world = World::new();
    let mut client = UnixStream::connect(world.socket()).expect("the daemon listens");
    for path in ["/swarm/init", "/nosuch"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
        client.write_all(head.as_bytes()).expect("it takes a head");
        // The answer would be there by now, and the connection closed.
        std::thread::sleep(Duration::from_millis(200));
        client.write_all(&[b' '; 100_000]).expect("it takes a body");
        let mut answer = [0; 12];
        client.read_exact(&mut answer).expect("it answers");
        assert!(answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
        client = UnixStream::connect(world.socket()).expect("the daemon listens");
    }
}

#[test]
fn b1_26_a_network_that_is_let_go_is_in_use_by_somebody_with_a_name_or_by_none() {
    let world = World::new();
    for _ in 0..5 {
        world.network("n");
        let id = world.idle("--network n --name c");
        let refusals = std::thread::scope(|scope| {
            let removing = scope.spawn(|| world.docker("rm -f c").ok());
            let mut refusals = Vec::new();
            loop {
                let (status, answer) = world.api("DELETE", "/networks/n", &Value::Null);
                if status == 204 {
                    break;
                }
                assert_eq!(status, 403, "{answer}");
                refusals.push(answer["message"].as_str().expect("a text").to_owned());
            }
            removing.join().expect("it is removed");
            refusals
        });
        for text in refusals {
            // One that is on its way out is known by its container's id.
            let named =
                |name: &str| text.contains(&format!("has active endpoints (name:\"{name}\" id:\""));
            assert!(named("c") || named(&id[..12]), "{text}");
        }
    }
}
