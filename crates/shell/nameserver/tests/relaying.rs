//! Names that are not known here, asked of upstreams that behave as a test says.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod support;

use sealane_core::dns::Forwarding;
use sealane_core::model::SandboxId;
use sealane_nameserver::{SocketKind, Upstream, UpstreamConfig, bind_sockets, open_socket};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use support::dig::{Seen, dig};
use support::fake::{Fake, Manner};
use support::netns::{OtherNetns, in_netns};
use support::world::{World, from_host, from_sandbox, view};

const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

const SERVER_FAILURE: u8 = 2;
const REFUSED: u8 = 5;

fn answered_by(seen: &Seen, address: Ipv4Addr) {
    assert_eq!(seen.answers, [address.to_string()], "{}", seen.text);
}

/// Two upstreams that behave like this, and a world that has them.
fn two(first: Manner, second: Manner) -> (World, Fake, Fake) {
    let (first, second) = (
        Fake::start("127.0.0.2", first),
        Fake::start("127.0.0.3", second),
    );
    (World::new(from_host(&[&first, &second])), first, second)
}

/// One upstream that behaves like this, and a world that has it.
fn one(manner: Manner) -> (World, Fake) {
    let fake = Fake::start("127.0.0.2", manner);
    (World::new(from_host(&[&fake])), fake)
}

#[test]
fn b7_4_the_first_upstream_is_asked_first() {
    in_netns(|| {
        // Were the second one asked before, its denial would stand.
        let (world, first, _) = two(Manner::Answer(FIRST), Manner::Deny);
        for i in 0..20 {
            answered_by(&world.dig(&format!("n{i}.test A")), FIRST);
        }
        assert!(first.datagrams() >= 20);
    });
}

#[test]
fn b7_4_a_failing_upstream_is_followed_by_the_next() {
    for_each_failure(|world| answered_by(&world.dig("a.test A"), SECOND));
}

#[test]
fn b7_4_a_failing_upstream_is_followed_by_the_next_over_tcp() {
    for_each_failure(|world| answered_by(&world.dig_tcp("a.test A"), SECOND));
}

fn for_each_failure(check: impl Fn(&World)) {
    in_netns(|| {
        for manner in [
            Manner::Fail(SERVER_FAILURE),
            Manner::Fail(REFUSED),
            Manner::Silent,
        ] {
            let (world, first, _) = two(manner, Manner::Answer(SECOND));
            check(&world);
            // By UDP twice: it may have failed because of the letters.
            let count = || first.datagrams() + first.streams();
            let times = (0..1_000).map(|_| count()).find(|times| {
                std::thread::sleep(Duration::from_millis(u64::from(*times == 0)));
                *times > 0
            });
            let times = times.unwrap_or_default();
            assert!((1..=2).contains(&times), "{manner:?}: {times}");
        }
        // No socket listens there at all.
        let nobody = UdpSocket::bind("127.0.0.4:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let second = Fake::start("127.0.0.3", Manner::Answer(SECOND));
        let upstream = |address| Upstream {
            address,
            from_host: true,
        };
        let both = vec![upstream(nobody), upstream(second.address)];
        check(&World::new(UpstreamConfig::Own(both)));
    });
}

#[test]
fn b7_4_a_name_that_does_not_exist_is_passed_on() {
    in_netns(|| {
        // Were the second one waited for, its answer would stand.
        let later = Manner::Slow(Duration::from_secs(3), SECOND);
        let (world, first, _) = two(Manner::Deny, later);
        assert_eq!(world.dig("a.test A").status, "NXDOMAIN");
        assert_eq!(world.dig_tcp("a.test A").status, "NXDOMAIN");
        assert_eq!(
            (first.datagrams(), first.streams()),
            (2, 0),
            "in mixed letters and in small ones, and then the denial is remembered"
        );
    });
}

#[test]
fn b7_4_when_all_fail_so_does_the_query() {
    in_netns(|| {
        let (world, ..) = two(Manner::Fail(REFUSED), Manner::Fail(SERVER_FAILURE));
        assert_eq!(world.dig("a.test A").status, "SERVFAIL");
        let (world, ..) = two(Manner::Silent, Manner::Silent);
        assert_eq!(
            world.dig("a.test A").status,
            "SERVFAIL",
            "after four seconds"
        );
    });
}

#[test]
fn b7_4_a_slow_upstream_is_waited_for() {
    in_netns(|| {
        let (world, _) = one(Manner::Slow(Duration::from_secs(3), FIRST));
        answered_by(&world.dig("a.test A"), FIRST);
    });
}

#[test]
fn a_slow_upstream_may_know_better_than_the_quick_one_after_it() {
    in_netns(|| {
        let (world, ..) = two(
            Manner::Slow(Duration::from_millis(100), FIRST),
            Manner::Deny,
        );
        answered_by(&world.dig("inside.test A"), FIRST);
    });
}

#[test]
fn a_dead_upstream_is_asked_less_and_less() {
    in_netns(|| {
        let (world, first, second) = two(Manner::Silent, Manner::Answer(SECOND));
        for i in 0..50 {
            answered_by(&world.dig(&format!("n{i}.test A")), SECOND);
        }
        assert!(first.datagrams() < 25, "asked {} times", first.datagrams());
        assert!(second.datagrams() >= 50);
    });
}

#[test]
fn b7_4_too_many_at_once_are_refused() {
    in_netns(|| {
        let (world, _) = one(Manner::Silent);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(("127.0.0.11", world.udp)).unwrap();
        let mut query = vec![
            0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 1, b'b', 0, 0, 1, 0, 1,
        ];
        let mut buffer = [0; 512];
        for i in 0..1_100_u16 {
            query[..2].copy_from_slice(&i.to_be_bytes());
            client.send(&query).unwrap();
            if i >= 1_024 {
                client.recv(&mut buffer).unwrap();
                assert_eq!(
                    (buffer[0], buffer[1]),
                    (i.to_be_bytes()[0], i.to_be_bytes()[1])
                );
                assert_eq!(buffer[3] & 0x0f, REFUSED);
            } else if i % 64 == 0 {
                // Lets the resolver keep up: its socket holds a few hundred.
                assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
            }
        }
        assert_eq!(world.dig("web A").answers, ["10.1.0.2"]);
    });
}

#[test]
fn a_reply_is_asked_for_once_while_it_holds() {
    in_netns(|| {
        let (world, first) = one(Manner::Answer(FIRST));
        answered_by(&world.dig("a.test A"), FIRST);
        answered_by(&world.dig("A.TEST A"), FIRST);
        answered_by(&world.dig_tcp("a.test A"), FIRST);
        assert_eq!((first.datagrams(), first.streams()), (1, 0));
        let other = Fake::start("127.0.0.5", Manner::Answer(SECOND));
        world
            .nameserver
            .update_upstreams(&world.sandbox, from_host(&[&other]));
        // The server obeys in its own time.
        let asked_anew = || world.dig("a.test A").answers == [SECOND.to_string()];
        assert!(
            (0..1_000).any(|_| asked_anew()),
            "other upstreams, other answers"
        );
    });
}

#[test]
fn servers_of_the_host_are_followed() {
    in_netns(|| {
        let first = Fake::start("127.0.0.2", Manner::Answer(FIRST));
        let second = Fake::start("127.0.0.3", Manner::Answer(SECOND));
        let world = World::new(UpstreamConfig::Host);
        for (fake, address) in [(&first, FIRST), (&second, SECOND), (&first, FIRST)] {
            let upstream = Upstream {
                address: fake.address,
                from_host: true,
            };
            world.nameserver.set_host_upstreams(vec![upstream]);
            let told = || world.dig("a.test A").answers == [address.to_string()];
            assert!((0..1_000).any(|_| told()), "{address}");
        }
    });
}

#[test]
fn b7_3_what_is_too_long_is_asked_for_again_by_tcp() {
    in_netns(|| {
        let (world, first) = one(Manner::Truncate(FIRST));
        let cut = world.dig("a.test A");
        assert_eq!((cut.flags.as_str(), cut.answers.len()), ("qr tc rd ra", 0));
        answered_by(&world.dig_tcp("a.test A"), FIRST);
        assert_eq!((first.datagrams(), first.streams()), (1, 1));
    });
}

#[test]
fn forged_replies_are_not_believed() {
    in_netns(|| {
        let (world, _) = one(Manner::Forged(FIRST));
        answered_by(&world.dig("a.test A"), FIRST);
    });
}

#[test]
fn no_question_about_a_known_name_is_relayed() {
    in_netns(|| {
        let (world, first) = one(Manner::Deny);
        for asked in [
            "web TXT",
            "web AAAA",
            "web TYPE65",
            "web SOA",
            "+notcp web ANY",
            "web CH A",
        ] {
            assert_eq!(world.dig(asked).status, "NOERROR", "{asked}");
        }
        assert_eq!(world.dig("_http._tcp.web SRV").status, "NXDOMAIN");
        assert_eq!(first.datagrams() + first.streams(), 0);
    });
}

/// A sandbox in another namespace than the server, and an upstream in each, at the same address.
struct Apart {
    world: World,
    sandbox: Arc<OtherNetns>,
}

impl Apart {
    fn new(forwarding: Forwarding, upstreams: fn(&[&Fake]) -> UpstreamConfig) -> Self {
        let sandbox = Arc::new(OtherNetns::new());
        let here = Fake::start("127.0.0.2", Manner::Answer(FIRST));
        sandbox.run(|| Fake::start_at(here.address, Manner::Answer(SECOND)));
        let inside = sandbox.clone();
        let open = move |_: &SandboxId, kind: SocketKind| inside.run(|| open_socket(kind));
        let sockets = sandbox.run(|| bind_sockets().unwrap());
        let world = World::with(sockets, Arc::new(open), upstreams(&[&here]), forwarding);
        Self { world, sandbox }
    }

    /// Asks from within the sandbox.
    fn dig(&self, arguments: &str) -> Seen {
        self.sandbox.run(|| dig(self.world.udp, arguments))
    }
}

#[test]
fn b7_4_upstreams_are_asked_from_where_they_are() {
    in_netns(|| {
        let apart = Apart::new(Forwarding::Anywhere, from_host);
        answered_by(&apart.dig("a.test A"), FIRST);
        answered_by(
            &apart.sandbox.run(|| apart.world.dig_tcp("b.test A")),
            FIRST,
        );
        let apart = Apart::new(Forwarding::Anywhere, from_sandbox);
        answered_by(&apart.dig("a.test A"), SECOND);
        answered_by(
            &apart.sandbox.run(|| apart.world.dig_tcp("b.test A")),
            SECOND,
        );
    });
}

#[test]
fn b7_5_the_host_asks_nothing_for_a_sandbox_without_a_way_out() {
    in_netns(|| {
        let apart = Apart::new(Forwarding::FromSandboxOnly, from_host);
        assert_eq!(apart.dig("a.test A").status, "SERVFAIL");
        assert_eq!(apart.dig("web A").answers, ["10.1.0.2"]);
        // It gets a network that leads out, and loses it again.
        let see = |forwarding| {
            let world = &apart.world;
            world
                .nameserver
                .update_view(&world.sandbox, Arc::new(view(forwarding)));
        };
        see(Forwarding::Anywhere);
        answered_by(&apart.dig("a.test A"), FIRST);
        see(Forwarding::FromSandboxOnly);
        assert_eq!(
            apart.dig("a.test A").status,
            "SERVFAIL",
            "not even from memory"
        );
        let apart = Apart::new(Forwarding::FromSandboxOnly, from_sandbox);
        answered_by(&apart.dig("a.test A"), SECOND);
    });
}
