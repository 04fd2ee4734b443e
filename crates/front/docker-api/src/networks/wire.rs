//! How a network looks on the wire.

use crate::version::ApiVersion;
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::model::{Endpoint, SandboxId, SubnetSpec};
use sealane_engine::{Conflict, NetworkView, SubnetUsage};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network as `GET /networks` lists it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Summary<'a> {
    name: &'a str,
    id: String,
    created: &'a str,
    scope: String,
    /// Docker writes `null` where a network has no driver of its own.
    driver: String,
    #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam<'a>,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom<'a>,
    config_only: bool,
    options: BTreeMap<String, String>,
    labels: &'a BTreeMap<String, String>,
}

/// A network as `GET /networks/NAME` shows it.
#[derive(Serialize)]
pub(super) struct Inspect<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    #[serde(rename = "Containers")]
    containers: BTreeMap<String, Member<'a>>,
    #[serde(rename = "Services", skip_serializing_if = "Option::is_none")]
    services: Option<BTreeMap<String, ()>>,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    /// Ours: routes of the host that are in the way.
    #[serde(rename = "Conflicts", skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam<'a> {
    driver: &'a str,
    options: Option<&'a BTreeMap<String, String>>,
    /// `null` where there is none.
    config: Option<Vec<IpamConfig<'a>>>,
}

#[derive(Serialize)]
struct IpamConfig<'a> {
    #[serde(rename = "Subnet")]
    subnet: IpNet,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    ip_range: Option<IpNet>,
    #[serde(rename = "Gateway", skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(
        rename = "AuxiliaryAddresses",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    auxiliary: &'a BTreeMap<String, IpAddr>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom<'a> {
    network: &'a str,
}

#[derive(Serialize)]
struct Member<'a> {
    #[serde(rename = "Name")]
    name: &'a str,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    #[serde(rename = "MacAddress")]
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

#[derive(Serialize)]
struct Status {
    #[serde(rename = "IPAM")]
    ipam: IpamStatus,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IpamStatus {
    subnets: BTreeMap<String, SubnetStatus>,
}

#[derive(Serialize)]
struct SubnetStatus {
    #[serde(rename = "IPsInUse")]
    in_use: u64,
    #[serde(rename = "DynamicIPsAvailable")]
    available: u64,
}

/// A network as a list shows it.
pub(super) fn summary(network: &Driven, version: ApiVersion) -> Summary<'_> {
    let spec = &network.spec;
    let configured: Vec<IpamConfig<'_>> = spec.ipam.subnets.iter().map(ipam_config).collect();
    Summary {
        name: &spec.name,
        id: network.id.to_string(),
        created: &network.created,
        scope: spec.scope.to_string(),
        driver: if spec.config_only {
            "null".into()
        } else {
            spec.driver.to_string()
        },
        enable_ipv4: version.at_least(48).then_some(spec.enable_ipv4),
        enable_ipv6: spec.enable_ipv6,
        ipam: Ipam {
            driver: if spec.ipam.driver.is_empty() {
                "default"
            } else {
                &spec.ipam.driver
            },
            options: spec.ipam.options.as_ref(),
            config: Some(configured).filter(|subnets| !subnets.is_empty()),
        },
        internal: spec.internal,
        attachable: spec.attachable,
        ingress: spec.ingress,
        config_from: ConfigFrom {
            network: spec.config_from.as_deref().unwrap_or_default(),
        },
        config_only: spec.config_only,
        options: network.settings().shown(network),
        labels: &spec.labels,
    }
}

/// A network with those who joined it.
pub(super) fn inspect(view: &NetworkView, version: ApiVersion, verbose: bool) -> Inspect<'_> {
    let members = view.endpoints.iter();
    Inspect {
        summary: summary(&view.network, version),
        containers: members.map(member).collect(),
        // Services belong to Swarm: asked for, the map is there and empty, so it is left out.
        services: verbose
            .then_some(BTreeMap::new())
            .filter(|services| !services.is_empty()),
        status: version.at_least(52).then(|| status(&view.usage)),
        conflicts: view.conflicts.iter().map(Conflict::text).collect(),
    }
}

fn ipam_config(subnet: &SubnetSpec) -> IpamConfig<'_> {
    IpamConfig {
        subnet: subnet.subnet,
        ip_range: subnet.ip_range,
        gateway: subnet.gateway,
        auxiliary: &subnet.auxiliary,
    }
}

fn member((sandbox, name, endpoint): &(SandboxId, String, Endpoint)) -> (String, Member<'_>) {
    let member = Member {
        name,
        endpoint_id: endpoint.id.to_string(),
        mac_address: endpoint.mac.shown(),
        ipv4_address: endpoint.ipv4.map(|net| net.to_string()).unwrap_or_default(),
        ipv6_address: endpoint.ipv6.map(|net| net.to_string()).unwrap_or_default(),
    };
    (sandbox.to_string(), member)
}

fn status(usage: &[SubnetUsage]) -> Status {
    let subnet = |usage: &SubnetUsage| {
        let status = SubnetStatus {
            in_use: usage.in_use,
            available: usage.available,
        };
        (usage.subnet.to_string(), status)
    };
    Status {
        ipam: IpamStatus {
            subnets: usage.iter().map(subnet).collect(),
        },
    }
}

#[cfg(test)]
pub(super) mod tests;
