//! A driver in one folder: `dummy` passes everything that all drivers have in common, and nothing
//! but its folder and its line in the list of drivers knows of it.

use sealane_conformance::*;

const MTU: &str = "dummy_mtu";

fn inside(world: &World, container: &str, link: &str) -> Value {
    world
        .sandbox(container)
        .ip_json(&format!("-details address show {link}"))[0]
        .clone()
}

#[test]
fn a_dummy_driver_is_created_run_connected_and_removed() {
    let world = World::new();
    let id = world.network("-d dummy --subnet 10.55.0.0/24 -o dummy_mtu=1400 nowhere");
    let device = format!("du-{}", &id[..12]);
    let host = world
        .host()
        .ip_json(&format!("-details link show {device}"))[0]
        .clone();
    assert_eq!(host["linkinfo"]["info_kind"], "bridge");
    assert_eq!(host["mtu"], 1400);

    world.idle("--name c --network nowhere --ip 10.55.0.7");
    let own = inside(&world, "c", "eth0");
    assert_eq!(own["linkinfo"]["info_kind"], "bridge");
    assert_eq!(own["mtu"], 1400);
    assert_eq!(own["addr_info"][0]["local"], "10.55.0.7");
    let seen = world.inspect("c")["NetworkSettings"]["Networks"]["nowhere"].clone();
    assert_eq!(seen["IPAddress"], "10.55.0.7");
    assert_eq!(seen["MacAddress"], own["address"]);
    let routes = world.sandbox("c").ip_json("route show default");
    assert_eq!(routes, json!([]), "it has no way out");

    world.network("--subnet 10.56.0.0/24 other");
    world.docker("network connect other c").ok();
    world.docker("network disconnect nowhere c").ok();
    let links = world.sandbox("c").ip_json("link");
    let names: Vec<&str> = links
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|link| link["ifname"].as_str())
        .collect();
    assert_eq!(names, ["lo", "eth1"]);
    world
        .docker("network connect --ip 10.55.0.9 nowhere c")
        .ok();
    let own = inside(&world, "c", "eth0");
    assert_eq!(own["addr_info"][0]["local"], "10.55.0.9");

    world.docker("rm -f c").ok();
    world.docker("network rm nowhere").ok();
    assert_ne!(world.host().sh(&format!("ip link show {device}")).code, 0);
}

#[test]
fn a_dummy_drivers_own_option_is_refused_in_its_words_and_shown() {
    let world = World::new();
    world
        .docker("network create -d dummy -o dummy_mtu=many nowhere")
        .fails_with(
            1,
            "failed to parse dummy_mtu value: many: choose a number from 68 to 65535",
        );
    // Of another driver it is no option at all.
    world.network("-o dummy_mtu=many bridged");
    world.network("-d dummy nowhere");
    let (_, shown) = world.api("GET", "/networks/nowhere", &Value::Null);
    assert_eq!(shown["Driver"], "dummy");
    assert_eq!(shown["Options"][MTU], "1500");
    world
        .docker("network create -d dumb nowhere2")
        .fails_with(1, "plugin \"dumb\" not found");
}

#[test]
fn a_dummy_network_is_planned_and_explained() {
    let mut world = World::new();
    let planned = world
        .sealane("plan network-create -d dummy --subnet 10.55.0.0/24 -o dummy_mtu=1400 nowhere")
        .ok();
    let lines: Vec<&str> = planned.lines().collect();
    assert_eq!(lines.len(), 2, "{planned}");
    assert!(lines[0].starts_with("+ link   host/du-"), "{planned}");
    assert!(lines[0].contains(" bridge mtu 1400 mac "), "{planned}");
    assert!(lines[1].starts_with("+ up     host/du-"), "{planned}");
    let links = world.host().ip_json("link show");
    assert!(!links.to_string().contains("\"du-"), "{links}");

    let id = world.network("-d dummy --subnet 10.55.0.0/24 nowhere");
    world.idle("--name c --network nowhere --ip 10.55.0.7");
    let told = world
        .sealane("explain --from c --to 10.55.0.8:80")
        .to_string();
    assert!(
        told.contains("eth0 of c leads to no bridge of ours"),
        "{told}"
    );
    assert!(!world.sandbox("c").pings("10.55.0.8"));
    let told = world
        .sealane("explain --from c --to 192.0.2.1:80")
        .to_string();
    assert!(told.contains("no route"), "{told}");

    // What it is made of is put back, by the running daemon and by the next one.
    let device = format!("du-{}", &id[..12]);
    world.host().sh(&format!("ip link delete {device}")).ok();
    eventually(SOON, || {
        let there = world.host().sh(&format!("ip link show {device}"));
        (there.code == 0).then_some(())
    });
    world.relaunch();
    assert_eq!(
        inside(&world, "c", "eth0")["addr_info"][0]["local"],
        "10.55.0.7"
    );
}

fn says(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

fn clear(world: &World) {
    for path in ["/containers/c?force=1", "/networks/crash"] {
        world.api("DELETE", path, &Value::Null);
    }
}

fn network() -> Value {
    json!({
        "Name": "crash", "Driver": "dummy", "Options": {MTU: "1400"},
        "IPAM": {"Config": [{"Subnet": "10.55.2.0/24"}]},
    })
}

fn create(world: &World) {
    clear(world);
    let (status, answer) = world.api("POST", "/networks/create", &network());
    assert_eq!(status, 201, "{answer}");
}

fn with_running(world: &World) {
    create(world);
    world.idle("--name c --network net1 --ip 10.55.1.7");
}

fn network_is_there(world: &World) -> &'static str {
    says(world.api("GET", "/networks/crash", &Value::Null).0 == 200)
}

fn is_connected(world: &World) -> &'static str {
    let networks = world.inspect("c")["NetworkSettings"]["Networks"].clone();
    says(networks.get("crash").is_some())
}

fn crash(operation: &Operation) {
    crash_at_every_step(operation, |world| {
        world.network("--subnet 10.55.1.0/24 net1");
    });
}

#[test]
fn dummy_create_dies_at_every_step() {
    crash(&Operation {
        name: "create of a dummy network",
        request: ("POST", "/networks/create", network()),
        says: network_is_there,
        halfway: None,
        prepare: clear,
    });
}

#[test]
fn dummy_rm_dies_at_every_step() {
    crash(&Operation {
        name: "rm of a dummy network",
        request: ("DELETE", "/networks/crash", Value::Null),
        says: network_is_there,
        halfway: None,
        prepare: create,
    });
}

#[test]
fn dummy_connect_dies_at_every_step() {
    let body = json!({
        "Container": "c",
        "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.55.2.7"}},
    });
    crash(&Operation {
        name: "connect to a dummy network",
        request: ("POST", "/networks/crash/connect", body),
        says: is_connected,
        halfway: None,
        prepare: with_running,
    });
}
