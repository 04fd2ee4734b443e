//! A lint of a plan, before anything is claimed or written.

use super::{Key, Netns, Object, Plan, SetId};
use crate::model::InterfaceName;
use crate::nft::{Data, DataType, Datum, Table, Verdict};
use std::collections::BTreeSet;
use thiserror::Error;

/// What is wrong with a plan. Always a fault of a driver, never of the user.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Two drivers want different things of one object.
    #[error("{0:?} is wanted in two different ways; this is a fault of the driver")]
    Clash(Key),
    /// An object hangs on a link of a sandbox that nothing makes.
    #[error("{0:?} needs link {1}, which the plan does not make; this is a fault of the driver")]
    NoLink(Key, InterfaceName),
    /// An element belongs to no set of the table, or does not fit it.
    #[error("{0:?} fits no set of the table; this is a fault of the driver")]
    NoSet(Key),
    /// A verdict leads to a chain that the table does not have.
    #[error(
        "{0:?} leads to chain {1}, which the table does not have; this is a fault of the driver"
    )]
    NoChain(Key, String),
}

/// Returns every fault of a plan whose elements belong to `table`.
pub fn check(plan: &Plan, table: &Table) -> Vec<Fault> {
    let links = sandbox_links(plan);
    let clashes = plan.clashes().iter().cloned().map(Fault::Clash);
    let faults = plan
        .objects()
        .iter()
        .filter_map(|(key, object)| match (key, object) {
            (Key::Element(set, fields), Object::Element(data)) => {
                match table_of(plan, table, set) {
                    Some(table) => element_fault(key, table, &set.name, fields, data),
                    None => Some(Fault::NoSet(key.clone())),
                }
            }
            _ => hanging(key, object, &links),
        });
    clashes.chain(faults).collect()
}

/// The table that a set is of: the host's, or one that the plan makes.
fn table_of<'a>(plan: &'a Plan, table: &'a Table, set: &SetId) -> Option<&'a Table> {
    if set.is_of_host_table() {
        return Some(table);
    }
    let key = Key::Table(set.netns(), set.table().to_owned());
    match plan.objects().get(&key) {
        Some(Object::Table(own)) if own.family == set.family() => Some(own),
        Some(_) | None => None,
    }
}

/// The links that the plan makes inside sandboxes.
fn sandbox_links(plan: &Plan) -> BTreeSet<(Netns, &InterfaceName)> {
    let mut links = BTreeSet::new();
    for (key, object) in plan.objects() {
        if let Key::Link(netns, name) = key {
            links.insert((*netns, name));
        }
        if let Object::Link(link) = object
            && let Some((netns, name)) = link.kind.peer()
        {
            links.insert((*netns, name));
        }
    }
    links
}

/// Whether an object hangs on a link in a sandbox that is missing. Links of the host may belong to
/// another scope's plan.
fn hanging(key: &Key, object: &Object, links: &BTreeSet<(Netns, &InterfaceName)>) -> Option<Fault> {
    let interface = match (key, object) {
        (
            Key::Address(_, name, _)
            | Key::Up(_, name)
            | Key::Neighbor(_, name, _)
            | Key::Forwarding(_, name, _)
            | Key::Flooding(_, name, ..),
            _,
        ) => name,
        (Key::Route(..), Object::Route(route)) => route.interface()?,
        _ => return None,
    };
    let missing = key.netns() != Netns::Host && !links.contains(&(key.netns(), interface));
    missing.then(|| Fault::NoLink(key.clone(), interface.clone()))
}

fn element_fault(
    key: &Key,
    table: &Table,
    set: &str,
    fields: &[Datum],
    data: &Data,
) -> Option<Fault> {
    let Some(set) = table.sets.iter().find(|candidate| candidate.name == set) else {
        return Some(Fault::NoSet(key.clone()));
    };
    let types: Vec<DataType> = fields.iter().map(Datum::data_type).collect();
    if types != set.key || data.types() != set.data {
        return Some(Fault::NoSet(key.clone()));
    }
    match data {
        Data::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => {
            let known = table
                .chains
                .iter()
                .any(|candidate| candidate.name == *chain);
            (!known).then(|| Fault::NoChain(key.clone(), chain.clone()))
        }
        Data::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Return)
        | Data::None
        | Data::Address(_)
        | Data::Socket(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;
    use crate::scopes::host_table;

    #[test]
    fn an_address_needs_its_link() {
        let netns = Netns::Sandbox(derive_id(&[b"web"]));
        let name = InterfaceName::try_from("eth0").unwrap();
        let mut plan = Plan::default();
        let key = Key::Address(netns, name.clone(), "10.1.0.2/24".parse().unwrap());
        plan.add(key.clone(), Object::Present);
        assert_eq!(check(&plan, &host_table()), [Fault::NoLink(key, name)]);
    }

    #[test]
    fn an_element_must_fit_a_set_and_its_chain_must_exist() {
        let bridge = Datum::Interface(InterfaceName::try_from("br0").unwrap());
        let mut plan = Plan::default();
        plan.add(
            Key::Element("bridges".into(), vec![Datum::Port(1)]),
            Object::Element(Data::None),
        );
        plan.add(
            Key::Element("entering".into(), vec![bridge]),
            Object::Element(Data::Verdict(Verdict::Goto("nowhere".into()))),
        );
        assert_eq!(check(&plan, &host_table()).len(), 2);
    }

    #[test]
    fn one_key_with_two_objects_is_a_clash() {
        let key = Key::Setting(Netns::Host, "ipv4/ip_forward".into());
        let mut plan = Plan::default();
        plan.add(key.clone(), Object::Setting("1".into()));
        plan.add(key.clone(), Object::Setting("0".into()));
        assert_eq!(check(&plan, &host_table()), [Fault::Clash(key)]);
    }
}
