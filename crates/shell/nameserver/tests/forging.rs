//! What makes a forged answer unlikely to be believed, and how upstreams fare with that.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use sealane_core::dns::{Forwarding, NetworkView, View};
use sealane_core::model::derive_id;
use sealane_nameserver::{NetworkUpstreams, Upstream, UpstreamConfig};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use support::fake::{Fake, Manner};
use support::netns::in_netns;
use support::world::{World, blue, from_host, from_sandbox};

const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn one(manner: Manner) -> (World, Fake) {
    let fake = Fake::start("127.0.0.2", manner);
    (World::new(from_host(&[&fake])), fake)
}

fn is(world: &World, name: &str, address: Ipv4Addr) {
    let seen = world.dig(&format!("{name} A"));
    assert_eq!(seen.answers, [address.to_string()], "{}", seen.text);
}

/// A socket to ask the resolver with.
fn client(world: &World) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.11", world.udp)).unwrap();
    client
}

/// A query for the address of `X.b`.
fn query(id: u16, x: u8) -> Vec<u8> {
    let rest = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, x, 1, b'b', 0, 0, 1, 0, 1];
    [&id.to_be_bytes()[..], &rest].concat()
}

#[test]
fn b7_4_every_query_leaves_by_a_port_of_its_own() {
    for upstreams in [from_host, from_sandbox] {
        in_netns(|| {
            let fake = Fake::start("127.0.0.2", Manner::Answer(FIRST));
            let world = World::new(upstreams(&[&fake]));
            let client = client(&world);
            for i in 0..48_u8 {
                client.send(&query(i.into(), b'0' + i)).unwrap();
                client.recv(&mut [0; 512]).unwrap();
            }
            let ports = fake.ports();
            let different: BTreeSet<_> = ports.iter().collect();
            assert_eq!(ports.len(), 48);
            // Chance may repeat one among 28,000.
            assert!(different.len() > 44, "{ports:?}");
            let (low, high) = (different.first().unwrap(), different.last().unwrap());
            assert!(
                *high - *low > 5_000,
                "and not the next one each time: {ports:?}"
            );
        });
    }
}

#[test]
fn b7_4_one_question_is_asked_once_however_many_ask() {
    in_netns(|| {
        let (world, fake) = one(Manner::Slow(Duration::from_millis(700), FIRST));
        let clients: Vec<_> = (0..200_u16)
            .map(|i| {
                let client = client(&world);
                let letter = if i % 2 == 0 { b'a' } else { b'A' };
                client.send(&query(i, letter)).unwrap();
                client
            })
            .collect();
        for (i, client) in (0_u16..).zip(&clients) {
            let mut reply = [0; 512];
            let length = client.recv(&mut reply).unwrap();
            assert_eq!(reply[..2], i.to_be_bytes());
            assert_eq!(
                reply[13],
                if i % 2 == 0 { b'a' } else { b'A' },
                "as it was asked"
            );
            assert_eq!(reply[length - 4..length], FIRST.octets());
        }
        assert_eq!(fake.datagrams(), 1);
    });
}

#[test]
fn b7_4_a_server_that_folds_letters_is_believed_all_the_same() {
    in_netns(|| {
        let (world, fake) = one(Manner::Fold(FIRST));
        for i in 0..5 {
            is(&world, &format!("Name{i}.Test"), FIRST);
        }
        assert_eq!(fake.datagrams(), 6, "once too often, and then it is known");
    });
}

#[test]
fn b7_4_a_server_that_knows_small_letters_only_is_believed_all_the_same() {
    in_netns(|| {
        let (world, fake) = one(Manner::Strict(FIRST));
        for i in 0..5 {
            is(&world, &format!("Longername{i}.Test"), FIRST);
        }
        assert_eq!(fake.datagrams(), 6, "once too often, and then it is known");
    });
}

#[test]
fn b7_4_a_port_that_is_besieged_is_given_up_and_never_believed() {
    in_netns(|| {
        let (world, fake) = one(Manner::Besieged(FIRST));
        let seen = world.dig("a.test A");
        assert_eq!((seen.status.as_str(), seen.answers.len()), ("SERVFAIL", 0));
        let ports = fake.ports();
        assert_eq!(ports.len(), 4, "asked from {ports:?}");
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
    });
}

/// A sandbox on the networks `blue` and `green`, with a server each.
fn on_two_networks(blues: Manner, greens: Manner) -> (World, Fake, Fake) {
    let (first, second) = (
        Fake::start("127.0.0.2", blues),
        Fake::start("127.0.0.3", greens),
    );
    let green = derive_id(&[b"green"]);
    let servers = |fake: &Fake| {
        vec![Upstream {
            address: fake.address,
            from_host: false,
        }]
    };
    let of = |network, fake: &Fake| NetworkUpstreams {
        network,
        servers: servers(fake),
    };
    let both = UpstreamConfig::OfNetworks(vec![of(blue(), &first), of(green, &second)]);
    let world = World::new(both);
    let networks = vec![
        NetworkView::new(blue(), "blue", []),
        NetworkView::new(green, "green", []).with_lan_subnets(["192.0.2.0/24".parse().unwrap()]),
    ];
    let view = View {
        networks,
        forwarding: Forwarding::Anywhere,
        ndots_set: false,
    };
    world.nameserver.update_view(&world.sandbox, Arc::new(view));
    (world, first, second)
}

#[test]
fn b7_8_what_one_networks_servers_deny_the_others_are_asked() {
    in_netns(|| {
        let (world, first, second) = on_two_networks(Manner::Deny, Manner::Answer(SECOND));
        is(&world, "only.green.test", SECOND);
        assert_eq!(world.dig_tcp("other.test A").answers, [SECOND.to_string()]);
        assert!(first.datagrams() > 0 && second.datagrams() > 0);
        let (world, ..) = on_two_networks(Manner::Deny, Manner::Deny);
        assert_eq!(world.dig("none.test A").status, "NXDOMAIN");
        let (world, ..) = on_two_networks(Manner::Fail(2), Manner::Deny);
        assert_eq!(world.dig("none.test A").status, "NXDOMAIN");
    });
}

#[test]
fn b7_8_the_network_that_a_name_concerns_is_asked_first() {
    in_netns(|| {
        let (world, ..) = on_two_networks(Manner::Answer(FIRST), Manner::Answer(SECOND));
        is(&world, "elsewhere.test", FIRST);
        is(&world, "host.green", SECOND);
        is(&world, "host.blue", FIRST);
        // An address of green's subnet, of which a server says what it says of everything.
        assert_eq!(world.dig("-x 192.0.2.9").answers, [SECOND.to_string()]);
    });
}
