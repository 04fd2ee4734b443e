//! The three networks that exist from the start: bridge, host and none.

use crate::host::timestamp;
use crate::networks::open_pools;
use crate::specify::{Surroundings, specify};
use crate::state::NetworkState;
use crate::{CreateNetwork, Engine, EngineError, RequestedSubnet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sealane_core::drivers::bridge::options;
use sealane_core::model::{DriverKind, InterfaceName, IpamSpec, Network, NetworkId, NetworkSpec};
use sealane_core::plan::{Key, Netns};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The device of the default bridge, as every script expects it.
const DOCKER0: &str = "docker0";
/// Its name where another engine has `docker0`.
const SEALANE0: &str = "sealane0";

impl Engine {
    /// Makes those of the three that are missing, and brings the default bridge in line with the
    /// flags. Nothing is made in the kernel yet.
    pub(crate) fn ensure_default_networks(&self) -> Result<(), EngineError> {
        for (name, driver) in [("host", DriverKind::Host), ("none", DriverKind::Null)] {
            if self.state().named(name).is_none() {
                self.add_default(|id| without_addresses(id, name, driver))?;
            }
        }
        if self.config.default_bridge.enabled {
            self.ensure_default_bridge()
        } else {
            self.state()
                .networks
                .retain(|_, state| state.network.spec.name != "bridge");
            Ok(())
        }
    }

    fn add_default(&self, make: impl FnOnce(NetworkId) -> Network) -> Result<(), EngineError> {
        let network = make(NetworkId::from_bytes(self.random_bytes()?));
        self.keep_default(network)
    }

    /// Stores a default network, and knows it from now on.
    fn keep_default(&self, network: Network) -> Result<(), EngineError> {
        self.store_network(&network).map_err(|error| {
            EngineError::failed(
                format!("network {} cannot be stored", network.spec.name),
                error,
            )
        })?;
        let pools = open_pools(&network)?;
        let state = NetworkState::new(Arc::new(network), pools);
        self.state().networks.insert(state.network.id, state);
        Ok(())
    }

    /// The default bridge as the flags want it. It keeps its id, and its subnet where no flag says
    /// otherwise.
    fn ensure_default_bridge(&self) -> Result<(), EngineError> {
        let present = self
            .state()
            .named("bridge")
            .map(|state| state.network.clone());
        let (device, adopted) = self.default_device(present.as_deref())?;
        let asked = self.default_request(device, adopted, present.as_deref())?;
        let avoid = self.prefixes_to_avoid()?;
        let spec = {
            let mut state = self.state();
            state
                .networks
                .retain(|_, state| state.network.spec.name != "bridge");
            // The name is refused to users only; as its own request it goes under another.
            let around = Surroundings {
                state: &state,
                pools: &self.pools,
                avoid: if adopted { &[] } else { &avoid },
                defaults: None,
            };
            let request = CreateNetwork {
                name: " bridge".into(),
                ..asked
            };
            NetworkSpec {
                name: "bridge".into(),
                ..specify(&request, &around)?
            }
        };
        let network = match present {
            Some(present) => Network {
                spec,
                adopted,
                ..Network::clone(&present)
            },
            None => {
                let id = NetworkId::from_bytes(self.random_bytes()?);
                Network {
                    id,
                    created: timestamp(),
                    spec,
                    adopted,
                }
            }
        };
        self.keep_default(network)
    }

    /// The device, and whether it is the user's own.
    fn default_device(&self, present: Option<&Network>) -> Result<(String, bool), EngineError> {
        let exists = |name: &str| {
            let name = InterfaceName::try_from(name)
                .map_err(|error| EngineError::Invalid(error.to_string()))?;
            self.foreign_link(&name)
        };
        if let Some(device) = &self.config.default_bridge.device {
            return Ok((device.clone(), exists(device)?));
        }
        if let Some(device) = present.and_then(|network| network.option(options::NAME))
            && !exists(device)?
        {
            return Ok((device.into(), false));
        }
        if !exists(DOCKER0)? {
            return Ok((DOCKER0.into(), false));
        }
        tracing::warn!(
            "{DOCKER0} belongs to another engine; the default bridge is {SEALANE0} instead"
        );
        Ok((SEALANE0.into(), false))
    }

    /// Whether a link exists that we did not make.
    fn foreign_link(&self, name: &InterfaceName) -> Result<bool, EngineError> {
        let failed =
            |error| EngineError::failed(format!("cannot look for a link named {name}"), error);
        let kernel = self.executor.kernel();
        let key = Key::Link(Netns::Host, name.clone());
        let foreign = kernel.link_is_ours(name).map_err(failed)? == Some(false);
        Ok(foreign && !self.claimed.contains(&key))
    }

    fn default_request(
        &self,
        device: String,
        adopted: bool,
        present: Option<&Network>,
    ) -> Result<CreateNetwork, EngineError> {
        let flags = &self.config.default_bridge;
        let mut subnets = Vec::new();
        let address = match (flags.address, adopted) {
            (None, true) => self.address_of(&device)?,
            (address, _) => address,
        };
        if let Some(address) = address {
            let range = flags.range.map(IpNet::V4);
            subnets.push(subnet(
                IpNet::V4(address),
                flags.gateway.map(Into::into),
                range,
            ));
        } else if let Some(kept) = kept_subnet(present, flags.range) {
            subnets.push(subnet(
                kept,
                flags.gateway.map(Into::into),
                flags.range.map(IpNet::V4),
            ));
        }
        let address6 = flags.address6.or_else(|| first_of(flags.range6));
        if let (true, Some(address)) = (flags.ipv6, address6) {
            let range = flags
                .range6
                .map(IpNet::V6)
                .filter(|_| flags.address6.is_some());
            subnets.push(subnet(
                IpNet::V6(address),
                flags.gateway6.map(Into::into),
                range,
            ));
        }
        Ok(CreateNetwork {
            enable_ipv6: Some(flags.ipv6),
            subnets,
            options: self.default_options(device),
            ..CreateNetwork::default()
        })
    }

    fn default_options(&self, device: String) -> BTreeMap<String, String> {
        let flags = &self.config.default_bridge;
        let binding = flags
            .host_binding
            .map_or("0.0.0.0".into(), |ip| ip.to_string());
        let mtu = flags.mtu.unwrap_or(options::BridgeOptions::DEFAULT_MTU);
        [
            (options::DEFAULT, "true".to_owned()),
            (options::ICC, flags.icc.to_string()),
            (options::MASQUERADE, flags.masquerade.to_string()),
            (options::HOST_BINDING, binding),
            (options::NAME, device),
            (options::MTU, mtu.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// The first IPv4 address of a link of the host.
    fn address_of(&self, device: &str) -> Result<Option<Ipv4Net>, EngineError> {
        let addresses = self.executor.kernel().addresses().map_err(|error| {
            EngineError::failed(format!("cannot read the addresses of {device}"), error)
        })?;
        let own = addresses
            .into_iter()
            .filter(|address| address.link == device);
        Ok(own.into_iter().find_map(|address| match address.address {
            IpNet::V4(address) => Some(address),
            IpNet::V6(_) => None,
        }))
    }
}

/// The subnet of an address of the bridge: the address is its gateway if no flag says otherwise.
fn subnet(
    address: IpNet,
    gateway: Option<std::net::IpAddr>,
    range: Option<IpNet>,
) -> RequestedSubnet {
    let own = Some(address.addr()).filter(|ip| *ip != address.network());
    let text = |value: Option<String>| value.unwrap_or_default();
    RequestedSubnet {
        subnet: address.trunc().to_string(),
        ip_range: text(range.map(|range| range.to_string())),
        gateway: text(gateway.or(own).map(|ip| ip.to_string())),
        auxiliary: BTreeMap::new(),
    }
}

/// The IPv4 subnet the default bridge had, or the one its range asks for.
fn kept_subnet(present: Option<&Network>, range: Option<Ipv4Net>) -> Option<IpNet> {
    let had = present?.subnets(false).next()?.subnet;
    match range {
        Some(range) if !had.contains(&IpNet::V4(range)) => Some(IpNet::V4(range.trunc())),
        Some(_) | None => Some(had),
    }
}

/// The first address of a range, as the bridge's.
fn first_of(range: Option<Ipv6Net>) -> Option<Ipv6Net> {
    let range = range?;
    let first = range.hosts().nth(1)?;
    Ipv6Net::new(first, range.prefix_len()).ok()
}

fn without_addresses(id: NetworkId, name: &str, driver: DriverKind) -> Network {
    Network {
        id,
        created: timestamp(),
        spec: NetworkSpec {
            name: name.into(),
            driver,
            scope: Default::default(),
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: None,
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: IpamSpec {
                driver: "default".into(),
                options: None,
                subnets: vec![],
            },
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        },
        adopted: false,
    }
}
