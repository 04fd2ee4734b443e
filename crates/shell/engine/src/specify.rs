//! From a request to a network's specification: every subnet chosen, every gateway known.
//!
//! Reads the state and the host's routes; changes nothing. The texts are Docker's.

use crate::routes::Avoid;
use crate::{CreateNetwork, EngineError, RequestedSubnet};
use ipnet::IpNet;
use sealane_core::drivers::{self, Driver, Refusal, Subnets};
use sealane_core::ipam::{AddressPools, check_overlap, default_gateway, validate};
use sealane_core::model::{
    IpFamily, IpamSpec, NetworkSpec, PerFamily, Scope, SubnetSpec, parse_flag,
};
use sealane_core::reserve::Snapshot;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `com.docker.network.enable_ipv4` and `6`: the families, as driver options.
const ENABLE: [&str; 2] = [
    "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6",
];

/// The IPAM driver that gives no addresses.
const NO_ADDRESSES: &str = "null";

/// What a specification depends on besides the request.
pub(crate) struct Surroundings<'a> {
    /// What there is already.
    pub(crate) state: &'a Snapshot,
    /// Where subnets come from.
    pub(crate) pools: &'a AddressPools,
    /// What the host's routes and name servers take up.
    pub(crate) avoid: &'a Avoid,
    /// By driver, options for networks that do not set them.
    pub(crate) defaults: &'a BTreeMap<String, BTreeMap<String, String>>,
}

/// Checks a request and completes it.
pub(crate) fn specify(
    request: &CreateNetwork,
    around: &Surroundings<'_>,
) -> Result<NetworkSpec, EngineError> {
    check_name(&request.name, around.state)?;
    if request.driver == "overlay" {
        return Err(EngineError::Forbidden(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
             connect this node to swarm and try again."
                .into(),
        ));
    }
    let of_operators = request.ingress || request.internal || request.attachable;
    if request.config_only && (of_operators || !request.scope.is_empty()) {
        return Err(EngineError::Forbidden(
            "configuration network can only contain network specific fields. Network operator \
             fields like [ ingress | internal | attachable | scope ] are not supported."
                .into(),
        ));
    }
    if let Some(source) = request
        .config_from
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        let completed = from_configuration(request, source, around.state)?;
        let spec = complete(&completed, around)?;
        return Ok(NetworkSpec {
            config_from: Some(source.into()),
            ..spec
        });
    }
    complete(request, around)
}

/// Completes a request that stands for itself.
fn complete(
    request: &CreateNetwork,
    around: &Surroundings<'_>,
) -> Result<NetworkSpec, EngineError> {
    let driver = driver(request)?;
    if request.ingress {
        let text = "Ingress network can only be global scope network";
        return Err(EngineError::Forbidden(text.into()));
    }
    let mut options = defaults(request, around);
    options.extend(request.options.clone());
    let enable_ipv4 = enabled(request.enable_ipv4, &options, ENABLE[0], true)?;
    let enable_ipv6 = enabled(request.enable_ipv6, &options, ENABLE[1], false)?;
    // An option that the request overrules is not in force, and not shown. (Of a network that takes
    // its settings from another, the request is that one's.)
    for (asked, key) in [request.enable_ipv4, request.enable_ipv6]
        .into_iter()
        .zip(ENABLE)
    {
        if asked.is_some() && request.config_from.is_none() {
            options.remove(key);
        }
    }
    if !enable_ipv4 && !enable_ipv6 && !request.config_only {
        return Err(EngineError::Invalid("IPv4 or IPv6 must be enabled".into()));
    }
    let enabled = PerFamily {
        v4: enable_ipv4,
        v6: enable_ipv6,
    };
    let subnets = subnets(request, driver, enabled, around)?;
    let mut spec = NetworkSpec {
        name: request.name.clone(),
        driver: driver.name(),
        scope: scope(&request.scope)?,
        internal: request.internal,
        attachable: request.attachable,
        ingress: request.ingress,
        config_only: request.config_only,
        config_from: None,
        enable_ipv4,
        enable_ipv6,
        ipam: IpamSpec {
            driver: match request.ipam_driver.as_str() {
                "" => "default".into(),
                name => name.into(),
            },
            options: request.ipam_options.clone(),
            subnets,
        },
        options,
        labels: request.labels.clone(),
    };
    choose_gateways(&mut spec)?;
    Ok(spec)
}

/// The options that networks of a driver have unless they say otherwise. One that takes its settings
/// from another has that one's.
fn defaults(request: &CreateNetwork, around: &Surroundings<'_>) -> BTreeMap<String, String> {
    let driver = match request.driver.as_str() {
        "" | "default" => drivers::DEFAULT.name().to_string(),
        named => named.to_owned(),
    };
    let found = around.defaults.get(&driver);
    let own = found.filter(|_| request.config_from.is_none());
    own.cloned().unwrap_or_default()
}

/// The first address of each subnet that needs a gateway and was given none.
pub(crate) fn choose_gateways(spec: &mut NetworkSpec) -> Result<(), EngineError> {
    let driver = drivers::find(spec.driver.as_str());
    let Some(driver) = driver.filter(|_| !spec.config_only) else {
        return Ok(());
    };
    let chosen = driver.chooses_gateways(spec)?;
    for subnet in &mut spec.ipam.subnets {
        let family = IpFamily::of(subnet.subnet.addr());
        if subnet.gateway.is_none() && chosen[family] {
            subnet.gateway = default_gateway(subnet.subnet, subnet.ip_range);
        }
    }
    Ok(())
}

fn check_name(name: &str, state: &Snapshot) -> Result<(), EngineError> {
    if name.trim().is_empty() {
        return Err(EngineError::Invalid("invalid name: name is empty".into()));
    }
    if ["bridge", "host", "none", "default"].contains(&name) {
        return Err(EngineError::Forbidden(format!(
            "operation is not permitted on predefined {name} network "
        )));
    }
    state.check_free_soon(state.holder_of(name).into_iter())?;
    match state.named(name) {
        Some(_) => Err(EngineError::Conflict(format!(
            "network with name {name} already exists"
        ))),
        None => Ok(()),
    }
}

/// The request with the settings of a configuration network.
fn from_configuration(
    request: &CreateNetwork,
    source: &str,
    state: &Snapshot,
) -> Result<CreateNetwork, EngineError> {
    let forbidden = |text: &str| Err(EngineError::Forbidden(text.into()));
    if request.config_only {
        return forbidden("a configuration network cannot depend on another configuration network");
    }
    let ipam = !["", "default"].contains(&request.ipam_driver.as_str())
        || !request.subnets.is_empty()
        || request
            .ipam_options
            .as_ref()
            .is_some_and(|options| !options.is_empty());
    let families = request.enable_ipv4 == Some(false) || request.enable_ipv6 == Some(true);
    if ipam || families || !request.labels.is_empty() {
        return forbidden(
            "user-specified configurations are not supported if the network depends on a \
             configuration network",
        );
    }
    if !request.options.is_empty() {
        return forbidden(
            "network driver options are not supported if the network depends on a configuration \
             network",
        );
    }
    let found = state.named(source).map(|found| &found.network.spec);
    let Some(spec) = found.filter(|spec| spec.config_only) else {
        return Err(EngineError::NotFound(format!(
            "configuration network \"{source}\" not found"
        )));
    };
    Ok(CreateNetwork {
        enable_ipv4: Some(spec.enable_ipv4),
        enable_ipv6: Some(spec.enable_ipv6),
        ipam_options: spec.ipam.options.clone(),
        subnets: spec.ipam.subnets.iter().map(as_asked).collect(),
        options: spec.options.clone(),
        labels: spec.labels.clone(),
        ..request.clone()
    })
}

fn as_asked(subnet: &SubnetSpec) -> RequestedSubnet {
    let text = |value: Option<String>| value.unwrap_or_default();
    let auxiliary = subnet.auxiliary.iter();
    RequestedSubnet {
        subnet: subnet.subnet.to_string(),
        ip_range: text(subnet.ip_range.map(|range| range.to_string())),
        gateway: text(subnet.gateway.map(|gateway| gateway.to_string())),
        auxiliary: auxiliary
            .map(|(name, ip)| (name.clone(), ip.to_string()))
            .collect(),
    }
}

fn driver(request: &CreateNetwork) -> Result<&'static dyn Driver, EngineError> {
    if request.config_only {
        return Ok(drivers::OF_CONFIGURATION);
    }
    let ipam = request.ipam_driver.as_str();
    if !["", "default", NO_ADDRESSES].contains(&ipam) {
        return Err(EngineError::NotFound(format!(
            "plugin \"{ipam}\" not found"
        )));
    }
    let driver = match request.driver.as_str() {
        "" | "default" => drivers::DEFAULT,
        name => drivers::find(name).ok_or_else(|| Refusal::unknown_driver(name))?,
    };
    match driver.predefined() {
        None => Ok(driver),
        Some(_) => Err(EngineError::Forbidden(format!(
            "only one instance of \"{}\" network is allowed",
            driver.name()
        ))),
    }
}

fn scope(scope: &str) -> Result<Scope, EngineError> {
    match scope {
        "" | "local" => Ok(Scope::Local),
        "swarm" => Err(EngineError::Forbidden(
            "cannot create a swarm scoped network when swarm is not active".into(),
        )),
        other => Err(EngineError::Invalid(format!(
            "invalid scope \"{other}\": a bridge network has scope local"
        ))),
    }
}

/// Whether a family is on: the request says so, or an option, or it is the default.
fn enabled(
    request: Option<bool>,
    options: &BTreeMap<String, String>,
    key: &str,
    default: bool,
) -> Result<bool, EngineError> {
    let option = |value: &String| {
        parse_flag(value).ok_or_else(|| {
            EngineError::Invalid(format!(
                "failed to parse {key} value: {value} (strconv.ParseBool: parsing \"{value}\": \
                 invalid syntax)"
            ))
        })
    };
    match request {
        Some(enabled) => Ok(enabled),
        None => options.get(key).map_or(Ok(default), option),
    }
}

/// The subnets asked for, completed, and one chosen for each family that none was asked for.
fn subnets(
    request: &CreateNetwork,
    driver: &dyn Driver,
    enabled: PerFamily<bool>,
    around: &Surroundings<'_>,
) -> Result<Vec<SubnetSpec>, EngineError> {
    if request.ipam_driver == NO_ADDRESSES && !request.config_only {
        return no_addresses(request, driver, enabled.v4).map(|()| vec![]);
    }
    let mut subnets = Vec::new();
    let mut taken: Vec<IpNet> = around.state.subnets().collect();
    for asked in &request.subnets {
        let subnet = parse_subnet(asked)?;
        if enabled[IpFamily::of(subnet.subnet.addr())] {
            subnets.push(size_only(subnet, &taken, around)?);
        }
    }
    validate(&subnets, enabled.v6).map_err(|fault| EngineError::Invalid(fault.to_string()))?;
    if request.config_only {
        return Ok(subnets);
    }
    let several = |family: IpFamily| {
        let own = subnets.iter().map(|subnet| subnet.subnet.addr());
        own.filter(|address| family.has(*address)).count() > 1
    };
    if driver.subnets() == Subnets::One && IpFamily::BOTH.into_iter().any(several) {
        return Err(EngineError::Forbidden(format!(
            "{} driver doesn't support multiple subnets",
            driver.name()
        )));
    }
    for (index, subnet) in subnets.iter().enumerate() {
        let earlier = subnets[..index].iter().map(|other| &other.subnet);
        if driver.shares_subnets(&request.options, IpFamily::of(subnet.subnet.addr())) {
            continue;
        }
        let beside = around.state.overlapping(&subnet.subnet);
        around.state.check_free_soon(beside)?;
        check_overlap(subnet.subnet, taken.iter().chain(earlier))
            .map_err(|overlap| EngineError::Forbidden(overlap.to_string()))?;
    }
    taken.extend(subnets.iter().map(|subnet| subnet.subnet));
    for family in IpFamily::BOTH {
        let mut own = subnets.iter().map(|subnet| subnet.subnet.addr());
        let there = own.any(|address| family.has(address));
        if enabled[family] && !there {
            let chosen = choose(family, None, &taken, around)?;
            let at = family.pick(0, subnets.len());
            subnets.insert(at, bare(chosen));
        }
    }
    Ok(subnets)
}

/// What can be asked of a network without addresses: not every driver can do without.
fn no_addresses(
    request: &CreateNetwork,
    driver: &dyn Driver,
    ipv4: bool,
) -> Result<(), EngineError> {
    let invalid = |text: &str| Err(EngineError::Invalid(text.into()));
    if !request.subnets.is_empty() {
        return invalid("null ipam driver does not handle specific address pool requests");
    }
    match (driver.subnets(), ipv4) {
        (Subnets::One, true) => invalid("ipv4 pool is empty"),
        (Subnets::One, false) => invalid("ipv6 pool is empty"),
        (Subnets::None | Subnets::Any, _) => Ok(()),
    }
}

/// `0.0.0.0/24` and `::/64` ask for a size only.
fn size_only(
    asked: SubnetSpec,
    taken: &[IpNet],
    around: &Surroundings<'_>,
) -> Result<SubnetSpec, EngineError> {
    let subnet = asked.subnet;
    if !subnet.addr().is_unspecified() || subnet.prefix_len() == 0 {
        return Ok(asked);
    }
    let size = Some(subnet.prefix_len());
    Ok(SubnetSpec {
        subnet: choose(IpFamily::of(subnet.addr()), size, taken, around)?,
        ..asked
    })
}

fn choose(
    family: IpFamily,
    size: Option<u8>,
    taken: &[IpNet],
    around: &Surroundings<'_>,
) -> Result<IpNet, EngineError> {
    let Avoid { near, far } = around.avoid;
    let both: Vec<IpNet> = near.iter().chain(far).copied().collect();
    let chosen = around.pools.choose(family, taken, &both, size);
    let chosen = chosen.or_else(|_| around.pools.choose(family, taken, near, size));
    chosen.map_err(|error| EngineError::Invalid(error.to_string()))
}

/// A subnet that is chosen, whatever its size.
pub(crate) fn choose_subnet(
    family: IpFamily,
    taken: &[IpNet],
    around: &Surroundings<'_>,
) -> Result<SubnetSpec, EngineError> {
    choose(family, None, taken, around).map(bare)
}

fn bare(subnet: IpNet) -> SubnetSpec {
    SubnetSpec {
        subnet,
        ip_range: None,
        gateway: None,
        auxiliary: BTreeMap::new(),
    }
}

/// A subnet as asked for, read.
pub(crate) fn parse_subnet(asked: &RequestedSubnet) -> Result<SubnetSpec, EngineError> {
    let prefix = |text: &str| {
        text.parse::<IpNet>().map_err(|_| {
            EngineError::Invalid(format!(
                "invalid JSON: netip.ParsePrefix(\"{text}\"): write it as ADDRESS/LENGTH"
            ))
        })
    };
    let address = |text: &str| {
        text.parse::<IpAddr>().map_err(|_| {
            EngineError::Invalid(format!(
                "invalid JSON: ParseAddr(\"{text}\"): unable to parse IP"
            ))
        })
    };
    let optional = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let auxiliary = asked.auxiliary.iter().filter(|(_, text)| !text.is_empty());
    Ok(SubnetSpec {
        subnet: prefix(&asked.subnet)?,
        ip_range: optional(&asked.ip_range)
            .map(|text| prefix(&text))
            .transpose()?,
        gateway: optional(&asked.gateway)
            .map(|text| address(&text))
            .transpose()?,
        auxiliary: auxiliary
            .map(|(name, text)| Ok((name.clone(), address(text)?)))
            .collect::<Result<_, EngineError>>()?,
    })
}
