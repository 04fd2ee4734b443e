//! What a driver is: two traits, of which a driver writes what is special about it.
//!
//! [`Driver`] holds whatever the network; [`Settings`] are what it read from one network's options,
//! in a type that only it knows. What a driver does not say is as most drivers have it.

use super::parent::{PARENT, Parent};
use super::{Driven, HostRules};
use crate::model::{
    DriverName, Endpoint, EndpointSpec, ErrorClass, Facts, InterfaceName, IpFamily, LegacyLink,
    Network, NetworkSpec, PerFamily, Policy, PortMapping, SandboxId,
};
use crate::plan::Plan;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use thiserror::Error;

/// What a driver is, whatever the network.
pub trait Driver: Debug + Sync {
    /// What users and the API call it.
    fn name(&self) -> DriverName;

    /// Reads the options of a network.
    fn read(&self, network: &Network) -> Result<Arc<dyn Settings>, Refusal>;

    /// The network that there is of it from the start, and that stays the only one; `None` if users
    /// make its networks.
    fn predefined(&self) -> Option<&'static str> {
        None
    }

    /// Which network stack its containers have.
    fn stack(&self) -> Stack {
        Stack::Own
    }

    /// What subnets its networks take.
    fn subnets(&self) -> Subnets {
        Subnets::Any
    }

    /// For each family: whether a subnet that was given no gateway gets its first address as one.
    fn chooses_gateways(&self, _network: &NetworkSpec) -> Result<PerFamily<bool>, Refusal> {
        Ok(PerFamily::default())
    }

    /// Whether, with these options, a subnet of a family may be another network's, too.
    fn shares_subnets(&self, _options: &BTreeMap<String, String>, _family: IpFamily) -> bool {
        false
    }

    /// Whether ports of its endpoints are published on the host.
    fn publishes(&self) -> bool {
        false
    }

    /// Whether packets between its endpoints and others pass the host, which has to forward them.
    fn forwards(&self) -> bool {
        false
    }

    /// What it brings to the host's table.
    fn host_rules(&self, _policy: &Policy) -> HostRules {
        HostRules::default()
    }

    /// The kind of link that only its endpoints are, as the kernel calls it, for which the kernel may
    /// lack a module. Their addresses are those of the LAN that their parent is on.
    fn kind_of_upper(&self) -> Option<&'static str> {
        None
    }

    /// Whether its endpoints have hardware addresses of their own.
    fn has_macs(&self) -> bool {
        true
    }

    /// The link of the host that the endpoints are to sit on, as these options name it. Asked before
    /// the options are read, since what they mean may depend on whether the link is there.
    fn sits_on<'a>(&self, options: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let named = options
            .get(PARENT)
            .filter(|_| self.kind_of_upper().is_some());
        named.map(String::as_str)
    }

    /// The options that can change while containers are attached, subnets with them; none if only
    /// labels can.
    fn changeable(&self) -> &'static [&'static str] {
        &[]
    }
}

/// What a driver read from one network's options, and what it makes of them.
pub trait Settings: Any + Debug + Send + Sync {
    /// The kernel objects of the network that no other one shares.
    fn plan_network(&self, _network: &Network, _facts: &Facts) -> Plan {
        Plan::default()
    }

    /// The kernel objects that the network needs and others may share: they want the same.
    fn plan_shared(&self) -> Plan {
        self.parent().map_or_else(Plan::default, Parent::plan)
    }

    /// The kernel objects that join an endpoint to the network.
    fn plan_endpoint(
        &self,
        _network: &Network,
        _sandbox: &SandboxId,
        _endpoint: &Endpoint,
        _facts: &Facts,
    ) -> Plan {
        Plan::default()
    }

    /// What leads published ports to the address of an endpoint of a driver that publishes.
    fn plan_ports(&self, _ports: &[PortMapping], _target: IpAddr, _facts: &Facts) -> Plan {
        Plan::default()
    }

    /// Whether published ports of a family are open at every endpoint, whichever has the gateway.
    fn opens_every_endpoint(&self, _family: IpFamily) -> bool {
        false
    }

    /// What opens published ports at the address of such an endpoint.
    fn plan_open(&self, _ports: &[PortMapping], _target: IpAddr) -> Plan {
        Plan::default()
    }

    /// What lets a container say something by the network from addresses that it has elsewhere.
    fn plan_elsewhere(&self, _addresses: &[IpAddr]) -> Plan {
        Plan::default()
    }

    /// What opens the ports of a link (`--link`) to an endpoint that does not reach them otherwise.
    fn plan_link(&self, _own: Ipv4Addr, _link: &LegacyLink) -> Plan {
        Plan::default()
    }

    /// How endpoints get out.
    fn way_out(&self, network: &Network) -> WayOut {
        if network.spec.internal || self.parent().is_some_and(Parent::leads_nowhere) {
            WayOut::None
        } else {
            WayOut::Gateway
        }
    }

    /// How published ports of a family get in.
    fn way_in(&self, _family: IpFamily) -> WayIn {
        WayIn::None
    }

    /// The address that ports are published on if none is given; `None` for all of the host.
    fn host_binding(&self) -> Option<IpAddr> {
        None
    }

    /// Whether packets of a family between its endpoints and others pass the host, which has to
    /// forward for it then.
    fn forwards(&self, _network: &Network, _family: IpFamily) -> bool {
        false
    }

    /// The link by which the host itself routes to the endpoints, whose packets it sees there.
    fn device(&self) -> Option<&InterfaceName> {
        None
    }

    /// The device and what continues it, in order.
    fn devices(&self, _network: &Network) -> Vec<InterfaceName> {
        self.device().cloned().into_iter().collect()
    }

    /// The device if users may have made it themselves: then it is used, and neither made nor
    /// removed.
    fn adopts(&self) -> Option<&InterfaceName> {
        None
    }

    /// All links that the network has on the host, but for its parent.
    fn links(&self, network: &Network) -> Vec<InterfaceName> {
        match self.parent() {
            Some(_) => self.shim().cloned().into_iter().collect(),
            None => self.devices(network),
        }
    }

    /// The link of the host that endpoints sit on.
    fn parent(&self) -> Option<&Parent> {
        None
    }

    /// The host's own link on the parent, by which it reaches the endpoints.
    fn shim(&self) -> Option<&InterfaceName> {
        None
    }

    /// The link of the host whose addresses endpoints find on their wire.
    fn shared_with_host(&self) -> Option<&InterfaceName> {
        self.shim().and(self.parent()).map(Parent::name)
    }

    /// The largest packet of links of its own, in bytes; `None` where another link's decides.
    fn mtu(&self) -> Option<u32> {
        None
    }

    /// How many endpoints its devices take, where that has an end.
    fn capacity(&self) -> Option<Capacity> {
        None
    }

    /// Whether the host calls an endpoint by another IPv4 address, as its own may be another's, too.
    fn aliases(&self) -> bool {
        false
    }

    /// Whether the network can be made beside another one.
    fn check_beside(&self, _network: &Network, _other: &Driven) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether an endpoint can be as asked.
    fn check_endpoint(&self, _endpoint: &EndpointSpec) -> Result<(), Refusal> {
        Ok(())
    }

    /// The options as `inspect` shows them.
    fn shown(&self, network: &Network) -> BTreeMap<String, String> {
        network.spec.options.clone()
    }

    /// Why endpoints of the network do not see each other, as the end of a sentence.
    fn why_apart(&self) -> &'static str {
        "does not let its containers see each other"
    }
}

/// The settings of another network, if it is of the same driver.
pub fn same_settings<S: Settings>(other: &Driven) -> Option<&S> {
    let settings: &dyn Any = other.settings();
    settings.downcast_ref()
}

/// Which network stack the containers of a network have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Each one of its own, with any number of networks.
    Own,
    /// The host's, and no other network.
    Host,
    /// Each one of its own with a loopback, and no other network.
    Loopback,
}

/// What subnets a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subnets {
    /// None.
    None,
    /// One of each family that is on, and it needs that.
    One,
    /// Any number; with the IPAM driver `null` also none.
    Any,
}

/// How endpoints get out of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Through a gateway, if there is one.
    Gateway,
    /// Everything goes to the link.
    Link,
    /// Not at all.
    None,
}

/// How published ports of one family get to a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// By a port of the host.
    Translated,
    /// At the endpoint's own address.
    Routed,
    /// Not at all.
    None,
}

/// How many endpoints a network's devices take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Each device.
    pub endpoints: u16,
    /// How many further devices there can be.
    pub segments: u16,
}

/// What a driver does not take, and what kind of failure it is; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Refusal {
    /// The kind.
    pub class: ErrorClass,
    /// The text for the user.
    pub text: String,
}

impl Refusal {
    /// The request is wrong in itself.
    pub fn invalid(text: impl ToString) -> Self {
        Self::of(ErrorClass::InvalidArgument, text)
    }

    /// The request is understood and refused.
    pub fn forbidden(text: impl ToString) -> Self {
        Self::of(ErrorClass::Forbidden, text)
    }

    /// What Docker takes for a failure of its own.
    pub fn failed(text: impl ToString) -> Self {
        Self::of(ErrorClass::Internal, text)
    }

    /// There is no driver of this name.
    pub fn unknown_driver(name: &str) -> Self {
        Self::of(ErrorClass::NotFound, format!("plugin \"{name}\" not found"))
    }

    fn of(class: ErrorClass, text: impl ToString) -> Self {
        Self {
            class,
            text: text.to_string(),
        }
    }
}
