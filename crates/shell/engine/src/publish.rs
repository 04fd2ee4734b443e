//! Published ports of a running sandbox: changed as one, while it runs.
//!
//! What stays published is not touched, in the kernel or outside: its connections go on. Start at
//! [`Engine::publish`].

use crate::measure::Action;
use crate::ways_in::{Split, split};
use crate::{Engine, EngineError, SPANS};
use sealane_core::drivers::{Networks, WayIn};
use sealane_core::model::{
    Endpoint, EndpointId, IpFamily, PerFamily, PortMapping, PortRequest, Protocol, Sandbox,
    SandboxId,
};
use sealane_core::plan::Plan;
use sealane_core::scopes::{Gateways, forget_changed, routed_beside};
use sealane_ports::PortError;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tracing::info_span;

/// The endpoint that published ports lead to.
pub(crate) struct WayOut {
    endpoint: EndpointId,
    /// Where ports are published that name no address.
    binding: Option<IpAddr>,
    /// How they get there, from IPv4 and from IPv6.
    ways: PerFamily<WayIn>,
}

/// Finds ports of the host in place of those that leave: for good, or to say which.
type Take<'a> = &'a dyn Fn(&[PortMapping], &[PortRequest]) -> Result<Vec<PortMapping>, PortError>;

impl WayOut {
    /// Which requests need a port of the host.
    pub(crate) fn split(&self, requests: &[PortRequest]) -> Split {
        split(requests, self.ways, self.binding)
    }

    /// Ports that are not to be had, in Docker's words.
    pub(crate) fn refused(&self, sandbox: &str, error: &PortError) -> EngineError {
        EngineError::Failed {
            message: format!(
                "driver failed programming external connectivity on endpoint {sandbox} ({}): \
                 {error}",
                self.endpoint
            ),
            source: None,
        }
    }
}

/// What becomes of the ports of a sandbox.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exchange {
    /// What is published already, by the request it answers.
    kept: BTreeMap<usize, PortMapping>,
    /// What is not asked for any more.
    leaving: Vec<PortMapping>,
    /// What is still to be had, with the place of each request.
    wanted: Vec<(usize, PortRequest)>,
}

impl Engine {
    /// Where the published ports of a sandbox lead; `None` if no network of its way out publishes.
    pub(crate) fn way_out(&self, sandbox: &Sandbox) -> Option<WayOut> {
        let networks = self.state().joined(sandbox);
        let gateways = Gateways::choose(sandbox, &networks).publishing(&networks);
        let endpoint = gateways.v4.or(gateways.v6)?;
        let binding = networks
            .get(&endpoint.network)
            .and_then(|network| network.settings().host_binding());
        Some(WayOut {
            endpoint: endpoint.id,
            binding,
            ways: PerFamily {
                v4: way_in(gateways.v4, IpFamily::V4, &networks),
                v6: way_in(gateways.v6.or(gateways.v4), IpFamily::V6, &networks),
            },
        })
    }

    /// Publishes just these ports of a running sandbox: those that are published already stay as
    /// they are with all their connections, the others of today go, and `closing` goes although a
    /// request would be content with it. All or nothing. Where no network publishes, those that are
    /// still asked for wait.
    pub fn publish(
        &self,
        id: &SandboxId,
        ports: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError> {
        let _span =
            info_span!(target: SPANS, "publish", sandbox = %id, ports = ports.len()).entered();
        let publish = || self.try_publish(id, ports, closing);
        self.measures.time(Action::Update, publish)
    }

    fn try_publish(
        &self,
        id: &SandboxId,
        requests: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<Arc<Sandbox>, EngineError> {
        let lock = self.locks.of(*id);
        let _own = lock.hold();
        let old = self.existing(id)?;
        let exchange = |leaving: &[PortMapping], wanted: &[PortRequest]| {
            let taken = self.ports.exchange(leaving, wanted, id, None);
            taken.inspect_err(|_| {
                // What stepped aside for the others is back.
                self.ports.keep(id, &old.ports);
                self.serve_ports(&old);
            })
        };
        let Some((new, kept)) = self.with_ports(&old, requests, closing, &exchange)? else {
            return Ok(old);
        };
        let new = Arc::new(new);
        let changed = self.change_ports(&old, &new, kept);
        let settled = if changed.is_ok() { &new } else { &old };
        self.ports.keep(id, &settled.ports);
        self.known
            .change(|draft| draft.put_sandbox(settled.clone()));
        // Those that stay may lead elsewhere now, and the new ones are still mute.
        self.serve_ports(settled);
        changed?;
        Ok(new)
    }

    /// Serves what is settled. The kernel leads there already, so a relay that cannot start is
    /// logged and does not undo the change.
    fn serve_ports(&self, sandbox: &Sandbox) {
        if let Err(error) = self.activate_ports(sandbox) {
            tracing::warn!(sandbox = sandbox.name, %error, "a published port is not relayed");
        }
    }

    /// The plans before and after [`Engine::publish`]; nothing is bound or reserved.
    pub(crate) fn preview_ports(
        &self,
        id: &SandboxId,
        requests: &[PortRequest],
        closing: &[PortMapping],
    ) -> Result<(Plan, Plan), EngineError> {
        let old = self.existing(id)?;
        let foresee = |leaving: &[PortMapping], wanted: &[PortRequest]| {
            self.ports.foresee(leaving, wanted, id, None)
        };
        let new = self.with_ports(&old, requests, closing, &foresee)?;
        Ok(match new {
            Some((new, _)) => self.plans_of_ports(&old, &new),
            None => (Plan::default(), Plan::default()),
        })
    }

    /// The sandbox with these ports, which `take` finds for those that leave and those that are
    /// wanted, and those that it keeps; `None` if nothing changes.
    fn with_ports(
        &self,
        old: &Sandbox,
        requests: &[PortRequest],
        closing: &[PortMapping],
        take: Take<'_>,
    ) -> Result<Option<(Sandbox, Vec<PortMapping>)>, EngineError> {
        if old.host {
            return Ok(None);
        }
        let way_out = self.way_out(old);
        let (translated, opened): (Vec<_>, Vec<_>) = old
            .ports
            .iter()
            .cloned()
            .partition(PortMapping::is_translated);
        let (exchange, open) = match &way_out {
            Some(way_out) => {
                let Split { reserve, open } = way_out.split(requests);
                (Exchange::between(&translated, &reserve, closing), open)
            }
            // Nothing leads there: the ports are free for others, until there is a way again.
            None => (Exchange::leaving(translated), Vec::new()),
        };
        if exchange.leaving.is_empty() && exchange.wanted.is_empty() && open == opened {
            return Ok(None);
        }
        let mut new = exchanged(old, &exchange, way_out.as_ref(), take)?;
        let still_open = opened.into_iter().filter(|port| open.contains(port));
        let kept = exchange.kept.into_values().chain(still_open).collect();
        new.ports.extend(open);
        let closed: Vec<u16> = taken_back(old, &new).collect();
        new.closed.extend(closed);
        Ok(Some((new, kept)))
    }

    /// From the plan with the old ports to the one with the new ones. No endpoint is new and to
    /// be announced, and only connections to what changed are forgotten.
    fn plans_of_ports(&self, old: &Sandbox, new: &Sandbox) -> (Plan, Plan) {
        let from = self.plan_of_sandbox(old).without_effects();
        let mut to = self.plan_of_sandbox(new).without_effects();
        let networks = self.state().joined(old);
        let gateways = Gateways::choose(old, &networks).publishing(&networks);
        let mut targets: Vec<IpAddr> = gateways.targets().map(|(_, target)| target).collect();
        let beside = routed_beside(old, &networks);
        targets.extend(beside.into_iter().map(|(_, target)| target));
        if let Some(effect) = forget_changed(&old.ports, &new.ports, &targets) {
            to.effect(effect);
        }
        (from, to)
    }

    /// Exchanges the ports in the kernel, in one transaction, and saves them. What goes is
    /// forgotten before, what comes is saved after.
    fn change_ports(
        &self,
        old: &Sandbox,
        new: &Sandbox,
        kept: Vec<PortMapping>,
    ) -> Result<(), EngineError> {
        let (from, to) = self.plans_of_ports(old, new);
        let _flight = self.flights.begin(&from, &to);
        let shrinks = kept.len() < old.ports.len();
        if shrinks {
            self.save_sandbox(&Sandbox {
                ports: kept,
                closed: new.closed.clone(),
                ..old.clone()
            })?;
        }
        let changed = self.apply(&from, &to).and_then(|()| {
            let saved = self.save_sandbox(new);
            saved.inspect_err(|_| self.return_to(&to, &from))
        });
        if changed.is_err() && shrinks {
            self.save_sandbox(old)?;
        }
        changed
    }

    /// Goes back to an old plan after a later step failed.
    pub(crate) fn return_to(&self, from: &Plan, to: &Plan) {
        if let Err(error) = self.apply(from, to) {
            tracing::warn!(%error, "cannot take back a change; the next sweep will");
        }
    }
}

/// The sandbox with its ports exchanged.
fn exchanged(
    old: &Sandbox,
    exchange: &Exchange,
    way_out: Option<&WayOut>,
    take: Take<'_>,
) -> Result<Sandbox, EngineError> {
    let wanted = exchange.wanted.iter();
    let requests: Vec<PortRequest> = wanted.map(|(_, port)| port.clone()).collect();
    let taken = match way_out {
        Some(way_out) => take(&exchange.leaving, &requests)
            .map_err(|error| way_out.refused(&old.name, &error))?,
        None => vec![],
    };
    let mut ports = exchange.kept.clone();
    let places = exchange.wanted.iter().map(|(place, _)| *place);
    ports.extend(places.zip(taken));
    Ok(Sandbox {
        ports: ports.into_values().collect(),
        ..old.clone()
    })
}

impl Exchange {
    /// All of these are given up.
    fn leaving(ports: Vec<PortMapping>) -> Self {
        Self {
            leaving: ports,
            ..Self::default()
        }
    }

    /// What leads from the ports there are to those asked for. A request that leaves its host port
    /// open is content with the one it has, unless that is closing.
    fn between(present: &[PortMapping], requests: &[PortRequest], closing: &[PortMapping]) -> Self {
        let mut at_hand: BTreeMap<(Protocol, u16, Option<IpAddr>), Vec<&PortMapping>> =
            BTreeMap::new();
        let (leaving, staying): (Vec<_>, Vec<_>) = present
            .iter()
            .partition(|mapping| closing.contains(mapping));
        for mapping in staying {
            let key = (mapping.protocol, mapping.container_port, mapping.host_ip);
            at_hand.entry(key).or_default().push(mapping);
        }
        let mut order: Vec<usize> = (0..requests.len()).collect();
        // Who names a port has it before those who would take any.
        order.sort_by_key(|&place| requests[place].host_ports.is_none_or(|(a, b)| a != b));
        let mut exchange = Self::default();
        for place in order {
            let request = &requests[place];
            let key = (request.protocol, request.container_port, request.host_ip);
            let candidates = at_hand.get_mut(&key);
            let found = candidates.and_then(|list| {
                let index = list.iter().position(|mapping| {
                    let fits = |(first, last)| (first..=last).contains(&mapping.host_port);
                    request.host_ports.is_none_or(fits)
                })?;
                Some(list.swap_remove(index).clone())
            });
            match found {
                Some(mapping) => drop(exchange.kept.insert(place, mapping)),
                None => exchange.wanted.push((place, request.clone())),
            }
        }
        exchange.wanted.sort_by_key(|(place, _)| *place);
        let leaving = leaving.into_iter().chain(at_hand.into_values().flatten());
        exchange.leaving = leaving.cloned().collect();
        exchange
    }
}

/// The TCP ports in the sandbox of which one is no longer published.
fn taken_back(old: &Sandbox, new: &Sandbox) -> impl Iterator<Item = u16> {
    let gone = old.ports.iter().filter(|port| !new.ports.contains(port));
    let tcp = gone.filter(|port| port.protocol == Protocol::Tcp);
    tcp.map(|port| port.container_port)
}

/// How published ports of a family get to the endpoint that has the gateway. An endpoint without
/// IPv6 is reached from IPv6 by the relay, as if its network were translated.
fn way_in(gateway: Option<&Endpoint>, family: IpFamily, networks: &Networks) -> WayIn {
    let network = gateway.and_then(|endpoint| networks.get(&endpoint.network));
    network.map_or(WayIn::None, |network| network.settings().way_in(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host_port: u16, container_port: u16) -> PortMapping {
        PortMapping {
            protocol: Protocol::Tcp,
            host_ip: None,
            host_port,
            container_port,
        }
    }

    fn request(host_ports: Option<(u16, u16)>, container_port: u16) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            container_port,
            host_ip: None,
            host_ports,
        }
    }

    #[test]
    fn what_is_asked_for_and_there_stays() {
        let present = [mapping(8080, 80), mapping(40000, 81), mapping(9000, 90)];
        let requests = [
            request(Some((8000, 8001)), 80),
            request(None, 80),
            request(None, 81),
            request(Some((8080, 8080)), 80),
        ];
        let exchange = Exchange::between(&present, &requests, &[]);
        let kept: Vec<_> = exchange.kept.into_iter().collect();
        assert_eq!(kept, [(2, mapping(40000, 81)), (3, mapping(8080, 80))]);
        assert_eq!(exchange.leaving, [mapping(9000, 90)]);
        let wanted: Vec<usize> = exchange.wanted.iter().map(|(place, _)| *place).collect();
        assert_eq!(wanted, [0, 1]);
    }

    #[test]
    fn another_address_or_container_port_is_another_port() {
        let present = [mapping(8080, 80)];
        let local = Some(IpAddr::from([127, 0, 0, 1]));
        let elsewhere = PortRequest {
            host_ip: local,
            ..request(Some((8080, 8080)), 80)
        };
        let exchange = Exchange::between(&present, &[elsewhere], &[]);
        assert!(exchange.kept.is_empty(), "the address is another");
        let exchange = Exchange::between(&present, &[request(Some((8080, 8080)), 81)], &[]);
        assert_eq!(exchange.leaving, present);
    }
    #[test]
    fn what_is_closing_goes_and_an_equal_one_stays() {
        let present = [mapping(32768, 80), mapping(32769, 80)];
        let closing = &present[..1];
        let exchange = Exchange::between(&present, &[request(None, 80)], closing);
        assert_eq!(exchange.leaving, closing);
        assert_eq!(exchange.kept[&0], present[1]);
        assert!(exchange.wanted.is_empty());
    }
}
