//! Macvlan driver: endpoints with hardware addresses of their own on the wire of a parent.
//!
//! Reads the model; writes nothing; returns a [`Plan`]. Nothing is translated or filtered: the LAN
//! sees the endpoints as if each had a cable. The kernel keeps parent and endpoints apart; where
//! the host is to reach them it gets a link of its own beside them, a shim.
//! Invariant: equal arguments give equal plans.
//! Start at `plan_endpoint`. The parent is the host's: [`Parent`].

mod options;

use super::parent::Parent;
use super::{Driven, Driver, Refusal, Settings, same_settings};
use crate::model::{DriverName, Endpoint, Facts, InterfaceName, Mac, Network, SandboxId};
use crate::plan::{
    Effect, Key, Link, LinkKind, MacvlanMode, Netns, Object, Plan, Repeat, Route, Upper,
};
use ipnet::IpNet;
use options::MacvlanOptions;
use std::net::IpAddr;
use std::sync::Arc;

/// How often new addresses are announced, as on a bridge.
const ANNOUNCE: Repeat = Repeat {
    times: 3,
    interval_ms: 1000,
};

/// The macvlan driver.
#[derive(Debug)]
pub struct Macvlan;

impl Driver for Macvlan {
    fn name(&self) -> DriverName {
        const { DriverName::known("macvlan") }
    }

    fn read(&self, network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        let options = MacvlanOptions::of(network).map_err(Refusal::failed)?;
        Ok(Arc::new(options))
    }

    fn kind_of_upper(&self) -> Option<&'static str> {
        Some("macvlan")
    }
}

impl Settings for MacvlanOptions {
    fn plan_network(&self, network: &Network, _facts: &Facts) -> Plan {
        plan_network(network, self)
    }

    fn plan_endpoint(
        &self,
        network: &Network,
        sandbox: &SandboxId,
        endpoint: &Endpoint,
        _facts: &Facts,
    ) -> Plan {
        plan_endpoint(network, self, sandbox, endpoint)
    }

    fn parent(&self) -> Option<&Parent> {
        Some(&self.parent)
    }

    fn shim(&self) -> Option<&InterfaceName> {
        self.shim.as_ref()
    }

    fn check_beside(&self, _network: &Network, other: &Driven) -> Result<(), Refusal> {
        let theirs = same_settings::<Self>(other);
        let Some(theirs) = theirs.filter(|theirs| theirs.parent.name() == self.parent.name())
        else {
            return Ok(());
        };
        let (id, parent) = (other.id, self.parent.name());
        if self.mode == MacvlanMode::Passthru {
            return Err(Refusal::failed(format!(
                "cannot use mode passthru, macvlan network {id} is already using parent interface \
                 {parent}"
            )));
        }
        if theirs.mode == MacvlanMode::Passthru {
            return Err(Refusal::failed(format!(
                "macvlan network {id} is already using parent interface {parent} in mode passthru"
            )));
        }
        Ok(())
    }
}

/// Returns the kernel objects of a macvlan network: none but the host's own way to the endpoints.
fn plan_network(network: &Network, options: &MacvlanOptions) -> Plan {
    let mut plan = Plan::default();
    let Some(shim) = &options.shim else {
        return plan;
    };
    plan.add(
        Key::Link(Netns::Host, shim.clone()),
        Object::Link(Link {
            mac: Some(Mac::from_id(&network.id)),
            ..Link::of(over(options, MacvlanMode::Bridge))
        }),
    );
    // Who asks for an address of the host gets the shim's answer only if the host would answer by
    // the shim; to the rest of the LAN the host stays at its own hardware address.
    let path = format!("ipv4/conf/{shim}/arp_filter");
    plan.add(Key::Setting(Netns::Host, path), Object::Setting("1".into()));
    plan.add(Key::Up(Netns::Host, shim.clone()), Object::Present);
    plan
}

/// Returns the kernel objects that join one endpoint to a macvlan network.
fn plan_endpoint(
    network: &Network,
    options: &MacvlanOptions,
    sandbox: &SandboxId,
    endpoint: &Endpoint,
) -> Plan {
    let mut plan = Plan::default();
    let inside = Netns::Sandbox(*sandbox);
    let interface = &endpoint.interface;
    plan.add(
        Key::Link(inside, interface.clone()),
        Object::Link(Link {
            mac: Some(endpoint.mac),
            ..Link::of(over(options, options.mode))
        }),
    );
    for address in endpoint.prefixes() {
        plan.add(
            Key::Address(inside, interface.clone(), address),
            Object::Present,
        );
    }
    plan.add(Key::Up(inside, interface.clone()), Object::Present);
    plan.effect(Effect::SyncLink(inside, interface.clone()));
    for address in endpoint.addresses() {
        plan.effect(Effect::Announce(
            inside,
            interface.clone(),
            address,
            Some(endpoint.mac),
            ANNOUNCE,
        ));
    }
    if let Some(shim) = &options.shim {
        plan_host_access(shim, endpoint, &mut plan);
    }
    for address in &endpoint.host6 {
        // The shim does not answer for it: an IPv6 address belongs to one link.
        let key = Key::Neighbor(inside, interface.clone(), IpAddr::V6(*address));
        plan.add(key, Object::Neighbor(Mac::from_id(&network.id)));
    }
    plan
}

/// The host's route to an endpoint. It knows the hardware address from the start: to ask for it,
/// the host would tell the whole LAN the shim's as its own.
fn plan_host_access(shim: &InterfaceName, endpoint: &Endpoint, plan: &mut Plan) {
    for address in endpoint.addresses() {
        plan.add(
            Key::Neighbor(Netns::Host, shim.clone(), address),
            Object::Neighbor(endpoint.mac),
        );
        let route = Route::by(shim.clone(), None);
        plan.add(
            Key::Route(Netns::Host, IpNet::from(address).into()),
            Object::Route(route),
        );
    }
}

fn over(options: &MacvlanOptions, mode: MacvlanMode) -> LinkKind {
    LinkKind::Upper {
        parent: options.parent.name().clone(),
        kind: Upper::Macvlan(mode),
    }
}

#[cfg(test)]
mod tests;
