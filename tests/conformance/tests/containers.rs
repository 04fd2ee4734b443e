//! Containers, as much of them as the network needs: what the stock CLI does with them.

use sealane_conformance::*;
use std::sync::OnceLock;

fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

#[test]
fn run_passes_output_input_and_exit_code() {
    let world = shared();
    let outcome = world.docker("run --rm img sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!(
        (
            outcome.code,
            outcome.stdout.as_str(),
            outcome.stderr.as_str()
        ),
        (7, "out\n", "err\n")
    );
    let input = world.host().sh_with_input(
        "docker run --rm -i img sh -c 'cat; echo end'",
        b"one\ntwo\n",
    );
    assert_eq!(input.ok(), "one\ntwo\nend", "the end of the input arrives");
    let large = world
        .host()
        .sh_with_input("docker run --rm -i img wc -c", &vec![b'x'; 3_000_000]);
    assert_eq!(large.ok(), "3000000");
    let much = world
        .docker("run --rm img sh -c 'yes | head -c 3000000' | wc -c")
        .ok();
    assert_eq!(much, "3000000");
    for _ in 0..10 {
        // Nothing is lost before the start: the attachment comes first.
        assert_eq!(world.docker("run --rm img echo quick").ok(), "quick");
    }
    let signalled = world.docker("run --rm img sh -c 'sleep 100 & kill -TERM $!; wait $!'");
    assert_eq!(signalled.code, 143);
}

#[test]
fn create_takes_its_settings() {
    let world = shared();
    let show = |flags: &str, command: &str| {
        world
            .docker(&format!("run --rm {flags} img {command}"))
            .ok()
    };
    assert_eq!(show("-e A=b --env C=d", "sh -c 'echo $A $C'"), "b d");
    assert_eq!(show("-w /www", "pwd"), "/www");
    assert_eq!(show("-u www", "id -un"), "www");
    assert_eq!(show("-u 1000:50", "sh -c 'id -u; id -g'"), "1000\n50");
    assert_eq!(show("--entrypoint /bin/echo", "hello"), "hello");
    assert_eq!(show("--hostname box", "hostname"), "box");
    assert_eq!(
        show(
            "--label a=b --sysctl net.ipv4.ip_default_ttl=9",
            "cat /proc/sys/net/ipv4/ip_default_ttl"
        ),
        "9"
    );
    assert_eq!(
        show("", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        "0"
    );
    assert_eq!(
        show("", "cat /proc/sys/net/ipv4/ping_group_range"),
        "0\t2147483647"
    );
    assert_eq!(
        show("-t", "sh -c 'test -t 0 && test -t 1 && echo terminal'").trim(),
        "terminal"
    );
    world
        .host()
        .sh("mkdir -p /run/shared && echo kept >/run/shared/file")
        .ok();
    assert_eq!(
        show(
            "-v /run/shared:/data:ro",
            "sh -c 'cat /data/file; touch /data/x 2>&1'; true"
        ),
        "kept\ntouch: /data/x: Read-only file system"
    );
    let capabilities = |flags: &str| show(flags, "grep CapEff /proc/self/status");
    assert_ne!(capabilities(""), capabilities("--privileged"));
    assert_ne!(capabilities(""), capabilities("--cap-add NET_ADMIN"));
    assert_ne!(capabilities(""), capabilities("--cap-drop NET_RAW"));
    assert_ne!(world.docker("run --rm img ip link set lo down").code, 0);
    world
        .docker("run --rm --cap-add NET_ADMIN img ip link set lo down")
        .ok();
    assert!(!show("--init", "sh -c 'cat /proc/1/comm'").contains("sh"));
    assert_eq!(show("", "sh -c 'cat /proc/1/comm'"), "cat");
    let limits = show("", "sh -c 'ulimit -n; ulimit -Hn'");
    assert!(!limits.is_empty(), "{limits}");
}

#[test]
fn ps_lists_filters_and_formats() {
    let world = World::new();
    let id = world.idle("--name one --label team=blue");
    world
        .docker("create --name two --label team=red img true")
        .ok();
    world
        .docker("run --name three img sh -c 'exit 4'")
        .fails_with(4, "");
    let names = |flags: &str| {
        let listed = world
            .docker(&format!("ps {flags} --format '{{{{.Names}}}}'"))
            .ok();
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["one"]);
    assert_eq!(names("-a"), ["one", "three", "two"]);
    assert_eq!(names("-a --filter label=team"), ["one", "two"]);
    assert_eq!(names("-a --filter label=team=red"), ["two"]);
    assert_eq!(names("-a --filter status=exited"), ["three"]);
    assert_eq!(names("-a --filter exited=4"), ["three"]);
    assert_eq!(names("-a --filter name=tw"), ["two"]);
    assert_eq!(names(&format!("--filter id={}", &id[..12])), ["one"]);
    assert_eq!(names("-a --filter network=bridge").len(), 3);
    assert_eq!(names("-a -n 1"), ["three"]);
    assert_eq!(world.docker("ps -q --no-trunc").ok(), id);
    let status = world
        .docker("ps -a --filter name=three --format '{{.Status}}'")
        .ok();
    assert!(status.starts_with("Exited (4) "), "{status}");
    world.docker("container prune -f").ok();
    assert_eq!(names("-a"), ["one"]);
}

#[test]
fn logs_are_kept_and_followed() {
    let world = shared();
    world
        .docker("run --name logs img sh -c 'echo one; echo two >&2; sleep 0.1; echo three'")
        .ok();
    assert_eq!(world.docker("logs logs").stdout, "one\nthree\n");
    assert_eq!(world.docker("logs logs").stderr, "two\n");
    assert_eq!(world.docker("logs --tail 1 logs").stdout, "three\n");
    let stamped = world.docker("logs -t --tail 1 logs").ok();
    assert!(
        stamped.starts_with("20") && stamped.ends_with("Z three"),
        "{stamped}"
    );
    world.run("--name follow img sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done'");
    assert_eq!(world.docker("logs -f follow").ok(), "1\n2\n3");
}

#[test]
fn exec_attach_and_wait_work_on_a_running_container() {
    let world = shared();
    world.idle("--name busy");
    assert_eq!(world.docker("exec busy echo hello").ok(), "hello");
    assert_eq!(world.docker("exec busy sh -c 'exit 9'").code, 9);
    assert_eq!(world.docker("exec busy /no/such").code, 127);
    assert_eq!(
        world
            .docker("exec -e X=y -w /www -u www busy sh -c 'echo $X; pwd; id -un'")
            .ok(),
        "y\n/www\nwww"
    );
    assert_eq!(
        world
            .host()
            .sh_with_input("docker exec -i busy cat", b"piped")
            .ok(),
        "piped"
    );
    assert_eq!(
        world
            .docker("exec -t busy sh -c 'test -t 1 && echo terminal'")
            .ok()
            .trim(),
        "terminal"
    );
    world
        .docker("exec -d busy sh -c 'echo done >/tmp/detached'")
        .ok();
    eventually(SOON, || {
        world
            .docker("exec busy cat /tmp/detached")
            .succeeded()
            .then_some(())
    });
    world.docker("exec busy sh -c 'kill -0 1'").ok();

    world.run("--name speaks -i img sh -c 'read line; echo heard $line'");
    let attached = world.host().sh_with_input("docker attach speaks", b"you\n");
    assert_eq!(attached.ok(), "heard you");
    assert_eq!(world.docker("wait speaks").ok(), "0");
    let top = world.docker("top busy").ok();
    assert!(top.contains("sleep 1000000"), "{top}");
}

#[test]
fn a_terminal_that_was_left_can_be_typed_into_again() {
    let world = shared();
    world.run("--name terminal -it img sh -c 'while read line; do echo $line >>/heard; done'");
    for word in ["one", "two"] {
        // A terminal of its own for the client, which leaves by ctrl-p ctrl-q once it was heard.
        let leaving = format!(
            "mkfifo /run/{word} && {{ script -qec 'docker attach terminal' /dev/null </run/{word} & }} \
             && exec 9>/run/{word} && echo {word} >&9 \
             && until docker exec terminal grep -q {word} /heard; do sleep 0.1; done \
             && printf '\\020\\021' >&9 && wait"
        );
        let left = world.host().sh(&leaving);
        assert!(left.succeeded(), "{word}: {left:?}");
    }
    assert_eq!(world.docker("exec terminal cat /heard").ok(), "one\ntwo");
    world.docker("rm -f terminal").ok();
}

#[test]
fn stop_kill_restart_and_rename_do_what_they_say() {
    let world = shared();
    world.run("--name polite img sh -c 'trap \"exit 5\" TERM; trap \"exit 6\" USR1; echo ready; while :; do sleep 0.05; done'");
    world.wait_for_output("polite", "ready");
    world.docker("stop -t 5 polite").ok();
    assert_eq!(world.inspect("polite")["State"]["ExitCode"], 5);
    world.run("--name deaf img sh -c 'trap \"\" TERM; while :; do sleep 0.05; done'");
    world.docker("stop -t 1 deaf").ok();
    assert_eq!(world.inspect("deaf")["State"]["ExitCode"], 137);
    world.docker("restart -t 0 polite").ok();
    world.wait_for_output("polite", "ready\nready");
    world.docker("kill -s USR1 polite").ok();
    eventually(SOON, || {
        (world.inspect("polite")["State"]["Running"] == false).then_some(())
    });
    assert_eq!(world.inspect("polite")["State"]["ExitCode"], 6);
    world.docker("restart -t 0 deaf").ok();
    world.docker("kill deaf").ok();
    eventually(SOON, || {
        (world.inspect("deaf")["State"]["Running"] == false).then_some(())
    });
    assert_eq!(world.inspect("deaf")["State"]["ExitCode"], 137);
    world.docker("kill deaf").fails_with(1, "is not running");
    world.docker("rename deaf listener").ok();
    assert_eq!(world.inspect("listener")["Name"], "/listener");
    assert_eq!(
        world.api("GET", "/containers/deaf/json", &Value::Null).0,
        404
    );
    world
        .docker("rename listener polite")
        .fails_with(1, "is already in use by container");
    world.idle("--name runs");
    world
        .docker("rm runs")
        .fails_with(1, "container is running");
    world.docker("rm -f runs").ok();
    world.docker("rm -f runs listener").ok();
}

#[test]
fn restart_policies_are_kept() {
    let world = World::new();
    world.run("--name failing --restart on-failure:2 img sh -c 'exit 1'");
    world.run("--name always --restart always img sh -c 'sleep 0.1; exit 0'");
    world.run("--name once --restart on-failure img true");
    eventually(Duration::from_secs(10), || {
        (world.inspect("failing")["RestartCount"] == 2).then_some(())
    });
    eventually(Duration::from_secs(10), || {
        (world.inspect("always")["RestartCount"].as_i64() >= Some(2)).then_some(())
    });
    assert_eq!(world.inspect("once")["RestartCount"], 0);
    world.docker("stop -t 0 always").ok();
    let count = world.inspect("always")["RestartCount"].clone();
    std::thread::sleep(Duration::from_millis(400));
    let now = world.inspect("always");
    assert_eq!(
        (&now["RestartCount"], &now["State"]["Running"]),
        (&count, &json!(false))
    );
    // Only the host's own is left.
    eventually(SOON, || {
        let veths = world.host().ip_json("link show type veth");
        (veths.as_array().map(Vec::len) == Some(1)).then_some(())
    });
}

#[test]
fn images_are_imported_saved_loaded_tagged_and_removed() {
    let world = World::new();
    world.docker("tag img other:v1").ok();
    let listed = world
        .docker("images --format '{{.Repository}}:{{.Tag}}'")
        .ok();
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["img:latest", "other:v1"]);
    world.docker("save -o /run/lab/saved.tar other:v1").ok();
    world.docker("rmi other:v1").ok();
    assert!(!world.docker("images").ok().contains("other"));
    world.docker("load -i /run/lab/saved.tar").ok();
    assert_eq!(world.docker("run --rm other:v1 echo loaded").ok(), "loaded");
    assert_eq!(
        world.docker("image inspect -f '{{.Os}}' other:v1").ok(),
        "linux"
    );
    world.idle("--name user");
    world.docker("rmi other:v1").ok();
    let refused = world.docker("rmi img");
    assert_eq!(refused.code, 1, "{refused}");
    world.docker("run -d nosuch").fails_with(125, "nosuch");
}

#[test]
fn a_finished_container_leaves_nothing_on_the_host() {
    let world = World::new();
    world.network("--ipv6 net1");
    let before = Snapshot::take(world.host());
    world
        .docker("run --rm --network net1 -p 8080:80 -p 53:53/udp img true")
        .ok();
    world.docker("run --rm -p 8080-8090:80-90 img true").ok();
    world.docker("run --rm --network host img true").ok();
    world.docker("run --rm --network none img true").ok();
    before.returns_on(world.host());
}

#[test]
fn version_and_info_answer() {
    let world = shared();
    let version = world
        .docker("version --format '{{.Server.Version}} {{.Server.Os}}'")
        .ok();
    assert!(version.ends_with(" linux"), "{version}");
    let info = world
        .docker("info --format '{{.Driver}} {{.CgroupDriver}} {{.ContainersRunning}}'")
        .ok();
    assert_eq!(info.split(' ').count(), 3, "{info}");
    let (status, text) = refused(
        world,
        "POST",
        "/images/create?fromImage=nosuch&tag=latest",
        &Value::Null,
    );
    assert_eq!(status, 501, "{text}");
}

#[test]
fn many_at_once_have_addresses_and_ports_of_their_own() {
    let world = World::new();
    world.network("--subnet 10.76.0.0/24 net1");
    let before = Snapshot::take(world.host());
    let all: Vec<String> = (0..24).map(|index| format!("n{index}")).collect();
    std::thread::scope(|scope| {
        for name in &all {
            let world = &world;
            scope.spawn(move || world.serve(&format!("--network net1 -p 80 --name {name}")));
        }
    });
    let mut addresses: Vec<String> = all.iter().map(|name| world.address(name, "net1")).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), all.len(), "{addresses:?}");
    for name in &all {
        let port = world.docker(&format!("port {name} 80")).ok();
        let port = port
            .lines()
            .next()
            .and_then(|line| line.rsplit(':').next())
            .expect("a port");
        let page = world.peer().fetch(&format!("10.99.0.1:{port}"));
        assert_eq!(page.as_deref(), Some(HELLO), "{name}");
    }
    std::thread::scope(|scope| {
        for (index, name) in all.iter().enumerate() {
            let world = &world;
            scope.spawn(move || match index % 3 {
                0 => world.docker(&format!("rm -f {name}")).ok(),
                1 => world
                    .docker(&format!("network disconnect net1 {name}"))
                    .ok(),
                _ => world.docker(&format!("restart -t 0 {name}")).ok(),
            });
        }
    });
    world.docker("rm -f $(docker ps -aq)").ok();
    before.returns_on(world.host());
}

#[test]
fn who_uses_a_network_that_is_being_made_waits_for_it() {
    let world = World::new();
    let before = Snapshot::take(world.host());
    std::thread::scope(|scope| {
        for index in 0..32 {
            let world = &world;
            scope.spawn(move || {
                // A request that is refused finds the network of the one that was first.
                let network = format!("team{}", index % 16);
                let wanted = json!({"Name": network});
                let (status, said) = world.api("POST", "/networks/create", &wanted);
                assert!(matches!(status, 201 | 409), "{said}");
                world.idle(&format!("--network {network} --name member{index}"));
            });
        }
    });
    for index in 0..16 {
        let address = world.address(&format!("member{}", index + 16), &format!("team{index}"));
        assert!(world.sandbox(&format!("member{index}")).pings(&address));
    }
    world.docker("rm -f $(docker ps -aq)").ok();
    world.docker("network prune -f").ok();
    before.returns_on(world.host());
}
