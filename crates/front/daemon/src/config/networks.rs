//! What the settings say of networks: the engine's configuration.

use super::error::{Result, refuse};
use super::settings::{Settings, parse};
use ipnet::IpNet;
use sealane_core::model::{Mark, NameserverConfig, Owner, Policy};
use sealane_engine::{AddressPool, DefaultBridge, Depot, EngineConfig};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// The smallest MTU that IPv4 knows.
const SMALLEST_MTU: i64 = 68;

/// Reads the engine's settings.
pub(crate) fn engine(
    settings: &Settings,
    data_root: &Path,
    exec_root: &Path,
) -> Result<EngineConfig> {
    Ok(EngineConfig {
        owner: owner(settings)?,
        data_root: data_root.into(),
        exec_root: exec_root.into(),
        pools: pools(settings)?,
        default_bridge: default_bridge(settings)?,
        ip_forward: settings.switch("ip-forward", true),
        ip_forward_no_drop: settings.switch("ip-forward-no-drop", false),
        default_network_options: default_options(settings)?,
        userland_proxy: settings.switch("userland-proxy", true),
        nameserver: nameserver(settings)?,
        host_gateway: addresses(settings, "host-gateway-ips")?,
        firewall_integration: firewall_integration(settings)?,
        policy: policy(settings)?,
        resolv_conf: settings.path("resolv-conf", "/etc/resolv.conf"),
        // A path is relative to where the daemon is started.
        depot: Depot::default(),
        one_call: false,
    })
}

fn default_bridge(settings: &Settings) -> Result<DefaultBridge> {
    let device = settings.text("bridge");
    if device.is_some() && settings.text("bip").is_some() {
        return refuse(
            "You specified -b & --bip, mutually exclusive options. Please specify only one",
        );
    }
    Ok(DefaultBridge {
        device: device.filter(|name| *name != "none").map(str::to_owned),
        enabled: device != Some("none"),
        address: settings.parsed("bip", "an IPv4 address with a prefix length")?,
        address6: settings.parsed("bip6", "an IPv6 address with a prefix length")?,
        range: settings.parsed("fixed-cidr", "an IPv4 subnet")?,
        range6: settings.parsed("fixed-cidr-v6", "an IPv6 subnet")?,
        gateway: settings.parsed("default-gateway", "an IPv4 address")?,
        gateway6: settings.parsed("default-gateway-v6", "an IPv6 address")?,
        mtu: mtu(settings)?,
        icc: settings.switch("icc", true),
        masquerade: settings.switch("ip-masq", true),
        host_binding: settings
            .parsed::<IpAddr>("ip", "an IP address")?
            .filter(|address| !address.is_unspecified()),
        ipv6: settings.switch("ipv6", false),
    })
}

fn owner(settings: &Settings) -> Result<Owner> {
    match settings.text("owner").map(Owner::try_from) {
        None => Ok(Owner::default()),
        Some(Ok(owner)) => Ok(owner),
        Some(Err(error)) => refuse(format!("--owner: {error}")),
    }
}

/// What the flags decide about the firewall.
fn policy(settings: &Settings) -> Result<Policy> {
    Ok(Policy {
        ipv4_unmanaged: !settings.switch("iptables", true),
        ipv6_unmanaged: !settings.switch("ip6tables", true),
        direct_routing: settings.switch("allow-direct-routing", false),
        accept_mark: settings
            .text("bridge-accept-fwmark")
            .map(mark)
            .transpose()?,
        owned_table: owned_table(settings)?,
    })
}

/// `1` or `0x1/0xff`.
fn mark(text: &str) -> Result<Mark> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (number(value), number(mask)),
        None => (number(text), Some(u32::MAX)),
    };
    match (value, mask) {
        (Some(value), Some(mask)) => Ok(Mark { value, mask }),
        (None, _) => refuse(format!(
            "invalid firewall mark \"{text}\": use VALUE or VALUE/MASK"
        )),
        (Some(_), None) => refuse(format!(
            "invalid firewall mask \"{text}\": use VALUE or VALUE/MASK"
        )),
    }
}

/// A number in any of the ways that Go writes them.
fn number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    u32::from_str_radix(digits, radix).ok()
}

fn mtu(settings: &Settings) -> Result<Option<u32>> {
    match settings.number("mtu") {
        // dockerd takes zero for "not set".
        None | Some(0) => Ok(None),
        Some(mtu @ SMALLEST_MTU..=65_535) => Ok(u32::try_from(mtu).ok()),
        Some(mtu) => refuse(format!("invalid default MTU: {mtu}; use 68 to 65535")),
    }
}

fn pools(settings: &Settings) -> Result<Vec<AddressPool>> {
    settings
        .items("default-address-pools")
        .iter()
        .map(pool)
        .collect()
}

/// `base=10.0.0.0/8,size=24`, or the same as an object.
fn pool(item: &Value) -> Result<AddressPool> {
    let (base, size) = match item {
        Value::Object(entry) => {
            let size = entry
                .get("size")
                .and_then(Value::as_u64)
                .map(|size| size.to_string());
            (
                entry.get("base").and_then(Value::as_str).map(str::to_owned),
                size,
            )
        }
        Value::String(text) => fields(text)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => (None, None),
    };
    let (Some(base), Some(size)) = (base, size) else {
        return refuse(format!(
            "default-address-pool {item}: both base and size are needed, as \
             base=10.9.0.0/16,size=24"
        ));
    };
    let name = "default-address-pool";
    let base: IpNet = parse(name, &base, "a subnet")?;
    let size: u8 = parse(name, &size, "a prefix length")?;
    if size < base.prefix_len() || size > base.max_prefix_len() {
        let (shortest, longest) = (base.prefix_len(), base.max_prefix_len());
        return refuse(format!(
            "invalid pool size {size}: subnets of {base} have {shortest} to {longest} bits"
        ));
    }
    Ok(AddressPool {
        base: base.trunc(),
        size,
    })
}

fn fields(text: &str) -> Result<(Option<String>, Option<String>)> {
    let (mut base, mut size) = (None, None);
    for field in text.split(',') {
        match field.trim().split_once('=') {
            Some(("base", value)) => base = Some(value.to_owned()),
            Some(("size", value)) => size = Some(value.to_owned()),
            Some(_) | None => {
                return refuse(format!(
                    "unexpected key '{field}' in '{text}': use base=10.9.0.0/16,size=24"
                ));
            }
        }
    }
    Ok((base, size))
}

fn default_options(settings: &Settings) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut drivers = BTreeMap::new();
    for (driver, options) in settings
        .entries("default-network-opts")
        .into_iter()
        .flatten()
    {
        let Value::Object(options) = options else {
            return refuse(format!(
                "default-network-opt is written {driver}=KEY=VALUE, in the file \
                 {{\"{driver}\": {{\"KEY\": \"VALUE\"}}}}"
            ));
        };
        let mut texts = BTreeMap::new();
        for (key, value) in options {
            let Value::String(value) = value else {
                return refuse(format!("default-network-opts: \"{key}\" must be a text"));
            };
            texts.insert(key.clone(), value.clone());
        }
        drivers.insert(driver.clone(), texts);
    }
    Ok(drivers)
}

fn nameserver(settings: &Settings) -> Result<NameserverConfig> {
    let search = settings.texts("dns-search").map(str::trim);
    Ok(NameserverConfig {
        servers: addresses(settings, "dns")?,
        search: search
            .filter(|domain| !domain.is_empty())
            .map(str::to_owned)
            .collect(),
        options: settings.texts("dns-opts").map(str::to_owned).collect(),
    })
}

fn addresses(settings: &Settings, name: &'static str) -> Result<Vec<IpAddr>> {
    let texts = settings.texts(name).flat_map(|text| text.split(','));
    texts
        .map(|text| parse(name, text, "an IP address"))
        .collect()
}

fn firewall_integration(settings: &Settings) -> Result<bool> {
    match settings.text("firewall-integration") {
        None | Some("auto") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => refuse(format!(
            "--firewall-integration is auto or off, not \"{other}\""
        )),
    }
}

fn owned_table(settings: &Settings) -> Result<bool> {
    match settings.text("firewall-table") {
        None | Some("owned") => Ok(true),
        Some("shared") => Ok(false),
        Some(other) => refuse(format!(
            "--firewall-table is owned or shared, not \"{other}\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::Values;
    use serde_json::json;

    fn read(values: Value) -> Result<EngineConfig> {
        let Value::Object(entries) = values else {
            panic!("an object")
        };
        let named = entries.into_iter().map(|(key, value)| {
            (
                super::super::options::by_key(&key).expect("a key").key,
                value,
            )
        });
        let settings = Settings(named.collect::<Values>());
        engine(&settings, Path::new("/data"), Path::new("/exec"))
    }

    #[test]
    fn nothing_said_is_docker_s_defaults() {
        let config = read(json!({})).unwrap();
        assert_eq!(config.default_bridge, DefaultBridge::default());
        assert!(config.ip_forward && config.userland_proxy && config.firewall_integration);
        assert!(config.pools.is_empty());
    }

    #[test]
    fn the_default_bridge_is_configured() {
        let bridge = read(json!({
            "bip": "10.9.0.1/24", "fixed-cidr": "10.9.0.128/25", "bip6": "fd00:9::1/64",
            "default-gateway": "10.9.0.254", "mtu": 1400, "icc": false, "ip-masq": false,
            "ip": "192.0.2.1", "ipv6": true,
        }))
        .unwrap()
        .default_bridge;
        assert_eq!(bridge.address, Some("10.9.0.1/24".parse().unwrap()));
        assert_eq!(bridge.range, Some("10.9.0.128/25".parse().unwrap()));
        assert_eq!(bridge.mtu, Some(1400));
        assert!(!bridge.icc && !bridge.masquerade && bridge.ipv6);
        assert_eq!(bridge.host_binding, Some("192.0.2.1".parse().unwrap()));
        let none = read(json!({"bridge": "none"})).unwrap().default_bridge;
        assert!(!none.enabled && none.device.is_none());
        let own = read(json!({"bridge": "mybr"})).unwrap().default_bridge;
        assert_eq!(own.device.as_deref(), Some("mybr"));
    }

    #[test]
    fn pools_are_read_in_both_forms() {
        let pools = |pools| read(json!({"default-address-pools": pools})).map(|read| read.pools);
        let expected = AddressPool {
            base: "10.9.0.0/16".parse().unwrap(),
            size: 24,
        };
        assert_eq!(
            pools(json!(["base=10.9.0.0/16,size=24"])).unwrap(),
            [expected]
        );
        assert_eq!(
            pools(json!([{"base": "10.9.0.0/16", "size": 24}])).unwrap(),
            [expected]
        );
        for wrong in [
            json!(["base=10.9.0.0/16"]),
            json!(["base=10.9.0.0/16,size=8"]),
            json!(["base=10.9.0.0/16,size=33"]),
            json!(["base=10.9.0.0/16,length=24"]),
            json!(["base=x,size=24"]),
            json!([{"base": "10.9.0.0/16"}]),
        ] {
            assert!(pools(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        for wrong in [
            json!({"bip": "10.9.0.1"}),
            json!({"bip": "fd00::1/64"}),
            json!({"bip": "10.9.0.1/24", "bridge": "br0"}),
            json!({"mtu": -1}),
            json!({"mtu": 70_000}),
            json!({"dns": ["x"]}),
            json!({"ip": "host"}),
            json!({"firewall-integration": "on"}),
            json!({"firewall-table": "mine"}),
            json!({"default-network-opts": {"bridge": "x"}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
