//! Clients other than the `docker` command line, as Debian has them: Compose and docker-py.
//!
//! `tools/install` unpacks them into `.cache/python`.

use sealane_conformance::*;

/// The environment of Python with the clients.
fn python() -> String {
    let folder = repository().join(".cache/python/usr");
    let modules = folder.join("lib/python3/dist-packages");
    assert!(
        modules.join("docker").is_dir() && modules.join("compose").is_dir(),
        "{} lacks the clients; run tools/install",
        modules.display()
    );
    let bin = folder.join("bin");
    format!(
        "export PYTHONPATH={} PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore \
         DOCKER_HOST=unix:///run/docker.sock PATH={}:/usr/bin:$PATH; cd /run/lab; ",
        modules.display(),
        bin.display()
    )
}

/// Runs a Python program on the host.
fn run_python(world: &World, program: &str) -> Outcome {
    let script = format!("{} exec /usr/bin/python3 -", python());
    world.host().sh_with_input(&script, program.as_bytes())
}

fn compose(world: &World, arguments: &str) -> Outcome {
    let command = "/usr/bin/python3 -m compose --no-ansi -p proj -f /run/lab/compose.yml";
    world
        .host()
        .sh(&format!("{} {command} {arguments}", python()))
}

const PROJECT: &str = r#"
version: "2.4"
services:
  web:
    image: img
    command: httpd -f -h /www
    ports: ["8080:80", "127.0.0.1::81/udp"]
    networks:
      default: {}
      back:
        aliases: [www, site]
        ipv4_address: 10.112.0.10
        ipv6_address: fd12::10
  app:
    image: img
    command: sleep 1000000
    depends_on: [web]
    hostname: app1
    dns_search: [example.test]
    extra_hosts: ["elsewhere:192.0.2.9"]
    networks: [back, outside]
  side:
    image: img
    command: sleep 1000000
    network_mode: service:app
networks:
  back:
    driver: bridge
    driver_opts: { com.docker.network.driver.mtu: "1400" }
    internal: true
    enable_ipv6: true
    labels: { tier: back }
    ipam:
      config:
        - { subnet: 10.112.0.0/24, gateway: 10.112.0.254, ip_range: 10.112.0.128/25 }
        - { subnet: "fd12::/64" }
  outside:
    external: true
    name: shared
"#;

#[test]
fn b13_8_compose_makes_and_removes_a_project() {
    let world = World::new();
    world.network("shared");
    world.host().write("/run/lab/compose.yml", PROJECT);
    compose(&world, "up -d").ok();
    let names = world.docker("ps --format '{{.Names}}'").ok();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["proj_app_1", "proj_side_1", "proj_web_1"]);
    assert_eq!(
        eventually(SOON, || world.peer().fetch("10.99.0.1:8080")),
        HELLO
    );

    let (web, app) = (world.sandbox("proj_web_1"), world.sandbox("proj_app_1"));
    assert_eq!(web.interfaces(), ["lo", "eth0", "eth1"]);
    let addresses = web.sh("ip -o address").ok();
    assert!(
        addresses.contains("10.112.0.10/24") && addresses.contains("fd12::10/64"),
        "{addresses}"
    );
    for name in ["web", "www", "site", "proj_web_1"] {
        assert_eq!(
            app.dig(&format!("+short {name}")).ok(),
            "10.112.0.10",
            "{name}"
        );
        assert_eq!(
            app.dig(&format!("+short {name} AAAA")).ok(),
            "fd12::10",
            "{name}"
        );
    }
    let links = app.ip_json("link");
    assert!(links.to_string().contains("\"mtu\":1400"), "{links}");
    let address = world.address("proj_app_1", "proj_back");
    assert!(
        address.starts_with("10.112.0.") && address != "10.112.0.10",
        "{address}"
    );
    let inside = world
        .docker("exec proj_app_1 cat /etc/hosts /etc/resolv.conf /etc/hostname")
        .ok();
    for text in ["192.0.2.9\telsewhere", "search example.test", "app1"] {
        assert!(inside.contains(text), "{text} is not in {inside}");
    }
    assert_eq!(
        world.sandbox("proj_side_1").netns_inode(),
        app.netns_inode()
    );

    // What did not change is left alone; a scaled service has names for all.
    let id = world.inspect("proj_web_1")["Id"].clone();
    compose(&world, "up -d").ok();
    assert_eq!(world.inspect("proj_web_1")["Id"], id);
    let port = compose(&world, "port web 80").ok();
    assert_eq!(port, "0.0.0.0:8080");
    let listed = compose(&world, "ps").ok();
    assert!(
        listed.contains("proj_web_1") && listed.contains("Up"),
        "{listed}"
    );

    compose(&world, "down -t 0").ok();
    assert_eq!(world.docker("ps -aq").ok(), "");
    let left = world
        .docker("network ls --filter type=custom --format '{{.Name}}'")
        .ok();
    assert_eq!(left, "shared", "what is external stays");
}

#[test]
fn b13_8_compose_changes_and_scales_a_project() {
    let world = World::new();
    world.network("shared");
    world.host().write("/run/lab/compose.yml", PROJECT);
    compose(&world, "up -d").ok();
    let id = |name: &str| world.inspect(name)["Id"].clone();
    let (web, app) = (id("proj_web_1"), id("proj_app_1"));

    // A change makes the container anew, with what it had on its networks.
    let coloured = "image: img\n    environment: { COLOUR: blue }\n    command: httpd";
    let changed = PROJECT.replace("image: img\n    command: httpd", coloured);
    assert_ne!(changed, PROJECT);
    world.host().write("/run/lab/compose.yml", &changed);
    compose(&world, "up -d -t 0").ok();
    assert_ne!(id("proj_web_1"), web);
    assert_eq!(id("proj_app_1"), app, "what did not change stays");
    let environment = world.docker("exec proj_web_1 env").ok();
    assert!(environment.contains("COLOUR=blue"), "{environment}");
    assert_eq!(world.address("proj_web_1", "proj_back"), "10.112.0.10");
    let fetched = eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
    assert_eq!(fetched, HELLO);

    // Further instances share the name of their service.
    let instances = || {
        let listed = world
            .docker("ps --filter name=proj_app --format '{{.Names}}'")
            .ok();
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    compose(&world, "up -d -t 0 --scale app=3").ok();
    assert_eq!(instances(), ["proj_app_1", "proj_app_2", "proj_app_3"]);
    let found = world.sandbox("proj_web_1").dig("+short app").ok();
    assert_eq!(found.lines().count(), 3, "{found}");
    compose(&world, "up -d -t 0 --scale app=1").ok();
    assert_eq!(instances(), ["proj_app_1"]);
    compose(&world, "down -t 0").ok();
    assert_eq!(world.docker("ps -aq").ok(), "");
}

const DOCKER_PY: &str = r#"
import docker, json
from docker.types import IPAMConfig, IPAMPool

client = docker.DockerClient(base_url="unix:///run/docker.sock", version="auto")
ipam = IPAMConfig(pool_configs=[IPAMPool(subnet="10.113.0.0/24", gateway="10.113.0.254",
                                         iprange="10.113.0.64/26",
                                         aux_addresses={"router": "10.113.0.64"})])
net1 = client.networks.create("net1", driver="bridge", ipam=ipam, labels={"team": "net"},
                              check_duplicate=True, options={"com.docker.network.driver.mtu": "1400"})
net2 = client.networks.create("net2", internal=True, enable_ipv6=True, attachable=True)
assert [n.name for n in client.networks.list(names=["net1"])] == ["net1"]
assert [n.name for n in client.networks.list(filters={"label": "team=net"})] == ["net1"]
assert client.networks.get(net1.id).attrs["IPAM"]["Config"][0]["Gateway"] == "10.113.0.254"

c = client.containers.run("img", "sleep 1000000", name="c", detach=True, network="net1",
                          ports={"80/tcp": 8080, "53/udp": ("127.0.0.1", None)})
net2.connect(c, aliases=["nick"])
c.reload()
settings = c.attrs["NetworkSettings"]["Networks"]
assert set(settings) == {"net1", "net2"}, settings
assert "nick" in settings["net2"]["Aliases"]
assert settings["net1"]["IPAddress"] == "10.113.0.65", settings
assert c.ports["80/tcp"][0]["HostPort"] == "8080"
net1.reload()
assert [one.name for one in net1.containers] == ["c"]
stats = c.stats(stream=False)
assert set(stats["networks"]) == {"eth0", "eth1"}, stats["networks"]
code, output = c.exec_run("ip -o -4 address show eth0")
assert code == 0 and b"10.113.0.65/24" in output, output

try:
    client.networks.create("net1", check_duplicate=True)
    raise SystemExit("a name was given twice")
except docker.errors.APIError as error:
    assert error.status_code == 409, error
try:
    net1.remove()
    raise SystemExit("a network in use was removed")
except docker.errors.APIError as error:
    assert error.status_code == 403 and "has active endpoints" in error.explanation, error
try:
    client.networks.get("nosuch")
    raise SystemExit("there is no such network")
except docker.errors.NotFound:
    pass

net2.disconnect(c)
c.reload()
assert set(c.attrs["NetworkSettings"]["Networks"]) == {"net1"}
assert client.networks.prune(filters={"label": "nosuch"})["NetworksDeleted"] is None
assert client.networks.prune()["NetworksDeleted"] == ["net2"]
events = client.events(since=1, until=4000000000, decode=True, filters={"type": "network"})
actions = []
for event in events:
    actions.append(event["Action"])
    if event["Action"] == "prune" and "destroy" in actions:
        break
assert actions[:4] == ["create", "create", "connect", "connect"], actions
print("done")
"#;

#[test]
fn b13_9_docker_py_works_with_networks() {
    let world = World::new();
    assert_eq!(run_python(&world, DOCKER_PY).ok(), "done");
    // What it was answered is so.
    let sandbox = world.sandbox("c");
    assert_eq!(sandbox.interfaces(), ["lo", "eth0"]);
    let link = sandbox.ip_json("link show eth0");
    assert_eq!(link[0]["mtu"], 1400);
    assert!(
        sandbox
            .sh("ip -o -4 address")
            .ok()
            .contains("10.113.0.65/24")
    );
}

const ATTACHES: &str = r#"
import docker

client = docker.APIClient(base_url="unix:///run/docker.sock", version="auto")
for _ in range(10):
    network = client.create_network("n")["Id"]
    endpoints = client.create_networking_config({"n": client.create_endpoint_config()})
    c = client.create_container("img", ["sh", "-c", "echo hi; exit 7"], networking_config=endpoints,
                                host_config=client.create_host_config(network_mode="n"))["Id"]
    output = client.attach(c, stream=True)
    client.start(c)
    assert b"".join(output) == b"hi\n"
    state = client.inspect_container(c)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 7), state
    client.remove_network(network)
    client.remove_container(c)
print("done")
"#;

#[test]
fn b13_9_the_end_of_what_a_container_says_comes_after_its_exit_is_recorded() {
    let world = World::new();
    assert_eq!(run_python(&world, ATTACHES).ok(), "done");
    // One that cannot start ends for those who attached, too.
    let failed = world.docker("run --name broken img /nosuch");
    failed.fails_with(127, "nosuch");
}

const LEGACY: &str = r#"
import docker

old = docker.APIClient(base_url="unix:///run/docker.sock", version="1.43")
c = old.create_container("img", ["sleep", "1000000"], name="m", mac_address="02:42:ac:11:00:99")["Id"]
assert old.inspect_container(c)["Config"]["MacAddress"] == "02:42:ac:11:00:99"
old.start(c)
assert old.inspect_container(c)["Config"]["MacAddress"] == "02:42:ac:11:00:99"
assert old.inspect_container(c)["NetworkSettings"]["MacAddress"] == "02:42:ac:11:00:99"
bare = old.create_container("img", ["true"])["Id"]
assert "MacAddress" not in old.inspect_container(bare)["Config"]
image = old.inspect_image("img")
assert image["ContainerConfig"]["Volumes"] is None and image["Container"] == "", image
new = docker.APIClient(base_url="unix:///run/docker.sock", version="1.52")
assert "MacAddress" not in new.inspect_container(c)["Config"]
assert "ContainerConfig" not in new.inspect_image("img")
print("done")
"#;

#[test]
fn b1_25_an_older_client_finds_the_address_and_the_image_where_it_looks() {
    let world = World::new();
    assert_eq!(run_python(&world, LEGACY).ok(), "done");
    let link = world.sandbox("m").ip_json("link show eth0");
    assert_eq!(link[0]["address"], "02:42:ac:11:00:99");
}
