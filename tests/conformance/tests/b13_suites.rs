//! What test suites, files and clients of others met: each the right value, with its witness.

use sealane_conformance::*;

#[test]
fn b13_9_linked_containers_have_the_names_of_their_links() {
    let world = World::new();
    let db = world.idle("--name db");
    world.idle("--name app --link db:mysql");
    let names = |filter: &str| {
        let path = filtered("/containers/json", &json!({ "name": [filter] }));
        world.get(&path)[0]["Names"].clone()
    };
    assert_eq!(names("^/db$"), json!(["/app/mysql", "/db"]));
    assert_eq!(
        names("app/mysql"),
        json!(["/app/mysql", "/db"]),
        "by the link"
    );
    let listed = world.docker("ps --no-trunc --format '{{.Names}}'").ok();
    assert!(
        listed.lines().any(|line| line.contains("app/mysql")),
        "{listed}"
    );
    let found = |name: &str| world.docker(&format!("inspect --format '{{{{.Id}}}}' {name}"));
    assert_eq!(found("app/mysql").ok(), db);

    // The link is called after its parent, also when that has another name.
    world.docker("rename app site").ok();
    assert_eq!(found("site/mysql").ok(), db);
    assert!(!found("app/mysql").succeeded());
    world.docker("rename db store").ok();
    assert_eq!(names("^/store$"), json!(["/site/mysql", "/store"]));
    let shown = world.inspect("site");
    assert_eq!(shown["HostConfig"]["Links"], json!(["/store:/site/mysql"]));

    // A removed link is gone from the names and from the hosts file of the running parent.
    let hosts = || world.docker("exec site cat /etc/hosts").ok();
    assert!(hosts().contains("mysql"), "{}", hosts());
    world
        .docker("rm --link site")
        .fails_with(1, "cannot remove the default link name of the container");
    world
        .docker("rm --link site/nosuch")
        .fails_with(1, "No such container: site/nosuch");
    world.docker("rm --link site/mysql").ok();
    assert_eq!(names("^/store$"), json!(["/store"]));
    assert!(!hosts().contains("mysql"), "{}", hosts());
    assert!(!found("site/mysql").succeeded());
    assert!(world.inspect("store")["State"]["Running"] == true);
}

#[test]
fn b13_9_a_link_ends_with_what_it_leads_to() {
    let world = World::new();
    world.idle("--name db");
    world.idle("--name app --link db:mysql");
    world.docker("stop -t 0 app").ok();
    world.docker("rm -f db").ok();
    world.docker("start app").ok();
    let hosts = world.docker("exec app cat /etc/hosts").ok();
    assert!(!hosts.contains("mysql"), "{hosts}");
}

#[test]
fn b13_9_every_user_may_enter_the_root_of_an_image() {
    let world = World::new();
    let image = repository().join(".cache/busybox.tar");
    world
        .host()
        .sh(&format!(
            "mkdir -p /run/lab/root && tar -xf {} -C /run/lab/root && chmod 700 /run/lab/root && \
             tar -C /run/lab/root -cf /run/lab/closed.tar .",
            image.display()
        ))
        .ok();
    let kept = world
        .host()
        .sh("tar -tvf /run/lab/closed.tar | head -1")
        .ok();
    assert!(kept.starts_with("drwx------"), "{kept}");
    world.docker("import /run/lab/closed.tar closed").ok();
    let mode = world
        .docker("run --rm --user 1000:1000 closed stat -c %a /")
        .ok();
    assert_eq!(mode, "755");
    let listed = world.docker("run --rm --user 1000:1000 closed ls /").ok();
    assert!(listed.contains("bin"), "{listed}");
}

#[test]
fn a_18_the_host_network_has_the_host_s_names() {
    let world = World::new();
    world
        .host()
        .sh("echo '192.0.2.77 printer' >>/etc/hosts")
        .ok();
    let (hosts, hostname) = (
        world.host().sh("cat /etc/hosts").ok(),
        world.host().sh("hostname").ok(),
    );
    let inside = |arguments: &str, command: &str| {
        world
            .docker(&format!(
                "run --rm --network host {arguments} img {command}"
            ))
            .ok()
    };
    assert!(hosts.contains("192.0.2.77 printer"), "{hosts}");
    assert_eq!(inside("", "cat /etc/hosts"), hosts);
    assert_eq!(inside("", "cat /etc/hostname"), hostname);
    assert_eq!(inside("", "hostname"), hostname);
    // Names that are added are not hidden by the host's: the file is made anew, as by Docker.
    let added = inside("--add-host far:192.0.2.9", "cat /etc/hosts");
    assert!(added.contains("192.0.2.9\tfar"), "{added}");
    assert!(added.contains("127.0.0.1\tlocalhost"), "{added}");
}

#[test]
fn b13_1_default_network_options_are_shown_where_they_are_in_force() {
    let mtu = "com.docker.network.driver.mtu";
    let ipv6 = "com.docker.network.enable_ipv6";
    let world = World::with_flags(&[
        "--default-network-opt",
        &format!("bridge={mtu}=1400"),
        "--default-network-opt",
        &format!("bridge={ipv6}=true"),
    ]);
    let made = |arguments: &str| {
        world.docker(&format!("network create {arguments}")).ok();
        let name = arguments.rsplit(' ').next().expect("a name");
        let shown = world.docker(&format!("network inspect {name}")).ok();
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        (shown[0]["Options"].clone(), shown[0]["EnableIPv6"].clone())
    };
    let both = json!({mtu: "1400", ipv6: "true"});
    assert_eq!(made("both"), (both.clone(), json!(true)));
    assert_eq!(
        made("--ipv6=false four"),
        (json!({mtu: "1400"}), json!(false))
    );
    assert_eq!(made("--ipv6 six"), (json!({mtu: "1400"}), json!(true)));
    let own = format!("-o {mtu}=1300 --ipv6=false own");
    assert_eq!(made(&own), (json!({mtu: "1300"}), json!(false)));
    let bridge = world
        .docker("network inspect own --format '{{slice .Id 0 12}}'")
        .ok();
    world.idle("--network own --name c");
    let link = world.host().ip_json(&format!("link show br-{bridge}"));
    assert_eq!(link[0]["mtu"], 1300);
    // One that takes its settings from another takes no defaults besides.
    assert_eq!(made("--config-only plan").0, both);
    assert_eq!(made("--config-from plan planned"), (both, json!(true)));
}

/// Connects so often and says nothing; returns how many connections it has.
const CROWD: &str = r#"
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
crowd = []
for _ in range(4096):
    client = socket.socket(socket.AF_UNIX)
    client.connect("/run/docker.sock")
    crowd.append(client)
print("the crowd is here", flush=True)
time.sleep(1000000)
"#;

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_waiting() {
    let world = World::new();
    let id = world.idle("--name c");
    // Who has something under way is not pushed out.
    let mut events = world
        .host()
        .spawn("exec docker -H unix:///run/docker.sock events");
    world.host().write("/run/lab/crowd.py", CROWD);
    let crowd = world
        .host()
        .spawn("exec /usr/bin/python3 /run/lab/crowd.py");
    let here = || crowd.output().contains("the crowd is here").then_some(());
    eventually(std::time::Duration::from_secs(60), here);
    for _ in 0..20 {
        let listed = world
            .host()
            .sh("timeout 100 docker -H unix:///run/docker.sock ps -q --no-trunc");
        assert_eq!(listed.ok(), id);
    }
    world.docker("network create made").ok();
    events.wait_for("network create");
    assert!(events.runs());
}

/// As Docker documents all keys, in other words: what is not set is `""`, and a part names programs
/// and files that are not there.
const FULL: &str = r#"{
  "allow-direct-routing": false, "authorization-plugins": [], "bip": "", "bip6": "", "bridge": "",
  "bridge-accept-fwmark": "", "builder": {"gc": {"enabled": true}}, "cgroup-parent": "",
  "containerd": "/run/elsewhere/containerd.sock", "containerd-namespace": "shipyard",
  "containerd-plugin-namespace": "shipyard-plugins", "data-root": "", "debug": true,
  "default-address-pools": [{"base": "10.120.0.0/16", "size": 24}], "default-cgroupns-mode": "host",
  "default-gateway": "", "default-gateway-v6": "", "default-network-opts": {}, "default-runtime": "runc",
  "default-shm-size": "32M", "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 9000, "Soft": 8000}},
  "dns": [], "dns-opts": [], "dns-search": [], "exec-opts": [], "exec-root": "", "experimental": false,
  "features": {}, "fixed-cidr": "", "fixed-cidr-v6": "", "group": "", "host-gateway-ip": "", "hosts": [],
  "http-proxy": "", "proxies": {"http-proxy": "http://proxy.example:80"}, "icc": true, "init": false,
  "init-path": "/usr/libexec/other-init", "insecure-registries": [], "ip": "", "ip-forward": true,
  "ip-masq": true, "iptables": true, "ip6tables": true, "ipv6": false, "labels": [],
  "live-restore": false, "log-driver": "", "log-format": "text", "log-level": "",
  "log-opts": {"max-size": "5m", "max-file": "3"}, "max-concurrent-downloads": 2,
  "max-concurrent-uploads": 2, "max-download-attempts": 4, "metrics-addr": "", "mtu": 0,
  "no-new-privileges": false, "node-generic-resources": ["FPGA=one"], "oom-score-adjust": 0,
  "pidfile": "", "raw-logs": false, "registry-mirrors": [],
  "runtimes": {"gvisor": {"path": "/opt/nosuch/runsc"},
               "traced": {"path": "/opt/nosuch/runc-traced", "runtimeArgs": ["--log", "/dev/null"]},
               "shim": {"runtimeType": "io.containerd.kata.v2"}},
  "seccomp-profile": "", "selinux-enabled": false, "shutdown-timeout": 12, "storage-driver": "",
  "storage-opts": [], "swarm-default-advertise-addr": "", "tls": true, "tlscacert": "", "tlscert": "",
  "tlskey": "", "tlsverify": true, "userland-proxy": true, "userland-proxy-path": "/usr/libexec/nosuch",
  "userns-remap": ""
}"#;

#[test]
fn b13_1_a_full_daemon_json_as_docker_documents_it_starts_a_daemon() {
    let world = World::prepared(&["--config-file", "/run/lab/daemon.json"], |lab| {
        lab.host(0).write("/run/lab/daemon.json", FULL);
    });
    world.network("n");
    let subnet = "network inspect n --format '{{(index .IPAM.Config 0).Subnet}}'";
    assert_eq!(world.docker(subnet).ok(), "10.120.1.0/24");
    world.serve("--name web --network n -p 8080:80");
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));

    // What is not used is reported, in the log and by the doctor, and refused to a request for it.
    let log = world.log();
    let doctor = world.sealane("doctor").stdout;
    for text in [
        "runtime gvisor: there is no program \"/opt/nosuch/runsc\"",
        "runtime traced: there is no program \"/opt/nosuch/runc-traced\"",
        "runtime shim: only a path is supported",
        "TLS is asked for, and no tcp:// socket is served by it",
    ] {
        assert!(log.contains(text), "{text} is not in {log}");
        assert!(doctor.contains(text), "{text} is not in {doctor}");
    }
    let asked = world.docker("run --rm --runtime gvisor img true");
    asked.fails_with(125, "gvisor");
}
