//! From a network and a change to the network as it shall be.
//!
//! Reads the state; changes nothing. What cannot change while containers are attached is refused
//! with what to do instead.

use crate::mtu::check_network_mtu;
use crate::request::NetworkChange;
use crate::specify::{Surroundings, choose_gateways, choose_subnet, parse_subnet};
use crate::{EngineError, RequestedSubnet};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::ipam::{check_overlap, validate};
use sealane_core::model::{DNS, IpFamily, Network, NetworkSpec, SubnetSpec};
use std::collections::BTreeMap;

/// The network with a change made to it.
pub(crate) fn altered(
    network: &Driven,
    change: &NetworkChange,
    around: &Surroundings<'_>,
) -> Result<Driven, EngineError> {
    let mut new = Network::clone(network);
    apply_texts(&mut new.spec.labels, &change.labels);
    let only_labels = change.options.is_empty()
        && change.subnets.is_empty()
        && change
            .enable_ipv6
            .is_none_or(|on| on == network.spec.enable_ipv6);
    if only_labels {
        return Ok(Driven::of(new)?);
    }
    check_changeable(network)?;
    for key in change.options.keys() {
        let changeable = network.driver().changeable();
        if key != DNS && !changeable.contains(&key.as_str()) {
            return Err(EngineError::Forbidden(format!(
                "option {key} of network {} cannot be changed in place; create another network \
                 with it",
                network.spec.name
            )));
        }
    }
    apply_texts(&mut new.spec.options, &change.options);
    if change.enable_ipv6 == Some(false) && network.spec.enable_ipv6 {
        return Err(EngineError::Forbidden(format!(
            "IPv6 of network {} cannot be switched off in place; create another network without it",
            network.spec.name
        )));
    }
    new.spec.enable_ipv6 |= change.enable_ipv6 == Some(true);
    alter_subnets(&mut new.spec, network, &change.subnets, around)?;
    with_options(new)
}

fn check_changeable(network: &Driven) -> Result<(), EngineError> {
    let name = &network.spec.name;
    if network.spec.config_only || network.driver().changeable().is_empty() {
        return Err(EngineError::Forbidden(format!(
            "only the labels of network {name} can be changed in place; options and subnets are \
             those of bridge networks"
        )));
    }
    Ok(())
}

/// Sets and, where there is no value, removes.
fn apply_texts(texts: &mut BTreeMap<String, String>, change: &BTreeMap<String, Option<String>>) {
    for (key, value) in change {
        match value {
            Some(value) => drop(texts.insert(key.clone(), value.clone())),
            None => drop(texts.remove(key)),
        }
    }
}

/// The network with its options read anew. Whatever is wrong with them, the request is.
fn with_options(network: Network) -> Result<Driven, EngineError> {
    network.dns_servers().map_err(EngineError::Invalid)?;
    let driven = Driven::of(network).map_err(|refusal| EngineError::Invalid(refusal.text))?;
    check_network_mtu(&driven)?;
    Ok(driven)
}

/// Grows the subnets there are, and adds one of IPv6 where there is none.
fn alter_subnets(
    spec: &mut NetworkSpec,
    old: &Network,
    asked: &[RequestedSubnet],
    around: &Surroundings<'_>,
) -> Result<(), EngineError> {
    let others = |own: &IpNet| {
        !old.spec
            .ipam
            .subnets
            .iter()
            .any(|subnet| subnet.subnet == *own)
    };
    let taken: Vec<IpNet> = around.state.subnets().filter(others).collect();
    for asked in asked {
        let asked = parse_subnet(asked)?;
        let family = IpFamily::of(asked.subnet.addr());
        if family == IpFamily::V6 && !spec.enable_ipv6 {
            return Err(EngineError::Invalid(format!(
                "network {} has no IPv6; enable it to give it {}",
                spec.name, asked.subnet
            )));
        }
        let mut present = spec.ipam.subnets.iter_mut();
        let present = present.find(|subnet| family.has(subnet.subnet.addr()));
        match present {
            Some(present) => grow(present, asked)?,
            None => spec.ipam.subnets.push(asked),
        }
    }
    let has_ipv6 = |spec: &NetworkSpec| {
        let mut subnets = spec.ipam.subnets.iter();
        subnets.any(|subnet| subnet.subnet.addr().is_ipv6())
    };
    if spec.enable_ipv6 && !has_ipv6(spec) {
        let chosen = choose_subnet(IpFamily::V6, &taken, around)?;
        spec.ipam.subnets.push(chosen);
    }
    validate(&spec.ipam.subnets, spec.enable_ipv6)
        .map_err(|fault| EngineError::Invalid(fault.to_string()))?;
    for subnet in &spec.ipam.subnets {
        check_overlap(subnet.subnet, &taken)
            .map_err(|overlap| EngineError::Forbidden(overlap.to_string()))?;
    }
    choose_gateways(spec)
}

/// Makes a subnet as large as asked; what it has of addresses stays valid.
fn grow(present: &mut SubnetSpec, asked: SubnetSpec) -> Result<(), EngineError> {
    if !asked.subnet.contains(&present.subnet) {
        return Err(EngineError::Forbidden(format!(
            "subnet {} can only grow in place: {} does not contain it",
            present.subnet, asked.subnet
        )));
    }
    if asked.gateway.is_some() && asked.gateway != present.gateway {
        return Err(EngineError::Forbidden(format!(
            "the gateway of subnet {} cannot be changed in place",
            present.subnet
        )));
    }
    present.subnet = asked.subnet;
    present.ip_range = asked.ip_range.or(present.ip_range);
    present.auxiliary.extend(asked.auxiliary);
    Ok(())
}
