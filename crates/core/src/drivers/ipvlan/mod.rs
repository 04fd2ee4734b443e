//! Ipvlan driver: endpoints on the wire of a parent, behind its hardware address.
//!
//! Reads the model; writes nothing; returns a [`Plan`]. In mode l2 links switch, and neighbors find
//! the parent's hardware address under each endpoint's address; in l3 and l3s they route.
//! Invariant: equal arguments give equal plans.
//! Start at `plan_endpoint`. The parent is the host's: [`Parent`].

mod options;

use super::parent::Parent;
use super::{Driven, Driver, Refusal, Settings, WayOut, same_settings};
use crate::model::{
    DriverName, Endpoint, EndpointSpec, Facts, InterfaceName, Mac, Network, SandboxId,
};
use crate::plan::{Effect, Key, Link, LinkKind, Netns, Object, Plan, Repeat, Route, Upper};
use ipnet::IpNet;
use options::IpvlanOptions;
use std::net::IpAddr;
use std::sync::Arc;

/// How often new addresses are announced, as on a bridge.
const ANNOUNCE: Repeat = Repeat {
    times: 3,
    interval_ms: 1000,
};

/// The ipvlan driver.
#[derive(Debug)]
pub struct Ipvlan;

impl Driver for Ipvlan {
    fn name(&self) -> DriverName {
        const { DriverName::known("ipvlan") }
    }

    fn read(&self, network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        let options = IpvlanOptions::of(network).map_err(Refusal::failed)?;
        Ok(Arc::new(options))
    }

    fn has_macs(&self) -> bool {
        false
    }

    fn kind_of_upper(&self) -> Option<&'static str> {
        Some("ipvlan")
    }
}

impl Settings for IpvlanOptions {
    fn plan_network(&self, _network: &Network, _facts: &Facts) -> Plan {
        plan_network(self)
    }

    fn plan_endpoint(
        &self,
        _network: &Network,
        sandbox: &SandboxId,
        endpoint: &Endpoint,
        _facts: &Facts,
    ) -> Plan {
        plan_endpoint(self, sandbox, endpoint)
    }

    fn way_out(&self, network: &Network) -> WayOut {
        if network.spec.internal || self.parent.leads_nowhere() {
            WayOut::None
        } else if self.routes() {
            WayOut::Link
        } else {
            WayOut::Gateway
        }
    }

    fn parent(&self) -> Option<&Parent> {
        Some(&self.parent)
    }

    fn shim(&self) -> Option<&InterfaceName> {
        self.shim.as_ref()
    }

    fn check_beside(&self, _network: &Network, other: &Driven) -> Result<(), Refusal> {
        let theirs = same_settings::<Self>(other);
        match theirs.filter(|theirs| theirs.parent.name() == self.parent.name()) {
            None => Ok(()),
            Some(_) => Err(Refusal::failed(format!(
                "network di-{} is already using parent interface {}",
                other.id.short(12),
                self.parent.name()
            ))),
        }
    }

    fn check_endpoint(&self, endpoint: &EndpointSpec) -> Result<(), Refusal> {
        match endpoint.mac {
            None => Ok(()),
            Some(_) => Err(Refusal::failed(
                "ipvlan interfaces do not support custom mac address assignment",
            )),
        }
    }
}

/// Returns the kernel objects of an ipvlan network: none but the host's own way to the endpoints.
fn plan_network(options: &IpvlanOptions) -> Plan {
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
fn plan_endpoint(options: &IpvlanOptions, sandbox: &SandboxId, endpoint: &Endpoint) -> Plan {
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
        // No neighbor solicitation for it is answered: it goes past the parent.
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
        let route = Route::by(shim.clone(), None);
        plan.add(
            Key::Route(Netns::Host, IpNet::from(address).into()),
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
