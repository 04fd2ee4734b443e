//! Chapter B1: the networks API, status by status and text by text.
//!
//! Most of these share one daemon and one host: they name their networks after themselves and take
//! their subnets from a range of their own.

use sealane_conformance::*;
use std::sync::OnceLock;

fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

fn subnet(subnet: &str) -> Value {
    json!({"IPAM": {"Config": [{"Subnet": subnet}]}})
}

fn names(list: &Value) -> Vec<String> {
    let name = |network: &Value| network["Name"].as_str().map(str::to_owned);
    let mut names: Vec<String> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(name)
        .collect();
    names.sort();
    names
}

#[test]
fn b1_1_networks_are_listed_and_filtered() {
    let world = World::new();
    create_network(&world, "f-one", json!({"Labels": {"team": "blue"}}));
    let id = create_network(&world, "f-two", json!({"Labels": {"team": "red"}}));
    world.idle("--network f-two --name c");
    let list = |filters: Value| names(&world.get(&filtered("/networks", &filters)));
    let all = world.get("/networks");
    assert_eq!(names(&all), ["bridge", "f-one", "f-two", "host", "none"]);
    assert!(
        all[0].get("Containers").is_none(),
        "a summary has no containers: {all}"
    );
    assert_eq!(
        list(json!({"driver": ["bridge"]})),
        ["bridge", "f-one", "f-two"]
    );
    assert_eq!(list(json!({"driver": {"host": true}})), ["host"]);
    assert_eq!(
        list(json!({"driver": ["bri"]})),
        [""; 0],
        "the driver is matched exactly"
    );
    assert_eq!(
        list(json!({"name": ["-t"]})),
        ["f-two"],
        "the name is matched in part"
    );
    assert_eq!(list(json!({"name": ["f-one", "host"]})), ["f-one", "host"]);
    assert_eq!(list(json!({"id": [&id[..9]]})), ["f-two"]);
    assert_eq!(list(json!({"label": ["team"]})), ["f-one", "f-two"]);
    assert_eq!(list(json!({"label": ["team=red"]})), ["f-two"]);
    assert_eq!(list(json!({"scope": ["local"]})).len(), 5);
    assert_eq!(list(json!({"scope": ["swarm"]})).len(), 0);
    assert_eq!(list(json!({"type": ["custom"]})), ["f-one", "f-two"]);
    assert_eq!(
        list(json!({"type": ["builtin"]})),
        ["bridge", "host", "none"]
    );
    assert_eq!(list(json!({"dangling": ["true"]})), ["f-one"]);
    assert_eq!(
        list(json!({"dangling": ["0"]})),
        ["bridge", "f-two", "host", "none"]
    );
    assert_eq!(
        world.get(&filtered("/networks", &json!({"name": ["nosuch"]}))),
        json!([])
    );

    let refuse = |filters: Value| {
        refused(
            &world,
            "GET",
            &filtered("/networks", &filters),
            &Value::Null,
        )
    };
    assert_eq!(
        refuse(json!({"nosuch": ["x"]})),
        (400, "invalid filter 'nosuch'".into())
    );
    let text =
        "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")";
    assert_eq!(refuse(json!({"dangling": ["x"]})), (400, text.into()));
    assert_eq!(
        refuse(json!({"type": ["x"]})),
        (500, "invalid filter: 'type'='x'".into())
    );
    let (status, text) = refused(&world, "GET", "/networks?filters=nonsense", &Value::Null);
    assert!(
        status == 400 && text.starts_with("invalid filter"),
        "{status} {text}"
    );

    let by_cli = world
        .docker("network ls --filter type=custom --format '{{.Name}}'")
        .ok();
    assert_eq!(by_cli, "f-one\nf-two");
}

#[test]
fn b1_2_a_network_is_found_by_id_name_and_prefix() {
    let world = World::new();
    let id = create_network(&world, "look", json!({}));
    // A name that is another's id loses against the id; one that is a prefix wins against it.
    create_network(&world, &id, subnet("10.80.1.0/24"));
    let prefixed = create_network(&world, &id[..10], subnet("10.80.2.0/24"));
    let found = |key: &str| world.get(&format!("/networks/{key}"))["Id"].clone();
    assert_eq!(found("look"), *id);
    assert_eq!(found(&id), *id);
    assert_eq!(found(&id[..20]), *id);
    assert_eq!(found(&id[..10]), *prefixed);
    assert_eq!(world.get("/networks/look")["Containers"], json!({}));
    assert_eq!(
        refused(&world, "GET", "/networks/nosuch", &Value::Null),
        (404, "network nosuch not found".into())
    );
    assert_eq!(
        names(&world.get("/networks/")).len(),
        6,
        "a slash at the end is no name"
    );

    // Seventeen ids have sixteen first letters.
    let mut ids = Vec::new();
    let ambiguous = (0..17).find_map(|index| {
        let fields = subnet(&format!("10.80.{}.0/24", index + 10));
        let new = create_network(&world, &format!("many{index}"), fields);
        let shared = ids.iter().any(|known: &String| known[..1] == new[..1]);
        ids.push(new.clone());
        shared.then(|| new[..1].to_owned())
    });
    let prefix = ambiguous.expect("two of seventeen");
    let (status, text) = refused(&world, "GET", &format!("/networks/{prefix}"), &Value::Null);
    assert_eq!(status, 400);
    assert!(
        text.starts_with(&format!("network {prefix} is ambiguous (")),
        "{text}"
    );
    assert!(text.contains("matches found"), "{text}");
    let by_cli = world.docker(&format!("network inspect {prefix}"));
    by_cli.fails_with(1, "is ambiguous");
}

#[test]
fn b1_3_the_newest_api_counts_addresses() {
    let world = shared();
    create_network(world, "b1-3", subnet("10.81.3.0/24"));
    let network = world.get("/networks/b1-3");
    let counts = &network["Status"]["IPAM"]["Subnets"]["10.81.3.0/24"];
    assert_eq!(
        counts["IPsInUse"], 3,
        "network, gateway and broadcast: {network}"
    );
    assert_eq!(counts["DynamicIPsAvailable"], 253, "{network}");
    world.idle("--network b1-3");
    let counts = world.get("/networks/b1-3")["Status"]["IPAM"]["Subnets"]["10.81.3.0/24"].clone();
    assert_eq!(counts["IPsInUse"], 4);
    assert!(world.get("/v1.51/networks/b1-3").get("Status").is_none());
}

#[test]
fn b1_4_create_takes_and_shows_all_its_fields() {
    let world = shared();
    let body = json!({
        "Name": "b1-4", "Driver": "bridge", "CheckDuplicate": true, "Internal": true,
        "Attachable": true, "EnableIPv4": true, "EnableIPv6": true,
        "IPAM": {"Driver": "default", "Options": {"x": "y"}, "Config": [
            {"Subnet": "10.81.4.0/24", "IPRange": "10.81.4.128/25", "Gateway": "10.81.4.9",
             "AuxiliaryAddresses": {"printer": "10.81.4.200"}},
            {"Subnet": "fd81:4::/64"},
        ]},
        "Options": {"com.docker.network.driver.mtu": "1400", "com.docker.network.bridge.name": "b14"},
        "Labels": {"a": "b"},
    });
    let (status, answer) = world.api("POST", "/networks/create", &body);
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer, json!({"Id": answer["Id"], "Warning": ""}));
    let seen = world.get("/networks/b1-4");
    for field in [
        "Name",
        "Driver",
        "Internal",
        "Attachable",
        "EnableIPv4",
        "EnableIPv6",
        "Options",
        "Labels",
    ] {
        assert_eq!(seen[field], body[field], "{field}");
    }
    let config = &seen["IPAM"]["Config"];
    assert_eq!(config[0], body["IPAM"]["Config"][0]);
    assert_eq!(config[1]["Subnet"], "fd81:4::/64");
    assert_eq!(config[1]["Gateway"], "fd81:4::1");
    let link = &world.host().ip_json("address show b14")[0];
    assert_eq!(link["mtu"], 1400);
    assert!(link.to_string().contains("10.81.4.9"), "{link}");
}

#[test]
fn b1_5_predefined_names_are_refused() {
    for name in ["bridge", "host", "none", "default"] {
        assert_eq!(
            refused(shared(), "POST", "/networks/create", &json!({"Name": name})),
            (
                403,
                format!("operation is not permitted on predefined {name} network ")
            )
        );
    }
    let by_cli = shared().docker("network create bridge");
    by_cli.fails_with(1, "operation is not permitted on predefined bridge network");
}

#[test]
fn b1_6_a_name_is_given_once() {
    let world = shared();
    create_network(world, "b1-6", subnet("10.81.6.0/24"));
    for version in ["", "/v1.40", "/v1.43"] {
        assert_eq!(
            refused(
                world,
                "POST",
                &format!("{version}/networks/create"),
                &json!({"Name": "b1-6"})
            ),
            (409, "network with name b1-6 already exists".into())
        );
    }
}

#[test]
fn b1_7_a_name_is_not_empty() {
    for name in ["", "  "] {
        assert_eq!(
            refused(shared(), "POST", "/networks/create", &json!({"Name": name})),
            (400, "invalid name: name is empty".into())
        );
    }
    for name in ["b1-7/x", "b1-7 x", "name=b1-7"] {
        create_network(shared(), name, json!({}));
        shared().docker(&format!("network rm '{name}'")).ok();
    }
}

#[test]
fn b1_8_every_fault_of_the_ipam_configuration_is_named() {
    let world = shared();
    let refuse = |config: Value| {
        let body = json!({"Name": "b1-8", "IPAM": {"Config": [config]}});
        refused(world, "POST", "/networks/create", &body)
    };
    let cases = [
        (
            json!({"Subnet": "10.67.0.5/24"}),
            "invalid subnet 10.67.0.5/24: it should be 10.67.0.0/24",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "IPRange": "10.67.0.0/16"}),
            "invalid ip-range 10.67.0.0/16: CIDR block is bigger than its parent subnet 10.67.0.0/24",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "IPRange": "10.67.0.2/28"}),
            "invalid ip-range 10.67.0.2/28: it should be 10.67.0.0/28",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "IPRange": "10.68.0.0/28"}),
            "invalid ip-range 10.68.0.0/28: parent subnet 10.67.0.0/24 doesn't contain ip-range",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "IPRange": "fd00::/120"}),
            "invalid ip-range fd00::/120: parent subnet is an IPv4 block",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "Gateway": "10.68.0.1"}),
            "invalid gateway 10.68.0.1: parent subnet 10.67.0.0/24 doesn't contain this address",
        ),
        (
            json!({"Subnet": "10.67.0.0/24", "AuxiliaryAddresses": {"a": "10.68.0.1"}}),
            "invalid auxiliary address a: parent subnet 10.67.0.0/24 doesn't contain this address",
        ),
    ];
    for (config, fault) in cases {
        assert_eq!(
            refuse(config),
            (400, format!("invalid network config:\n{fault}"))
        );
    }
    let (status, text) = refuse(
        json!({"Subnet": "10.67.0.0/24", "IPRange": "10.68.0.0/28", "Gateway": "10.68.0.1"}),
    );
    assert_eq!((status, text.lines().count()), (400, 3), "{text}");
    let (status, text) = refuse(json!({"Subnet": "10.67.0"}));
    assert!(
        status == 400 && text.starts_with("invalid JSON: netip.ParsePrefix("),
        "{status} {text}"
    );
    assert_eq!(world.docker("network ls -q --filter name=b1-8").ok(), "");
}

#[test]
fn b1_9_a_bridge_has_one_subnet_a_family() {
    let body = json!({"Name": "b1-9", "IPAM": {"Config": [
        {"Subnet": "10.81.9.0/24"}, {"Subnet": "10.81.10.0/24"}]}});
    assert_eq!(
        refused(shared(), "POST", "/networks/create", &body),
        (403, "bridge driver doesn't support multiple subnets".into())
    );
}

#[test]
fn b1_10_overlapping_networks_are_refused() {
    let world = shared();
    let mut first = subnet("10.82.0.0/16");
    first["Options"] = json!({"com.docker.network.bridge.name": "b110"});
    create_network(world, "b1-10", first);
    for overlapping in ["10.82.0.0/16", "10.82.7.0/24", "10.80.0.0/12"] {
        let mut body = subnet(overlapping);
        body["Name"] = json!("b1-10x");
        let text = "invalid pool request: Pool overlaps with other one on this address space";
        assert_eq!(
            refused(world, "POST", "/networks/create", &body),
            (403, text.into())
        );
    }
    let mut body = subnet("10.83.0.0/16");
    body["Name"] = json!("b1-10x");
    body["Options"] = json!({"com.docker.network.bridge.name": "b110"});
    let (status, text) = refused(world, "POST", "/networks/create", &body);
    assert_eq!(status, 403, "{text}");
    assert!(text.starts_with("cannot create network "), "{text}");
    assert!(text.contains(" (b110): conflicts with network "), "{text}");
    assert!(text.ends_with("same bridge name"), "{text}");
    // What was reserved for it is free again.
    create_network(world, "b1-10y", subnet("10.83.0.0/16"));
}

#[test]
fn b1_11_pools_run_out() {
    let world = World::with_flags(&["--default-address-pool", "base=10.200.0.0/24,size=26"]);
    for index in 0..3 {
        create_network(&world, &format!("n{index}"), json!({}));
    }
    let text = "all predefined address pools have been fully subnetted";
    assert_eq!(
        refused(&world, "POST", "/networks/create", &json!({"Name": "n3"})),
        (400, text.into())
    );
    world.docker("network create n3").fails_with(1, text);
    world.docker("network rm n1").ok();
    world.network("n3");
    assert_eq!(
        world.get("/networks/n3")["IPAM"]["Config"][0]["Subnet"],
        "10.200.0.128/26"
    );
}

#[test]
fn b1_12_one_family_must_be_on() {
    let body = json!({"Name": "b1-12", "EnableIPv4": false, "EnableIPv6": false});
    assert_eq!(
        refused(shared(), "POST", "/networks/create", &body),
        (400, "IPv4 or IPv6 must be enabled".into())
    );
}

#[test]
fn b1_13_an_unknown_driver_is_not_found() {
    let unknown = (404, "plugin \"nosuch\" not found".to_owned());
    for body in [
        json!({"Name": "b1-13", "Driver": "nosuch"}),
        json!({"Name": "b1-13", "IPAM": {"Driver": "nosuch"}}),
    ] {
        assert_eq!(
            refused(shared(), "POST", "/networks/create", &body),
            unknown
        );
    }
    for driver in ["host", "null"] {
        assert_eq!(
            refused(
                shared(),
                "POST",
                "/networks/create",
                &json!({"Name": "b1-13", "Driver": driver})
            ),
            (
                403,
                format!("only one instance of \"{driver}\" network is allowed")
            )
        );
    }
}

#[test]
fn b1_15_bad_driver_options_are_refused() {
    let refuse = |key: &str, value: &str| {
        let body = json!({"Name": "b1-15", "Options": {key: value}});
        refused(shared(), "POST", "/networks/create", &body)
    };
    for (key, value) in [
        ("com.docker.network.bridge.enable_icc", "maybe"),
        ("com.docker.network.bridge.enable_ip_masquerade", "2x"),
        ("com.docker.network.driver.mtu", "big"),
    ] {
        let (status, text) = refuse(key, value);
        assert_eq!(status, 400, "{text}");
        assert!(
            text.starts_with(&format!("failed to parse {key} value: {value} (")),
            "{text}"
        );
    }
}

#[test]
fn b1_16_networks_are_removed_unless_in_use() {
    let world = shared();
    let id = create_network(world, "b1-16", subnet("10.81.16.0/24"));
    let device = format!("br-{}", &id[..12]);
    let container = world.idle("--network b1-16 --name b1-16c");
    let (status, text) = refused(world, "DELETE", "/networks/b1-16", &Value::Null);
    assert_eq!(status, 403);
    let start =
        "error while removing network: network b1-16 has active endpoints (name:\"b1-16c\" id:\"";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.ends_with("\")") && text.len() == start.len() + 12 + 2,
        "{text}"
    );
    world.host().sh(&format!("ip link show {device}")).ok();

    // Stopped members do not hold it; their start then says what is missing.
    world.docker("stop -t 0 b1-16c").ok();
    let (status, body) = world.api("DELETE", "/networks/b1-16", &Value::Null);
    assert_eq!((status, body), (204, Value::Null));
    assert_ne!(world.host().sh(&format!("ip link show {device}")).code, 0);
    assert_eq!(
        refused(
            world,
            "POST",
            &format!("/containers/{container}/start"),
            &Value::Null
        ),
        (
            404,
            "failed to set up container networking: network b1-16 not found".into()
        )
    );
    assert_eq!(
        refused(world, "DELETE", "/networks/b1-16", &Value::Null),
        (404, "network b1-16 not found".into())
    );
    for name in ["bridge", "host", "none"] {
        assert_eq!(
            refused(world, "DELETE", &format!("/networks/{name}"), &Value::Null),
            (
                403,
                format!("{name} is a pre-defined network and cannot be removed")
            )
        );
    }
    // An id wins over a name.
    let one = create_network(world, "b1-16one", subnet("10.81.17.0/24"));
    create_network(world, &one, subnet("10.81.18.0/24"));
    world.docker(&format!("network rm {one}")).ok();
    assert_eq!(
        refused(world, "GET", "/networks/b1-16one", &Value::Null).0,
        404
    );
    assert_eq!(
        world.get(&format!("/networks/{one}"))["IPAM"]["Config"][0]["Subnet"],
        "10.81.18.0/24"
    );
}

#[test]
fn b1_17_containers_are_connected_running_and_stopped() {
    let world = shared();
    create_network(world, "b1-17a", subnet("10.81.20.0/24"));
    create_network(world, "b1-17b", subnet("10.81.21.0/24"));
    world.idle("--network b1-17a --name b1-17");
    let body = json!({"Container": "b1-17", "EndpointConfig": {
        "IPAMConfig": {"IPv4Address": "10.81.21.77"}, "Aliases": ["nick"],
        "MacAddress": "02:00:00:00:17:17",
        "DriverOpts": {"com.example.x": "y"}, "GwPriority": 7,
    }});
    let reply = world.raw_api(
        "POST",
        "/networks/b1-17b/connect",
        body.to_string().as_bytes(),
    );
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let link = &world.sandbox("b1-17").ip_json("-4 address show eth1")[0];
    assert_eq!(link["addr_info"][0]["local"], "10.81.21.77");
    let endpoint = world.inspect("b1-17")["NetworkSettings"]["Networks"]["b1-17b"].clone();
    assert_eq!(endpoint["IPAMConfig"]["IPv4Address"], "10.81.21.77");
    assert_eq!(endpoint["DriverOpts"]["com.example.x"], "y");
    assert_eq!(endpoint["GwPriority"], 7);
    assert_eq!(endpoint["MacAddress"], "02:00:00:00:17:17");
    assert_eq!(
        world.sandbox("b1-17").ip_json("link show eth1")[0]["address"],
        "02:00:00:00:17:17"
    );
    assert_eq!(
        refused(
            world,
            "POST",
            "/networks/b1-17b/connect",
            &json!({"Container": "b1-17"})
        ),
        (
            403,
            "endpoint with name b1-17 already exists in network b1-17b".into()
        )
    );
    world
        .docker("run -d --network b1-17b --name b1-17peer img sleep 1000")
        .ok();
    world.docker("exec b1-17peer ping -c 1 -W 2 nick").ok();

    world
        .docker("create --network b1-17a --name b1-17late img sleep 1000")
        .ok();
    world
        .docker("network connect --ip 10.81.21.78 b1-17b b1-17late")
        .ok();
    world.docker("start b1-17late").ok();
    assert_eq!(
        world.sandbox("b1-17late").interfaces(),
        ["lo", "eth0", "eth1"]
    );
    assert_eq!(world.address("b1-17late", "b1-17b"), "10.81.21.78");
}

#[test]
fn b1_18_impossible_connections_are_refused() {
    let world = shared();
    create_network(world, "b1-18", subnet("10.81.22.0/24"));
    create_network(world, "b1-18free", json!({}));
    world.idle("--network b1-18 --ip 10.81.22.5 --name b1-18c");
    world.idle("--network none --name b1-18n");
    world.idle("--network host --name b1-18h");
    world.idle("--network container:b1-18c --name b1-18s");
    world.idle("--name b1-18d");
    let refuse = |network: &str, body: Value| {
        refused(
            world,
            "POST",
            &format!("/networks/{network}/connect"),
            &body,
        )
    };
    let private = "container cannot be connected to multiple networks with one of the networks in private (none) mode";
    let shares = "container sharing network namespace with another container or host cannot be connected to any other network";
    let with_ip = |address: &str| json!({"Container": "b1-18d", "EndpointConfig": {"IPAMConfig": {"IPv4Address": address}}});
    let host =
        "cannot connect container to host network - container must be created in host network mode";
    assert_eq!(
        refuse("host", json!({"Container": "b1-18c"})),
        (400, host.into())
    );
    assert_eq!(
        refuse("none", json!({"Container": "b1-18c"})),
        (400, private.into())
    );
    assert_eq!(
        refuse("b1-18", json!({"Container": "b1-18n"})),
        (400, private.into())
    );
    assert_eq!(
        refuse("b1-18", json!({"Container": "b1-18h"})),
        (400, shares.into())
    );
    assert_eq!(
        refuse("b1-18", json!({"Container": "b1-18s"})),
        (400, shares.into())
    );
    let (status, text) = refuse("b1-18", with_ip("10.99.99.9"));
    assert_eq!(status, 400);
    assert!(
        text.contains("no configured subnet contains IP address 10.99.99.9"),
        "{text}"
    );
    let (status, text) = refuse("b1-18free", with_ip("172.31.0.9"));
    assert_eq!(status, 400, "{text}");
    assert_eq!(
        refuse("b1-18", with_ip("10.81.22.5")),
        (403, "Address already in use".into())
    );
    assert_eq!(refuse("nosuch", json!({"Container": "b1-18d"})).0, 404);
    assert_eq!(refuse("b1-18", json!({"Container": "nosuch"})).0, 404);

    world.idle("--network b1-18 --name b1-18e");
    let on_default = |settings: Value| {
        refuse(
            "bridge",
            json!({"Container": "b1-18e", "EndpointConfig": settings}),
        )
    };
    let (status, text) = on_default(json!({"IPAMConfig": {"IPv4Address": "172.17.0.99"}}));
    assert_eq!(status, 400);
    assert!(
        text.contains("user-specified IP address is supported on user-defined networks only"),
        "{text}"
    );
    let (status, text) = on_default(json!({"Aliases": ["x"]}));
    assert_eq!(status, 400);
    assert!(
        text.contains("network-scoped aliases are only supported for user-defined networks"),
        "{text}"
    );
    assert_eq!(
        world.sandbox("b1-18d").interfaces(),
        ["lo", "eth0"],
        "nothing was changed"
    );
}

#[test]
fn b1_19_containers_are_disconnected() {
    let world = shared();
    create_network(world, "b1-19", subnet("10.81.23.0/24"));
    let id = world.idle("--network b1-19 --name b1-19c");
    let disconnect = |network: &str, container: &str, force: bool| {
        let body = json!({"Container": container, "Force": force});
        world.api("POST", &format!("/networks/{network}/disconnect"), &body)
    };
    let message = |text: &str| json!({"message": text});
    assert_eq!(disconnect("b1-19", "b1-19c", false), (200, Value::Null));
    assert_eq!(world.sandbox("b1-19c").interfaces(), ["lo"]);
    let not_connected = format!("container {id} is not connected to network b1-19");
    assert_eq!(
        disconnect("b1-19", "b1-19c", false),
        (500, message(&not_connected))
    );
    assert_eq!(
        disconnect("b1-19", "b1-19c", true),
        (500, message(&not_connected))
    );
    assert_eq!(
        disconnect("b1-19", "nosuch", true),
        (404, message("endpoint nosuch not found"))
    );
    world.idle("--network host --name b1-19h");
    let host = "cannot disconnect container from host network - container was created in host network mode";
    assert_eq!(disconnect("host", "b1-19h", false), (400, message(host)));
    world.idle("--network none --name b1-19n");
    assert_eq!(disconnect("none", "b1-19n", false).0, 200);
    world.docker("network connect b1-19 b1-19c").ok();
    assert_eq!(world.sandbox("b1-19c").interfaces(), ["lo", "eth0"]);
}

#[test]
fn b1_20_b2_4_unused_networks_are_pruned() {
    let world = World::new();
    create_network(&world, "used", json!({}));
    world.idle("--network used --name c");
    create_network(&world, "blue", json!({"Labels": {"team": "blue"}}));
    create_network(&world, "red", json!({"Labels": {"team": "red"}}));
    create_network(&world, "plain", json!({}));
    let prune = |filters: Value| {
        let (status, answer) =
            world.api("POST", &filtered("/networks/prune", &filters), &Value::Null);
        assert_eq!(status, 200, "{answer}");
        answer["NetworksDeleted"].clone()
    };
    assert_eq!(prune(json!({"label": ["team=blue"]})), json!(["blue"]));
    assert_eq!(prune(json!({"until": ["1h"]})), Value::Null);
    assert_eq!(prune(json!({"label!": ["team"]})), json!(["plain"]));
    assert_eq!(
        world.docker("network prune -f").ok(),
        "Deleted Networks:\nred"
    );
    assert_eq!(prune(json!({})), Value::Null);
    let left = world.docker("network ls --format '{{.Name}}'").ok();
    assert_eq!(left, "bridge\nhost\nnone\nused");
    let bridges = world.host().ip_json("link show type bridge");
    assert_eq!(bridges.as_array().map(Vec::len), Some(2), "{bridges}");
    let (status, _) = refused(
        &world,
        "POST",
        &filtered("/networks/prune", &json!({"x": ["y"]})),
        &Value::Null,
    );
    assert_eq!(status, 400);
}

#[test]
fn b1_21_inspect_shows_the_network_settings() {
    let world = shared();
    create_network(world, "b1-21", subnet("10.81.24.0/24"));
    let id = world.idle("--network b1-21 --name b1-21c --network-alias nick -p 18021:80");
    let settings = world.inspect("b1-21c")["NetworkSettings"].clone();
    let sandbox_id = settings["SandboxID"].as_str().expect("an id");
    assert_eq!(sandbox_id.len(), 64, "{settings}");
    let key = settings["SandboxKey"].as_str().expect("a path");
    let inode = world.host().sh(&format!("stat -Lc 'net:[%i]' {key}")).ok();
    assert_eq!(
        inode,
        world.sandbox("b1-21c").netns_inode(),
        "the key leads to the namespace"
    );
    assert_eq!(
        settings["Ports"],
        json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18021"}, {"HostIp": "::", "HostPort": "18021"}]})
    );
    let endpoint = &settings["Networks"]["b1-21"];
    let link = world.sandbox("b1-21c").ip_json("address show eth0")[0].clone();
    assert_eq!(endpoint["MacAddress"], link["address"]);
    assert_eq!(endpoint["IPAddress"], link["addr_info"][0]["local"]);
    assert_eq!(endpoint["IPPrefixLen"], 24);
    assert_eq!(endpoint["Gateway"], "10.81.24.1");
    assert_eq!(endpoint["GlobalIPv6Address"], "");
    assert_eq!(endpoint["GlobalIPv6PrefixLen"], 0);
    assert_eq!(endpoint["IPv6Gateway"], "");
    assert_eq!(endpoint["EndpointID"].as_str().map(str::len), Some(64));
    assert_eq!(endpoint["NetworkID"], world.get("/networks/b1-21")["Id"]);
    assert_eq!(endpoint["Aliases"], json!(["nick"]));
    let names: Vec<&str> = endpoint["DNSNames"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for name in ["b1-21c", "nick", &id[..12]] {
        assert!(names.contains(&name), "{names:?}");
    }
    for key in ["IPAMConfig", "Links", "DriverOpts", "GwPriority"] {
        assert!(endpoint.get(key).is_some(), "{key} is missing: {endpoint}");
    }
    assert!(
        settings.get("IPAddress").is_none(),
        "from API 1.52 on: {settings}"
    );
    world.idle("--name b1-21d");
    let older = world.get("/v1.50/containers/b1-21d/json")["NetworkSettings"].clone();
    assert_eq!(older["IPAddress"], older["Networks"]["bridge"]["IPAddress"]);
    assert_eq!(
        older["Networks"]["bridge"]["DNSNames"],
        Value::Null,
        "none on the default bridge"
    );
}

#[test]
fn b1_22_info_tells_of_the_network_side() {
    let info = shared().get("/info");
    let plugins: Vec<&str> = info["Plugins"]["Network"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for driver in ["bridge", "host", "null"] {
        assert!(plugins.contains(&driver), "{plugins:?}");
    }
    assert_eq!(info["FirewallBackend"]["Driver"], "nftables");
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    let text = shared().docker("info").ok();
    assert!(text.contains("Network: bridge host"), "{text}");
}

#[test]
fn b1_23_versions_are_negotiated() {
    let world = shared();
    let ping = world.raw_api("GET", "/_ping", b"");
    let newest = ping.header("api-version").expect("a version").to_owned();
    let minor: u32 = newest
        .strip_prefix("1.")
        .and_then(|text| text.parse().ok())
        .expect("1.x");
    assert!(minor >= 52, "{newest}");
    assert_eq!((ping.status, ping.body.as_slice()), (200, b"OK".as_slice()));
    assert_eq!(ping.header("ostype"), Some("linux"));
    let head = world.raw_api("HEAD", "/_ping", b"");
    assert_eq!(head.header("api-version"), Some(newest.as_str()));
    let old = world.raw_api("GET", "/v1.23/networks", b"");
    assert_eq!(old.status, 400);
    let text = old.json();
    let text = text["message"]
        .as_str()
        .or(text.as_str())
        .expect("a text")
        .to_owned();
    assert!(
        text.starts_with("client version 1.23 is too old. Minimum supported API version is 1.40, please upgrade your client to a newer version"),
        "{text}"
    );
    let (status, text) = refused(world, "GET", "/v9.99/networks", &Value::Null);
    assert_eq!(status, 400);
    assert_eq!(
        text,
        format!("client version 9.99 is too new. Maximum supported API version is {newest}")
    );
    let version = world.get("/version");
    assert_eq!(version["ApiVersion"], newest);
    assert_eq!(version["MinAPIVersion"], "1.40");
    for version in ["1.40", "1.41", "1.43", "1.47", "1.50", &newest] {
        assert!(world.get(&format!("/v{version}/networks")).is_array());
        let outcome = world.host().sh(&format!(
            "DOCKER_API_VERSION={version} docker network ls -q"
        ));
        assert!(outcome.ok().lines().count() >= 3, "{version}");
    }
    let lab = Lab::new();
    let options = DaemonOptions {
        environment: vec![("DOCKER_MIN_API_VERSION".into(), "1.24".into())],
        ..DaemonOptions::default()
    };
    let lenient = Daemon::start_with(lab.host(0), options);
    assert!(lenient.get("/v1.24/networks").is_array());
}

#[test]
fn b1_24_a_container_is_created_on_several_networks() {
    let world = shared();
    create_network(world, "b1-24a", subnet("10.81.25.0/24"));
    create_network(world, "b1-24b", subnet("10.81.26.0/24"));
    let body = |a: Value, b: Value| {
        json!({
            "Image": "img", "Cmd": ["sleep", "1000"],
            "HostConfig": {"NetworkMode": "b1-24a"},
            "NetworkingConfig": {"EndpointsConfig": {"b1-24a": a, "b1-24b": b}},
        })
    };
    let good = body(
        json!({"IPAMConfig": {"IPv4Address": "10.81.25.5"}}),
        json!({"IPAMConfig": {"IPv4Address": "10.81.26.6"}, "Aliases": ["nick"]}),
    );
    let (status, answer) = world.api("POST", "/v1.44/containers/create?name=b1-24c", &good);
    assert_eq!(status, 201, "{answer}");
    world.docker("start b1-24c").ok();
    let sandbox = world.sandbox("b1-24c");
    let mut interfaces = sandbox.interfaces();
    interfaces.sort();
    assert_eq!(interfaces, ["eth0", "eth1", "lo"]);
    let addresses = sandbox.ip_json("-4 address").to_string();
    assert!(
        addresses.contains("10.81.25.5") && addresses.contains("10.81.26.6"),
        "{addresses}"
    );
    assert_eq!(
        refused(world, "POST", "/v1.43/containers/create?name=b1-24d", &good).0,
        400
    );

    let bad = body(
        json!({"IPAMConfig": {"IPv4Address": "10.1.1.1"}}),
        json!({"IPAMConfig": {"IPv4Address": "10.2.2.2"}}),
    );
    let (status, text) = refused(world, "POST", "/containers/create?name=b1-24e", &bad);
    assert_eq!(status, 400);
    for part in [
        "invalid config for network b1-24a: invalid endpoint settings:",
        "invalid config for network b1-24b: invalid endpoint settings:",
        "no configured subnet contains IP address 10.1.1.1",
        "no configured subnet contains IP address 10.2.2.2",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert_eq!(
        refused(world, "GET", "/containers/b1-24e/json", &Value::Null).0,
        404
    );
}

#[test]
fn b1_25_a_mac_address_belongs_to_an_endpoint() {
    let world = shared();
    let body = json!({"Image": "img", "Cmd": ["sleep", "1000"], "MacAddress": "02:00:00:00:25:25"});
    assert_eq!(
        refused(world, "POST", "/containers/create?name=b1-25x", &body),
        (400, "container-wide MAC address no longer supported; use endpoint-specific MAC address instead".into())
    );
    for (version, warns) in [("1.43", false), ("1.50", true)] {
        let name = format!("b1-25-{}", &version[2..]);
        let path = format!("/v{version}/containers/create?name={name}");
        let (status, answer) = world.api("POST", &path, &body);
        assert_eq!(status, 201, "{answer}");
        let warnings = answer["Warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(warnings > 0, warns, "{version}: {answer}");
        world.docker(&format!("start {name}")).ok();
        let link = world.sandbox(&name).ip_json("link show eth0");
        assert_eq!(link[0]["address"], "02:00:00:00:25:25", "{version}");
        world.docker(&format!("rm -f {name}")).ok();
    }
}

#[test]
fn b1_26_errors_are_a_message_with_the_right_status() {
    let world = shared();
    let page = (404, "page not found".to_owned());
    assert_eq!(refused(world, "GET", "/nosuch", &Value::Null), page);
    assert_eq!(refused(world, "PUT", "/networks", &Value::Null), page);
    let (status, text) = refused(world, "POST", "/auth", &Value::Null);
    assert_eq!(status, 501);
    assert!(text.len() > 10, "a sentence: {text}");
    assert_eq!(
        refused(world, "GET", "/containers/nosuch/json", &Value::Null),
        (404, "No such container: nosuch".into())
    );
    world.idle("--name b1-26");
    assert_eq!(
        world.api("POST", "/containers/b1-26/start", &Value::Null).0,
        304
    );
    let reply = world.raw_api("GET", "/containers/nosuch/json", b"");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let (status, text) = refused(
        world,
        "POST",
        "/containers/create?name=b1-26",
        &json!({"Image": "img", "Cmd": ["true"]}),
    );
    assert_eq!(status, 409);
    assert!(
        text.starts_with("Conflict. The container name \"/b1-26\" is already in use by container "),
        "{text}"
    );
}
