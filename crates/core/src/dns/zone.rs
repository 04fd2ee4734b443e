//! Zones: the names of one network, as an immutable snapshot.
//!
//! The maps are persistent: a changed zone shares nearly everything with the one it came from, so
//! adding an endpoint to 10,000 costs as little as to ten, and readers of the old one are not
//! disturbed. Names are kept in lower case.

use super::draft::encode_name;
use crate::model::{EndpointId, NetworkId};
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What an endpoint is called on its network, and the addresses behind its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointNames {
    /// The endpoint.
    pub id: EndpointId,
    /// Its names. A reverse lookup gives the first one that a message can carry.
    pub names: Vec<String>,
    /// Its IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// The ports it announces by SRV records under each of its names.
    pub services: Vec<Service>,
}

impl EndpointNames {
    /// The first of its names that a message can carry, as a message carries it: no label of it is
    /// longer than 63 bytes.
    pub(super) fn first_name(&self) -> Option<Vec<u8>> {
        self.names.iter().find_map(|name| encode_name(name))
    }
}

/// A port announced by name: `port_name.protocol.NAME`, as in `_http._tcp.web`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The first label, `_http`.
    pub port_name: String,
    /// The second label, `_tcp`.
    pub protocol: String,
    /// The port.
    pub port: u16,
}

/// Hashed, because among 10,000 names a tree needs a dozen distant comparisons, which was felt in
/// the rate of answers. The hash has no seed, so equal arguments still give equal zones.
type Map<K, V> = GenericHashMap<K, V, BuildHasherDefault<DefaultHasher>, DefaultSharedPtr>;

/// The names of one network. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    endpoints: OrdMap<EndpointId, Arc<EndpointNames>>,
    by_name: Map<Arc<str>, Arc<[Arc<EndpointNames>]>>,
    by_address: Map<IpAddr, Arc<EndpointNames>>,
}

impl Zone {
    /// The zone with this endpoint in it. What the endpoint was called before is forgotten.
    #[must_use]
    pub fn with_endpoint(&self, endpoint: EndpointNames) -> Self {
        let mut zone = self.without_endpoint(&endpoint.id);
        let endpoint = Arc::new(endpoint);
        for key in keys(&endpoint) {
            let others = zone.by_name.get(&*key).map_or(&[][..], |others| others);
            let all = others.iter().chain([&endpoint]).cloned().collect();
            zone.by_name.insert(key.into(), all);
        }
        for address in addresses(&endpoint) {
            zone.by_address.insert(address, endpoint.clone());
        }
        zone.endpoints.insert(endpoint.id, endpoint);
        zone
    }

    /// The zone without this endpoint.
    #[must_use]
    pub fn without_endpoint(&self, id: &EndpointId) -> Self {
        let mut zone = self.clone();
        let Some(endpoint) = zone.endpoints.remove(id) else {
            return zone;
        };
        for key in keys(&endpoint) {
            let rest: Arc<[_]> = (zone.named(&key).iter())
                .filter(|e| e.id != *id)
                .cloned()
                .collect();
            if rest.is_empty() {
                zone.by_name.remove(&*key);
            } else {
                zone.by_name.insert(key.into(), rest);
            }
        }
        for address in addresses(&endpoint) {
            // Another endpoint may have been given the address before this one was forgotten.
            if zone
                .by_address
                .get(&address)
                .is_some_and(|owner| owner.id == *id)
            {
                zone.by_address.remove(&address);
            }
        }
        zone
    }

    /// The endpoints that have this name, which must be in lower case.
    pub fn named(&self, name: &str) -> &[Arc<EndpointNames>] {
        self.by_name.get(name).map_or(&[], |endpoints| endpoints)
    }

    /// The endpoint that has this address.
    pub fn at(&self, address: &IpAddr) -> Option<&EndpointNames> {
        self.by_address.get(address).map(|endpoint| &**endpoint)
    }

    /// The names and addresses of this endpoint.
    pub fn endpoint(&self, id: &EndpointId) -> Option<&EndpointNames> {
        self.endpoints.get(id).map(|endpoint| &**endpoint)
    }

    /// Whether nothing has a name here.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }
}

/// The zones of all networks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Zones(OrdMap<NetworkId, Zone>);

impl Zones {
    /// The zone of this network.
    pub fn zone(&self, network: &NetworkId) -> Option<&Zone> {
        self.0.get(network)
    }

    /// The zones, with this one in the place of the network's old one.
    #[must_use]
    pub fn with_zone(&self, network: NetworkId, zone: Zone) -> Self {
        Self(self.0.update(network, zone))
    }

    /// The zones without this network's.
    #[must_use]
    pub fn without_zone(&self, network: &NetworkId) -> Self {
        Self(self.0.without(network))
    }
}

/// The names of an endpoint as they are looked up: in lower case, each once.
fn keys(endpoint: &EndpointNames) -> Vec<String> {
    let mut keys: Vec<_> = endpoint
        .names
        .iter()
        .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn addresses(endpoint: &EndpointNames) -> impl Iterator<Item = IpAddr> {
    let v4 = endpoint.ipv4.map(IpAddr::V4);
    v4.into_iter().chain(endpoint.ipv6.map(IpAddr::V6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;

    fn endpoint(name: &str, last: u8) -> EndpointNames {
        EndpointNames {
            id: derive_id(&[name.as_bytes()]),
            names: vec![name.into(), "Shared".into()],
            ipv4: Some(Ipv4Addr::new(10, 0, 0, last)),
            ipv6: None,
            services: vec![],
        }
    }

    fn name_at<'a>(zone: &'a Zone, address: &str) -> Option<&'a str> {
        let endpoint = zone.at(&address.parse().unwrap())?;
        endpoint.names.first().map(String::as_str)
    }

    #[test]
    fn endpoints_may_share_a_name_and_leave_it_one_by_one() {
        let (a, b) = (endpoint("a", 1), endpoint("b", 2));
        let zone = Zone::default()
            .with_endpoint(a.clone())
            .with_endpoint(b.clone());
        assert_eq!(zone.named("shared").len(), 2);
        let zone = zone.without_endpoint(&a.id);
        assert_eq!(zone.named("shared").len(), 1);
        assert_eq!(zone.named("a").len(), 0);
        assert!(zone.without_endpoint(&b.id).is_empty());
    }

    #[test]
    fn an_endpoint_added_again_replaces_itself() {
        let zone = Zone::default()
            .with_endpoint(endpoint("a", 1))
            .with_endpoint(endpoint("a", 9));
        assert_eq!(zone.named("a").len(), 1);
        assert_eq!(name_at(&zone, "10.0.0.1"), None);
        assert_eq!(name_at(&zone, "10.0.0.9"), Some("a"));
    }

    #[test]
    fn an_address_passed_on_stays_with_its_new_owner() {
        let (a, b) = (endpoint("a", 1), endpoint("b", 1));
        let zone = Zone::default().with_endpoint(a.clone()).with_endpoint(b);
        let zone = zone.without_endpoint(&a.id);
        assert_eq!(name_at(&zone, "10.0.0.1"), Some("b"));
    }
}
