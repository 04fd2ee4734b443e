//! Names: queries of containers, answers of servers outside, and the host's files about both.

use super::none;
use crate::{Seen, Shape, Target};
use hickory_proto::op::Message;
use sealane_core::dns::{
    Cache, CacheKey, CacheScope, EndpointNames, Forwarding, HostsFile, Letters, NetworkView,
    Outcome, Query, Reply, ResolvConf, Service, Transport, View, Zone, Zones, addresses_in, answer,
    extra_host, incoming, outgoing, refusal, render_host, render_internal, render_legacy,
    server_failure, take_messages,
};
use sealane_core::model::{NameserverConfig, derive_id};
use std::time::Instant;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "dns-query",
        shape: Shape::Bytes,
        words: &["web", "blue", "_tcp", "arpa", "in-addr", "ip6"],
        made: none,
        run: query,
    },
    Target {
        name: "dns-reply",
        shape: Shape::Bytes,
        words: &["test"],
        made: none,
        run: reply,
    },
    Target {
        name: "dns-stream",
        shape: Shape::Bytes,
        words: &[],
        made: none,
        run: stream,
    },
    Target {
        name: "resolv-conf",
        shape: Shape::Text,
        words: &[
            "nameserver ",
            "search ",
            "domain ",
            "options ",
            "ndots:",
            "127.0.0.53",
            "fe80::1%eth0",
        ],
        made: none,
        run: resolv_conf,
    },
    Target {
        name: "extra-host",
        shape: Shape::Text,
        words: &["host-gateway", "::1", "[", "]", ":"],
        made: none,
        run: hosts,
    },
];

/// A container on two networks, one of which is on a LAN.
fn world() -> (View, Zones) {
    let (blue, lan) = (derive_id(&[b"blue"]), derive_id(&[b"lan"]));
    let service = Service {
        port_name: "_http".into(),
        protocol: "_tcp".into(),
        port: 80,
    };
    let web = EndpointNames {
        id: derive_id(&[b"web"]),
        names: vec!["web".into(), "n".repeat(64)],
        ipv4: Some([10, 1, 0, 2].into()),
        ipv6: Some([0xfd00, 0, 0, 0, 0, 0, 0, 2].into()),
        services: vec![service],
    };
    let subnets = ["10.1.0.0/24", "fd00::/64"].map(|subnet| subnet.parse().unwrap());
    let view = View {
        networks: vec![
            NetworkView::new(blue, "blue", [("web", "link")]).with_subnets(subnets),
            NetworkView::new(lan, "lan", []).with_lan_subnets(["192.0.2.0/24".parse().unwrap()]),
        ],
        forwarding: Forwarding::Anywhere,
        ndots_set: true,
    };
    let zones = Zones::default().with_zone(blue, Zone::default().with_endpoint(web));
    (view, zones)
}

/// A query is answered, relayed or dropped. A reply is readable by others, repeats id and question,
/// and is no longer than the client takes; so is what is sent on.
fn query(bytes: &[u8]) -> Seen {
    let (view, zones) = world();
    let mut seen = String::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        match answer(bytes, transport, &view, &zones, 7) {
            Outcome::Reply(reply) => {
                let message = Message::from_vec(&reply).expect("a reply is readable");
                assert_eq!(reply[..2], bytes[..2], "the id");
                assert!(reply[2] & 0x80 != 0, "it is a reply");
                // What is no query gets a header alone.
                if let Ok(query) = Query::parse(bytes)
                    && !message.queries.is_empty()
                {
                    assert!(reply[12..].starts_with(query.question()));
                    assert!(transport == Transport::Tcp || reply.len() <= query.udp_payload());
                }
                let code = message.metadata.response_code;
                seen += &format!("{code:?} {} ", message.answers.len());
            }
            Outcome::Forward(query) => {
                view.concerned(&query);
                sent_on(&query);
                seen += if query.is_plain() {
                    "plain "
                } else {
                    "signed "
                };
            }
            Outcome::Drop => seen += "dropped ",
        }
    }
    Seen::text(&seen)
}

fn sent_on(query: &Query<'_>) {
    for letters in [Letters::Kept, Letters::Small, Letters::Mixed] {
        let question = letters.write(query, &[0x5a; 32]);
        let sent = outgoing(query, 0xbeef, &question);
        let read = Query::parse(&sent).expect("it is a query still");
        assert_eq!(read.id(), 0xbeef);
        assert_eq!((read.kind(), read.class()), (query.kind(), query.class()));
        assert!(read.question().eq_ignore_ascii_case(query.question()));
        if query.is_plain() {
            Message::from_vec(&sent).expect("it is readable");
        }
    }
    for failure in [server_failure(query), refusal(query)] {
        Message::from_vec(&failure).expect("a failure is readable");
    }
}

/// Queries for the address of `a.test`: without EDNS, with little room, and with DNSSEC.
const CLIENTS: [&[u8]; 3] = [
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x04Test\0\0\x01\0\x01",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\x04test\0\0\x01\0\x01\0\0\x29\x02\x58\0\0\0\0\0\0",
    b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x01A\x04test\0\0\x01\0\x01\0\0\x29\x10\0\0\0\x80\0\0\0",
];

/// What a server outside says reaches a client under its id and with its question, no longer than
/// it takes and as readable as it was, at once and from memory.
fn reply(bytes: &[u8]) -> Seen {
    let mut addresses = addresses_in(bytes).map_or(0, |found| found.len());
    let Ok(reply) = Reply::parse(bytes) else {
        return Seen::NOTHING;
    };
    // What is not whole is not passed on.
    let readable = reply.is_whole() && Message::from_vec(bytes).is_ok();
    for client in CLIENTS {
        let query = Query::parse(client).expect("a query");
        if !reply.answers(query.question()) {
            return Seen::text("another question");
        }
        let mut cache = Cache::new(1 << 20);
        let key = CacheKey::new(CacheScope::Host, &query).expect("it may be shared");
        let now = Instant::now();
        cache.insert(key.clone(), &reply, now);
        let remembered = cache.get(&key, &query, Transport::Udp, now);
        addresses += usize::from(remembered.is_some());
        let given = incoming(&reply, &query, Transport::Udp);
        for given in remembered.into_iter().chain([given]) {
            assert!(given.len() <= query.udp_payload());
            assert_eq!(given[..2], client[..2], "the id");
            assert!(given[12..].starts_with(query.question()));
            assert!(
                !readable || Message::from_vec(&given).is_ok(),
                "{given:02x?}"
            );
        }
    }
    Seen::text(&format!("{:?} {}", reply.found(), addresses.min(9)))
}

/// Messages of a stream are the same however it is cut, and nothing is lost.
fn stream(bytes: &[u8]) -> Seen {
    let mut whole = bytes.to_vec();
    let messages = take_messages(&mut whole);
    let taken: usize = messages.iter().map(|message| 2 + message.len()).sum();
    assert_eq!(taken + whole.len(), bytes.len());
    for size in [1, 2, 3, 7, 64] {
        let (mut received, mut found) = (vec![], vec![]);
        for piece in bytes.chunks(size) {
            received.extend_from_slice(piece);
            found.extend(take_messages(&mut received));
        }
        assert_eq!((&found, &received), (&messages, &whole));
    }
    Seen::text(&"x".repeat(messages.len().min(9)))
}

/// Any file is read; what is written of it reads the same, and names no server that cannot be
/// reached from where it is for.
fn resolv_conf(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let conf = ResolvConf::parse(&text);
    let none = NameserverConfig::default();
    let again = ResolvConf::parse(&render_host(&conf, "/etc/resolv.conf", &none));
    assert_eq!(
        (&again.servers, &again.search, &again.options, &again.other),
        (&conf.servers, &conf.search, &conf.options, &conf.other)
    );
    let internal = render_internal(&conf, "/etc/resolv.conf", &none);
    assert!(internal.upstreams.len() <= 3);
    let inside = ResolvConf::parse(&internal.text);
    assert_eq!(inside.servers.len(), 1);
    for ipv6 in [false, true] {
        let legacy = ResolvConf::parse(&render_legacy(&conf, "/etc/resolv.conf", &none, ipv6));
        let reachable = |server: &sealane_core::dns::Server| {
            !server.address.is_loopback() && (ipv6 || server.address.is_ipv4())
        };
        assert!(!legacy.servers.is_empty() && legacy.servers.iter().all(reachable));
    }
    Seen::debug(&(
        conf.servers.len().min(5),
        conf.invalid_servers.len().min(3),
        conf.is_systemd_stub(),
        internal.ndots_set,
    ))
}

/// An extra host is refused, or is one line of /etc/hosts that says what was asked for.
fn hosts(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let gateway = ["172.17.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    let extra = match extra_host(&text, &gateway) {
        Ok(extra) => extra,
        Err(refusal) => return Seen::text(&refusal.to_string()),
    };
    let file = HostsFile {
        hostname: "box",
        domainname: "",
        extra: &extra,
        addresses: &[],
        ipv6: true,
    };
    let rendered = file.render();
    for (name, address) in &extra {
        assert!(text.starts_with(name.as_str()));
        if !name.contains(char::is_whitespace) {
            let line = format!("{address}\t{name}");
            assert!(rendered.lines().any(|found| found == line), "{line}");
        }
    }
    Seen::text(&format!("{} lines", extra.len()))
}
