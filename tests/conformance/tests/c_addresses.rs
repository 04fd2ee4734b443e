//! Row C-17: addresses that stay with a container's name, and reservations.

use sealane_conformance::*;

fn address(world: &World, name: &str) -> String {
    world.address(name, "blue")
}

fn mac(world: &World, name: &str) -> String {
    let link = world.sandbox(name).ip_json("link show eth0");
    link[0]["address"]
        .as_str()
        .expect("a MAC address")
        .to_owned()
}

/// The address inside, as the kernel has it.
fn inside(world: &World, name: &str) -> String {
    let shown = world.sandbox(name).ip_json("-4 address show eth0");
    shown[0]["addr_info"][0]["local"]
        .as_str()
        .expect("an address")
        .to_owned()
}

#[test]
fn c_17_a_name_keeps_its_address_and_mac() {
    let mut world = World::new();
    world.network("--subnet 10.1.0.0/24 --ipv6 blue");
    for name in ["a", "b", "c"] {
        world.idle(&format!("--network blue --name {name}"));
    }
    let before = ["a", "b", "c"].map(|name| (inside(&world, name), mac(&world, name)));
    assert_eq!(before[1].0, "10.1.0.3");
    // Gone, and its place is not taken by others, also after the daemon was started again.
    world.docker("rm -f a b").ok();
    world.relaunch();
    world.idle("--network blue --name d");
    assert_eq!(inside(&world, "d"), "10.1.0.5");
    for name in ["b", "a"] {
        world.idle(&format!("--network blue --name {name}"));
    }
    assert_eq!(
        ["a", "b", "c"].map(|name| (inside(&world, name), mac(&world, name))),
        before
    );

    // Whatever the order after a power failure.
    world.docker("stop -t 0 a b c d").ok();
    world.reboot();
    world.docker("start d c b a").ok();
    assert_eq!(
        ["a", "b", "c"].map(|name| (inside(&world, name), mac(&world, name))),
        before
    );
    assert_eq!(inside(&world, "d"), "10.1.0.5");

    // A name goes with its container; one that was made up is forgotten with it.
    world.docker("rename a z").ok();
    world.docker("rm -f z").ok();
    world.idle("--network blue --name a");
    assert_eq!(inside(&world, "a"), "10.1.0.6");
    world.idle("--network blue --name z");
    assert_eq!((inside(&world, "z"), mac(&world, "z")), before[0]);
    let made_up = world.idle("--network blue");
    let name = world.inspect(&made_up)["Name"].as_str().expect("a name")[1..].to_owned();
    let listed = |world: &World| world.sealane("network reservations blue").ok();
    assert!(listed(&world).contains(&format!("leased to {name}")));
    world.docker(&format!("rm -f {made_up}")).ok();
    assert!(!listed(&world).contains(&format!("leased to {name}")));
    assert!(listed(&world).contains("10.1.0.2 leased to z"));
}

#[test]
fn c_17_a_mix_of_fixed_and_dynamic_never_meets() {
    let mut world = World::new();
    world.network("--subnet 10.1.0.0/27 blue");
    // The fixed one is made, and never started, before the others look for addresses.
    world
        .docker(
            "create --restart always --network blue --ip 10.1.0.2 --name fixed0 img sleep 1000000",
        )
        .ok();
    for index in 1..4 {
        world.idle(&format!(
            "--restart always --network blue --ip 10.1.0.{} --name fixed{index}",
            2 + 3 * index
        ));
    }
    for index in 0..4 {
        world.idle(&format!(
            "--restart always --network blue --name dynamic{index}"
        ));
    }
    let names: Vec<String> = (0..4)
        .flat_map(|n| [format!("fixed{n}"), format!("dynamic{n}")])
        .collect();
    world.docker("start fixed0").ok();
    let addresses = |world: &World| {
        names
            .iter()
            .map(|name| inside(world, name))
            .collect::<Vec<_>>()
    };
    let before = addresses(&world);
    let mut unique = before.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 8, "{before:?}");
    assert_eq!(before[0], "10.1.0.2");
    for round in 0..3 {
        if round == 1 {
            world.reboot();
        } else {
            world.kill9();
            world.launch();
        }
        for name in &names {
            eventually(SOON * 2, || {
                (world.inspect(name)["State"]["Running"] == true).then_some(())
            });
        }
        assert_eq!(addresses(&world), before, "round {round}");
        // Recreated in another order, the dynamic ones first.
        world.docker("rm -f fixed1 dynamic1 fixed3 dynamic3").ok();
        for index in [3, 1] {
            world.idle(&format!(
                "--restart always --network blue --name dynamic{index}"
            ));
        }
        for index in [3, 1] {
            world.idle(&format!(
                "--restart always --network blue --ip 10.1.0.{} --name fixed{index}",
                2 + 3 * index
            ));
        }
        assert_eq!(addresses(&world), before, "round {round}");
        // Others come and go meanwhile.
        for _ in 0..3 {
            world.docker("run --rm --network blue img true").ok();
        }
    }
}

#[test]
fn c_17_reserved_addresses_are_never_given() {
    let mut world = World::new();
    world.network("--subnet 10.1.0.0/29 blue");
    world.sealane("network reserve blue 10.1.0.2").ok();
    world.sealane("network reserve blue 10.1.0.4 --for db").ok();
    world.relaunch();
    let listed = world.sealane("network reservations blue").ok();
    assert_eq!(listed, "10.1.0.2 reserved\n10.1.0.4 reserved for db");
    for (name, wanted) in [("a", "10.1.0.3"), ("b", "10.1.0.5"), ("c", "10.1.0.6")] {
        world.idle(&format!("--network blue --name {name}"));
        assert_eq!(inside(&world, name), wanted);
    }
    let full = world.docker("run -d --network blue --name e img sleep 1000");
    full.fails_with(
        125,
        "no available IPv4 addresses on this network's address pools: blue (",
    );
    world.idle("--network blue --name db");
    assert_eq!(inside(&world, "db"), "10.1.0.4");
    world.idle("--network blue --ip 10.1.0.2 --name asked");
    assert_eq!(inside(&world, "asked"), "10.1.0.2");
    world.docker("rm -f db").ok();
    let other = world.docker("run -d --network blue --ip 10.1.0.4 --name other img sleep 1000");
    other.fails_with(
        125,
        "address 10.1.0.4 of network blue is reserved for container db",
    );

    let before = world.get("/networks/blue/reservations");
    for (text, status, wanted) in [
        (
            "10.1.0.1",
            403,
            "10.1.0.1 is an address of network blue itself; reserve another",
        ),
        (
            "10.1.0.7",
            403,
            "10.1.0.7 is an address of network blue itself; reserve another",
        ),
        (
            "10.2.0.1",
            400,
            "no configured subnet contains IP address 10.2.0.1",
        ),
        (
            "10.1.0.3",
            403,
            "10.1.0.3 is in use by container a; move it first",
        ),
        ("nowhere", 400, "invalid IP address: \"nowhere\""),
    ] {
        let answer = refused(
            &world,
            "POST",
            "/networks/blue/reserve",
            &json!({"Address": text}),
        );
        assert_eq!(answer, (status, wanted.to_owned()));
    }
    assert_eq!(world.get("/networks/blue/reservations"), before);
    world
        .sealane("network release blue 10.1.0.9")
        .fails_with(1, "address 10.1.0.9 of network blue is not reserved");
    world.sealane("network release blue 10.1.0.4").ok();
    world.docker("rm -f e other").ok();
    world.idle("--network blue --name e");
    assert_eq!(address(&world, "e"), "10.1.0.4");
}
