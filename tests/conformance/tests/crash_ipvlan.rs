//! The operations of ipvlan networks that die at every step, in the kernel lab.

use sealane_conformance::*;

const WIRE: &str = "10.66.8.66";

fn crash(operation: &Operation) {
    crash_at_every_step(operation, |world| {
        world.network("--subnet 10.66.0.0/24 net1");
        world.network("-d ipvlan --subnet 10.66.8.0/24 -o parent=eth0 -o host_access=true wire");
    });
}

fn clear(world: &World) {
    for path in ["/containers/c?force=1", "/networks/crash"] {
        world.api("DELETE", path, &Value::Null);
    }
}

fn with_running(world: &World) {
    clear(world);
    world.idle("--name c --network net1 --ip 10.66.0.66");
}

fn says(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

fn network_is_there(world: &World) -> &'static str {
    says(world.api("GET", "/networks/crash", &Value::Null).0 == 200)
}

fn is_on_wire(world: &World) -> &'static str {
    let networks = world.inspect("c")["NetworkSettings"]["Networks"].clone();
    says(networks.get("wire").is_some())
}

/// On a sub-interface of its own: it comes and goes with the network.
fn network() -> Value {
    json!({
        "Name": "crash", "Driver": "ipvlan",
        "Options": {"parent": "eth0.66", "ipvlan_mode": "l3", "host_access": "true"},
        "IPAM": {"Config": [{"Subnet": "10.66.2.0/24"}]},
    })
}

#[test]
fn ipvlan_create_dies_at_every_step() {
    in_kernel_lab(|| {
        crash(&Operation {
            name: "create of an ipvlan network",
            request: ("POST", "/networks/create", network()),
            says: network_is_there,
            halfway: None,
            prepare: clear,
        });
    });
}

#[test]
fn ipvlan_rm_dies_at_every_step() {
    in_kernel_lab(|| {
        crash(&Operation {
            name: "rm of an ipvlan network",
            request: ("DELETE", "/networks/crash", Value::Null),
            says: network_is_there,
            halfway: None,
            prepare: |world| {
                clear(world);
                let (status, answer) = world.api("POST", "/networks/create", &network());
                assert_eq!(status, 201, "{answer}");
            },
        });
    });
}

#[test]
fn ipvlan_connect_dies_at_every_step() {
    in_kernel_lab(|| {
        crash(&Operation {
            name: "connect to an ipvlan network",
            request: (
                "POST",
                "/networks/wire/connect",
                json!({
                    "Container": "c",
                    "EndpointConfig": {"IPAMConfig": {"IPv4Address": WIRE}},
                }),
            ),
            says: is_on_wire,
            halfway: None,
            prepare: with_running,
        });
    });
}

#[test]
fn ipvlan_disconnect_dies_at_every_step() {
    in_kernel_lab(|| {
        crash(&Operation {
            name: "disconnect from an ipvlan network",
            request: (
                "POST",
                "/networks/wire/disconnect",
                json!({"Container": "c"}),
            ),
            says: is_on_wire,
            halfway: None,
            prepare: |world| {
                with_running(world);
                world
                    .docker(&format!("network connect --ip {WIRE} wire c"))
                    .ok();
            },
        });
    });
}
