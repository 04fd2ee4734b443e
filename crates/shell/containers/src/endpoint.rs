//! Endpoint settings as clients write them: their faults, and what is asked of the engine.

use crate::ContainerError;
use crate::options::{EndpointOptions, IpamOptions};
use sealane_core::model::{EndpointSpec, Mac};
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The driver option that sets sysctls of the endpoint's link.
pub(crate) use sealane_core::model::ENDPOINT_SYSCTLS as SYSCTLS;

/// What is asked of the engine, and what is wrong with it: a line each, in Docker's words.
pub(crate) fn specify(
    settings: &EndpointOptions,
) -> Result<(EndpointSpec, Vec<String>), ContainerError> {
    let mut faults = Vec::new();
    let none = IpamOptions::default();
    let ipam = settings.ipam_config.as_ref().unwrap_or(&none);
    let mut spec = EndpointSpec {
        ipv4: address(ipam.ipv4_address.as_deref())?.and_then(|ip| v4(ip, &mut faults)),
        ipv6: address(ipam.ipv6_address.as_deref())?.and_then(|ip| v6(ip, &mut faults)),
        mac: mac(settings.mac_address.as_deref())?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        gw_priority: settings.gw_priority.unwrap_or_default(),
        ..EndpointSpec::default()
    };
    for text in ipam.link_local_ips.iter().flatten() {
        match address(Some(text))? {
            Some(ip) if !ip.is_unspecified() => spec.link_local.push(ip),
            Some(_) | None => faults.push(format!("invalid link-local IP address: {text}")),
        }
    }
    for link in settings.links.iter().flatten() {
        spec.links.push(parse_link(link)?);
    }
    let options = settings.driver_opts.iter().flatten();
    spec.driver_opts = options
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(sysctls) = spec.driver_opts.get(SYSCTLS) {
        faults.extend(sysctls.split(',').filter_map(sysctl_fault));
    }
    Ok((spec, faults))
}

/// What was asked for, without what a client copied from an answer.
pub(crate) fn wish(settings: &EndpointOptions) -> EndpointOptions {
    let asked = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    EndpointOptions {
        ipam_config: settings.ipam_config.clone(),
        links: settings.links.clone(),
        mac_address: asked(&settings.mac_address),
        aliases: settings.aliases.clone(),
        driver_opts: settings.driver_opts.clone(),
        gw_priority: settings.gw_priority,
        ..EndpointOptions::default()
    }
}

/// A wish with what is asked for later: each setting that is given takes the place of the one before,
/// the others stay.
pub(crate) fn said_anew(before: &EndpointOptions, later: EndpointOptions) -> EndpointOptions {
    let filled = |list: Option<Vec<String>>| list.filter(|list| !list.is_empty());
    let options = later.driver_opts.filter(|options| !options.is_empty());
    EndpointOptions {
        ipam_config: ipam_anew(before.ipam_config.as_ref(), later.ipam_config),
        links: filled(later.links).or_else(|| before.links.clone()),
        mac_address: later.mac_address.or_else(|| before.mac_address.clone()),
        aliases: filled(later.aliases).or_else(|| before.aliases.clone()),
        driver_opts: options.or_else(|| before.driver_opts.clone()),
        gw_priority: later
            .gw_priority
            .filter(|priority| *priority != 0)
            .or(before.gw_priority),
        ..before.clone()
    }
}

fn ipam_anew(before: Option<&IpamOptions>, later: Option<IpamOptions>) -> Option<IpamOptions> {
    let (Some(before), Some(later)) = (before, &later) else {
        return later.or_else(|| before.cloned());
    };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let own = later.link_local_ips.clone().filter(|list| !list.is_empty());
    Some(IpamOptions {
        ipv4_address: filled(&later.ipv4_address).or_else(|| before.ipv4_address.clone()),
        ipv6_address: filled(&later.ipv6_address).or_else(|| before.ipv6_address.clone()),
        link_local_ips: own.or_else(|| before.link_local_ips.clone()),
        ..IpamOptions::default()
    })
}

/// Takes `name:alias` apart; a name alone is its own alias.
pub(crate) fn parse_link(text: &str) -> Result<(String, String), ContainerError> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [""] => Err(ContainerError::Invalid(
            "empty string specified for links".into(),
        )),
        [name] => Ok((name.to_owned(), name.to_owned())),
        // `/name:/parent/alias`, as inspect shows it.
        [name, alias] if name.starts_with('/') => {
            let alias = alias.rsplit('/').next().unwrap_or(alias);
            Ok((name.trim_start_matches('/').to_owned(), alias.to_owned()))
        }
        [name, alias] => Ok((name.to_owned(), alias.to_owned())),
        _ => Err(ContainerError::Invalid(format!(
            "bad format for links: {text}"
        ))),
    }
}

/// Joins faults as Docker lists them: one alone, several as a list.
pub(crate) fn join_faults<T: Display>(faults: &[T]) -> String {
    match faults {
        [fault] => fault.to_string(),
        _ => {
            let indented = faults
                .iter()
                .map(|fault| fault.to_string().replace('\n', "\n\t"));
            format!("* {}", indented.collect::<Vec<_>>().join("\n* "))
        }
    }
}

/// An address that may be absent or empty.
pub(crate) fn address(text: Option<&str>) -> Result<Option<IpAddr>, ContainerError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed: Result<IpAddr, _> = text.parse();
    let shown: String = text.chars().take(80).collect();
    parsed.map(|ip| Some(ip.to_canonical())).map_err(|_| {
        ContainerError::Invalid(format!(
            "invalid JSON: ParseAddr(\"{shown}\"): unable to parse IP"
        ))
    })
}

fn mac(text: Option<&str>) -> Result<Option<Mac>, ContainerError> {
    let text = text.filter(|text| !text.is_empty());
    let parsed = text.map(Mac::try_from).transpose();
    parsed.map_err(|error| ContainerError::Invalid(format!("invalid JSON: {error}")))
}

fn v4(address: IpAddr, faults: &mut Vec<String>) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => {
            faults.push(format!("invalid IPv4 address: {address}"));
            None
        }
    }
}

fn v6(address: IpAddr, faults: &mut Vec<String>) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(ip) if !ip.is_unspecified() => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => {
            faults.push(format!("invalid IPv6 address: {address}"));
            None
        }
    }
}

/// `net.X.Y.IFNAME.Z=V`: the link has no name yet when it is asked for.
fn sysctl_fault(sysctl: &str) -> Option<String> {
    let parts: Vec<&str> = sysctl.splitn(5, '.').collect();
    let fits = matches!(
        parts[..],
        [_, "ipv4" | "ipv6" | "mpls", _, "IFNAME" | "ifname", _]
    );
    (!fits).then(|| {
        format!(
            "unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as \
             'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ipam(ipam: IpamOptions) -> EndpointOptions {
        EndpointOptions {
            ipam_config: Some(ipam),
            ..EndpointOptions::default()
        }
    }

    #[test]
    fn settings_become_a_spec() {
        let settings = EndpointOptions {
            mac_address: Some("02:00:00:00:00:01".into()),
            aliases: Some(vec!["a".into()]),
            links: Some(vec!["db:database".into()]),
            gw_priority: Some(7),
            ..with_ipam(IpamOptions {
                ipv4_address: Some("10.0.0.9".into()),
                ipv6_address: Some(String::new()),
                link_local_ips: Some(vec!["169.254.1.1".into()]),
                ..IpamOptions::default()
            })
        };
        let (spec, faults) = specify(&settings).unwrap();
        assert_eq!(faults, [""; 0]);
        assert_eq!(spec.ipv4, Some([10, 0, 0, 9].into()));
        assert_eq!(spec.ipv6, None);
        assert_eq!(spec.links, [("db".into(), "database".into())]);
        assert_eq!(spec.gw_priority, 7);
    }

    #[test]
    fn what_is_said_anew_takes_the_place_of_what_was_said() {
        let before = EndpointOptions {
            aliases: Some(vec!["a".into()]),
            gw_priority: Some(7),
            ..with_ipam(IpamOptions {
                ipv4_address: Some("10.0.0.9".into()),
                ..IpamOptions::default()
            })
        };
        let later = EndpointOptions {
            aliases: Some(vec!["b".into()]),
            mac_address: Some("02:00:00:00:00:01".into()),
            gw_priority: Some(0),
            ..with_ipam(IpamOptions {
                ipv6_address: Some("fd00::9".into()),
                ..IpamOptions::default()
            })
        };
        let wish = said_anew(&before, later);
        assert_eq!(wish.aliases, Some(vec!["b".into()]));
        assert_eq!(wish.mac_address.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(wish.gw_priority, Some(7));
        let ipam = wish.ipam_config.clone().unwrap();
        assert_eq!(ipam.ipv4_address.as_deref(), Some("10.0.0.9"));
        assert_eq!(ipam.ipv6_address.as_deref(), Some("fd00::9"));
        assert_eq!(said_anew(&wish, EndpointOptions::default()), wish);
    }

    #[test]
    fn addresses_of_the_wrong_family_are_faults() {
        let settings = with_ipam(IpamOptions {
            ipv4_address: Some("fe80::1".into()),
            ipv6_address: Some("10.0.0.1".into()),
            link_local_ips: Some(vec!["0.0.0.0".into()]),
            ..IpamOptions::default()
        });
        assert_eq!(
            specify(&settings).unwrap().1,
            [
                "invalid IPv4 address: fe80::1",
                "invalid IPv6 address: 10.0.0.1",
                "invalid link-local IP address: 0.0.0.0"
            ]
        );
    }

    #[test]
    fn what_is_no_address_is_no_valid_request() {
        let settings = with_ipam(IpamOptions {
            ipv4_address: Some("10.0.0.300".into()),
            ..IpamOptions::default()
        });
        assert_eq!(
            specify(&settings).unwrap_err().to_string(),
            "invalid JSON: ParseAddr(\"10.0.0.300\"): unable to parse IP"
        );
        let settings = EndpointOptions {
            mac_address: Some("zz".into()),
            ..EndpointOptions::default()
        };
        assert_eq!(
            specify(&settings).unwrap_err().to_string(),
            "invalid JSON: address zz: invalid MAC address"
        );
    }

    #[test]
    fn a_sysctl_names_no_link() {
        assert_eq!(sysctl_fault("net.ipv4.conf.IFNAME.log_martians=1"), None);
        assert!(sysctl_fault("net.ipv4.conf.eth0.log_martians=1").is_some());
        assert!(sysctl_fault("net.core.conf.IFNAME.x=1").is_some());
    }

    #[test]
    fn links_are_read_in_both_forms() {
        let pair = |name: &str, alias: &str| (name.to_owned(), alias.to_owned());
        assert_eq!(parse_link("db").unwrap(), pair("db", "db"));
        assert_eq!(parse_link("db:d").unwrap(), pair("db", "d"));
        assert_eq!(parse_link("/db:/web/d").unwrap(), pair("db", "d"));
        assert!(parse_link("a:b:c").is_err());
    }

    #[test]
    fn several_faults_are_a_list() {
        assert_eq!(join_faults(&["one"]), "one");
        assert_eq!(join_faults(&["one\ntwo", "three"]), "* one\n\ttwo\n* three");
    }
}
