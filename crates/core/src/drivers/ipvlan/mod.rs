//! Ipvlan driver: endpoints on the wire of a parent, behind its hardware address.
//!
//! Reads the model; writes nothing; returns a [`Plan`]. In mode l2 links switch, and neighbors find
//! the parent's hardware address under each endpoint's address; in l3 and l3s they route.
//! Invariant: equal arguments give equal plans.
//! Start at [`plan_endpoint`]. The parent is the host's: [`Parent`](super::parent::Parent).

pub mod options;

pub use options::{InvalidOption, IpvlanOptions};

use crate::model::{Endpoint, InterfaceName, Mac, SandboxId};
use crate::plan::{Effect, Key, Link, LinkKind, Netns, Object, Plan, Repeat, Route, Upper};
use ipnet::IpNet;
use std::net::IpAddr;

/// How often new addresses are announced, as on a bridge.
const ANNOUNCE: Repeat = Repeat {
    times: 3,
    interval_ms: 1000,
};

/// Returns the kernel objects of an ipvlan network: none but the host's own way to the endpoints.
pub fn plan_network(options: &IpvlanOptions) -> Plan {
    let mut plan = Plan::default();
    let Some(shim) = &options.shim else {
        return plan;
    };
    let link = Link::of(over(options)); // the hardware address is the parent's
    plan.add(Key::Link(Netns::Host, shim.clone()), Object::Link(link));
    plan.add(Key::Up(Netns::Host, shim.clone()), Object::Present);
    plan
}

/// Returns the kernel objects that join one endpoint to an ipvlan network.
pub fn plan_endpoint(options: &IpvlanOptions, sandbox: &SandboxId, endpoint: &Endpoint) -> Plan {
    let mut plan = Plan::default();
    let inside = Netns::Sandbox(*sandbox);
    let interface = &endpoint.interface;
    plan.add(
        Key::Link(inside, interface.clone()),
        Object::Link(Link::of(over(options))),
    );
    for address in endpoint.prefixes() {
        plan.add(
            Key::Address(inside, interface.clone(), address),
            Object::Present,
        );
    }
    plan.add(Key::Up(inside, interface.clone()), Object::Present);
    plan.effect(Effect::SyncLink(inside, interface.clone()));
    for address in endpoint.addresses().filter(|_| !options.routes()) {
        plan.effect(Effect::Announce(
            inside,
            interface.clone(),
            address,
            None,
            ANNOUNCE,
        ));
    }
    if let Some(shim) = &options.shim {
        plan_host_access(shim, options, endpoint, &mut plan);
    }
    for address in endpoint.host6.iter().filter(|_| !options.routes()) {
        // Nobody answers for it: the question goes past the parent.
        let key = Key::Neighbor(inside, interface.clone(), IpAddr::V6(*address));
        plan.add(key, Object::Neighbor(Mac::NONE));
    }
    plan
}

/// The host's route to an endpoint. The answer to a question would reach the parent and not the
/// shim, so what switches has to know from the start.
fn plan_host_access(
    shim: &InterfaceName,
    options: &IpvlanOptions,
    endpoint: &Endpoint,
    plan: &mut Plan,
) {
    for address in endpoint.addresses() {
        if !options.routes() {
            let key = Key::Neighbor(Netns::Host, shim.clone(), address);
            plan.add(key, Object::Neighbor(Mac::NONE));
        }
        let route = Route {
            interface: shim.clone(),
            via: None,
        };
        plan.add(
            Key::Route(Netns::Host, IpNet::from(address)),
            Object::Route(route),
        );
    }
}

fn over(options: &IpvlanOptions) -> LinkKind {
    LinkKind::Upper {
        parent: options.parent.name().clone(),
        kind: Upper::Ipvlan(options.mode, options.flag),
    }
}

#[cfg(test)]
mod tests;
