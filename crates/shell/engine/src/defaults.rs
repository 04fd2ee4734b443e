//! The three networks that exist from the start: bridge, host and none.

use crate::inherited::{DOCKER0, is_link_local};
use crate::locks::LockIgnoringPoison;
use crate::mtu::check_mtu;
use crate::routes::Avoid;
use crate::specify::{Surroundings, specify};
use crate::{CreateNetwork, Engine, EngineError, RequestedSubnet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sealane_core::drivers::bridge::options;
use sealane_core::drivers::{self, Driven};
use sealane_core::model::{
    DriverName, InterfaceName, IpFamily, IpamSpec, Network, NetworkId, NetworkSpec, SandboxId,
    UsersDevice,
};
use sealane_core::reserve::{NetworkState, Phase, Snapshot, open_pools};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Its name where another engine has `docker0`.
const SEALANE0: &str = "sealane0";

impl Engine {
    /// Makes those of the three that are missing, and brings the default bridge in line with the
    /// flags, unless containers are `alive`: they were started on it as it is. Nothing is made in
    /// the kernel yet.
    pub(crate) fn ensure_default_networks(
        &self,
        alive: &BTreeSet<SandboxId>,
    ) -> Result<(), EngineError> {
        for driver in drivers::all() {
            let missing = |name: &&str| self.state().named(name).is_none();
            if let Some(name) = driver.predefined().filter(missing) {
                let created = self.timestamp();
                self.add_default(|id| without_addresses(id, name, driver.name(), created))?;
            }
        }
        let present = self.state().named("bridge").map(|state| state.network.id);
        if !alive.is_empty() {
            // Docker's words.
            tracing::info!(
                "there are running containers, updated network configuration will not take affect"
            );
        }
        let stays = match (present, self.config.default_bridge.enabled) {
            (None, _) => false,
            (Some(_), true) => !alive.is_empty(),
            (Some(bridge), false) => self.is_joined(&bridge, alive),
        };
        if stays {
            Ok(())
        } else if self.config.default_bridge.enabled {
            self.ensure_default_bridge()
        } else {
            self.known.change(drop_bridge);
            Ok(())
        }
    }

    /// Whether one of these sandboxes, which are not adopted yet, is on the network.
    fn is_joined(&self, network: &NetworkId, alive: &BTreeSet<SandboxId>) -> bool {
        let saved = self.saved.lock_ignoring_poison();
        let mut alive = saved.values().filter(|sandbox| alive.contains(&sandbox.id));
        alive.any(|sandbox| sandbox.endpoints.contains_key(network))
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
        let network = Driven::of(network)?;
        let pools = open_pools(&network)?;
        let state = NetworkState::new(Arc::new(network), pools, Phase::Settled);
        self.known.change(|draft| draft.put_network(state));
        Ok(())
    }

    /// The default bridge as the flags want it. It keeps its id, and its subnet where no flag says
    /// otherwise.
    fn ensure_default_bridge(&self) -> Result<(), EngineError> {
        let present = self
            .state()
            .named("bridge")
            .map(|state| state.network.clone());
        let (device, users_device) = self.default_device(present.as_deref())?;
        let left = match (&present, &users_device) {
            (None, None) => self.addresses_left_on(&device)?,
            (_, Some(users)) => users.addresses.clone(),
            (Some(_), None) => Vec::new(),
        };
        let before = present.as_deref().filter(|network| {
            users_device.is_none() || network.option(options::NAME) == Some(&device)
        });
        let asked = self.default_request(device.clone(), &left, before)?;
        let (avoid, nothing) = (self.prefixes_to_avoid()?, Avoid::default());
        let spec = {
            self.known.change(drop_bridge);
            let state = self.state();
            // The name is refused to users only; as its own request it goes under another.
            let around = Surroundings {
                state: &state,
                pools: &self.pools,
                // What it has is on the host already.
                avoid: if left.is_empty() { &avoid } else { &nothing },
                defaults: &BTreeMap::new(),
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
        let mtu = self.config.default_bridge.mtu;
        check_mtu(&spec, mtu.unwrap_or(options::DEFAULT_MTU))?;
        if users_device.is_none() {
            self.remove_left(&device, &left, &spec)?;
        }
        let network = match present {
            Some(present) => Network {
                spec,
                users_device,
                ..Network::clone(&present)
            },
            None => {
                let id = NetworkId::from_bytes(self.random_bytes()?);
                Network {
                    id,
                    created: self.timestamp(),
                    segments: 0,
                    spec,
                    users_device,
                }
            }
        };
        self.keep_default(network)
    }

    /// The device, and what it was like before if it is the user's own.
    fn default_device(
        &self,
        present: Option<&Driven>,
    ) -> Result<(String, Option<UsersDevice>), EngineError> {
        let found = |name: &str| {
            let name = InterfaceName::try_from(name)
                .map_err(|error| EngineError::Invalid(error.to_string()))?;
            self.others_device(&name)
        };
        let had = present.and_then(|network| network.option(options::NAME));
        if let Some(device) = &self.config.default_bridge.device {
            let name = InterfaceName::try_from(device.as_str())
                .map_err(|error| EngineError::Invalid(error.to_string()))?;
            let Some(now) = self.users_device(&name)? else {
                return Err(EngineError::Failed {
                    message: format!(
                        "error creating default \"bridge\" network: bridge device with non \
                         default name {device} must be created manually"
                    ),
                    source: None,
                });
            };
            // What we gave it in an earlier run is not the user's.
            let before = present.filter(|_| had == Some(device));
            let before = before.and_then(|network| network.users_device.clone());
            return Ok((device.clone(), Some(before.unwrap_or(now))));
        }
        if let Some(device) = had.filter(|_| present.is_none_or(|n| n.users_device.is_none()))
            && found(device)?.is_none()
        {
            return Ok((device.into(), None));
        }
        let Some(now) = found(DOCKER0)? else {
            return Ok((DOCKER0.into(), None));
        };
        if let Some(why) = self.keeps_docker0()? {
            if found(SEALANE0)?.is_some() {
                return Err(EngineError::Failed {
                    message: format!(
                        "{DOCKER0} and {SEALANE0} belong to other engines; start this one with \
                         --bridge=none, or with --bridge and a bridge of your own"
                    ),
                    source: None,
                });
            }
            tracing::warn!("{why}; the default bridge is {SEALANE0} instead");
            return Ok((SEALANE0.into(), None));
        }
        tracing::info!("{DOCKER0} is there already; the default bridge takes it as it is");
        let before = present.filter(|_| had.is_some_and(|had| had == DOCKER0));
        let before = before.and_then(|network| network.users_device.clone());
        Ok((DOCKER0.into(), Some(before.unwrap_or(now))))
    }

    /// What the flags ask for; where they leave it open, what the device has (`left`), or the subnet
    /// that the network had.
    fn default_request(
        &self,
        device: String,
        left: &[IpNet],
        present: Option<&Driven>,
    ) -> Result<CreateNetwork, EngineError> {
        let flags = &self.config.default_bridge;
        let own = |family: IpFamily| {
            let of_family = |net: &&IpNet| family.has(net.addr()) && !is_link_local(net);
            let range = family.pick(flags.range.map(IpNet::V4), None);
            let in_range = |net: &&IpNet| range.is_none_or(|range| range.contains(&net.addr()));
            let mut several = left.iter().filter(of_family);
            let first = several.clone().next();
            several.find(in_range).or(first).copied()
        };
        let kept = || kept_subnet(present, flags.range);
        let mut subnets = Vec::new();
        let address = flags.address.map(IpNet::V4).or_else(|| own(IpFamily::V4));
        if let Some(address) = address.or_else(kept) {
            let range = flags.range.map(IpNet::V4);
            subnets.push(subnet(address, flags.gateway.map(Into::into), range));
        }
        let address6 = flags.address6.or_else(|| first_of(flags.range6));
        let address6 = address6.map(IpNet::V6).or_else(|| own(IpFamily::V6));
        if let (true, Some(address)) = (flags.ipv6, address6) {
            let range = flags
                .range6
                .map(IpNet::V6)
                .filter(|_| flags.address6.is_some());
            subnets.push(subnet(address, flags.gateway6.map(Into::into), range));
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
        let mtu = flags.mtu.unwrap_or(options::DEFAULT_MTU);
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
}

/// Forgets the default bridge.
fn drop_bridge(draft: &mut Snapshot) {
    let bridge = draft.named("bridge").map(|found| found.network.id);
    if let Some(bridge) = bridge {
        draft.drop_network(&bridge);
    }
}

/// The subnet of an address of the bridge. Another machine's address that containers are to route
/// through is kept out of use under the name that says so.
fn subnet(
    address: IpNet,
    gateway: Option<std::net::IpAddr>,
    range: Option<IpNet>,
) -> RequestedSubnet {
    let own = Some(address.addr()).filter(|ip| *ip != address.network());
    let text = |value: Option<String>| value.unwrap_or_default();
    let family = IpFamily::of(address.addr());
    let key = family.pick("DefaultGatewayIPv4", "DefaultGatewayIPv6");
    let elsewhere = gateway.filter(|gateway| Some(*gateway) != own);
    RequestedSubnet {
        subnet: address.trunc().to_string(),
        ip_range: text(range.map(|range| range.trunc().to_string())),
        gateway: text(own.map(|ip| ip.to_string())),
        auxiliary: elsewhere
            .map(|ip| (key.to_owned(), ip.to_string()))
            .into_iter()
            .collect(),
    }
}

/// The IPv4 subnet the default bridge had, or the one its range asks for.
fn kept_subnet(present: Option<&Driven>, range: Option<Ipv4Net>) -> Option<IpNet> {
    let had = present.and_then(|network| Some(network.subnets(IpFamily::V4).next()?.subnet));
    match (had, range.map(IpNet::V4)) {
        (Some(had), Some(range)) if had.contains(&range) => Some(had),
        (_, Some(range)) => Some(range.trunc()),
        (had, None) => had,
    }
}

/// The first address of a range, as the bridge's.
fn first_of(range: Option<Ipv6Net>) -> Option<Ipv6Net> {
    let range = range?;
    let first = range.hosts().nth(1)?;
    Ipv6Net::new(first, range.prefix_len()).ok()
}

fn without_addresses(id: NetworkId, name: &str, driver: DriverName, created: String) -> Network {
    Network {
        id,
        created,
        segments: 0,
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
        users_device: None,
    }
}
