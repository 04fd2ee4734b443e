//! nftables data as the text `nft list` prints.
//!
//! `nft` leaves out what another word of the rule implies, and so does this: the transport
//! protocol before `tcp dport`, the network protocol before `ip saddr`. Start at [`Listing`].

use super::{
    ADVERTISEMENT, Chain, ChainKind, Data, DataType, Datum, Family, Field, Hook, HookPoint, Match,
    Rule, SOLICITATION, Set, Statement, Table, Verdict,
};
use crate::model::{BRIDGE_GROUP, IpFamily, LINK_GROUP, Mac, Mark, PORTS, Protocol};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A table with elements in its sets, as `nft list table` prints it.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The table.
    pub table: &'a Table,
    /// Elements, by set.
    pub elements: BTreeMap<&'a str, Vec<(&'a [Datum], &'a Data)>>,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.table.family, self.table.name)?;
        let mut gap = "";
        if self.table.owned {
            f.write_str("\tflags owner,persist\n")?;
            gap = "\n";
        }
        for set in &self.table.sets {
            let elements = self
                .elements
                .get(set.name.as_str())
                .map_or(&[][..], Vec::as_slice);
            f.write_str(gap)?;
            list_set(f, set, elements)?;
            gap = "\n";
        }
        for chain in &self.table.chains {
            f.write_str(gap)?;
            list_chain(f, self.table.family, chain)?;
            gap = "\n";
        }
        f.write_str("}\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listing {
            table: self,
            elements: BTreeMap::new(),
        }
        .fmt(f)
    }
}

fn list_set(f: &mut fmt::Formatter<'_>, set: &Set, elements: &[(&[Datum], &Data)]) -> fmt::Result {
    let kind = if set.data.is_empty() { "set" } else { "map" };
    write!(f, "\t{kind} {} {{\n\t\ttype {}", set.name, joined(&set.key))?;
    if !set.data.is_empty() {
        write!(f, " : {}", joined(&set.data))?;
    }
    f.write_str("\n")?;
    if set.interval {
        f.write_str("\t\tflags interval\n")?;
    }
    for (place, (key, data)) in elements.iter().enumerate() {
        f.write_str(if place == 0 {
            "\t\telements = { "
        } else {
            ",\n\t\t\t     "
        })?;
        f.write_str(&joined(key))?;
        if **data != Data::None {
            write!(f, " : {data}")?;
        }
    }
    f.write_str(if elements.is_empty() {
        "\t}\n"
    } else {
        " }\n\t}\n"
    })
}

fn list_chain(f: &mut fmt::Formatter<'_>, family: Family, chain: &Chain) -> fmt::Result {
    writeln!(f, "\tchain {} {{", chain.name)?;
    if let Some(hook) = &chain.hook {
        writeln!(f, "\t\t{hook}; policy accept;")?;
    }
    for rule in &chain.rules {
        writeln!(f, "\t\t{}", rule.text(family))?;
    }
    f.write_str("\t}\n")
}

/// Fields of a concatenation.
fn joined<T: fmt::Display>(fields: &[T]) -> String {
    fields
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(" . ")
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        write!(
            f,
            "type {kind} hook {} priority {}",
            self.point,
            self.priority_name()
        )
    }
}

impl Hook {
    /// The priority as a word, or as a number if it is far from any that has one.
    fn priority_name(&self) -> String {
        let named = [
            ("raw", -300, None),
            ("mangle", -150, None),
            ("dstnat", -100, Some(HookPoint::Prerouting)),
            ("filter", 0, None),
            ("security", 50, None),
            ("srcnat", 100, Some(HookPoint::Postrouting)),
        ];
        let here = named
            .into_iter()
            .filter(|(_, _, only)| only.is_none_or(|at| at == self.point));
        let near = here.map(|(name, at, _)| (name, self.priority - at));
        match near.into_iter().find(|(_, offset)| offset.abs() <= 10) {
            Some((name, 0)) => name.into(),
            Some((name, above @ 1..)) => format!("{name} + {above}"),
            Some((name, below)) => format!("{name} - {}", below.abs()),
            None => self.priority.to_string(),
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
            Self::Interface => "ifname",
            Self::NfProto => "nf_proto",
            Self::Mac => "ether_addr",
            Self::Verdict => "verdict",
        })
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(ip) => write!(f, "{ip}"),
            Self::Ipv6(ip) => write!(f, "{ip}"),
            Self::Protocol(protocol) => write!(f, "{protocol}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Ports(first, last) => write!(f, "{first}-{last}"),
            Self::Interface(name) => write!(f, "\"{name}\""),
            Self::NfProto(family) => f.write_str(network_name(*family)),
            Self::Mac(mac) => write!(f, "{mac}"),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "{ip}"),
            Self::Socket(ip, port) => write!(f, "{ip} . {port}"),
            Self::Verdict(verdict) => write!(f, "{verdict}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

/// As in a table of family inet.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Family::Inet))
    }
}

impl Rule {
    /// The rule as a line of a table of `family`.
    fn text(&self, family: Family) -> String {
        let mut words = Words {
            rule: self,
            family,
            network: None,
            transport: None,
            done: vec![],
        };
        self.matches
            .iter()
            .enumerate()
            .for_each(|(place, one)| words.condition(place, one));
        self.statements
            .iter()
            .for_each(|statement| words.statement(statement));
        if !self.comment.is_empty() {
            words.done.push(format!("comment \"{}\"", self.comment));
        }
        words.done.join(" ")
    }
}

/// The words of a rule, and what those so far imply.
struct Words<'a> {
    rule: &'a Rule,
    family: Family,
    network: Option<IpFamily>,
    transport: Option<Protocol>,
    done: Vec<String>,
}

impl Words<'_> {
    fn condition(&mut self, place: usize, condition: &Match) {
        let text = match condition {
            Match::Is(field, datum) => {
                if self.learn(place, *field, datum) {
                    return;
                }
                format!("{} {datum}", self.field(*field))
            }
            Match::IsNot(field, datum) => format!("{} != {datum}", self.field(*field)),
            Match::Within(field, net) => format!("{} {}", self.field(*field), prefix(net)),
            Match::NotWithin(field, net) => format!("{} != {}", self.field(*field), prefix(net)),
            Match::InSet(fields, set) => format!("{} @{set}", self.fields(fields)),
            Match::NotInSet(fields, set) => format!("{} != @{set}", self.fields(fields)),
            Match::Established => "ct state established,related".into(),
            Match::Invalid => "ct state invalid".into(),
            Match::FromItsRoute => "fib saddr . iif oif exists".into(),
            Match::ForOne => "meta pkttype host".into(),
            Match::NotOpening => "tcp flags != syn / fin,syn,rst,ack".into(),
            Match::Translated => "ct status dnat".into(),
            Match::ToHost => "fib daddr type local".into(),
            // It implies the network protocol.
            Match::Icmp(IpFamily::V4) => "meta l4proto icmp".into(),
            Match::Icmp(IpFamily::V6) => "meta l4proto ipv6-icmp".into(),
            Match::Icmp6Type(SOLICITATION) => "icmpv6 type nd-neighbor-solicit".into(),
            Match::Icmp6Type(ADVERTISEMENT) => "icmpv6 type nd-neighbor-advert".into(),
            Match::Icmp6Type(number) => format!("icmpv6 type {number}"),
            Match::Marked(mark) if mark.mask == u32::MAX => {
                format!("meta mark 0x{:08x}", mark.value)
            }
            Match::Marked(mark) => {
                format!("meta mark & 0x{:08x} == 0x{:08x}", mark.mask, mark.value)
            }
            Match::ByOurLink => in_group("iifgroup", LINK_GROUP),
            Match::ToOurLink => in_group("oifgroup", LINK_GROUP),
            Match::ByNetworkBridge => in_group("iifgroup", BRIDGE_GROUP),
            Match::NotForPort => not_for_port(),
        };
        self.done.push(text);
    }

    fn statement(&mut self, statement: &Statement) {
        let text = match statement {
            Statement::Verdict(verdict) => verdict.to_string(),
            Statement::VerdictMap(fields, map) => format!("{} vmap @{map}", self.fields(fields)),
            Statement::DnatMap {
                family,
                fields,
                map,
                port: _,
            } => self.translate("dnat", *family, fields, map),
            Statement::SnatMap {
                family,
                fields,
                map,
            } => self.translate("snat", *family, fields, map),
            Statement::Masquerade => "masquerade".into(),
            Statement::SetAddress { to, fields, map } => {
                let to = self.field(*to);
                format!("{to} set {} map @{map}", self.fields(fields))
            }
            Statement::SetPort(field, port) => format!("{} set {port}", self.field(*field)),
            Statement::Reset => "reject with tcp reset".into(),
            Statement::SetMark(mark) => format!("meta mark set 0x{mark:08x}"),
            Statement::NoTrack => "notrack".into(),
            Statement::Counter => "counter packets 0 bytes 0".into(),
        };
        self.done.push(text);
    }

    /// Translation needs to know the network protocol, if only the family leaves it open.
    fn translate(&mut self, what: &str, family: IpFamily, fields: &[Field], map: &str) -> String {
        let open = matches!(self.family, Family::Inet | Family::Bridge);
        let told =
            self.network.is_some() || fields.iter().any(|field| network_of(*field).is_some());
        if open && !told {
            self.done
                .push(format!("meta nfproto {}", network_name(family)));
        }
        let family = match (open, family) {
            (false, _) => "",
            (true, IpFamily::V4) => " ip",
            (true, IpFamily::V6) => " ip6",
        };
        format!("{what}{family} to {} map @{map}", self.fields(fields))
    }

    /// Remembers what a comparison says about the packets that pass it, and returns whether a
    /// later word implies it.
    fn learn(&mut self, place: usize, field: Field, datum: &Datum) -> bool {
        match (field, datum) {
            (Field::NfProto, Datum::NfProto(family)) => {
                self.network = Some(*family);
                self.later(place)
                    .any(|field| network_of(field) == Some(*family))
            }
            (Field::L4Proto, Datum::Protocol(protocol)) => {
                self.transport = Some(*protocol);
                self.later(place).any(is_port)
            }
            (_, _) => false,
        }
    }

    /// The fields that are looked at after a match.
    fn later(&self, place: usize) -> impl Iterator<Item = Field> {
        let matches = self.rule.matches[place + 1..].iter().flat_map(of_match);
        matches
            .chain(self.rule.statements.iter().flat_map(of_statement))
            .copied()
    }

    fn fields(&mut self, fields: &[Field]) -> String {
        fields
            .iter()
            .map(|field| self.field(*field))
            .collect::<Vec<_>>()
            .join(" . ")
    }

    fn field(&mut self, field: Field) -> String {
        self.network = network_of(field).or(self.network);
        let transport = self
            .transport
            .map_or("th".into(), |protocol| protocol.to_string());
        match field {
            Field::NfProto => "meta nfproto".into(),
            Field::L4Proto => "meta l4proto".into(),
            Field::InputInterface => "iifname".into(),
            Field::OutputInterface => "oifname".into(),
            Field::Ip4Source => "ip saddr".into(),
            Field::Ip4Destination => "ip daddr".into(),
            Field::Ip6Source => "ip6 saddr".into(),
            Field::Ip6Destination => "ip6 daddr".into(),
            Field::SourcePort => format!("{transport} sport"),
            Field::DestinationPort => format!("{transport} dport"),
            Field::EtherDestination => "ether daddr".into(),
        }
    }
}

fn of_match(condition: &Match) -> &[Field] {
    match condition {
        Match::Is(field, _)
        | Match::IsNot(field, _)
        | Match::Within(field, _)
        | Match::NotWithin(field, _) => std::slice::from_ref(field),
        Match::InSet(fields, _) | Match::NotInSet(fields, _) => fields,
        Match::Established
        | Match::Invalid
        | Match::FromItsRoute
        | Match::ForOne
        | Match::NotOpening
        | Match::Translated
        | Match::ToHost
        | Match::Icmp(_)
        | Match::Icmp6Type(_)
        | Match::Marked(_)
        | Match::ByOurLink
        | Match::ToOurLink
        | Match::ByNetworkBridge
        | Match::NotForPort => &[],
    }
}

fn of_statement(statement: &Statement) -> &[Field] {
    match statement {
        Statement::VerdictMap(fields, _)
        | Statement::DnatMap { fields, .. }
        | Statement::SnatMap { fields, .. }
        | Statement::SetAddress { fields, .. } => fields,
        Statement::SetPort(field, _) => std::slice::from_ref(field),
        Statement::Verdict(_)
        | Statement::Masquerade
        | Statement::SetMark(_)
        | Statement::Reset
        | Statement::NoTrack
        | Statement::Counter => &[],
    }
}

fn in_group(group: &str, mark: Mark) -> String {
    format!("{group} & {} == {}", mark.mask, mark.value)
}

fn not_for_port() -> String {
    let [a, b, c] = PORTS;
    let mask = Mac([0xff, 0xff, 0xff, 0, 0, 0]);
    format!("ether daddr & {mask} != {}", Mac([a, b, c, 0, 0, 0]))
}

fn is_port(field: Field) -> bool {
    matches!(field, Field::SourcePort | Field::DestinationPort)
}

/// The network protocol that a field belongs to.
fn network_of(field: Field) -> Option<IpFamily> {
    match field {
        Field::Ip4Source | Field::Ip4Destination => Some(IpFamily::V4),
        Field::Ip6Source | Field::Ip6Destination => Some(IpFamily::V6),
        Field::NfProto
        | Field::L4Proto
        | Field::InputInterface
        | Field::OutputInterface
        | Field::SourcePort
        | Field::DestinationPort
        | Field::EtherDestination => None,
    }
}

fn network_name(family: IpFamily) -> &'static str {
    family.pick("ipv4", "ipv6")
}

/// A prefix; one address alone has no length.
fn prefix(net: &ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        return net.addr().to_string();
    }
    net.trunc().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_table_reads_as_nft_lists_it() {
        let publish = Set {
            name: "publish".into(),
            key: vec![DataType::Protocol, DataType::Port],
            data: vec![DataType::Ipv4, DataType::Port],
            interval: false,
        };
        let fields = vec![Field::L4Proto, Field::DestinationPort];
        let map = publish.name.clone();
        let translate = Rule {
            matches: vec![Match::ToHost],
            statements: vec![Statement::DnatMap {
                family: IpFamily::V4,
                fields,
                map,
                port: true,
            }],
            comment: "published ports".into(),
        };
        let hook = Hook {
            kind: ChainKind::Nat,
            point: HookPoint::Prerouting,
            priority: -100,
        };
        let name = "prerouting".into();
        let table = Table {
            family: Family::Inet,
            name: "sealane".into(),
            owned: false,
            sets: vec![publish],
            chains: vec![Chain {
                name,
                hook: Some(hook),
                rules: vec![translate],
                user: false,
            }],
        };
        let key = [Datum::Protocol(Protocol::Tcp), Datum::Port(8080)];
        let data = Data::Socket(IpAddr::from([10, 0, 0, 2]), 80);
        let elements = BTreeMap::from([("publish", vec![(&key[..], &data)])]);
        expect![[r#"
            table inet sealane {
            	map publish {
            		type inet_proto . inet_service : ipv4_addr . inet_service
            		elements = { tcp . 8080 : 10.0.0.2 . 80 }
            	}

            	chain prerouting {
            		type nat hook prerouting priority dstnat; policy accept;
            		fib daddr type local meta nfproto ipv4 dnat ip to meta l4proto . th dport map @publish comment "published ports"
            	}
            }
        "#]]
        .assert_eq(&Listing { table: &table, elements }.to_string());
    }

    #[test]
    fn what_a_later_word_implies_is_left_out() {
        let udp = Match::Is(Field::L4Proto, Datum::Protocol(Protocol::Udp));
        let port = Match::Is(Field::DestinationPort, Datum::Port(53));
        let ipv4 = Match::Is(Field::NfProto, Datum::NfProto(IpFamily::V4));
        let address = Match::Is(Field::Ip4Source, Datum::Ipv4([10, 0, 0, 1].into()));
        let rule = |matches: Vec<Match>| Rule {
            matches,
            statements: vec![Statement::NoTrack],
            comment: String::new(),
        };
        let text = |matches| rule(matches).to_string();
        assert_eq!(text(vec![udp.clone()]), "meta l4proto udp notrack");
        assert_eq!(text(vec![udp, port]), "udp dport 53 notrack");
        assert_eq!(text(vec![ipv4.clone()]), "meta nfproto ipv4 notrack");
        assert_eq!(text(vec![ipv4, address]), "ip saddr 10.0.0.1 notrack");
    }
}
