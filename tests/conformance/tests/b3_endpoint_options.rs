//! Chapter B3: options of endpoints, configuration networks, IPv6 switched off.

use sealane_conformance::*;

#[test]
fn b3_7_sysctls_of_a_link_are_set() {
    let world = World::new();
    world.network("--ipv6 net");
    let sysctls = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,\
                   net.ipv4.neigh.IFNAME.gc_stale_time=77,net.ipv6.conf.IFNAME.accept_ra=2";
    world.idle(&format!(
        "--network name=net,\\\"driver-opt={sysctls}\\\" --name c"
    ));
    let sandbox = world.sandbox("c");
    let read = |path: &str| sandbox.sh(&format!("sysctl -n net.{path}")).ok();
    assert_eq!(read("ipv4.conf.eth0.log_martians"), "1");
    assert_eq!(read("ipv4.neigh.eth0.gc_stale_time"), "77");
    assert_eq!(read("ipv6.conf.eth0.accept_ra"), "2");
    // Of a further network too, where the link has another name.
    world.docker("network create more").ok();
    world
        .docker("network connect --driver-opt com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1 more c")
        .ok();
    assert_eq!(read("ipv4.conf.eth1.log_martians"), "1");
}

#[test]
fn b3_7_what_is_no_sysctl_of_a_link_is_refused_in_dockers_words() {
    let world = World::new();
    world.network("net");
    let run = |sysctl: &str| {
        world.docker(&format!(
            "run -d --name unmade --network name=net,driver-opt=com.docker.network.endpoint.sysctls={sysctl} \
             img sleep 1000"
        ))
    };
    for sysctl in [
        "net.ipv4.conf.eth0.log_martians=1",
        "net.core.conf.IFNAME.somaxconn=1",
        "ipv4.conf.IFNAME.log_martians=1",
    ] {
        // The client writes options in small letters.
        let sysctl = sysctl.to_lowercase();
        run(&sysctl).fails_with(
            125,
            &format!(
                "unrecognised network interface sysctl '{sysctl}'; represent \
                 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            ),
        );
        world
            .docker("container inspect unmade")
            .fails_with(1, "o such container");
    }
    let before = Snapshot::take(world.host());
    let refused = run("net.ipv4.conf.IFNAME.nosuch=1");
    refused.fails_with(125, "failed to set up container networking: ");
    refused.fails_with(
        125,
        "/proc/sys/net/ipv4/conf/eth0/nosuch is not a sysctl file",
    );
    before.returns_on(world.host());
}

#[test]
fn b3_8_links_are_called_as_asked() {
    let mut world = World::with_flags(&["--live-restore"]);
    world.network("-o com.docker.network.container_iface_prefix=lan net");
    world.network("plain");
    world.idle(
        "--network net --network name=plain,driver-opt=com.docker.network.endpoint.ifname=uplink \
         --name c",
    );
    assert_eq!(world.sandbox("c").interfaces(), ["lo", "lan0", "uplink"]);
    world.relaunch();
    assert_eq!(world.sandbox("c").interfaces(), ["lo", "lan0", "uplink"]);
    let clash = world.docker("network create third").code;
    assert_eq!(clash, 0);
    let clash = world
        .docker("network connect --driver-opt com.docker.network.endpoint.ifname=uplink third c");
    clash.fails_with(
        1,
        "interface name \"uplink\" is already used in the container",
    );
    assert_eq!(world.sandbox("c").interfaces(), ["lo", "lan0", "uplink"]);
}

#[test]
fn b3_11_without_ipv6_in_the_container_its_address_is_released() {
    let world = World::new();
    world.network("--ipv6 --subnet 10.31.0.0/24 --subnet fd31::/64 net");
    world.idle("--network net --name c --sysctl net.ipv6.conf.all.disable_ipv6=1");
    let shown = world.inspect("c")["NetworkSettings"]["Networks"]["net"].clone();
    assert_eq!(shown["GlobalIPv6Address"], "", "{shown}");
    assert_eq!(shown["IPAddress"], "10.31.0.2");
    let addresses = world.sandbox("c").ip_json("-6 address");
    assert_eq!(addresses, json!([]), "{addresses}");
    let hosts = world.docker("exec c cat /etc/hosts").ok();
    assert!(!hosts.contains("::"), "{hosts}");
    // The address is another's.
    world.idle("--network net --name next");
    let next = world.inspect("next")["NetworkSettings"]["Networks"]["net"].clone();
    assert_eq!(next["GlobalIPv6Address"], "fd31::2", "{next}");
}

#[test]
fn b3_4_a_network_takes_its_settings_from_a_configuration_network() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    world.network(
        "--config-only --ipv6 --subnet 10.34.0.0/24 --gateway 10.34.0.9 --subnet fd34::/64 \
         -o com.docker.network.driver.mtu=1400 --label kind=conf conf",
    );
    before.returns_on(world.host());
    world.network("--config-from conf net");
    world.idle("--network net --name c");
    let sandbox = world.sandbox("c");
    assert_eq!(
        sandbox.routes("route show default"),
        ["default via 10.34.0.9 dev eth0"]
    );
    assert_eq!(sandbox.ip_json("link show eth0")[0]["mtu"], 1400);
    let shown = world.get("/networks/net");
    assert_eq!(shown["ConfigFrom"]["Network"], "conf");
    assert_eq!(shown["Labels"], json!({"kind": "conf"}), "{shown}");
    assert_eq!(world.get("/networks/conf")["Driver"], "null");
    world
        .docker("network rm conf")
        .fails_with(1, "configuration network \"conf\" is in use");
    world
        .docker("run -d --network conf img true")
        .fails_with(125, "configuration-only network");
    world.docker("rm -f c").ok();
    world.docker("network rm net").ok();
    world.docker("network rm conf").ok();
}

#[test]
fn b3_4_forbidden_mixes_are_refused_in_dockers_words() {
    let world = World::new();
    world.network("--config-only --subnet 10.34.0.0/24 conf");
    world.network("plain");
    let before = Snapshot::take(world.host());
    let fields = "configuration network can only contain network specific fields. Network \
                  operator fields like [ ingress | internal | attachable | scope ] are not \
                  supported.";
    let depends = "user-specified configurations are not supported if the network depends on a \
                   configuration network";
    let from = json!({"Network": "conf"});
    for (body, status, text) in [
        (json!({"ConfigOnly": true, "Internal": true}), 403, fields),
        (json!({"ConfigOnly": true, "Attachable": true}), 403, fields),
        (json!({"ConfigOnly": true, "Ingress": true}), 403, fields),
        (json!({"ConfigOnly": true, "Scope": "local"}), 403, fields),
        (
            json!({"ConfigOnly": true, "ConfigFrom": from}),
            403,
            "a configuration network cannot depend on another configuration network",
        ),
        (
            json!({"ConfigFrom": from, "IPAM": {"Config": [{"Subnet": "10.35.0.0/24"}]}}),
            403,
            depends,
        ),
        (
            json!({"ConfigFrom": from, "EnableIPv6": true}),
            403,
            depends,
        ),
        (
            json!({"ConfigFrom": from, "Labels": {"a": "b"}}),
            403,
            depends,
        ),
        (
            json!({"ConfigFrom": from, "Options": {"a": "b"}}),
            403,
            "network driver options are not supported if the network depends on a configuration \
             network",
        ),
    ] {
        let mut body = body;
        body["Name"] = json!("n");
        let (got, answer) = world.api("POST", "/networks/create", &body);
        assert_eq!(
            (got, answer["message"].as_str()),
            (status, Some(text)),
            "{body}"
        );
    }
    let (status, _) = world.api(
        "POST",
        "/networks/create",
        &json!({"Name": "n", "ConfigFrom": {"Network": "plain"}}),
    );
    assert_eq!(status, 404);
    before.returns_on(world.host());
}

#[test]
fn b3_5_networks_are_found_by_scope_and_label() {
    let world = World::new();
    world.network("--label color=blue --label empty --scope local net");
    let names = |filter: &str| {
        world
            .docker(&format!(
                "network ls --filter {filter} --format '{{{{.Name}}}}'"
            ))
            .ok()
    };
    assert_eq!(names("label=color"), "net");
    assert_eq!(names("label=color=blue"), "net");
    assert_eq!(names("label=color=red"), "");
    assert_eq!(names("label=empty"), "net");
    let mut local: Vec<String> = names("scope=local").lines().map(str::to_owned).collect();
    local.sort();
    assert_eq!(local, ["bridge", "host", "net", "none"]);
    assert_eq!(names("scope=global"), "");
    assert_eq!(names("scope=swarm"), "");
}

#[test]
fn b8_7_a_bridge_needs_addresses() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    let create =
        |arguments: &str| world.docker(&format!("network create --ipam-driver null {arguments} n"));
    create("").fails_with(1, "ipv4 pool is empty");
    create("--subnet 10.87.0.0/24").fails_with(
        1,
        "null ipam driver does not handle specific address pool requests",
    );
    create("--ipv4=false --ipv6").fails_with(1, "ipv6 pool is empty");
    before.returns_on(world.host());
}

#[test]
fn b8_10_every_subnet_tells_how_full_it_is() {
    let world = World::new();
    world.network(
        "--ipv6 --subnet 10.80.0.0/28 --ip-range 10.80.0.8/29 --aux-address a=10.80.0.9 \
         --subnet fd80::/64 net",
    );
    let status = |subnet: &str| {
        let (_, shown) = world.api("GET", "/v1.52/networks/net", &Value::Null);
        shown["Status"]["IPAM"]["Subnets"][subnet].clone()
    };
    let before = status("10.80.0.0/28");
    world.idle("--network net --name c");
    let after = status("10.80.0.0/28");
    let count = |status: &Value, key: &str| status[key].as_u64().expect("a number");
    assert_eq!(count(&after, "IPsInUse"), count(&before, "IPsInUse") + 1);
    assert_eq!(
        count(&after, "DynamicIPsAvailable") + 1,
        count(&before, "DynamicIPsAvailable")
    );
    assert_eq!(
        status("fd80::/64")["DynamicIPsAvailable"].as_u64(),
        Some(u64::MAX - 2),
        "{}",
        status("fd80::/64")
    );
    let (_, old) = world.api("GET", "/v1.51/networks/net", &Value::Null);
    assert_eq!(old.get("Status"), None);
}
