//! Rules that packets really obey.

use crate::support::*;
use sealane_core::model::IpFamily;
use sealane_core::model::Protocol::{Tcp, Udp};
use sealane_core::nft::*;
use sealane_core::plan::{Key, Netns, Object};
use sealane_core::scopes;
use sealane_kernel::Kernel;
use std::io::{Read, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// A table that translates what comes in by maps, and masquerades what goes out.
fn table() -> Table {
    use DataType::{Ipv4, Ipv6, Port, Protocol};
    use Field::{DestinationPort, Ip4Destination, Ip6Destination, L4Proto};
    let map = |name: &str, key: &[DataType], data: &[DataType], interval| Set {
        name: name.into(),
        key: key.to_vec(),
        data: data.to_vec(),
        interval,
    };
    let dnat = |family, fields: &[Field], map: &str, port| Rule {
        matches: vec![],
        statements: vec![Statement::DnatMap {
            family,
            fields: fields.to_vec(),
            map: map.into(),
            port,
        }],
        comment: "published".into(),
    };
    let rules = || {
        vec![
            dnat(
                IpFamily::V4,
                &[L4Proto, Ip4Destination, DestinationPort],
                "hash4",
                true,
            ),
            dnat(
                IpFamily::V6,
                &[L4Proto, Ip6Destination, DestinationPort],
                "hash6",
                true,
            ),
            dnat(IpFamily::V4, &[L4Proto, DestinationPort], "range4", false),
        ]
    };
    let chain = |name: &str, kind, point, priority, rules| Chain {
        name: name.into(),
        hook: Some(Hook {
            kind,
            point,
            priority,
        }),
        rules,
        user: false,
    };
    Table {
        family: Family::Inet,
        name: "sealane".into(),
        owned: false,
        sets: vec![
            map("hash4", &[Protocol, Ipv4, Port], &[Ipv4, Port], false),
            map("hash6", &[Protocol, Ipv6, Port], &[Ipv6, Port], false),
            map("range4", &[Protocol, Port], &[Ipv4], true),
        ],
        chains: vec![
            chain(
                "prerouting",
                ChainKind::Nat,
                HookPoint::Prerouting,
                -100,
                rules(),
            ),
            chain("output", ChainKind::Nat, HookPoint::Output, -100, rules()),
        ],
    }
}

fn element(set: &str, key: Vec<Datum>, data: Data) -> (Key, Object) {
    (Key::Element(set.into(), key), Object::Element(data))
}

/// Two sandboxes on a bridge, and what a client in `api` hears of a server in `web` that listens
/// on `listen` when it connects to `to`: the address that the server saw.
fn connect(kernel: &Kernel, listen: &str, to: &str) -> SocketAddr {
    let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
    let listener = kernel
        .in_namespace(inside("web"), || TcpListener::bind(parse(listen)))
        .unwrap();
    let timeout = Duration::from_secs(10);
    let client = || TcpStream::connect_timeout(&parse(to), timeout);
    let mut client = kernel.in_namespace(inside("api"), client).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    server.write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    peer
}

#[test]
fn a_connection_follows_a_map() {
    private(|kernel| {
        let mut objects = attached("web", 2);
        objects.extend(attached("api", 3));
        // Or siblings would talk past the masquerade, bridged and yet translated.
        for setting in [
            "bridge/bridge-nf-call-iptables",
            "bridge/bridge-nf-call-ip6tables",
        ] {
            objects.push((
                Key::Setting(Netns::Host, setting.into()),
                Object::Setting("0".into()),
            ));
        }
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            objects.push((
                Key::Setting(Netns::Host, setting.into()),
                Object::Setting("1".into()),
            ));
        }
        objects.push((
            Key::Table(Netns::Host, "sealane".into()),
            Object::Table(table()),
        ));
        let web4: IpAddr = [10, 9, 0, 2].into();
        let web6: IpAddr = "fd09::2".parse().unwrap();
        let (IpAddr::V6(host6), IpAddr::V6(web6)) = ("fd09::1".parse().unwrap(), web6) else {
            panic!();
        };
        let tcp = || Datum::Protocol(Tcp);
        objects.extend([
            element(
                "hash4",
                vec![tcp(), Datum::Ipv4([10, 9, 0, 1].into()), Datum::Port(8080)],
                Data::Socket(web4, 80),
            ),
            element(
                "hash6",
                vec![tcp(), Datum::Ipv6(host6), Datum::Port(8080)],
                Data::Socket(web6.into(), 80),
            ),
            element(
                "range4",
                vec![tcp(), Datum::Ports(9000, 9009)],
                Data::Address(web4),
            ),
        ]);
        make(kernel, objects);
        let masquerade = [
            "add table inet out",
            "add chain inet out out { type nat hook postrouting priority 100; }",
            "add rule inet out out iifname br0 oifname br0 masquerade",
        ];
        for command in masquerade {
            run("nft", &[command]);
        }
        assert_eq!(
            connect(kernel, "10.9.0.2:80", "10.9.0.1:8080").ip(),
            IpAddr::from([10, 9, 0, 1])
        );
        assert_eq!(
            connect(kernel, "[fd09::2]:80", "[fd09::1]:8080").ip(),
            IpAddr::from(host6)
        );
        // The port is kept where the data has none.
        connect(kernel, "10.9.0.2:9004", "10.9.0.1:9004");
    });
}

#[test]
fn queries_are_rewritten_to_another_port_and_answers_back() {
    private(|kernel| {
        let table = scopes::resolver_table(4053, 4054);
        make(
            kernel,
            vec![
                (Key::Namespace(sandbox("web")), Object::Present),
                (
                    Key::Table(inside("web"), table.name.clone()),
                    Object::Table(table),
                ),
            ],
        );
        kernel
            .in_namespace(inside("web"), || {
                let server = UdpSocket::bind("127.0.0.11:4053")?;
                let client = UdpSocket::bind("127.0.0.1:0")?;
                client.connect("127.0.0.11:53")?;
                client.send(b"who?")?;
                let mut heard = [0; 16];
                let (length, peer) = server.recv_from(&mut heard)?;
                assert_eq!(&heard[..length], b"who?");
                server.send_to(b"you", peer)?;
                let length = client.recv(&mut heard)?;
                assert_eq!(&heard[..length], b"you");
                let server = TcpListener::bind("127.0.0.11:4054")?;
                let _client = TcpStream::connect("127.0.0.11:53")?;
                server.accept().map(drop)
            })
            .unwrap();
    });
}

#[test]
fn checksums_stay_right_when_a_port_is_set() {
    private(|kernel| {
        // Through a veth with checksums computed by software, and not on one host's loopback.
        let mut objects = attached("web", 2);
        let set = |protocol, from, to| Rule {
            matches: vec![
                Match::Is(Field::L4Proto, Datum::Protocol(protocol)),
                Match::Is(Field::DestinationPort, Datum::Port(from)),
            ],
            statements: vec![Statement::SetPort(Field::DestinationPort, to)],
            comment: String::new(),
        };
        let hook = Hook {
            kind: ChainKind::Filter,
            point: HookPoint::Prerouting,
            priority: -300,
        };
        let table = Table {
            family: Family::Ip,
            name: "ports".into(),
            owned: false,
            sets: vec![],
            chains: vec![Chain {
                name: "in".into(),
                hook: Some(hook),
                rules: vec![set(Udp, 1053, 2053), set(Tcp, 1080, 2080)],
                user: false,
            }],
        };
        objects.push((
            Key::Table(inside("web"), table.name.clone()),
            Object::Table(table),
        ));
        make(kernel, objects);
        for link in ["br0", "veth-web"] {
            run("ip", &["link", "set", link, "gso_max_segs", "1"]);
        }
        let server = kernel
            .in_namespace(inside("web"), || UdpSocket::bind("10.9.0.2:2053"))
            .unwrap();
        let client = UdpSocket::bind("10.9.0.1:0").unwrap();
        client.send_to(b"who?", "10.9.0.2:1053").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut heard = [0; 16];
        assert_eq!(server.recv(&mut heard).unwrap(), 4);
    });
}
