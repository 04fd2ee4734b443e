//! What the bridge driver is, and what it makes of a network's options.

use super::firewall::host_rules;
use super::options::{
    ANNOUNCEMENTS, BridgeOptions, GatewayMode, HOST_BINDING, ICC, INTERVAL, MASQUERADE, MTU,
    OVERLAPPING,
};
use super::publish::{plan_elsewhere, plan_link, plan_open, plan_ports};
use super::segments::{SEGMENTS, links, segment_bridge};
use super::{plan_endpoint, plan_network};
use crate::drivers::{
    Capacity, Driven, Driver, HostRules, Refusal, Settings, Subnets, WayIn, same_settings,
};
use crate::model::{
    DriverName, Endpoint, Facts, InterfaceName, IpFamily, LegacyLink, Network, NetworkId,
    NetworkSpec, PerFamily, Policy, PortMapping, SandboxId, parse_flag,
};
use crate::plan::{Effect, Plan};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The bridge driver.
#[derive(Debug)]
pub struct Bridge;

impl Driver for Bridge {
    fn name(&self) -> DriverName {
        const { DriverName::known("bridge") }
    }

    fn read(&self, network: &Network) -> Result<Arc<dyn Settings>, Refusal> {
        Ok(Arc::new(BridgeOptions::of(network)?))
    }

    fn subnets(&self) -> Subnets {
        Subnets::One
    }

    fn chooses_gateways(&self, network: &NetworkSpec) -> Result<PerFamily<bool>, Refusal> {
        // Only the name of the device depends on the id.
        let options = BridgeOptions::read(network, &NetworkId::from_bytes([0; 32]))?;
        Ok(PerFamily::from_fn(|family| {
            !options.needs_no_gateway(family, network.internal)
        }))
    }

    fn shares_subnets(&self, options: &BTreeMap<String, String>, family: IpFamily) -> bool {
        let wanted = options.get(OVERLAPPING).and_then(|value| parse_flag(value));
        family == IpFamily::V4 && wanted == Some(true)
    }

    fn publishes(&self) -> bool {
        true
    }

    fn forwards(&self) -> bool {
        true
    }

    fn host_rules(&self, policy: &Policy) -> HostRules {
        host_rules(policy)
    }

    fn changeable(&self) -> &'static [&'static str] {
        &[MTU, MASQUERADE, ICC, HOST_BINDING, ANNOUNCEMENTS, INTERVAL]
    }
}

impl Settings for BridgeOptions {
    fn plan_network(&self, network: &Network, facts: &Facts) -> Plan {
        plan_network(network, self, facts)
    }

    fn plan_endpoint(
        &self,
        network: &Network,
        sandbox: &SandboxId,
        endpoint: &Endpoint,
        facts: &Facts,
    ) -> Plan {
        plan_endpoint(network, self, sandbox, endpoint, facts)
    }

    fn plan_ports(&self, ports: &[PortMapping], target: IpAddr, facts: &Facts) -> Plan {
        plan_ports(self, ports, target, facts)
    }

    fn opens_every_endpoint(&self, family: IpFamily) -> bool {
        self.mode(family) == GatewayMode::Routed
    }

    fn plan_open(&self, ports: &[PortMapping], target: IpAddr) -> Plan {
        let mut plan = Plan::default();
        plan_open(ports, &self.device, target, &mut plan);
        plan.effect(Effect::ForgetAddress(target));
        plan
    }

    fn plan_elsewhere(&self, addresses: &[IpAddr]) -> Plan {
        plan_elsewhere(&self.device, addresses)
    }

    fn plan_link(&self, own: Ipv4Addr, link: &LegacyLink) -> Plan {
        if self.icc {
            return Plan::default();
        }
        plan_link(own, link)
    }

    fn way_in(&self, family: IpFamily) -> WayIn {
        if self.mode(family).translates() {
            WayIn::Translated
        } else {
            WayIn::Routed
        }
    }

    fn host_binding(&self) -> Option<IpAddr> {
        self.host_binding
            .filter(|ip| *ip != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    fn forwards(&self, network: &Network, family: IpFamily) -> bool {
        network.enables(family)
    }

    fn device(&self) -> Option<&InterfaceName> {
        Some(&self.device)
    }

    fn devices(&self, network: &Network) -> Vec<InterfaceName> {
        let segments = 0..=network.segments;
        segments
            .map(|segment| segment_bridge(network, self, segment))
            .collect()
    }

    fn adopts(&self) -> Option<&InterfaceName> {
        Some(&self.device).filter(|_| self.named)
    }

    fn links(&self, network: &Network) -> Vec<InterfaceName> {
        links(network, self)
    }

    fn mtu(&self) -> Option<u32> {
        Some(self.mtu)
    }

    fn capacity(&self) -> Option<Capacity> {
        Some(Capacity {
            endpoints: self.ports,
            segments: SEGMENTS,
        })
    }

    fn aliases(&self) -> bool {
        self.overlapping
    }

    fn check_beside(&self, network: &Network, other: &Driven) -> Result<(), Refusal> {
        let theirs = same_settings::<Self>(other);
        if theirs.is_none_or(|theirs| theirs.device != self.device) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "cannot create network {id} ({device}): conflicts with network {} ({device}): \
             networks have same bridge name",
            other.id,
            id = network.id,
            device = self.device,
        )))
    }

    fn why_apart(&self) -> &'static str {
        if self.icc {
            "does not let its containers see each other"
        } else {
            "has icc=false: its containers see only each other's published ports"
        }
    }
}
