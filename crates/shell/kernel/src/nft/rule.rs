//! From the matches and statements of the core to the kernel's instructions.

use super::expression::{Checksum, Ct, Expression, Header, Meta, Register};
use super::number;
use crate::nft::set::field;
use ipnet::IpNet;
use sealane_core::model::{BRIDGE_GROUP, IpFamily, LINK_GROUP, Mark, PORTS, Protocol};
use sealane_core::nft::{Datum, Family, Field, Match, Rule, Statement};
use std::io;

/// `NF_CT_STATE_BIT` of established and related.
const ESTABLISHED_OR_RELATED: u32 = 0b110;
/// `NF_CT_STATE_INVALID_BIT`
const INVALID: u32 = 1;
/// `IPS_DST_NAT`
const DESTINATION_TRANSLATED: u32 = 1 << 5;
/// `IPPROTO_ICMP`
const ICMP: u8 = 1;
/// `IPPROTO_ICMPV6`
const ICMPV6: u8 = 58;
/// `ARPHRD_ETHER`
const ETHERNET: u16 = 1;
/// `RTN_LOCAL`
const LOCAL: u32 = 2;

/// Returns the instructions of a rule in a table of `family`.
pub(crate) fn compile(family: Family, rule: &Rule) -> io::Result<Vec<Expression>> {
    let mut compiler = Compiler {
        family,
        protocol: None,
        transport: None,
        done: Vec::new(),
    };
    for condition in &rule.matches {
        compiler.condition(condition);
    }
    for statement in &rule.statements {
        compiler.statement(statement)?;
    }
    Ok(compiler.done)
}

struct Compiler {
    family: Family,
    /// The network protocol that the rule is known to see.
    protocol: Option<IpFamily>,
    /// The transport protocol that the rule is known to see.
    transport: Option<Protocol>,
    done: Vec<Expression>,
}

impl Compiler {
    fn condition(&mut self, condition: &Match) {
        match condition {
            Match::Is(field, datum) => {
                self.is(*field, datum, true);
                self.learn(*field, datum);
            }
            Match::IsNot(field, datum) => self.is(*field, datum, false),
            Match::Within(field, net) => self.within(*field, *net, true),
            Match::NotWithin(field, net) => self.within(*field, *net, false),
            Match::InSet(fields, set) => self.lookup(fields, set, false),
            Match::NotInSet(fields, set) => self.lookup(fields, set, true),
            Match::Established => self.has_bit(Ct::State, ESTABLISHED_OR_RELATED),
            Match::Invalid => self.has_bit(Ct::State, INVALID),
            Match::FromItsRoute => {
                self.done.push(Expression::FromItsRoute(Register::FIRST));
                self.compare(true, 1_u32.to_ne_bytes().to_vec());
            }
            Match::ForOne => {
                self.done
                    .push(Expression::Meta(Meta::PacketType, Register::FIRST));
                self.compare(true, vec![0]);
            }
            Match::NotOpening => self.not_opening(),
            Match::Translated => self.has_bit(Ct::Status, DESTINATION_TRANSLATED),
            Match::ToHost => {
                self.done.push(Expression::DestinationType(Register::FIRST));
                self.compare(true, LOCAL.to_ne_bytes().to_vec());
            }
            Match::Icmp(family) => self.icmp(*family),
            Match::Icmp6Type(number) => {
                self.icmp(IpFamily::V6);
                self.done.push(Expression::Payload {
                    header: Header::Transport,
                    offset: 0,
                    length: 1,
                    to: Register::FIRST,
                });
                self.compare(true, vec![*number]);
            }
            Match::Marked(mark) => self.has_bits(Meta::Mark, *mark),
            Match::ByOurLink => self.has_bits(Meta::InputGroup, LINK_GROUP),
            Match::ToOurLink => self.has_bits(Meta::OutputGroup, LINK_GROUP),
            Match::ByNetworkBridge => self.has_bits(Meta::InputGroup, BRIDGE_GROUP),
            Match::NotForPort => self.not_for_port(),
        }
    }

    fn not_for_port(&mut self) {
        let [a, b, c] = PORTS;
        self.load_all(&[Field::EtherDestination]);
        self.done.push(Expression::Mask(
            Register::FIRST,
            vec![0xff, 0xff, 0xff, 0, 0, 0],
        ));
        self.compare(false, vec![a, b, c, 0, 0, 0]);
    }

    fn not_opening(&mut self) {
        const FLAGS: u32 = 13; // where they are in the header (RFC 9293, 3.1)
        const FIN_SYN_RST_ACK: u8 = 0b1_0111;
        const SYN: u8 = 0b10;
        self.is(Field::L4Proto, &Datum::Protocol(Protocol::Tcp), true);
        self.done.push(Expression::Payload {
            header: Header::Transport,
            offset: FLAGS,
            length: 1,
            to: Register::FIRST,
        });
        self.done
            .push(Expression::Mask(Register::FIRST, vec![FIN_SYN_RST_ACK]));
        self.compare(false, vec![SYN]);
    }

    fn icmp(&mut self, family: IpFamily) {
        self.require(family);
        let protocol = family.pick(ICMP, ICMPV6);
        self.done
            .push(Expression::Meta(Meta::L4Proto, Register::FIRST));
        self.compare(true, vec![protocol]);
    }

    fn statement(&mut self, statement: &Statement) -> io::Result<()> {
        let key = Register::FIRST;
        match statement {
            Statement::Verdict(verdict) => self.done.push(Expression::Verdict(verdict.clone())),
            Statement::VerdictMap(fields, map) => {
                self.load_all(fields);
                self.done.push(Expression::VerdictLookup {
                    map: map.clone(),
                    key,
                });
            }
            Statement::DnatMap {
                family,
                fields,
                map,
                port,
            } => {
                self.require(*family);
                self.load_all(fields);
                self.dnat(*family, map, *port);
            }
            Statement::Masquerade => self.done.push(Expression::Masquerade),
            Statement::SnatMap {
                family,
                fields,
                map,
            } => {
                self.require(*family);
                self.load_all(fields);
                self.snat(*family, map);
            }
            Statement::SetAddress { to, fields, map } => {
                self.load_all(fields);
                self.set_address(*to, map)?;
            }
            Statement::SetPort(field, port) => self.set_port(*field, *port)?,
            Statement::SetMark(mark) => {
                self.done
                    .push(Expression::Load(key, mark.to_ne_bytes().to_vec()));
                self.done.push(Expression::SetMark(key));
            }
            Statement::Reset => self.done.push(Expression::Reset),
            Statement::NoTrack => self.done.push(Expression::NoTrack),
            Statement::Counter => self.done.push(Expression::Counter),
        }
        Ok(())
    }

    fn is(&mut self, field: Field, datum: &Datum, equal: bool) {
        self.load(field, Register::FIRST);
        let mut value = Vec::new();
        self::field(datum, &mut value);
        value.truncate(length(field)); // without the padding of a set's key
        self.compare(equal, value);
    }

    fn within(&mut self, field: Field, net: IpNet, equal: bool) {
        self.load(field, Register::FIRST);
        let (mask, network) = match net {
            IpNet::V4(net) => (
                net.netmask().octets().to_vec(),
                net.network().octets().to_vec(),
            ),
            IpNet::V6(net) => (
                net.netmask().octets().to_vec(),
                net.network().octets().to_vec(),
            ),
        };
        if usize::from(net.prefix_len()) < 8 * mask.len() {
            self.done.push(Expression::Mask(Register::FIRST, mask));
        }
        self.compare(equal, network);
    }

    fn lookup(&mut self, fields: &[Field], set: &str, inverted: bool) {
        self.load_all(fields);
        let key = Register::FIRST;
        self.done.push(Expression::Lookup {
            set: set.into(),
            key,
            inverted,
        });
    }

    fn has_bit(&mut self, key: Ct, bits: u32) {
        self.done.push(Expression::Ct(key, Register::FIRST));
        self.done.push(Expression::Mask(
            Register::FIRST,
            bits.to_ne_bytes().to_vec(),
        ));
        self.compare(false, vec![0; 4]);
    }

    fn compare(&mut self, equal: bool, value: Vec<u8>) {
        self.done.push(Expression::Compare {
            register: Register::FIRST,
            equal,
            value,
        });
    }

    fn dnat(&mut self, family: IpFamily, map: &str, port: bool) {
        let address = Register::FIRST;
        let port = port.then(|| address.after(family.pick(4, 16)));
        self.done.push(Expression::MapLookup {
            map: map.into(),
            key: address,
            to: address,
        });
        self.done.push(Expression::Dnat {
            family: number(family.into()),
            address,
            port,
        });
    }

    fn snat(&mut self, family: IpFamily, map: &str) {
        let address = Register::FIRST;
        self.done.push(Expression::MapLookup {
            map: map.into(),
            key: address,
            to: address,
        });
        self.done.push(Expression::Snat {
            family: number(family.into()),
            address,
        });
    }

    /// Writes an address, with the checksums of both headers kept right.
    fn set_address(&mut self, field: Field, map: &str) -> io::Result<()> {
        let Some((header @ Header::Network, offset)) = place(field).filter(|_| length(field) == 4)
        else {
            return Err(invalid("a rule can set IPv4 addresses only"));
        };
        let from = Register::FIRST;
        self.done.push(Expression::MapLookup {
            map: map.into(),
            key: from,
            to: from,
        });
        self.done.push(Expression::Write {
            header,
            offset,
            length: 4,
            from,
            checksum: Checksum::Network,
        });
        Ok(())
    }

    fn has_bits(&mut self, meta: Meta, mark: Mark) {
        self.done.push(Expression::Meta(meta, Register::FIRST));
        if mark.mask != u32::MAX {
            let mask = mark.mask.to_ne_bytes().to_vec();
            self.done.push(Expression::Mask(Register::FIRST, mask));
        }
        self.compare(true, mark.value.to_ne_bytes().to_vec());
    }

    /// Writes a port, which needs to know where its protocol keeps the checksum.
    fn set_port(&mut self, field: Field, port: u16) -> io::Result<()> {
        let checksum = match self.transport {
            Some(Protocol::Tcp) => Checksum::Internet(16),
            Some(Protocol::Udp) => Checksum::Internet(6),
            Some(Protocol::Sctp) => Checksum::Sctp,
            None => {
                return Err(invalid(
                    "a rule that sets a port must match a protocol first",
                ));
            }
        };
        let Some((Header::Transport, offset)) = place(field) else {
            return Err(invalid("a rule can set ports only"));
        };
        let from = Register::FIRST;
        let header = Header::Transport;
        self.done
            .push(Expression::Load(from, port.to_be_bytes().to_vec()));
        self.done.push(Expression::Write {
            header,
            offset,
            length: 2,
            from,
            checksum,
        });
        Ok(())
    }

    /// Remembers what a comparison says about the packets that pass it.
    fn learn(&mut self, field: Field, datum: &Datum) {
        match (field, datum) {
            (Field::NfProto, Datum::NfProto(family)) => self.protocol = Some(*family),
            (Field::L4Proto, Datum::Protocol(protocol)) => self.transport = Some(*protocol),
            (_, _) => {}
        }
    }

    /// Loads fields side by side, each padded to whole registers.
    fn load_all(&mut self, fields: &[Field]) {
        // First, because the comparison needs a register too.
        fields
            .iter()
            .filter_map(|field| network(*field))
            .for_each(|family| self.require(family));
        if fields.contains(&Field::EtherDestination) {
            // Of Ethernet: the kernel has no such address for other links.
            self.done
                .push(Expression::Meta(Meta::InputType, Register::FIRST));
            self.compare(true, ETHERNET.to_ne_bytes().to_vec());
        }
        let mut register = Register::FIRST;
        for field in fields {
            self.load(*field, register);
            register = register.after(length(*field));
        }
    }

    fn load(&mut self, field: Field, to: Register) {
        if let Some(family) = network(field) {
            self.require(family);
        }
        let meta = match field {
            Field::NfProto => Meta::NfProto,
            Field::L4Proto => Meta::L4Proto,
            Field::InputInterface => Meta::InputName,
            Field::OutputInterface => Meta::OutputName,
            Field::Ip4Source
            | Field::Ip4Destination
            | Field::Ip6Source
            | Field::Ip6Destination
            | Field::SourcePort
            | Field::DestinationPort
            | Field::EtherDestination => {
                if let Some((header, offset)) = place(field) {
                    let length = length(field) as u32;
                    self.done.push(Expression::Payload {
                        header,
                        offset,
                        length,
                        to,
                    });
                }
                return;
            }
        };
        self.done.push(Expression::Meta(meta, to));
    }

    /// Makes sure that a rule of a table of both families sees this one only.
    fn require(&mut self, family: IpFamily) {
        let both = matches!(self.family, Family::Inet | Family::Bridge);
        if both && self.protocol != Some(family) {
            self.is(Field::NfProto, &Datum::NfProto(family), true);
            self.protocol = Some(family);
        }
    }
}

/// The bytes of a field.
fn length(field: Field) -> usize {
    match field {
        Field::NfProto | Field::L4Proto => 1,
        Field::SourcePort | Field::DestinationPort => 2,
        Field::Ip4Source | Field::Ip4Destination => 4,
        Field::EtherDestination => 6,
        Field::InputInterface | Field::OutputInterface => libc::IFNAMSIZ,
        Field::Ip6Source | Field::Ip6Destination => 16,
    }
}

/// The network protocol whose header a field is in.
fn network(field: Field) -> Option<IpFamily> {
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

/// Where in a packet a field is.
fn place(field: Field) -> Option<(Header, u32)> {
    match field {
        Field::Ip4Source => Some((Header::Network, 12)),
        Field::Ip4Destination => Some((Header::Network, 16)),
        Field::Ip6Source => Some((Header::Network, 8)),
        Field::Ip6Destination => Some((Header::Network, 24)),
        Field::SourcePort => Some((Header::Transport, 0)),
        Field::DestinationPort => Some((Header::Transport, 2)),
        Field::EtherDestination => Some((Header::Link, 0)),
        Field::NfProto | Field::L4Proto | Field::InputInterface | Field::OutputInterface => None,
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
