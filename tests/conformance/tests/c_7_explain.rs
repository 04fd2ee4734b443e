//! `sealane explain` says what real packets then do (C-7).
//!
//! A random world: networks with random options, containers on several of them with random
//! published ports. Random questions about it are put to `explain`, and the same packets are sent;
//! who receives them, seen from which source, or how they fail, has to be what was said.

use sealane_conformance::*;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Questions put to each world.
const QUESTIONS: usize = 360;
/// How long a packet may take; one that is lost takes as long.
const PATIENCE: Duration = Duration::from_millis(2500);

const TCP: u16 = 80;
const CLOSED: u16 = 81;
const UDP: u16 = 5000;

/// A further address of the host.
const OTHER: &str = "10.99.0.77";
const LAN4: &str = "10.99.0.100";
const LAN6: &str = "fd99::64";
/// All that is there.
const LAN: [&str; 4] = [LAN4, LAN6, "198.51.100.7", "2001:db8:7::7"];

#[test]
fn c_7_explain_says_what_packets_do() {
    compare(false, 7_000_001);
}

#[test]
fn c_7_explain_says_what_packets_do_with_bridge_filter() {
    compare(true, 7_000_002);
}

/// Puts the questions to a random world, and sends the packets. `C_7_SEED` makes another world.
#[track_caller]
fn compare(bridge_filter: bool, seed: u64) {
    let other = std::env::var("C_7_SEED").ok();
    let seed = other.and_then(|text| text.parse().ok()).unwrap_or(seed);
    let world = World::prepared(&[], |lab| {
        lab.host(0).br_netfilter(bridge_filter);
        let further = format!("ip address add {OTHER}/24 dev eth0");
        lab.host(0).sh(&further).ok();
    });
    let mut matrix = Matrix::build(&world, Dice(seed));
    let questions = matrix.questions();
    let answers = matrix.ask(&questions);
    let mut seen = matrix.send(&questions);
    // Three hundred packets at once are many for a small machine: where one was lost that should have
    // arrived, it is sent again, by itself.
    for ((question, answer), seen) in questions.iter().zip(&answers).zip(&mut seen) {
        let said = said(answer);
        let arrives = matches!(&said, Seen::Received { .. }) && !is_beyond(&said, question);
        if *seen == Seen::Lost && arrives {
            let again = matrix.send(std::slice::from_ref(question));
            *seen = again.into_iter().next().expect("an answer for each");
        }
    }
    let mut passed = 0;
    let mut wrong = Vec::new();
    for ((question, answer), seen) in questions.iter().zip(&answers).zip(&seen) {
        let said = said(answer);
        if is_beyond(&said, question) {
            continue;
        }
        passed += usize::from(matches!(seen, Seen::Received { .. }));
        if !agrees(&said, seen, question) {
            let outline = format!("{question}\n  said: {said:?}\n  seen: {seen:?}");
            wrong.push((outline, format!("{answer:#}")));
        }
    }
    eprintln!(
        "br_netfilter {bridge_filter}: {} questions, {passed} pass, {} wrong",
        questions.len(),
        wrong.len()
    );
    if let Some((_, answer)) = wrong.first() {
        let outlines: Vec<&str> = wrong.iter().map(|(outline, _)| outline.as_str()).collect();
        panic!(
            "C_7_SEED={seed}, the same again with that; {} of {} are wrong:\n{}\n\n\
             what was said of the first: {answer}\n\n{}",
            wrong.len(),
            questions.len(),
            outlines.join("\n"),
            matrix.described.join("\n")
        );
    }
    let few = questions.len() / 10;
    assert!(
        passed > few && passed < questions.len() - few,
        "a matrix of both kinds"
    );
}

/// What a packet did, or is said to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// It was received, from a source.
    Received { by: String, source: IpAddr },
    /// It was refused.
    Refused,
    /// It was not answered.
    Lost,
}

/// Whether a packet is said to leave by the wire to an unassigned address: its return is not for
/// us to know.
fn is_beyond(said: &Seen, question: &Question) -> bool {
    matches!(said, Seen::Received { by, .. } if by == "outside") && !is_lan(question.to.ip())
}

fn said(answer: &Value) -> Seen {
    let Some(path) = answer["paths"].get(0) else {
        return Seen::Lost;
    };
    match path["verdict"].as_str() {
        Some("passes") => Seen::Received {
            by: path["arrives"]["place"].as_str().unwrap_or_default().into(),
            source: path["arrives"]["source"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("a source"),
        },
        Some("nothing-listens") => Seen::Refused,
        _ => Seen::Lost,
    }
}

/// A refusal of UDP is a message that the kernel sends only so often, and an echo says no more than
/// that it came back.
fn agrees(said: &Seen, seen: &Seen, question: &Question) -> bool {
    let received = |seen: &Seen| matches!(seen, Seen::Received { .. });
    let only_whether = question.is_echo() || question.udp && !received(said) && !received(seen);
    said == seen || only_whether && received(said) == received(seen)
}

/// A packet to ask about: without a port, an echo request.
#[derive(Clone, Debug)]
struct Question {
    from: From,
    to: SocketAddr,
    udp: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Container(usize),
    Host,
    Lan,
}

impl Question {
    fn is_echo(&self) -> bool {
        self.to.port() == 0
    }

    fn target(&self) -> String {
        match (self.is_echo(), self.udp) {
            (true, _) => format!("{}/icmp", self.to.ip()),
            (false, true) => format!("{}/udp", self.to),
            (false, false) => format!("{}/tcp", self.to),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {}", self.from, self.target())
    }
}

struct Matrix<'w> {
    world: &'w World,
    dice: Dice,
    containers: Vec<Container>,
    /// Addresses of the host, those of bridges among them.
    host: Vec<IpAddr>,
    described: Vec<String>,
}

struct Container {
    name: String,
    sandbox: Sandbox,
    addresses: Vec<IpAddr>,
    /// The host ports it is published at.
    ports: Vec<(u16, bool)>,
}

impl<'w> Matrix<'w> {
    fn build(world: &'w World, dice: Dice) -> Self {
        let mut matrix = Self {
            world,
            dice,
            containers: Vec::new(),
            host: Vec::new(),
            described: Vec::new(),
        };
        let networks = matrix.networks();
        for index in 0..12 {
            matrix.container(index, &networks);
        }
        matrix.host = addresses_of(&world.host().ip_json("address"));
        matrix
    }

    /// Networks of every kind, and some of chance. The LAN knows the way to all of them.
    fn networks(&mut self) -> Vec<String> {
        let mut kinds: Vec<(String, Value)> = [
            ("plain", json!({})),
            ("noicc", options(&[("bridge.enable_icc", "false")])),
            ("internal", json!({"Internal": true, "EnableIPv6": true})),
            ("dual", json!({"EnableIPv6": true})),
            ("six", json!({"EnableIPv4": false, "EnableIPv6": true})),
            (
                "crowd",
                json!({"EnableIPv6": true, "Options": {"ports_per_bridge": "2"}}),
            ),
        ]
        .map(|(name, fields)| (name.to_owned(), fields))
        .into();
        kinds.push(("wire".to_owned(), self.wire()));
        for number in 0..3 {
            kinds.push((format!("chance{number}"), self.chance()));
        }
        let mut names = vec!["bridge".to_owned()];
        for (name, fields) in kinds {
            self.described.push(format!("network {name} {fields}"));
            create_network(self.world, &name, fields);
            names.push(name);
        }
        for name in &names {
            if name == "wire" {
                continue; // the LAN is there already
            }
            let network = self.world.get(&format!("/networks/{name}"));
            for pool in network["IPAM"]["Config"].as_array().into_iter().flatten() {
                let subnet = pool["Subnet"].as_str().expect("a subnet");
                let via = if subnet.contains(':') {
                    "fd99::1"
                } else {
                    "10.99.0.1"
                };
                let route = format!("ip route add {subnet} via {via}");
                self.world.peer().sh(&route).ok();
            }
        }
        names
    }

    /// A macvlan network on the LAN.
    fn wire(&mut self) -> Value {
        let (mode, host_access) = *self.dice.pick(&[
            ("bridge", "false"),
            ("bridge", "true"),
            ("private", "false"),
        ]);
        json!({
            "Driver": "macvlan",
            "EnableIPv6": true,
            "Options": {"parent": "eth0", "macvlan_mode": mode, "host_access": host_access},
            "IPAM": {"Config": [
                {"Subnet": "10.99.0.0/24", "IPRange": "10.99.0.192/27", "Gateway": LAN4},
                {"Subnet": "fd99::/64", "IPRange": "fd99::c0/122", "Gateway": LAN6},
            ]},
        })
    }

    /// Any options that go together.
    fn chance(&mut self) -> Value {
        let internal = self.dice.one_in(6);
        let mut chosen = Vec::new();
        for (key, values) in [
            ("bridge.enable_icc", &["true", "false"][..]),
            ("bridge.enable_ip_masquerade", &["true", "true", "false"]),
            (
                "bridge.gateway_mode_ipv4",
                &["nat", "nat", "nat-unprotected", "routed"],
            ),
            (
                "bridge.gateway_mode_ipv6",
                &["nat", "nat", "nat-unprotected", "routed"],
            ),
            ("bridge.trusted_host_interfaces", &["", "", "eth0"]),
            ("host_ipv4", &["", "", OTHER]),
        ] {
            let value = *self.dice.pick(values);
            if !value.is_empty() {
                chosen.push((key, value));
            }
        }
        if internal {
            let modes = |(key, _): &(&str, &str)| !key.contains("gateway_mode");
            chosen.retain(modes);
        }
        let mut fields = options(&chosen);
        fields["Internal"] = internal.into();
        fields["EnableIPv6"] = self.dice.one_in(2).into();
        fields
    }

    /// A container on one to three networks, with some published ports.
    fn container(&mut self, index: usize, networks: &[String]) {
        let name = format!("c{index}");
        let first = &networks[index % networks.len()];
        let (publish, ports) = self.publications(index);
        let arguments = format!("--name {name} --network {first} {publish}");
        self.world.idle(&arguments);
        let mut joined = vec![first.clone()];
        for _ in 0..self.dice.below(3) {
            let further = self.dice.pick(networks).clone();
            if !joined.contains(&further) {
                self.world
                    .docker(&format!("network connect {further} {name}"))
                    .ok();
                joined.push(further);
            }
        }
        let sandbox = self.world.sandbox(&name);
        let addresses = addresses_of(&sandbox.ip_json("address"));
        self.described
            .push(format!("{name} on {joined:?} {addresses:?} {publish}"));
        self.containers.push(Container {
            name,
            sandbox,
            addresses,
            ports,
        });
    }

    fn publications(&mut self, index: usize) -> (String, Vec<(u16, bool)>) {
        let hosts = [
            "",
            "",
            "0.0.0.0:",
            "127.0.0.1:",
            "10.99.0.1:",
            "[::]:",
            "[::1]:",
            "[fd99::1]:",
        ];
        let mut arguments = String::new();
        let mut ports = Vec::new();
        for number in 0..self.dice.below(4) {
            let host_port = 8000 + index as u16 * 10 + number as u16;
            let host = *self.dice.pick(&hosts);
            let (port, udp) = *self
                .dice
                .pick(&[(TCP, false), (UDP, true), (CLOSED, false)]);
            let protocol = if udp { "udp" } else { "tcp" };
            arguments += &format!(" -p {host}{host_port}:{port}/{protocol}");
            ports.push((host_port, udp));
        }
        (arguments, ports)
    }

    fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        while questions.len() < QUESTIONS {
            let from = match self.dice.below(6) {
                0 => From::Host,
                1 => From::Lan,
                _ => From::Container(self.dice.below(self.containers.len())),
            };
            let question = self
                .target(&from)
                .map(|(to, udp)| Question { from, to, udp });
            questions.extend(question);
        }
        questions
    }

    /// Where a packet goes: to a container, to a published port, to the host, outside, nowhere.
    fn target(&mut self, from: &From) -> Option<(SocketAddr, bool)> {
        let any = self.dice.below(self.containers.len());
        let (port, udp) = *self.dice.pick(&[
            (TCP, false),
            (TCP, false),
            (UDP, true),
            (CLOSED, false),
            (TCP, false),
        ]);
        let port = if self.dice.one_in(12) { 0 } else { port };
        let udp = udp && port != 0;
        let address: IpAddr = match self.dice.below(10) {
            0..4 => *self.dice.pick(&self.containers[any].addresses.clone()),
            4..8 => {
                let (port, udp) = self.published()?;
                let address = *self.dice.pick(&self.host.clone());
                return self.sensible(from, address, port, udp);
            }
            8 => *self.dice.pick(&self.host.clone()),
            _ => {
                let address = self.dice.pick(&LAN).parse().expect("an address");
                return self.sensible(from, address, port, udp);
            }
        };
        self.sensible(from, address, port, udp)
    }

    fn published(&mut self) -> Option<(u16, bool)> {
        let all: Vec<(u16, bool)> = self
            .containers
            .iter()
            .flat_map(|one| one.ports.clone())
            .collect();
        (!all.is_empty()).then(|| *self.dice.pick(&all))
    }

    /// No host outside has the host's loopback, the LAN does not ask itself, and what listens there
    /// is not for us to know.
    fn sensible(
        &self,
        from: &From,
        to: IpAddr,
        port: u16,
        udp: bool,
    ) -> Option<(SocketAddr, bool)> {
        let own = is_lan(to);
        let bad = *from == From::Lan && (own || to.is_loopback()) || own && port == CLOSED;
        (!bad).then(|| (SocketAddr::new(to, port), udp))
    }

    fn ask(&self, questions: &[Question]) -> Vec<Value> {
        // The servers have to be there already: whether something listens is part of the answer.
        let _servers = self.servers();
        let ask = |question: &Question| {
            let from = match question.from {
                From::Container(index) => self.containers[index].name.clone(),
                From::Host => "host".into(),
                From::Lan if question.to.is_ipv6() => LAN6.into(),
                From::Lan => LAN4.into(),
            };
            let to = encoded(&question.target());
            self.world
                .get(&format!("/sealane/explain?from={}&to={to}", encoded(&from)))
        };
        questions.iter().map(ask).collect()
    }

    /// Sends all packets at once.
    fn send(&self, questions: &[Question]) -> Vec<Seen> {
        let servers = self.servers();
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| servers.serve(&ended));
            let senders: Vec<_> = questions
                .iter()
                .map(|question| {
                    let send = || self.send_from(question);
                    let builder = thread::Builder::new().stack_size(256 << 10);
                    builder.spawn_scoped(scope, send).expect("a thread")
                })
                .collect();
            let seen = senders
                .into_iter()
                .map(|one| one.join().expect("no panic"))
                .collect();
            ended.store(true, Ordering::Relaxed);
            seen
        })
    }

    fn send_from(&self, question: &Question) -> Seen {
        let send = || {
            if question.udp {
                datagram(question.to)
            } else {
                connection(question.to)
            }
        };
        if question.is_echo() {
            return self.echo(question);
        }
        match question.from {
            From::Container(index) => self.containers[index].sandbox.in_netns(send),
            From::Host => self.world.host().in_netns(send),
            From::Lan => self.world.peer().in_netns(send),
        }
    }

    fn echo(&self, question: &Question) -> Seen {
        let ping = format!("ping -n -c 1 -W 3 {}", question.to.ip());
        let outcome = match question.from {
            From::Container(index) => self.containers[index].sandbox.sh(&ping),
            From::Host => self.world.host().sh(&ping),
            From::Lan => self.world.peer().sh(&ping),
        };
        let source = question.to.ip();
        match outcome.succeeded() {
            true => Seen::Received {
                by: "somebody".into(),
                source,
            },
            false => Seen::Lost,
        }
    }

    /// Something that tells who it is, everywhere.
    fn servers(&self) -> Servers {
        let mut servers = Servers::default();
        for container in &self.containers {
            let bind = || Servers::bind(&container.name, &container.addresses);
            servers.add(container.sandbox.in_netns(bind));
        }
        let host = || Servers::bind("host", &self.host);
        servers.add(self.world.host().in_netns(host));
        let peer = addresses_of(&self.world.peer().ip_json("address"));
        let peer = || Servers::bind("outside", &peer);
        servers.add(self.world.peer().in_netns(peer));
        servers
    }
}

/// Servers that tell who they are and whom they see.
#[derive(Default)]
struct Servers {
    streams: Vec<(String, TcpListener)>,
    datagrams: Vec<(String, UdpSocket)>,
}

impl Servers {
    /// Binds them in the namespace of the calling thread. UDP has a socket for each address, so
    /// that answers bear the one that was asked.
    fn bind(name: &str, addresses: &[IpAddr]) -> Self {
        let listener =
            TcpListener::bind(("::", TCP)).or_else(|_| TcpListener::bind(("0.0.0.0", TCP)));
        let listener = listener.expect("the port is free");
        listener.set_nonblocking(true).expect("a socket");
        let socket = |address: &IpAddr| {
            let socket = eventually(SOON, || UdpSocket::bind((*address, UDP)).ok());
            socket.set_nonblocking(true).expect("a socket");
            (name.to_owned(), socket)
        };
        Self {
            streams: vec![(name.to_owned(), listener)],
            datagrams: addresses.iter().map(socket).collect(),
        }
    }

    fn add(&mut self, others: Self) {
        self.streams.extend(others.streams);
        self.datagrams.extend(others.datagrams);
    }

    fn serve(&self, ended: &AtomicBool) {
        let mut buffer = [0; 64];
        while !ended.load(Ordering::Relaxed) {
            for (name, listener) in &self.streams {
                while let Ok((mut stream, peer)) = listener.accept() {
                    // A client that has given up is its own affair.
                    drop(write!(stream, "{name} {}", peer.ip().to_canonical()));
                }
            }
            for (name, socket) in &self.datagrams {
                while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                    let text = format!("{name} {}", peer.ip().to_canonical());
                    drop(socket.send_to(text.as_bytes(), peer));
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn connection(to: SocketAddr) -> Seen {
    let mut stream = match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(stream) => stream,
        Err(error) if turned_away(&error) => return Seen::Refused,
        Err(_) => return Seen::Lost,
    };
    let mut text = String::new();
    drop(stream.set_read_timeout(Some(PATIENCE)));
    match stream.read_to_string(&mut text) {
        Ok(_) => received(&text).unwrap_or(Seen::Refused),
        Err(error) if turned_away(&error) => Seen::Refused,
        Err(_) => Seen::Lost,
    }
}

/// The relay accepts before it knows whether the container does, and resets then.
fn turned_away(error: &std::io::Error) -> bool {
    let kinds = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
    kinds.contains(&error.kind())
}

fn datagram(to: SocketAddr) -> Seen {
    let any: IpAddr = if to.is_ipv6() {
        [0_u16; 8].into()
    } else {
        [0_u8; 4].into()
    };
    let socket = UdpSocket::bind((any, 0)).expect("a socket");
    if socket.connect(to).is_err() {
        return Seen::Lost;
    }
    drop(socket.set_read_timeout(Some(PATIENCE / 3)));
    let mut buffer = [0; 64];
    let mut seen = Seen::Lost;
    for _ in 0..3 {
        drop(socket.send(b"who?"));
        match socket.recv(&mut buffer) {
            Ok(count) => {
                let text = String::from_utf8_lossy(&buffer[..count]);
                return received(&text).expect("a server of ours");
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => seen = Seen::Refused,
            Err(_) => {}
        }
    }
    seen
}

fn received(text: &str) -> Option<Seen> {
    let (by, source) = text.split_once(' ')?;
    Some(Seen::Received {
        by: by.into(),
        source: source.parse().ok()?,
    })
}

fn is_lan(address: IpAddr) -> bool {
    LAN.iter().any(|own| own.parse() == Ok(address))
}

/// Driver options, by what follows `com.docker.network.`
fn options(chosen: &[(&str, &str)]) -> Value {
    let named = chosen
        .iter()
        .map(|(key, value)| (format!("com.docker.network.{key}"), (*value).into()));
    let options: serde_json::Map<String, Value> = named.collect();
    json!({ "Options": options })
}

/// The addresses that `ip -json address` lists, but for link-local ones.
fn addresses_of(links: &Value) -> Vec<IpAddr> {
    let links = links.as_array().into_iter().flatten();
    let infos = links.flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
    let texts = infos.filter(|info| info["scope"] != "link");
    let found: BTreeSet<IpAddr> = texts
        .filter_map(|info| info["local"].as_str()?.parse().ok())
        .collect();
    found.into_iter().collect()
}

/// Chance that can be repeated (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        drawn as usize % limit
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}
