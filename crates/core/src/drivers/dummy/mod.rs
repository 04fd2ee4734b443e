//! Dummy driver: each endpoint is a link to nowhere, and so is the one that the network has on the
//! host: a bridge without ports, as every kernel has it. It is the least that a driver can make, for those who write one, and for tests of what all
//! drivers have in common; a release does not have it.
#![cfg(debug_assertions)]

use super::{Driver, Refusal, Settings, WayOut};
use crate::model::{DriverName, Endpoint, Facts, InterfaceName, Mac, Network, SandboxId};
use crate::plan::{Effect, Key, Link, LinkKind, Netns, Object, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `dummy_mtu`: the largest packet in bytes.
const MTU: &str = "dummy_mtu";

/// The dummy driver.
#[derive(Debug)]
pub struct Dummy;

/// The options of a dummy network.
#[derive(Debug)]
struct DummyOptions {
    device: InterfaceName,
    mtu: u32,
}

impl Driver for Dummy {
    fn name(&self) -> DriverName {
        const { DriverName::known("dummy") }
    }

    fn read(&self, network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        let mtu = match network.option(MTU) {
            None => Some(1500),
            Some(value) => value.parse().ok().filter(|mtu| (68..=65535).contains(mtu)),
        };
        let refused = || {
            let value = network.option(MTU).unwrap_or_default();
            Refusal::invalid(format!(
                "failed to parse {MTU} value: {value}: choose a number from 68 to 65535"
            ))
        };
        Ok(Arc::new(DummyOptions {
            device: InterfaceName::from_id("du-", &network.id, 12),
            mtu: mtu.ok_or_else(refused)?,
        }))
    }
}

impl Settings for DummyOptions {
    fn plan_network(&self, network: &Network, _facts: &Facts) -> Plan {
        let mut plan = Plan::default();
        let link = self.link(Mac::from_id(&network.id));
        plan.add(Key::Link(Netns::Host, self.device.clone()), link);
        plan.add(Key::Up(Netns::Host, self.device.clone()), Object::Present);
        plan
    }

    fn plan_endpoint(
        &self,
        _network: &Network,
        sandbox: &SandboxId,
        endpoint: &Endpoint,
        _facts: &Facts,
    ) -> Plan {
        let mut plan = Plan::default();
        let (inside, interface) = (Netns::Sandbox(*sandbox), &endpoint.interface);
        let link = self.link(endpoint.mac);
        plan.add(Key::Link(inside, interface.clone()), link);
        for address in endpoint.prefixes() {
            let key = Key::Address(inside, interface.clone(), address);
            plan.add(key, Object::Present);
        }
        plan.add(Key::Up(inside, interface.clone()), Object::Present);
        plan.effect(Effect::SyncLink(inside, interface.clone()));
        plan
    }

    fn way_out(&self, _network: &Network) -> WayOut {
        WayOut::None
    }

    fn links(&self, _network: &Network) -> Vec<InterfaceName> {
        vec![self.device.clone()]
    }

    fn shown(&self, network: &Network) -> BTreeMap<String, String> {
        let mut shown = network.spec.options.clone();
        shown.insert(MTU.into(), self.mtu.to_string());
        shown
    }
}

impl DummyOptions {
    fn link(&self, mac: Mac) -> Object {
        Object::Link(Link {
            mtu: Some(self.mtu),
            mac: Some(mac),
            ..Link::of(LinkKind::Bridge)
        })
    }
}
