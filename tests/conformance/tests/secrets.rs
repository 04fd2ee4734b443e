//! What containers get and print is root's alone: passwords in their environment, logs.

use sealane_conformance::*;

const ROOTS: &str = "/var/lib/sealane /run/sealane";

/// What a user without privileges can read or list of all that we keep.
fn readable(world: &World) -> String {
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    world
        .host()
        .sh(&format!(
            "{nobody} find {ROOTS} -readable -print 2>/dev/null; true"
        ))
        .ok()
}

/// Files with secrets that others than their owner may touch, would they get there.
fn open_files(world: &World) -> String {
    let secret = "grep -rlsI -e PASSWORD=hunter2";
    let text = world.host().sh(&format!(
        "{secret} {ROOTS} --exclude-dir=layers --exclude-dir=diff | xargs -r stat -c '%a %n'; \
         stat -c '%a %n' /var/lib/sealane/sealane.redb"
    ));
    let open = |line: &&str| !line.starts_with("600 ") && !line.starts_with("640 ");
    text.ok()
        .lines()
        .filter(open)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn b13_secrets_are_root_s_alone_on_a_new_root_and_on_an_old_one() {
    let mut world = World::new();
    world.network("n");
    world.run("--network n --name c -e PASSWORD=hunter2 -p 8080:80 img sh -c 'echo PASSWORD=hunter2; exec sleep 100000'");
    world
        .docker("exec -d -e PASSWORD=hunter2 c sleep 100000")
        .ok();
    world.wait_for_output("c", "hunter2");
    let holds = world
        .host()
        .sh(&format!("grep -rlsI PASSWORD=hunter2 {ROOTS} | wc -l"))
        .ok();
    assert_ne!(holds, "0", "there is something to keep");
    assert_eq!(readable(&world), "");
    assert_eq!(open_files(&world), "");
    let modes = |world: &World| {
        let id = world.inspect("c")["Id"].as_str().expect("an id").to_owned();
        let folders = format!("/var/lib/sealane /run/sealane /var/lib/sealane/containers/{id}");
        world.host().sh(&format!("stat -c %a {folders}")).ok()
    };
    assert_eq!(modes(&world), "710\n700\n710");
    // A container's user reads its own files all the same.
    let seen = world
        .docker("exec -u 1000 c cat /etc/hosts /etc/resolv.conf /etc/hostname")
        .ok();
    assert!(seen.contains("localhost"), "{seen}");
    // As an earlier version left it.
    world.kill9();
    world.host().sh(&format!(
        "chmod 755 {ROOTS} /var/lib/sealane/containers /var/lib/sealane/containers/* /run/sealane/sandboxes /run/sealane/netns && \
         chmod 644 /var/lib/sealane/sealane.redb /run/sealane/claims"
    )).ok();
    assert_ne!(readable(&world), "");
    world.launch();
    assert_eq!(readable(&world), "");
    assert_eq!(open_files(&world), "");
    assert_eq!(modes(&world), "710\n700\n710");
    let inner = world
        .host()
        .sh("stat -c %a /run/sealane/sandboxes /run/sealane/netns /run/sealane/claims")
        .ok();
    assert_eq!(inner, "700\n700\n600");
}
