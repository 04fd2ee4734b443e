//! What each operation has to come to, by the documents alone: plain maps, no reservation or plan of
//! the product. Addresses that the engine may choose are learnt from what it shows.

use crate::operation::{FOREIGN_PORT, Operation, SHAPES, other_name};
use sealane_core::model::ErrorClass;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The least MTU of a link with IPv6 (RFC 8200).
const IPV6_MTU: u32 = 1_280;

/// Why an operation has to be refused: the kinds of all reasons there are.
pub(crate) type Refusal = BTreeSet<String>;

/// What there should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) networks: BTreeMap<u64, Net>,
    pub(crate) sandboxes: BTreeMap<u64, Sandbox>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    pub(crate) mtu: u32,
    pub(crate) ipv6: bool,
    pub(crate) reserved: BTreeMap<IpAddr, Option<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sandbox {
    pub(crate) name: String,
    /// The addresses that are known, by network.
    pub(crate) joined: BTreeMap<u64, BTreeSet<IpAddr>>,
    pub(crate) ports: BTreeSet<u16>,
}

impl Model {
    /// What there is afterwards, or why it has to be refused.
    pub(crate) fn after(&self, operation: &Operation) -> Result<Self, Refusal> {
        let mut new = self.clone();
        let mut refusal = BTreeSet::new();
        let mut refuse = |kind: ErrorClass| {
            refusal.insert(format!("{kind:?}"));
        };
        match operation {
            Operation::Create(n) => {
                let overlaps = |other: &u64| meet(*n, *other) && other != n;
                if self.networks.contains_key(n) {
                    refuse(ErrorClass::Conflict);
                }
                if self.networks.keys().any(overlaps) {
                    refuse(ErrorClass::Forbidden);
                }
                let ipv6 = SHAPES[*n as usize].subnet6.is_some();
                let net = Net {
                    mtu: 1_500,
                    ipv6,
                    reserved: BTreeMap::new(),
                };
                new.networks.insert(*n, net);
            }
            Operation::Remove(n) => {
                if self.members(*n).next().is_some() {
                    refuse(ErrorClass::Forbidden);
                }
                if new.networks.remove(n).is_none() {
                    refuse(ErrorClass::NotFound);
                }
            }
            Operation::RemoveDefault => refuse(ErrorClass::Forbidden),
            Operation::Update(n, mtu, ipv6) => match new.networks.get_mut(n) {
                None => refuse(ErrorClass::NotFound),
                Some(net) => {
                    (net.mtu, net.ipv6) = (*mtu, net.ipv6 || *ipv6);
                    if net.ipv6 && *mtu < IPV6_MTU {
                        refuse(ErrorClass::InvalidArgument);
                    }
                }
            },
            Operation::Make(s, asked, ports) => {
                if self.sandboxes.contains_key(s) {
                    refuse(ErrorClass::Conflict);
                }
                let name = format!("c{s}");
                for (n, address) in asked {
                    self.joining(&name, *n, *address)
                        .into_iter()
                        .for_each(&mut refuse);
                }
                let joined = asked.iter().map(|(n, ip)| (*n, known(*ip))).collect();
                let mut made = Sandbox {
                    name,
                    joined,
                    ports: BTreeSet::new(),
                };
                if made.leads_out() {
                    made.ports = ports.clone();
                    if self.taken(*s, ports) {
                        refuse(ErrorClass::Internal);
                    }
                }
                new.sandboxes.insert(*s, made);
            }
            Operation::Drop(s) => drop(new.sandboxes.remove(s)),
            Operation::Connect(s, n, address) => match new.sandboxes.get_mut(s) {
                None => refuse(ErrorClass::NotFound),
                Some(own) => {
                    self.joining(&own.name, *n, *address)
                        .into_iter()
                        .for_each(&mut refuse);
                    if own.joined.insert(*n, known(*address)).is_some() {
                        refuse(ErrorClass::Forbidden);
                    }
                }
            },
            Operation::Disconnect(s, n) => match new.sandboxes.get_mut(s) {
                None => refuse(ErrorClass::NotFound),
                Some(_) if !self.networks.contains_key(n) => refuse(ErrorClass::NotFound),
                Some(own) => {
                    if own.joined.remove(n).is_none() {
                        refuse(ErrorClass::Internal);
                    }
                }
            },
            Operation::Publish(s, ports) => match new.sandboxes.get_mut(s) {
                None => refuse(ErrorClass::NotFound),
                Some(own) if own.leads_out() => {
                    own.ports = ports.clone();
                    if self.taken(*s, ports) {
                        refuse(ErrorClass::Internal);
                    }
                }
                Some(own) => own.ports.clear(),
            },
            Operation::Rename(s) => {
                if let Some(own) = new.sandboxes.get_mut(s) {
                    own.name = other_name(*s, &own.name);
                }
            }
            Operation::Reserve(n, address, holder) => match new.networks.get_mut(n) {
                None => refuse(ErrorClass::NotFound),
                Some(net) => {
                    let user = self.members(*n).find(|(_, has)| has.contains(address));
                    if user.is_some_and(|(own, _)| Some(&own.name) != holder.as_ref()) {
                        refuse(ErrorClass::Forbidden);
                    }
                    if SHAPES[*n as usize].gateway() == *address {
                        refuse(ErrorClass::Forbidden);
                    }
                    net.reserved.insert(*address, holder.clone());
                }
            },
            Operation::Release(n, address) => {
                let net = new.networks.get_mut(n);
                if net.and_then(|net| net.reserved.remove(address)).is_none() {
                    refuse(ErrorClass::NotFound);
                }
            }
            Operation::Prune => new
                .networks
                .retain(|n, _| self.members(*n).next().is_some()),
        }
        if refusal.is_empty() {
            Ok(new)
        } else {
            Err(refusal)
        }
    }

    /// What may be found when an operation ended half way: before, after, between the networks of a
    /// prune, and of ports that are exchanged those that stay.
    pub(crate) fn stages(&self, operation: &Operation, new: &Self) -> Vec<Self> {
        let mut stages = vec![self.clone(), new.clone()];
        match operation {
            Operation::Publish(s, ports) => {
                let mut between = self.clone();
                if let Some(own) = between.sandboxes.get_mut(s) {
                    own.ports.retain(|port| ports.contains(port));
                }
                stages.push(between);
            }
            Operation::Prune => {
                for n in self
                    .networks
                    .keys()
                    .filter(|n| !new.networks.contains_key(n))
                {
                    let mut without = stages.clone();
                    for stage in &mut without {
                        stage.networks.remove(n);
                    }
                    stages.extend(without);
                }
            }
            Operation::Create(_)
            | Operation::Remove(_)
            | Operation::RemoveDefault
            | Operation::Update(..)
            | Operation::Make(..)
            | Operation::Drop(_)
            | Operation::Connect(..)
            | Operation::Disconnect(..)
            | Operation::Rename(_)
            | Operation::Reserve(..)
            | Operation::Release(..) => {}
        }
        stages
    }

    /// The sandboxes on a network, with their addresses there.
    pub(crate) fn members(&self, n: u64) -> impl Iterator<Item = (&Sandbox, &BTreeSet<IpAddr>)> {
        let all = self.sandboxes.values();
        all.filter_map(move |own| Some((own, own.joined.get(&n)?)))
    }

    /// Why a name cannot join a network.
    fn joining(&self, name: &str, n: u64, asked: Option<Ipv4Addr>) -> Vec<ErrorClass> {
        let Some(net) = self.networks.get(&n) else {
            return vec![ErrorClass::NotFound];
        };
        let shape = SHAPES[n as usize];
        let used: BTreeSet<IpAddr> = self.members(n).flat_map(|(_, has)| has).copied().collect();
        let free = |ip: &IpAddr| *ip != shape.gateway() && !used.contains(ip);
        let mine = |ip: &IpAddr| {
            net.reserved
                .get(ip)
                .is_some_and(|h| h.as_deref() == Some(name))
        };
        match asked.map(IpAddr::V4) {
            Some(ip) => {
                let kept = net.reserved.get(&ip).and_then(|holder| holder.as_deref());
                let refused = kept.is_some_and(|holder| holder != name) || !free(&ip);
                vec![ErrorClass::Forbidden; refused.into()]
            }
            None => {
                let given = |ip: &IpAddr| free(ip) && (mine(ip) || !net.reserved.contains_key(ip));
                let exhausted = !shape.subnet().hosts().any(|ip| given(&ip));
                vec![ErrorClass::Internal; exhausted.into()]
            }
        }
    }

    /// Whether another sandbox, or another program, has one of these ports.
    fn taken(&self, own: u64, ports: &BTreeSet<u16>) -> bool {
        let mut others = self.sandboxes.iter().filter(|(s, _)| **s != own);
        ports.contains(&FOREIGN_PORT) || others.any(|(_, other)| !other.ports.is_disjoint(ports))
    }
}

impl Sandbox {
    /// Whether one of its networks leads out, so that ports can be published.
    pub(crate) fn leads_out(&self) -> bool {
        self.joined.keys().any(|n| !SHAPES[*n as usize].internal)
    }
}

fn meet(a: u64, b: u64) -> bool {
    let (a, b) = (SHAPES[a as usize].subnet(), SHAPES[b as usize].subnet());
    a.contains(&b) || b.contains(&a)
}

fn known(address: Option<Ipv4Addr>) -> BTreeSet<IpAddr> {
    address.map(IpAddr::V4).into_iter().collect()
}
