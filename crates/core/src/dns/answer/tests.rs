//! What is answered, read by another decoder; and that no input ends in a panic.

use super::*;
use crate::dns::{Forwarding, NetworkView, Zone};
use crate::model::derive_id;
use hickory_proto::op::{Edns, Message, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;
use std::collections::BTreeSet;

struct World {
    view: View,
    zones: Zones,
}

/// A sandbox on the networks `blue` and `Green.net`, in this order; `web` and `db` are on both.
fn world() -> World {
    let (blue, green) = (derive_id(&[b"blue"]), derive_id(&[b"green"]));
    let zone = |third: u8| {
        let zone = Zone::default().with_endpoint(endpoint("web", third, 1));
        zone.with_endpoint(endpoint("db", third, 2))
            .with_endpoint(endpoint("a.b", third, 3))
    };
    let views = vec![
        NetworkView::new(blue, "blue", [("db", "storage"), ("web", "DB")]),
        NetworkView::new(green, "Green.net", []),
    ];
    World {
        view: View {
            networks: views,
            forwarding: Forwarding::Anywhere,
            ndots_set: false,
        },
        zones: Zones::default()
            .with_zone(blue, zone(1))
            .with_zone(green, zone(2)),
    }
}

fn endpoint(name: &str, third: u8, fourth: u8) -> EndpointNames {
    let service = Service {
        port_name: "_http".into(),
        protocol: "_tcp".into(),
        port: 8080,
    };
    EndpointNames {
        id: derive_id(&[name.as_bytes(), &[third]]),
        names: vec![name.into(), "All".into(), format!("only{third}")],
        ipv4: Some([10, 0, third, fourth].into()),
        ipv6: (name != "web").then(|| [0xfd00, 0, 0, 0, 0, 0, third.into(), fourth.into()].into()),
        services: if name == "web" { vec![service] } else { vec![] },
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, hickory_proto::op::MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message
}

impl World {
    fn ask_bytes(&self, bytes: &[u8], transport: Transport) -> Option<Message> {
        match answer(bytes, transport, &self.view, &self.zones, 7) {
            Outcome::Reply(reply) => Some(Message::from_vec(&reply).expect("a reply is readable")),
            Outcome::Forward(query) => {
                assert_eq!(query.bytes(), bytes);
                None
            }
            Outcome::Drop => panic!("a query was dropped"),
        }
    }

    /// The reply, `None` if it is to be forwarded.
    fn ask(&self, query: &Message) -> Option<Message> {
        self.ask_bytes(&query.to_vec().unwrap(), Transport::Udp)
    }

    /// The answers as text, in order; `None` if it is to be forwarded.
    fn look_up(&self, name: &str, kind: RecordType) -> Option<Vec<String>> {
        let reply = self.ask(&query(name, kind))?;
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert_eq!(reply.queries, query(name, kind).queries);
        assert!(
            reply
                .answers
                .iter()
                .all(|r| r.ttl == 600 && r.dns_class == DNSClass::IN)
        );
        assert!(
            reply
                .answers
                .iter()
                .all(|r| r.name == *reply.queries[0].name())
        );
        Some(
            reply
                .answers
                .iter()
                .map(|record| record.data.to_string())
                .collect(),
        )
    }
}

fn found(addresses: &[&str]) -> Option<Vec<String>> {
    Some(
        addresses
            .iter()
            .map(|address| address.to_string())
            .collect(),
    )
}

#[test]
fn a_name_is_found_whatever_its_case() {
    let world = world();
    assert_eq!(world.look_up("web.", RecordType::A), found(&["10.0.1.1"]));
    assert_eq!(world.look_up("WEB.", RecordType::A), found(&["10.0.1.1"]));
    assert_eq!(
        world.look_up("a.b.", RecordType::AAAA),
        found(&["fd00::1:3"])
    );
}

#[test]
fn a_name_may_be_followed_by_its_network() {
    let world = world();
    assert_eq!(
        world.look_up("web.blue.", RecordType::A),
        found(&["10.0.1.1"])
    );
    assert_eq!(
        world.look_up("web.green.NET.", RecordType::A),
        found(&["10.0.2.1"])
    );
    assert_eq!(
        world.look_up("a.b.green.net.", RecordType::A),
        found(&["10.0.2.3"])
    );
    assert_eq!(world.look_up("web.red.", RecordType::A), None);
    assert_eq!(
        world.look_up("only2.", RecordType::A).unwrap().len(),
        3,
        "the second network"
    );
}

#[test]
fn a_link_alias_is_known_to_its_sandbox_and_hides_a_name() {
    let world = world();
    assert_eq!(
        world.look_up("storage.", RecordType::A),
        found(&["10.0.1.2"])
    );
    assert_eq!(
        world.look_up("storage.blue.", RecordType::A),
        found(&["10.0.1.2"])
    );
    assert_eq!(world.look_up("storage.green.net.", RecordType::A), None);
    assert_eq!(
        world.look_up("db.", RecordType::A),
        found(&["10.0.1.1"]),
        "db is web here"
    );
    assert_eq!(
        world.look_up("db.green.net.", RecordType::A),
        found(&["10.0.2.2"])
    );
}

#[test]
fn a_known_name_without_such_an_address_is_empty() {
    let world = world();
    assert_eq!(world.look_up("web.", RecordType::AAAA), found(&[]));
    assert_eq!(world.look_up("web.", RecordType::MX), found(&[]));
}

#[test]
fn what_nobody_here_knows_is_forwarded() {
    let world = world();
    for name in ["example.org.", "nobody.", "."] {
        for kind in [
            RecordType::A,
            RecordType::AAAA,
            RecordType::MX,
            RecordType::SRV,
        ] {
            assert_eq!(world.look_up(name, kind), None, "{name} {kind}");
        }
    }
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(world.ask(&chaos), None);
}

#[test]
fn of_a_known_name_no_question_is_forwarded() {
    let world = world();
    for name in ["web.", "db.blue.", "a.b.green.net.", "storage."] {
        for kind in (1..=260).filter(|kind| ![1, 28, 251, 252, 255].contains(kind)) {
            // An EDNS record is no question; everything else is.
            let kind = RecordType::from(kind);
            assert_eq!(world.look_up(name, kind), found(&[]), "{name} {kind}");
        }
        for kind in [RecordType::AXFR, RecordType::IXFR] {
            let reply = world.ask(&query(name, kind)).unwrap();
            assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
        }
        let mut chaos = query(name, RecordType::A);
        chaos.queries[0].set_query_class(DNSClass::CH);
        assert!(world.ask(&chaos).unwrap().answers.is_empty());
    }
    assert_eq!(
        world.look_up("db.green.net.", RecordType::ANY),
        found(&["10.0.2.2", "fd00::2:2"]),
        "any means what there is"
    );
}

#[test]
fn a_service_of_a_known_name_exists_or_nobody_has_it() {
    let world = world();
    let code = |name: &str, kind| {
        let reply = world.ask(&query(name, kind))?;
        assert!(reply.answers.is_empty());
        Some(reply.metadata.response_code)
    };
    let (exists, nothing) = (Some(ResponseCode::NoError), Some(ResponseCode::NXDomain));
    assert_eq!(code("_http._tcp.web.", RecordType::TXT), exists);
    assert_eq!(code("_tcp.web.", RecordType::SRV), exists);
    assert_eq!(code("_ftp._tcp.web.", RecordType::SRV), nothing);
    assert_eq!(code("_x.web.", RecordType::TXT), nothing);
    assert_eq!(code("_443._tcp.web.blue.", RecordType::TLSA), nothing);
    // These may be names outside: of the domain `web`, of the domain `net`, of the host `a.b`.
    for name in [
        "x.web.",
        "_x.y.web.",
        "_x.web.green.net.",
        "_acme-challenge.a.b.",
    ] {
        assert_eq!(code(name, RecordType::TXT), None, "{name}");
    }
}

#[test]
fn with_ndots_set_a_single_label_is_not_forwarded() {
    let mut world = world();
    world.view.ndots_set = true;
    assert_eq!(world.look_up("nobody.", RecordType::A), found(&[]));
    assert_eq!(world.look_up("nobody.", RecordType::AAAA), found(&[]));
    assert_eq!(world.look_up("nobody.", RecordType::TXT), None);
    assert_eq!(world.look_up("example.org.", RecordType::A), None);
    assert_eq!(world.look_up(".", RecordType::A), None);
}

#[test]
fn an_address_leads_back_to_the_first_name_and_its_network() {
    let world = world();
    let ptr = RecordType::PTR;
    assert_eq!(
        world.look_up("1.1.0.10.in-addr.arpa.", ptr),
        found(&["web.blue."])
    );
    assert_eq!(
        world.look_up("3.2.0.10.IN-ADDR.arpa.", ptr),
        found(&["a.b.Green.net."])
    );
    let nibbles = "2.0.0.0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
    assert_eq!(world.look_up(nibbles, ptr), found(&["db.Green.net."]));
    assert_eq!(world.look_up("9.1.0.10.in-addr.arpa.", ptr), None);
    assert_eq!(world.look_up("1.0.10.in-addr.arpa.", ptr), None);
    assert_eq!(world.look_up("1.1.9.0.10.in-addr.arpa.", ptr), None);
    assert_eq!(world.look_up("web.", ptr), found(&[]));
    for kind in [RecordType::TXT, RecordType::A, RecordType::SOA] {
        assert_eq!(world.look_up("1.1.0.10.in-addr.arpa.", kind), found(&[]));
    }
}

#[test]
fn addresses_of_our_subnets_are_nobody_elses_question() {
    let mut world = world();
    let subnets = ["10.0.1.0/24", "fd00::/64"].map(|subnet| subnet.parse().unwrap());
    world.view.networks[0] =
        NetworkView::new(derive_id(&[b"blue"]), "blue", []).with_subnets(subnets);
    let code = |name: &str| {
        let reply = world.ask(&query(name, RecordType::PTR))?;
        Some((reply.metadata.response_code, reply.answers.len()))
    };
    let nobody = Some((ResponseCode::NXDomain, 0));
    assert_eq!(
        code("1.1.0.10.in-addr.arpa."),
        Some((ResponseCode::NoError, 1))
    );
    assert_eq!(code("9.1.0.10.in-addr.arpa."), nobody);
    assert_eq!(code("b._dns-sd._udp.0.1.0.10.in-addr.arpa."), nobody);
    assert_eq!(
        code("1.0.10.in-addr.arpa."),
        Some((ResponseCode::NoError, 0))
    );
    assert_eq!(code("_x.1.1.0.10.in-addr.arpa."), nobody);
    let unknown = format!("9.{}d.f.ip6.arpa.", "0.".repeat(29));
    assert_eq!(code(&unknown), nobody);
    // The second network is a LAN's: who has no name here may have one there.
    assert_eq!(
        code("3.2.0.10.in-addr.arpa."),
        Some((ResponseCode::NoError, 1))
    );
    assert_eq!(code("9.2.0.10.in-addr.arpa."), None);
    assert_eq!(code("0.10.in-addr.arpa."), None, "more than ours");
}

#[test]
fn what_no_message_can_carry_does_not_hide_the_rest() {
    let (long, ptr) = ("n".repeat(64), RecordType::PTR);
    let with = |names: &[&str], network: &str| {
        let mut world = world();
        let mut named = endpoint("x", 7, 7);
        named.names = names.iter().map(|name| name.to_string()).collect();
        let (id, zone) = (derive_id(&[b"blue"]), Zone::default().with_endpoint(named));
        world.zones = world.zones.with_zone(id, zone);
        world.view.networks[0] = NetworkView::new(id, network, []);
        world.look_up("7.7.0.10.in-addr.arpa.", ptr)
    };
    assert_eq!(with(&[&long, "alias"], "blue"), found(&["alias.blue."]));
    assert_eq!(with(&["web", "alias"], &long), found(&["web."]));
    assert_eq!(with(&[&long, "id"], &long), found(&["id."]));
    assert_eq!(with(&[&long], "blue"), found(&[]));
    let many = ["abcdefghi."; 20].concat() + "end";
    let whole = format!("{many}.");
    assert_eq!(with(&[&many], &"z".repeat(60)), found(&[&whole]));
}

#[test]
fn a_service_is_found_with_the_address_of_its_host() {
    let world = world();
    let reply = world
        .ask(&query("_http._TCP.web.", RecordType::SRV))
        .unwrap();
    assert_eq!(reply.answers[0].data.to_string(), "0 0 8080 web.");
    assert_eq!(reply.additionals[0].to_string(), "web. 600 IN A 10.0.1.1");
    assert_eq!(
        world.ask(&query("_http._tcp.db.green.net.", RecordType::SRV)),
        None
    );
}

#[test]
fn the_order_of_addresses_depends_on_the_seed_alone() {
    let world = world();
    let bytes = query("all.", RecordType::A).to_vec().unwrap();
    let ask = |seed| answer(&bytes, Transport::Udp, &world.view, &world.zones, seed);
    assert_eq!(ask(3), ask(3));
    let firsts: BTreeSet<_> = (0..50)
        .map(|seed| match ask(seed) {
            Outcome::Reply(reply) => Message::from_vec(&reply).unwrap().answers[0]
                .data
                .to_string(),
            Outcome::Forward(_) | Outcome::Drop => panic!("not answered"),
        })
        .collect();
    assert_eq!(firsts.len(), 3, "each of the three comes first at times");
}

#[test]
fn the_bits_of_the_header_are_in_order() {
    let world = world();
    let mut asked = query("web.", RecordType::A);
    asked.metadata.checking_disabled = true;
    let reply = world.ask(&asked).unwrap().metadata;
    assert_eq!(reply.id, 0x1234);
    assert!(reply.recursion_desired && reply.recursion_available && reply.checking_disabled);
    assert!(!reply.authoritative && !reply.truncation && !reply.authentic_data);
    asked.metadata.recursion_desired = false;
    assert!(!world.ask(&asked).unwrap().metadata.recursion_desired);
}

/// 200 endpoints of one name, and a query for it with this EDNS payload.
fn crowd(payload: Option<u16>) -> (World, Vec<u8>) {
    let mut world = world();
    let network = derive_id(&[b"blue"]);
    let zone = (0..200).fold(Zone::default(), |zone, i| {
        zone.with_endpoint(endpoint(&format!("n{i}"), 9, i))
    });
    world.zones = world.zones.with_zone(network, zone);
    let mut message = query("all.", RecordType::A);
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    (world, message.to_vec().unwrap())
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes() {
    for (payload, largest) in [(None, 512), (Some(100), 512), (Some(1232), 1232)] {
        let (world, bytes) = crowd(payload);
        let Outcome::Reply(reply) = answer(&bytes, Transport::Udp, &world.view, &world.zones, 1)
        else {
            panic!("not answered");
        };
        assert!(
            reply.len() <= largest && reply.len() > largest - 27,
            "{}",
            reply.len()
        );
        let reply = Message::from_vec(&reply).unwrap();
        assert!(reply.metadata.truncation);
        assert_eq!(reply.edns.is_some(), payload.is_some());
    }
}

#[test]
fn a_long_answer_is_whole_where_there_is_room() {
    let (world, bytes) = crowd(Some(4096));
    for (transport, bytes) in [(Transport::Udp, bytes), (Transport::Tcp, crowd(None).1)] {
        let reply = world.ask_bytes(&bytes, transport).unwrap();
        assert_eq!(reply.answers.len(), 200);
        assert!(!reply.metadata.truncation);
    }
}

#[test]
fn a_version_of_edns_that_does_not_exist_is_refused() {
    let mut message = query("web.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    message.set_edns(edns);
    let reply = world().ask(&message).unwrap();
    assert_eq!(reply.edns.unwrap().rcode_high(), 1);
}

#[test]
fn what_is_no_query_is_dropped_or_told_so() {
    let world = world();
    let ask = |bytes: &[u8]| match answer(bytes, Transport::Udp, &world.view, &world.zones, 0) {
        Outcome::Reply(reply) => Some(Message::from_vec(&reply).unwrap().metadata),
        Outcome::Drop => None,
        Outcome::Forward(query) => panic!("{query:?} was forwarded"),
    };
    let bytes = query("web.", RecordType::A).to_vec().unwrap();
    assert_eq!(ask(&bytes[..11]), None, "too short for a header");
    assert_eq!(
        ask(&bytes[..14]).unwrap().response_code,
        ResponseCode::FormErr
    );
    assert_eq!(ask(&bytes[..12]).unwrap().id, 0x1234);
    let reply = server_failure(&Query::parse(&bytes).unwrap());
    assert_eq!(ask(&reply), None, "a reply");
    let mut update = bytes.clone();
    update[2] |= 5 << 3;
    assert_eq!(ask(&update).unwrap().response_code, ResponseCode::NotImp);
    let mut two_questions = bytes.clone();
    two_questions[5] = 2;
    assert_eq!(
        ask(&two_questions).unwrap().response_code,
        ResponseCode::FormErr
    );
    let mut pointer = bytes;
    pointer.splice(12..17, [0xc0, 12]);
    assert_eq!(ask(&pointer).unwrap().response_code, ResponseCode::FormErr);
}

#[test]
fn failures_repeat_the_question() {
    let bytes = query("Example.org.", RecordType::TXT).to_vec().unwrap();
    let query = Query::parse(&bytes).unwrap();
    for (reply, code) in [
        (server_failure(&query), ResponseCode::ServFail),
        (refusal(&query), ResponseCode::Refused),
    ] {
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!(reply.metadata.response_code, code);
        assert_eq!(reply.queries[0].name().to_string(), "Example.org.");
    }
}

#[test]
fn a_label_with_a_dot_in_it_is_not_two_labels() {
    let mut bytes = query("a.b.", RecordType::A).to_vec().unwrap();
    bytes.splice(12..17, [3, b'a', b'.', b'b', 0]);
    assert_eq!(world().ask_bytes(&bytes, Transport::Udp), None);
}

/// A query that is right except for a few bytes.
fn nearly_a_query() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec!["web.", "all.blue.", "1.1.0.10.in-addr.arpa.", "x.y."]);
    let kinds = prop::sample::select(vec![1_u16, 12, 15, 28, 33, 255]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (
        names,
        kinds,
        any::<bool>(),
        changes,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(name, kind, edns, changes, end)| {
            let mut message = query(name, RecordType::from(kind));
            if edns {
                message.set_edns(Edns::new());
            }
            let mut bytes = message.to_vec().unwrap();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let cut = bytes.len() - end.index(bytes.len()) / 4;
            bytes.truncate(cut);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_reply_to_anything_is_readable(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..600), nearly_a_query()],
        tcp: bool,
        ndots_set: bool,
        seed: u64,
    ) {
        let mut world = world();
        world.view.ndots_set = ndots_set;
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        match answer(&bytes, transport, &world.view, &world.zones, seed) {
            Outcome::Reply(reply) => {
                let message = Message::from_vec(&reply);
                prop_assert!(message.is_ok(), "{:?} {:02x?}", message, reply);
                prop_assert_eq!(&reply[..2], &bytes[..2]);
                prop_assert!(reply[2] & 0x80 != 0);
            }
            Outcome::Forward(query) => {
                prop_assert!(!server_failure(&query).is_empty() && !refusal(&query).is_empty());
            }
            Outcome::Drop => prop_assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
        }
    }
}
