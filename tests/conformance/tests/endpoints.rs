//! What is asked of endpoints, of containers that run and of those that do not: done and shown, or
//! refused.

use sealane_conformance::*;

fn aliases(world: &World, container: &str, network: &str) -> Value {
    world.inspect(container)["NetworkSettings"]["Networks"][network]["Aliases"].clone()
}

#[test]
fn b2_a_created_container_gets_what_a_later_connect_asks_for() {
    let world = World::new();
    world.network("--ipv6 --subnet 10.90.0.0/24 --subnet fd90::/64 n");
    world
        .docker("create --name x --network n --ip 10.90.0.5 --network-alias yy img sleep 1000")
        .ok();
    world.idle("--network n --name asker");
    world
        .docker("network connect --alias zz --ip 10.90.0.9 --ip6 fd90::9 n x")
        .ok();
    let shown = world.inspect("x")["NetworkSettings"]["Networks"]["n"].clone();
    assert_eq!(shown["IPAMConfig"]["IPv4Address"], "10.90.0.9", "{shown}");
    assert_eq!(shown["IPAMConfig"]["IPv6Address"], "fd90::9", "{shown}");
    assert_eq!(aliases(&world, "x", "n"), json!(["zz"]));
    let options = json!({"Container": "x", "EndpointConfig": {
        "MacAddress": "02:00:00:00:00:77", "GwPriority": 7, "Links": ["asker:peer"],
        "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0"}}});
    let (status, body) = world.api("POST", "/v1.54/networks/n/connect", &options);
    assert_eq!(status, 200, "{body}");
    let shown = world.inspect("x")["NetworkSettings"]["Networks"]["n"].clone();
    assert_eq!(
        shown["IPAMConfig"]["IPv4Address"], "10.90.0.9",
        "what is not said anew stays"
    );
    assert_eq!(
        (&shown["GwPriority"], &shown["Links"]),
        (&json!(7), &json!(["asker:peer"])),
        "{shown}"
    );
    world.docker("start x").ok();
    let link = world.sandbox("x").ip_json("address show dev lan0")[0].clone();
    assert_eq!(link["address"], "02:00:00:00:00:77", "{link}");
    for address in ["10.90.0.9", "fd90::9"] {
        assert!(
            link.to_string().contains(&format!("\"{address}\"")),
            "{link}"
        );
    }
    assert_eq!(world.sandbox("asker").dig("+short zz").ok(), "10.90.0.9");
    assert_eq!(world.sandbox("asker").dig("+short yy").ok(), "");
    assert!(!world.sandbox("x").dig("+short peer").ok().is_empty());
    // A running one is refused, as Docker does; what is asked is wrong in a stopped one, too.
    world
        .docker("network connect --alias aa n x")
        .fails_with(1, "endpoint with name x already exists in network n");
    world.docker("stop -t 0 x").ok();
    world
        .docker("network connect --ip 10.91.0.1 n x")
        .fails_with(1, "10.91.0.1");
    world.docker("network disconnect n x").ok();
    assert_eq!(
        world.inspect("x")["NetworkSettings"]["Networks"]["n"],
        Value::Null
    );
}

#[test]
fn b5_a_container_without_a_network_holds_no_port() {
    let mut world = World::new();
    world.network("n");
    world.serve("--network n --name web -p 8080:80");
    world.docker("network disconnect n web").ok();
    assert_eq!(world.docker("port web").ok(), "");
    let bound = |world: &World| world.host().sh("ss -Hltn 'sport = :8080'").ok();
    assert_eq!(bound(&world), "", "what is not shown is free");
    world.serve("--network n --name second -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    world.docker("rm -f second").ok();
    world.relaunch();
    assert_eq!(bound(&world), "", "nor after a restart");
    world.docker("network connect n web").ok();
    assert_eq!(
        world.docker("port web 80").ok().lines().next(),
        Some("0.0.0.0:8080")
    );
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

#[test]
fn b2_a_route_of_the_container_s_own_is_never_taken_away() {
    let world = World::new();
    for (name, subnet) in [
        ("mid", "10.90.0.0/24"),
        ("aaa", "10.91.0.0/24"),
        ("zzz", "10.92.0.0/24"),
    ] {
        world.network(&format!("--subnet {subnet} {name}"));
    }
    world.idle("--network mid --name router");
    world.idle("--network mid --name c");
    let router = world.address("router", "mid");
    let sandbox = world.sandbox("c");
    let route = |sandbox: &Sandbox| sandbox.routes("route show default");
    sandbox
        .sh(&format!("ip route replace default via {router} dev eth0"))
        .ok();
    let own = [format!("default via {router} dev eth0")];
    world.docker("network connect aaa c").fails_with(
        1,
        "failed to set gateway while updating gateway: file exists",
    );
    assert_eq!(route(&sandbox), own);
    assert_eq!(sandbox.interfaces(), ["lo", "eth0"], "it has not joined");
    // One that does not want the default route is let in, and goes again.
    world.docker("network connect zzz c").ok();
    assert_eq!(route(&sandbox), own);
    world.docker("network disconnect zzz c").ok();
    assert_eq!(route(&sandbox), own);
    // A route of its own by the network that stays is there when the other is left.
    world.docker("network connect zzz c").ok();
    sandbox
        .sh("ip route replace default via 10.92.0.77 dev eth1 onlink")
        .ok();
    world.docker("network disconnect mid c").ok();
    assert!(
        route(&sandbox)[0].contains("via 10.92.0.77 dev eth1"),
        "{:?}",
        route(&sandbox)
    );
}

#[test]
fn b2_a_disconnect_succeeds_although_the_next_gateway_cannot_be_set() {
    let world = World::new();
    for (name, subnet) in [("aaa", "10.91.0.0/24"), ("zzz", "10.92.0.0/24")] {
        world.network(&format!("--subnet {subnet} {name}"));
    }
    world.idle("--network aaa --name c");
    world.docker("network connect zzz c").ok();
    let sandbox = world.sandbox("c");
    sandbox.sh("ip address flush dev eth1").ok();
    world.docker("network disconnect aaa c").ok();
    assert_eq!(sandbox.interfaces(), ["lo", "eth1"]);
    assert_eq!(sandbox.routes("route show default"), [""; 0]);
    assert!(
        world.log().contains("failed to set gateway"),
        "{}",
        world.log()
    );
    let networks = world.inspect("c")["NetworkSettings"]["Networks"].clone();
    assert!(
        networks["aaa"].is_null() && !networks["zzz"].is_null(),
        "{networks}"
    );
    assert_eq!(world.get("/networks/aaa")["Containers"], json!({}));
    world.docker("network rm aaa").ok();
}

#[test]
fn b3_an_endpoint_without_ipv6_has_no_address_of_it() {
    let world = World::new();
    world.network("--ipv6 --subnet fd93::/64 n");
    world.idle(
        "--name c --network name=n,driver-opt=com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.disable_ipv6=1",
    );
    assert_eq!(
        world.sandbox("c").ip_json("-6 address show dev eth0"),
        json!([])
    );
    let shown = world.inspect("c")["NetworkSettings"]["Networks"]["n"].clone();
    assert_eq!(shown["GlobalIPv6Address"], "", "{shown}");
    world.idle("--name other --network n");
    let asked = world.sandbox("other").dig("+short aaaa c").ok();
    assert_eq!(asked, "", "no name leads to what is not there");
    assert!(world.sandbox("other").pings("c") || world.sandbox("c").pings(lan::OUTSIDE));
}

#[test]
fn b3_9_addresses_are_announced_again_after_a_restart_of_the_daemon() {
    let mut world = World::new();
    world.network("--ipv6 --subnet 10.94.0.0/24 --subnet fd94::/64 n");
    world.idle("--name c --network n --ip 10.94.0.7 --ip6 fd94::7");
    world.idle("--name listener --network n");
    world.kill9();
    // The namespace is entered by the host's tools: no daemon is needed.
    let id = world.host().sh("ls /run/sealane/netns | wc -l").ok();
    assert_eq!(id, "2");
    let bridge = world
        .host()
        .sh("ip -o link show type bridge | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/' | grep br-")
        .ok();
    let told = Capture::start(world.host(), &bridge, "arp or icmp6");
    world.launch();
    let announced = |text: &str| {
        let packets = told.packets();
        packets.iter().filter(|line| line.contains(text)).count() >= 3
    };
    eventually(SOON, || {
        announced("who-has 10.94.0.7 tell 10.94.0.7").then_some(())
    });
    eventually(SOON, || announced("tgt is fd94::7").then_some(()));
}

#[test]
fn b4_12_ipv6_and_an_mtu_that_is_too_small_for_it_are_refused_in_words() {
    let mut world = World::prepared(&[], |lab| {
        lab.host(0).sh("ip link add small mtu 1200 type bridge && ip link set small up && ip link add wire type veth peer name other && ip link set wire up").ok();
    });
    let small = "-o com.docker.network.driver.mtu=1200";
    world
        .docker(&format!("network create --ipv6 {small} n"))
        .fails_with(
            1,
            "invalid MTU: 1200: a network with IPv6 needs 1280 or more",
        );
    world
        .docker("network create --ipv6 -o com.docker.network.bridge.name=small n")
        .fails_with(1, "needs an MTU of 1280 or more, and small has 1200");
    world.network(&format!("{small} n"));
    world.idle("--network n --name c");
    assert_eq!(world.sandbox("c").ip_json("link show eth0")[0]["mtu"], 1200);
    world
        .sealane("network update --ipv6 n")
        .fails_with(1, "a network with IPv6 needs 1280 or more");
    world.network("--ipv6 -o com.docker.network.driver.mtu=1280 six");
    world.idle("--network six --name d");
    assert!(world.sandbox("d").pings(lan::OUTSIDE6));
    world
        .sealane("network update -o com.docker.network.driver.mtu=1279 six")
        .fails_with(1, "a network with IPv6 needs 1280 or more");
    // The parent of a network became too small after it was made.
    world.network("-d macvlan -o parent=wire --ipv6 --subnet 10.95.0.0/24 --subnet fd95::/64 mac");
    world.host().sh("ip link set wire mtu 1200").ok();
    world
        .docker("run --rm --network mac img true")
        .fails_with(125, "needs an MTU of 1280 or more, and wire has 1200");
    world.stop();
    world.set_flags(&["--ipv6", "--fixed-cidr-v6=fd51::/64", "--mtu=1200"]);
    let refused = world
        .try_launch()
        .expect_err("its default bridge cannot have IPv6");
    assert!(
        refused.contains("a network with IPv6 needs 1280 or more"),
        "{refused}"
    );
}
