//! The operator's command line: what it tells, and in which form.

use sealane_conformance::*;

/// The names under a heading `Commands:` of a help text.
fn commands_of(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed.map_while(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_teaches() {
    let lab = Lab::new();
    let sealane = |arguments: &str| {
        lab.host(0)
            .sh(&format!("{} {arguments}", binary().display()))
    };
    let help = sealane("--help").ok();
    let commands = commands_of(&help);
    for wanted in ["daemon", "plan", "firewall", "status", "repair", "purge"] {
        assert!(commands.iter().any(|name| name == wanted), "{help}");
    }
    for name in &commands {
        let help = sealane(&format!("{name} --help")).ok();
        assert!(help.contains("Usage: sealane "), "{help}");
        let own_example = help.contains(&format!("  sealane {name}"));
        assert!(own_example || name == "version", "{name}: {help}");
        for inner in commands_of(&help) {
            let help = sealane(&format!("{name} {inner} --help")).ok();
            assert!(
                help.contains(&format!("Usage: sealane {name} {inner}")),
                "{help}"
            );
        }
    }
    let wrong = sealane("plam");
    wrong.fails_with(2, "plan");
}

#[test]
fn what_answers_answers_in_json() {
    let world = World::new();
    world.serve("--name web -p 8080:80");
    let json = |arguments: &str| world.sealane(&format!("{arguments} --format json")).json();
    assert_eq!(json("status")["running"], 1);
    assert_eq!(json("info")["networks"], 3);
    assert_eq!(json("repair status")["paused"], false);
    let firewall = json("firewall show --as iptables");
    let text = firewall["firewall"].as_str().expect("a text");
    assert!(text.contains("--dport 8080"), "{text}");
    let plan = json("plan rm web");
    let changes = plan["changes"].as_array().expect("a list");
    let removed = |kind: &str, object: &str| {
        changes.iter().any(|change| {
            let of_object = change["object"]
                .as_str()
                .is_some_and(|text| text.contains(object));
            change["change"] == "remove" && change["kind"] == kind && of_object
        })
    };
    assert!(
        removed("nft", "8080") && removed("link", "host/veth"),
        "{plan}"
    );
    assert_eq!(json("version")["minApiVersion"], "1.40");
    // A wrong request gets no half of an answer.
    let refused = world.sealane("plan rm nosuch --format json");
    assert_eq!(refused.stdout, "");
    refused.fails_with(1, "No such container: nosuch");
}

#[test]
fn daemons_are_found_as_docker_finds_them() {
    let files =
        "--tlscacert /run/lab/ca.pem --tlscert /run/lab/server.pem --tlskey /run/lab/server.key";
    let world = World::prepared(&["-H tcp://127.0.0.1:2376 --tlsverify", files], |lab| {
        lab.host(0).sh(CERTIFICATES).ok();
    });
    let tls = "DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/run/lab";
    let ask = |variables: &str, arguments: &str| {
        let sealane = binary();
        world
            .host()
            .sh(&format!("{variables} {} {arguments}", sealane.display()))
    };
    let id = world.sealane("status --format json").json()["id"].clone();
    for (variables, arguments) in [
        ("", "status --format json"),
        (
            &*format!("{tls} DOCKER_HOST=tcp://127.0.0.1:2376"),
            "status --format json",
        ),
        (
            "DOCKER_HOST=unix:///nowhere",
            "status -H /run/docker.sock --format json",
        ),
        (tls, "status --host tcp://127.0.0.1:2376 --format json"),
    ] {
        assert_eq!(
            ask(variables, arguments).json()["id"],
            id,
            "{variables} {arguments}"
        );
    }
    ask("", "status -H unix:///nowhere").fails_with(1, "no daemon answers on /nowhere; start one");
    let wrong_name = ask(tls, "status -H tcp://localhost:2376");
    wrong_name.fails_with(1, "no TLS with this daemon");
    let no_files = ask(
        "DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/run",
        "status -H tcp://127.0.0.1:2376",
    );
    no_files.fails_with(1, "/run/ca.pem cannot be read");
    ask("DOCKER_HOST=ssh://elsewhere", "status").fails_with(1, "-H unix://PATH");
}

/// An authority, the daemon's certificate, and the client's under the names that docker looks for.
const CERTIFICATES: &str = r"
cd /run/lab
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1 -subj /CN=$1 2>/dev/null; }
sign() { openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $1 -extfile <(echo $2) 2>/dev/null; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca \
  -addext basicConstraints=critical,CA:TRUE 2>/dev/null
new server.key | sign server.pem subjectAltName=IP:127.0.0.1
new key.pem | sign cert.pem extendedKeyUsage=clientAuth
test -s server.pem && test -s cert.pem
";

#[test]
fn colours_are_for_terminals() {
    let world = World::new();
    let plan = "plan network-create --subnet 10.9.0.0/24 blue";
    let on_terminal = |variables: &str| {
        let run = format!("{variables} {} {plan}", binary().display());
        let script = format!("TERM=xterm script -qec '{run}' /dev/null");
        world.host().sh(&script).ok()
    };
    let coloured = on_terminal("");
    assert!(coloured.contains("\x1b[32m+ "), "{coloured}");
    assert!(!on_terminal("NO_COLOR=1").contains('\x1b'));
    assert!(!world.sealane(plan).ok().contains('\x1b'));
}

#[test]
fn shells_and_man_know_every_command() {
    let lab = Lab::new();
    let host = lab.host(0);
    let sealane = binary();
    let help = host.sh(&format!("{} --help", sealane.display())).ok();
    let commands = commands_of(&help);
    let completion = |shell: &str| {
        let run = format!("{} completion {shell}", sealane.display());
        host.sh(&run).ok()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = completion(shell);
        for name in &commands {
            assert!(
                script.contains(name.as_str()),
                "{shell} does not know {name}"
            );
        }
    }
    // A real shell completes a word by it.
    let completed = host.sh(&format!(
        "source <({} completion bash)
         COMP_WORDS=(sealane fire) COMP_CWORD=1; _sealane sealane fire sealane; echo ${{COMPREPLY[*]}}",
        sealane.display()
    ));
    assert_eq!(completed.ok(), "firewall");
    host.sh(&format!("{} man --dir /run/tmp/man", sealane.display()))
        .ok();
    for name in &commands {
        let page = host.read(&format!("/run/tmp/man/sealane-{name}.1"));
        assert!(page.contains(".TH "), "{page}");
    }
    let page = host.read("/run/tmp/man/sealane-plan.1");
    assert!(page.contains("sealane plan connect blue web"), "{page}");
}

#[test]
fn repair_waits_while_it_is_paused() {
    let world = World::new();
    world.serve("--name web -p 8080:80");
    world.sealane("repair pause").ok();
    world.host().sh("nft flush ruleset").ok();
    let empty = || world.host().sh("nft list ruleset").ok();
    never(Duration::from_secs(1), || {
        (!empty().is_empty()).then_some(empty())
    });
    let state = world.sealane("status").ok();
    assert!(state.contains("paused"), "{state}");
    let resumed = world.sealane("repair resume").ok();
    assert!(
        resumed.contains("8080"),
        "it tells what it put back: {resumed}"
    );
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
    // And from now on no neighbor has to be asked for.
    world.host().sh("nft flush ruleset").ok();
    eventually(SOON, || world.peer().fetch("10.99.0.1:8080"));
}

#[test]
fn a_pause_ends_with_the_daemon() {
    let mut world = World::new();
    world.sealane("repair pause").ok();
    world.relaunch();
    world.host().sh("nft flush ruleset").ok();
    eventually(SOON, || {
        (!world.host().sh("nft list ruleset").ok().is_empty()).then_some(())
    });
}
