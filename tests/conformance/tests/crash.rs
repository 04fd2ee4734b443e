//! The operations on a host's kernel that die at every step.

use sealane_conformance::*;

fn crash(operation: &Operation) {
    crash_at_every_step(operation, |world| {
        world.network("--subnet 10.66.0.0/24 net1");
        world.network("--ipv6 --subnet 10.66.1.0/24 --subnet fd66::/64 net2");
        world.network("-d macvlan --subnet 10.66.8.0/24 -o parent=eth0 -o host_access=true wire");
    });
}

/// Removes all containers and the network of the tests of networks.
fn clear(world: &World) {
    for container in ["c", "other"] {
        world.api(
            "DELETE",
            &format!("/containers/{container}?force=1"),
            &Value::Null,
        );
    }
    world.api("DELETE", "/networks/crash", &Value::Null);
}

/// A running container on net1 and, for the ports, a stopped one.
fn with_running(world: &World) {
    clear(world);
    make_container(world);
    world.docker("start c").ok();
}

fn make_container(world: &World) {
    let (status, answer) = world.api("POST", "/containers/create?name=c", &container());
    assert_eq!(status, 201, "{answer}");
}

/// A container with addresses of its own choice: chance would make two runs differ.
fn container() -> Value {
    json!({
        "Image": "img", "Cmd": ["sleep", "1000000"],
        "HostConfig": {
            "NetworkMode": "net1",
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "53/udp": [{"HostPort": "5353"}]},
        },
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "NetworkingConfig": {"EndpointsConfig": {"net1": {"IPAMConfig": {"IPv4Address": "10.66.0.66"}}}},
    })
}

fn exists(world: &World, path: &str) -> bool {
    world.api("GET", path, &Value::Null).0 == 200
}

fn says(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

fn runs(world: &World) -> bool {
    world.inspect("c")["State"]["Running"] == true
}

fn on_net2(world: &World) -> bool {
    let networks = world.inspect("c")["NetworkSettings"]["Networks"].clone();
    networks.get("net2").is_some()
}

const NET2: &str = "10.66.1.66";
const WIRE: &str = "10.66.8.66";

#[test]
fn network_create_dies_at_every_step() {
    crash(&Operation {
        name: "network create",
        request: (
            "POST",
            "/networks/create",
            json!({
                "Name": "crash", "EnableIPv6": true,
                "IPAM": {"Config": [{"Subnet": "10.66.2.0/24"}, {"Subnet": "fd66:2::/64"}]},
            }),
        ),
        says: |world| says(exists(world, "/networks/crash")),
        halfway: None,
        prepare: clear,
    });
}

#[test]
fn network_rm_dies_at_every_step() {
    crash(&Operation {
        name: "network rm",
        request: ("DELETE", "/networks/crash", Value::Null),
        says: |world| says(exists(world, "/networks/crash")),
        halfway: None,
        prepare: |world| {
            clear(world);
            create_network(
                world,
                "crash",
                json!({
                    "EnableIPv6": true,
                    "IPAM": {"Config": [{"Subnet": "10.66.2.0/24"}, {"Subnet": "fd66:2::/64"}]},
                }),
            );
        },
    });
}

#[test]
fn create_dies_at_every_step() {
    crash(&Operation {
        name: "create",
        request: ("POST", "/containers/create?name=c", container()),
        says: |world| says(exists(world, "/containers/c/json")),
        halfway: None,
        prepare: clear,
    });
}

#[test]
fn publish_dies_at_every_step() {
    crash(&Operation {
        name: "publish (start of run -p)",
        request: ("POST", "/containers/c/start", Value::Null),
        says: |world| {
            if runs(world) {
                "running"
            } else {
                "not running"
            }
        },
        halfway: None,
        prepare: |world| {
            clear(world);
            make_container(world);
        },
    });
}

#[test]
fn connect_dies_at_every_step() {
    crash(&Operation {
        name: "connect",
        request: (
            "POST",
            "/networks/net2/connect",
            json!({
                "Container": "c",
                "EndpointConfig": {"IPAMConfig": {"IPv4Address": NET2, "IPv6Address": "fd66::66"}},
            }),
        ),
        says: |world| says(on_net2(world)),
        halfway: None,
        prepare: with_running,
    });
}

#[test]
fn disconnect_dies_at_every_step() {
    crash(&Operation {
        name: "disconnect",
        request: (
            "POST",
            "/networks/net2/disconnect",
            json!({"Container": "c"}),
        ),
        says: |world| says(on_net2(world)),
        halfway: None,
        prepare: |world| {
            with_running(world);
            world
                .docker(&format!(
                    "network connect --ip {NET2} --ip6 fd66::66 net2 c"
                ))
                .ok();
        },
    });
}

fn on_wire(world: &World) -> bool {
    let networks = world.inspect("c")["NetworkSettings"]["Networks"].clone();
    networks.get("wire").is_some()
}

#[test]
fn macvlan_create_dies_at_every_step() {
    crash(&Operation {
        name: "create of a macvlan network",
        request: (
            "POST",
            "/networks/create",
            json!({
                "Name": "crash", "Driver": "macvlan",
                "Options": {"parent": "eth0", "host_access": "true"},
                "IPAM": {"Config": [{"Subnet": "10.66.2.0/24"}]},
            }),
        ),
        says: |world| says(exists(world, "/networks/crash")),
        halfway: None,
        prepare: clear,
    });
}

#[test]
fn macvlan_connect_dies_at_every_step() {
    crash(&Operation {
        name: "connect to a macvlan network",
        request: (
            "POST",
            "/networks/wire/connect",
            json!({
                "Container": "c",
                "EndpointConfig": {"GwPriority": 1, "IPAMConfig": {"IPv4Address": WIRE}},
            }),
        ),
        says: |world| says(on_wire(world)),
        halfway: None,
        prepare: with_running,
    });
}

#[test]
fn macvlan_disconnect_dies_at_every_step() {
    crash(&Operation {
        name: "disconnect from a macvlan network",
        request: (
            "POST",
            "/networks/wire/disconnect",
            json!({"Container": "c"}),
        ),
        says: |world| says(on_wire(world)),
        halfway: None,
        prepare: |world| {
            with_running(world);
            world
                .docker(&format!("network connect --ip {WIRE} wire c"))
                .ok();
        },
    });
}

fn published(world: &World) -> &'static str {
    let ports = world.inspect("c")["NetworkSettings"]["Ports"].clone();
    says(!ports["80/tcp"].is_null() && ports["81/tcp"].is_array())
}

#[test]
fn publish_add_dies_at_every_step() {
    crash(&Operation {
        name: "publish add",
        request: (
            "POST",
            "/containers/c/update",
            json!({"Publish": {"81/tcp": [{"HostPort": "8081"}], "54/udp": [{"HostPort": "5454"}]}}),
        ),
        says: published,
        halfway: None,
        prepare: with_running,
    });
}

#[test]
fn publish_rm_dies_at_every_step() {
    crash(&Operation {
        name: "publish rm and move",
        request: (
            "POST",
            "/containers/c/update",
            json!({"PortBindings": {
                "80/tcp": [{"HostPort": "8080"}], "53/udp": [{"HostPort": "8081"}],
            }}),
        ),
        says: published,
        halfway: None,
        prepare: |world| {
            with_running(world);
            let request = json!({"Publish": {"81/tcp": [{"HostPort": "8081"}]}});
            let (status, answer) = world.api("POST", "/containers/c/update", &request);
            assert_eq!(status, 200, "{answer}");
        },
    });
}

#[test]
fn network_update_dies_at_every_step() {
    crash(&Operation {
        name: "network update",
        request: (
            "POST",
            "/networks/crash/update",
            json!({
                "Labels": {"changed": "yes"}, "EnableIPv6": true,
                "Options": {"com.docker.network.driver.mtu": "1400"},
                "IPAM": {"Config": [{"Subnet": "10.66.2.0/23"}, {"Subnet": "fd66:2::/64"}]},
            }),
        ),
        says: |world| {
            let network = world.get("/networks/crash");
            says(!network["Labels"]["changed"].is_null())
        },
        halfway: None,
        prepare: |world| {
            clear(world);
            let ipam = json!({"Config": [{"Subnet": "10.66.2.0/24"}]});
            create_network(world, "crash", json!({ "IPAM": ipam }));
            make_container(world);
            world.docker("network connect --ip 10.66.2.66 crash c").ok();
            world.docker("start c").ok();
        },
    });
}

#[test]
fn rm_dies_at_every_step() {
    crash(&Operation {
        name: "rm -f",
        request: ("DELETE", "/containers/c?force=1", Value::Null),
        says: |world| match exists(world, "/containers/c/json") {
            false => "absent",
            true if runs(world) => "running",
            true => "stopped",
        },
        // The kill of a forced removal is an event of its own.
        halfway: Some(|world| drop(world.docker("kill c").ok())),
        prepare: with_running,
    });
}
