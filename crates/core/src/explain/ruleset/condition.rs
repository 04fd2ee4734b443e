//! Conditions: whether a rule applies to a packet.

use super::{Element, Walk, holds};
use crate::explain::packet::{Packet, Transport};
use crate::model::InterfaceName;
use crate::nft::{Data, Datum, Field, Match, Rule};
use ipnet::IpNet;
use std::net::IpAddr;

/// What a field of a packet holds.
enum Value {
    /// The packet has no such field: the rule does not apply.
    Absent,
    /// A value that equals none a rule can name.
    Unnamed,
    /// A value.
    Is(Datum),
}

impl Walk<'_, '_> {
    /// Whether all conditions of a rule hold, and the last element of a set that one was met by.
    pub(super) fn applies(&self, rule: &Rule) -> Option<Option<Element>> {
        let mut met = None;
        for condition in &rule.matches {
            if !self.holds(condition, &mut met)? {
                return None;
            }
        }
        Some(met)
    }

    /// Whether a condition holds; `None` where the packet has no such field.
    fn holds(&self, condition: &Match, met: &mut Option<Element>) -> Option<bool> {
        Some(match condition {
            Match::Is(field, datum) => self.equals(*field, datum)?,
            Match::IsNot(field, datum) => !self.equals(*field, datum)?,
            Match::Within(field, net) => self.within(*field, net)?,
            Match::NotWithin(field, net) => !self.within(*field, net)?,
            Match::InSet(fields, set) => match self.look_up(fields, set)? {
                Some((key, data)) => {
                    *met = Some(Element::of(set, key, data));
                    true
                }
                None => false,
            },
            Match::NotInSet(fields, set) => self.look_up(fields, set)?.is_none(),
            Match::Established => self.passing.established,
            Match::Invalid => self.passing.invalid,
            Match::FromItsRoute => self.passing.routed_back,
            Match::ForOne => true,
            // Who asks opens connections, and an answer opens none.
            Match::NotOpening => self.passing.invalid,
            Match::Translated => self.passing.translated,
            Match::ToHost => self.passing.to_host,
            Match::Icmp(family) => {
                self.packet.transport == Transport::Icmp && self.packet.family() == *family
            }
            // No question is about the discovery of neighbors.
            Match::Icmp6Type(_) => false,
            // Marks are set by others, and these packets bear none.
            Match::Marked(mark) => mark.value == 0,
            Match::ByOurLink => self.passing.of_another_owner.0,
            Match::ToOurLink => self.passing.of_another_owner.1,
            Match::ByNetworkBridge => self.passing.by_network_bridge,
            Match::NotForPort => true,
        })
    }

    fn equals(&self, field: Field, datum: &Datum) -> Option<bool> {
        match self.value(field) {
            Value::Absent => None,
            Value::Unnamed => Some(false),
            Value::Is(value) => Some(holds(datum, &value)),
        }
    }

    fn within(&self, field: Field, net: &IpNet) -> Option<bool> {
        match self.value(field) {
            Value::Is(Datum::Ipv4(ip)) => Some(net.contains(&IpAddr::V4(ip))),
            Value::Is(Datum::Ipv6(ip)) => Some(net.contains(&IpAddr::V6(ip))),
            Value::Is(_) | Value::Absent | Value::Unnamed => None,
        }
    }

    /// The element that fields meet. The outer `None`: the packet lacks one of them.
    pub(super) fn look_up(&self, fields: &[Field], set: &str) -> Option<Option<(&[Datum], &Data)>> {
        let mut key = Vec::with_capacity(fields.len());
        for field in fields {
            match self.value(*field) {
                Value::Absent => return None,
                Value::Unnamed => return Some(None),
                Value::Is(datum) => key.push(datum),
            }
        }
        Some(self.ruleset.find(set, &key))
    }

    fn value(&self, field: Field) -> Value {
        let Packet {
            transport,
            source,
            destination,
        } = *self.packet;
        let (v4, v6) = (
            |ip| match ip {
                IpAddr::V4(ip) => Value::Is(Datum::Ipv4(ip)),
                IpAddr::V6(_) => Value::Absent,
            },
            |ip| match ip {
                IpAddr::V6(ip) => Value::Is(Datum::Ipv6(ip)),
                IpAddr::V4(_) => Value::Absent,
            },
        );
        let protocol = transport.protocol();
        let port = |port| protocol.map_or(Value::Absent, |_| Value::Is(Datum::Port(port)));
        match field {
            Field::NfProto => Value::Is(Datum::NfProto(self.packet.family())),
            Field::L4Proto => protocol.map_or(Value::Unnamed, |protocol| {
                Value::Is(Datum::Protocol(protocol))
            }),
            Field::InputInterface => interface(self.passing.input),
            Field::OutputInterface => interface(self.passing.output),
            Field::Ip4Source => v4(source.ip()),
            Field::Ip4Destination => v4(destination.ip()),
            Field::Ip6Source => v6(source.ip()),
            Field::Ip6Destination => v6(destination.ip()),
            Field::SourcePort => port(source.port()),
            Field::DestinationPort => port(destination.port()),
            Field::EtherDestination => self
                .passing
                .towards
                .map_or(Value::Unnamed, |mac| Value::Is(Datum::Mac(mac))),
        }
    }
}

/// A link's name as rules compare it. What is not a name for us is in no set of ours.
fn interface(name: &str) -> Value {
    InterfaceName::try_from(name).map_or(Value::Unnamed, |name| Value::Is(Datum::Interface(name)))
}
