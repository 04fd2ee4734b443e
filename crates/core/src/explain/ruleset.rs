//! An interpreter of our firewall: what the rules of a table do to a packet, and which did it.
//!
//! It reads the very [`Table`] and elements that are written to the kernel, so that a rule added
//! there is explained here without another word. Start at [`Ruleset::pass`].

mod condition;

use super::packet::Packet;
use crate::model::{IpFamily, Mac};
use crate::nft::{
    Chain, ChainKind, Data, Datum, Field, HookPoint, Rule, Statement, Table, Verdict,
};
use crate::plan::{Key, Object, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeBounds;

/// A table with the elements of its sets.
pub(super) struct Ruleset<'a> {
    table: &'a Table,
    elements: BTreeMap<&'a str, BTreeMap<&'a [Datum], &'a Data>>,
}

/// What the kernel knows of a packet at a hook, besides what is in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passing<'a> {
    /// The link it came by; empty for the host's own.
    pub(super) input: &'a str,
    /// The link it leaves by; empty before that is decided.
    pub(super) output: &'a str,
    /// Whether it belongs to a connection that was let through.
    pub(super) established: bool,
    /// Whether it is of no connection, and can open none.
    pub(super) invalid: bool,
    /// Whether the destination of its connection was translated.
    pub(super) translated: bool,
    /// Whether its source is routed back by the link it came by.
    pub(super) routed_back: bool,
    /// The hardware address it is for, where that is a bridge's.
    pub(super) towards: Option<Mac>,
    /// Whether it comes by a bridge that was made for a network.
    pub(super) by_network_bridge: bool,
    /// Whether the links it comes and leaves by are another daemon's of ours.
    pub(super) of_another_owner: (bool, bool),
    /// Whether its destination is an address of the host.
    pub(super) to_host: bool,
}

/// One rule that had a say, named as `nft list` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The chain.
    pub chain: String,
    /// The rule.
    pub rule: String,
    /// The element of a set or map that applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<Element>,
}

/// An element of a set or map, as `nft list` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Element {
    /// The set or map.
    pub set: String,
    /// The element: `"br-1" : drop`.
    pub element: String,
}

/// What became of a packet in one base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What was done.
    pub(super) deed: Deed,
    /// The rules that led there; the last one did it.
    pub(super) steps: Vec<Step>,
}

/// What a chain can do to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It may pass.
    Accept,
    /// It ends here.
    Drop,
    /// It goes elsewhere.
    Translate(SocketAddr),
    /// It leaves with the address of its outgoing link.
    Masquerade,
    /// It leaves with this address.
    Source(IpAddr),
    /// One of its ports was changed.
    SetPort,
}

/// How the walk through a chain ended.
enum Flow {
    /// Nothing decided.
    Through,
    /// Something did.
    Decided(Decision),
}

impl<'a> Ruleset<'a> {
    /// The table as a plan has it.
    pub(super) fn of(plan: &'a Plan, table: &Key) -> Option<Self> {
        let Some(Object::Table(table)) = plan.objects().get(table) else {
            return None;
        };
        let mut elements: BTreeMap<&str, BTreeMap<&[Datum], &Data>> = BTreeMap::new();
        for (key, object) in plan.objects() {
            if let (Key::Element(set, fields), Object::Element(data)) = (key, object)
                && set.is_of_host_table()
            {
                let known = elements.entry(set.name.as_str()).or_default();
                known.insert(fields, data);
            }
        }
        Some(Self { table, elements })
    }

    /// Takes a packet through the chains at a point whose priority is among `priorities`, and
    /// returns what they decided, in their order. The first packet of a connection passes the
    /// chains that translate, later ones do not.
    pub(super) fn pass(
        &self,
        point: HookPoint,
        priorities: impl RangeBounds<i32>,
        packet: &mut Packet,
        passing: Passing<'_>,
    ) -> Vec<Decision> {
        let mut chains: Vec<(&Chain, i32)> = self
            .table
            .chains
            .iter()
            .filter_map(|chain| Some((chain, chain.hook.as_ref()?)))
            .filter(|(_, hook)| hook.point == point && priorities.contains(&hook.priority))
            .filter(|(_, hook)| hook.kind == ChainKind::Filter || !passing.established)
            .map(|(chain, hook)| (chain, hook.priority))
            .collect();
        chains.sort_by_key(|(_, priority)| *priority);
        let mut decisions = Vec::new();
        for (chain, _) in chains {
            let mut walk = Walk {
                ruleset: self,
                packet,
                passing,
                steps: Vec::new(),
            };
            let Flow::Decided(decision) = walk.chain(chain) else {
                continue;
            };
            let dropped = decision.deed == Deed::Drop;
            decisions.push(decision);
            if dropped {
                break;
            }
        }
        decisions
    }

    /// The chains of the user's at a point.
    pub(super) fn user_chains(&self, point: HookPoint) -> impl Iterator<Item = &'a Chain> {
        let at = move |chain: &&Chain| chain.hook.as_ref().is_some_and(|hook| hook.point == point);
        let chains = self.table.chains.iter();
        chains.filter(at).filter(|chain| chain.user)
    }

    fn chain(&self, name: &str) -> Option<&'a Chain> {
        self.table.chains.iter().find(|chain| chain.name == name)
    }

    /// The element of a set that a key meets. Keys that are intervals are tried one by one.
    fn find(&self, set: &str, key: &[Datum]) -> Option<(&'a [Datum], &'a Data)> {
        let elements = self.elements.get(set)?;
        if let Some((found, data)) = elements.get_key_value(key) {
            return Some((found, data));
        }
        let covers = |element: &[Datum]| {
            element.len() == key.len() && element.iter().zip(key).all(|(e, k)| holds(e, k))
        };
        let mut found = elements.iter().filter(|(element, _)| covers(element));
        found.next().map(|(element, data)| (*element, *data))
    }
}

/// Whether a field of an element, perhaps a range, holds a value.
fn holds(element: &Datum, value: &Datum) -> bool {
    match (element, value) {
        (Datum::Ports(first, last), Datum::Port(port)) => (first..=last).contains(&port),
        (element, value) => element == value,
    }
}

/// A packet on its way through one base chain and those it jumps to.
struct Walk<'w, 'a> {
    ruleset: &'w Ruleset<'a>,
    packet: &'w mut Packet,
    passing: Passing<'w>,
    steps: Vec<Step>,
}

impl Walk<'_, '_> {
    fn chain(&mut self, chain: &Chain) -> Flow {
        for rule in &chain.rules {
            let depth = self.steps.len();
            let Some(element) = self.applies(rule) else {
                continue;
            };
            for statement in &rule.statements {
                match self.statement(chain, rule, statement, element.clone()) {
                    Outcome::Next => {}
                    Outcome::RuleEnds => break,
                    Outcome::ChainEnds => {
                        self.steps.truncate(depth);
                        return Flow::Through;
                    }
                    Outcome::Decided(decision) => return Flow::Decided(decision),
                }
            }
            self.steps.truncate(depth);
        }
        Flow::Through
    }

    fn statement(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        statement: &Statement,
        element: Option<Element>,
    ) -> Outcome {
        match statement {
            Statement::Verdict(verdict) => {
                self.note(chain, rule, element);
                self.verdict(verdict)
            }
            Statement::VerdictMap(fields, map) => {
                let Some(Some((key, Data::Verdict(verdict)))) = self.look_up(fields, map) else {
                    return Outcome::RuleEnds;
                };
                let verdict = verdict.clone();
                let element = Element::of(map, key, &Data::Verdict(verdict.clone()));
                self.note(chain, rule, Some(element));
                self.verdict(&verdict)
            }
            Statement::DnatMap {
                family,
                fields,
                map,
                port: _,
            } => self.translate(chain, rule, *family, fields, map),
            Statement::Masquerade => {
                self.note(chain, rule, element);
                self.decided(Deed::Masquerade)
            }
            Statement::SnatMap {
                family,
                fields,
                map,
            } => self.translate_source(chain, rule, *family, fields, map),
            Statement::SetAddress { to, fields, map } => self.set_address(*to, fields, map),
            Statement::SetPort(field, port) => {
                self.note(chain, rule, element);
                self.set_port(*field, *port);
                self.decided(Deed::SetPort)
            }
            Statement::Reset => {
                self.note(chain, rule, element);
                self.decided(Deed::Drop)
            }
            Statement::SetMark(_) | Statement::NoTrack | Statement::Counter => Outcome::Next,
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> Outcome {
        match verdict {
            Verdict::Accept => self.decided(Deed::Accept),
            Verdict::Drop => self.decided(Deed::Drop),
            Verdict::Return => Outcome::ChainEnds,
            Verdict::Jump(name) => match self.follow(name) {
                Flow::Through => Outcome::Next,
                Flow::Decided(decision) => Outcome::Decided(decision),
            },
            Verdict::Goto(name) => match self.follow(name) {
                Flow::Through => Outcome::ChainEnds,
                Flow::Decided(decision) => Outcome::Decided(decision),
            },
        }
    }

    fn follow(&mut self, name: &str) -> Flow {
        match self.ruleset.chain(name) {
            Some(chain) => self.chain(chain),
            None => Flow::Through,
        }
    }

    fn translate(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        family: IpFamily,
        fields: &[Field],
        map: &str,
    ) -> Outcome {
        if family != self.packet.family() {
            return Outcome::RuleEnds;
        }
        let Some(Some((key, data))) = self.look_up(fields, map) else {
            return Outcome::RuleEnds;
        };
        let to = match data {
            Data::Address(ip) => SocketAddr::new(*ip, self.packet.destination.port()),
            Data::Socket(ip, port) => SocketAddr::new(*ip, *port),
            Data::None | Data::Verdict(_) => return Outcome::RuleEnds,
        };
        let element = Element::of(map, key, data);
        self.note(chain, rule, Some(element));
        self.packet.destination = to;
        self.decided(Deed::Translate(to))
    }

    fn translate_source(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        family: IpFamily,
        fields: &[Field],
        map: &str,
    ) -> Outcome {
        if family != self.packet.family() {
            return Outcome::RuleEnds;
        }
        let Some(Some((key, data @ Data::Address(source)))) = self.look_up(fields, map) else {
            return Outcome::RuleEnds;
        };
        let (source, element) = (*source, Element::of(map, key, data));
        self.note(chain, rule, Some(element));
        self.packet.source.set_ip(source);
        self.decided(Deed::Source(source))
    }

    /// Changes an address without keeping account of it; the packet goes on.
    fn set_address(&mut self, field: Field, fields: &[Field], map: &str) -> Outcome {
        if self.packet.family() == IpFamily::V6 {
            return Outcome::RuleEnds;
        }
        let Some(Some((_, Data::Address(address)))) = self.look_up(fields, map) else {
            return Outcome::RuleEnds;
        };
        let address = *address;
        if field == Field::Ip4Source {
            self.packet.source.set_ip(address);
        } else if field == Field::Ip4Destination {
            self.packet.destination.set_ip(address);
        }
        Outcome::Next
    }

    fn set_port(&mut self, field: Field, port: u16) {
        match field {
            Field::SourcePort => self.packet.source.set_port(port),
            Field::DestinationPort => self.packet.destination.set_port(port),
            Field::NfProto
            | Field::L4Proto
            | Field::InputInterface
            | Field::OutputInterface
            | Field::Ip4Source
            | Field::Ip4Destination
            | Field::Ip6Source
            | Field::Ip6Destination
            | Field::EtherDestination => {}
        }
    }

    fn note(&mut self, chain: &Chain, rule: &Rule, element: Option<Element>) {
        self.steps.push(Step {
            chain: chain.name.clone(),
            rule: rule.to_string(),
            element,
        });
    }

    fn decided(&self, deed: Deed) -> Outcome {
        Outcome::Decided(Decision {
            deed,
            steps: self.steps.clone(),
        })
    }
}

/// What follows a statement.
enum Outcome {
    /// The next statement.
    Next,
    /// The next rule.
    RuleEnds,
    /// The rule after the jump that led here.
    ChainEnds,
    /// Nothing in this base chain.
    Decided(Decision),
}

impl Element {
    fn of(set: &str, key: &[Datum], data: &Data) -> Self {
        let fields: Vec<String> = key.iter().map(Datum::to_string).collect();
        let key = fields.join(" . ");
        let element = match data {
            Data::None => key,
            Data::Address(_) | Data::Socket(..) | Data::Verdict(_) => format!("{key} : {data}"),
        };
        let set = set.into();
        Self { set, element }
    }
}
