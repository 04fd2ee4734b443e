//! What a request means depends on the API version it speaks: brought to the newest form here, so
//! that nothing behind needs to know.

use crate::ContainerError;
use crate::endpoint::SYSCTLS;
use crate::network_mode::NetworkMode;
use crate::options::{EndpointOptions, PortBinding};
use crate::request::{ApiVersion, CreateRequest};

/// Brings a request to the newest form; adds what the user should know to `warnings`.
pub(crate) fn modernize(
    request: &mut CreateRequest,
    warnings: &mut Vec<String>,
) -> Result<(), ContainerError> {
    name_default_network(request);
    if request.api_version < ApiVersion(1, 44) && request.endpoints.len() > 1 {
        let names: Vec<&str> = request.endpoints.keys().map(String::as_str).collect();
        let names = names.join(", ");
        return Err(invalid(format!(
            "Container cannot be created with multiple network endpoints: {names}"
        )));
    }
    if request.api_version < ApiVersion(1, 48) {
        for settings in request.endpoints.values_mut() {
            settings.gw_priority = None;
        }
    }
    warnings.extend(move_mac_address(request)?);
    warnings.extend(move_sysctls(request)?);
    warnings.extend(fill_port_bindings(request));
    Ok(())
}

/// `default` and nothing stand for the default bridge.
fn name_default_network(request: &mut CreateRequest) {
    let mode = request
        .host_config
        .network_mode
        .as_deref()
        .unwrap_or_default();
    if matches!(mode, "" | "default") {
        request.host_config.network_mode = Some("bridge".into());
        if let Some(settings) = request.endpoints.remove("default") {
            request.endpoints.insert("bridge".into(), settings);
        }
    }
}

/// A container-wide MAC address is the one of its main endpoint.
fn move_mac_address(request: &mut CreateRequest) -> Result<Option<String>, ContainerError> {
    let mac = request.mac_address.take().filter(|mac| !mac.is_empty());
    let has_endpoint = NetworkMode::of(&request.host_config).is_bridge_or_user();
    let version = request.api_version;
    let Some(mac) = mac else {
        if version < ApiVersion(1, 44) {
            for settings in request.endpoints.values_mut() {
                settings.mac_address = None;
            }
        }
        return Ok(None);
    };
    if version < ApiVersion(1, 44) {
        if !has_endpoint {
            return Err(invalid(
                "conflicting options: mac-address and the network mode",
            ));
        }
        main_endpoint(request)?.mac_address = Some(mac);
        return Ok(None);
    }
    if version >= ApiVersion(1, 52) {
        return Err(invalid(
            "container-wide MAC address no longer supported; use endpoint-specific MAC address \
             instead",
        ));
    }
    if has_endpoint {
        let settings = main_endpoint(request).map_err(|error| {
            error.prefixed("unable to migrate container-wide MAC address to a specific network: ")
        })?;
        let own = settings.mac_address.take().filter(|own| !own.is_empty());
        if own.is_some_and(|own| !own.eq_ignore_ascii_case(&mac)) {
            return Err(invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for \
                 the main network, or be left empty",
            ));
        }
        settings.mac_address = Some(mac);
    }
    Ok(Some(
        "The container-wide MacAddress field is now deprecated. It should be specified in \
         EndpointsConfig instead."
            .into(),
    ))
}

/// A sysctl of `eth0` is one of the main endpoint: the link does not exist when others are set.
fn move_sysctls(request: &mut CreateRequest) -> Result<Option<String>, ContainerError> {
    if !NetworkMode::of(&request.host_config).is_private() {
        return Ok(None);
    }
    let of_links = sysctls_of_links(request);
    let Some((first, _)) = of_links.first() else {
        return Ok(None);
    };
    if request.api_version > ApiVersion(1, 47) {
        return Err(ContainerError::internal(format!(
            "interface specific sysctl setting \"{first}\" must be supplied using driver option \
             '{SYSCTLS}'"
        )));
    }
    let mut moved = Vec::new();
    for (key, value) in &of_links {
        moved.push(for_endpoint(key, value)?);
    }
    let keys: Vec<&str> = of_links.iter().map(|(key, _)| key.as_str()).collect();
    let (keys, mut option) = (keys.join(","), moved.join(","));
    let warning =
        format!("Migrated sysctl \"{keys}\" to DriverOpts{{\"{SYSCTLS}\":\"{option}\"}}.");
    let settings = main_endpoint(request).map_err(|error| {
        error.prefixed(&format!("unable to find a network for sysctl {first}: "))
    })?;
    let options = settings.driver_opts.get_or_insert_default();
    if let Some(own) = options.get(SYSCTLS) {
        option = format!("{option},{own}");
    }
    options.insert(SYSCTLS.into(), option);
    if let Some(sysctls) = &mut request.host_config.sysctls {
        sysctls.retain(|key, _| !of_links.iter().any(|(moved, _)| moved == key));
    }
    Ok(Some(warning))
}

/// The sysctls that name a link, in order.
fn sysctls_of_links(request: &CreateRequest) -> Vec<(String, String)> {
    let of_link = |key: &str| {
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        matches!(parts[..], ["net", _, _, link, _] if link.starts_with("eth"))
    };
    let all = request.host_config.sysctls.clone().unwrap_or_default();
    all.into_iter().filter(|(key, _)| of_link(key)).collect()
}

fn for_endpoint(key: &str, value: &str) -> Result<String, ContainerError> {
    if key.split('.').nth(3) != Some("eth0") {
        return Err(ContainerError::internal(format!(
            "unable to determine network endpoint for sysctl {key}, use driver option \
             '{SYSCTLS}' to set per-interface sysctls"
        )));
    }
    Ok(format!("{}={value}", key.replacen(".eth0.", ".IFNAME.", 1)))
}

/// A port without a binding is bound to any port of the host.
fn fill_port_bindings(request: &mut CreateRequest) -> Option<String> {
    let bindings = request.host_config.port_bindings.iter_mut().flatten();
    let empty = bindings.filter(|(_, list)| list.as_ref().is_none_or(Vec::is_empty));
    let mut ports: Vec<String> = Vec::new();
    for (port, list) in empty {
        *list = Some(vec![PortBinding::default()]);
        ports.push(match port.contains('/') {
            true => port.clone(),
            false => format!("{port}/tcp"),
        });
    }
    if ports.is_empty() || request.api_version < ApiVersion(1, 52) {
        return None;
    }
    ports.sort();
    Some(format!(
        "Following container port(s) have an empty list of port-bindings: {}. Such bindings will \
         be discarded in a future version.",
        ports.join(", ")
    ))
}

/// The settings of the network that the mode names; made if there are none at all.
fn main_endpoint(request: &mut CreateRequest) -> Result<&mut EndpointOptions, ContainerError> {
    let network = NetworkMode::of(&request.host_config)
        .network()
        .unwrap_or_default()
        .to_owned();
    if request.endpoints.is_empty() {
        return Ok(request.endpoints.entry(network).or_default());
    }
    let only = request.api_version < ApiVersion(1, 44);
    let mut named = request
        .endpoints
        .iter_mut()
        .filter(|(name, _)| only || **name == network);
    named.next().map(|(_, settings)| settings).ok_or_else(|| {
        invalid(
            "HostOptions.NetworkMode must match the identity of a network in \
             NetworkSettings.Networks",
        )
    })
}

fn invalid(text: impl Into<String>) -> ContainerError {
    ContainerError::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::create_request;

    fn modern(request: &mut CreateRequest, minor: u16) -> Result<Vec<String>, String> {
        request.api_version = ApiVersion(1, minor);
        let mut warnings = Vec::new();
        let result = modernize(request, &mut warnings);
        result.map(|()| warnings).map_err(|error| error.to_string())
    }

    fn with_mac(mode: &str) -> CreateRequest {
        let mut request = create_request();
        request.host_config.network_mode = Some(mode.into());
        request.mac_address = Some("02:00:00:00:00:01".into());
        request
    }

    #[test]
    fn the_default_network_is_the_bridge() {
        let mut request = create_request();
        request.host_config.network_mode = Some("default".into());
        request
            .endpoints
            .insert("default".into(), EndpointOptions::default());
        modern(&mut request, 55).unwrap();
        assert_eq!(request.host_config.network_mode.as_deref(), Some("bridge"));
        assert!(request.endpoints.contains_key("bridge"));
    }

    #[test]
    fn a_container_wide_mac_address_moves_to_the_endpoint_until_1_51() {
        for minor in [40, 43, 44, 51] {
            let mut request = with_mac("blue");
            let warnings = modern(&mut request, minor).unwrap();
            assert_eq!(warnings.len(), usize::from(minor >= 44), "1.{minor}");
            let mac = request.endpoints["blue"].mac_address.as_deref();
            assert_eq!(mac, Some("02:00:00:00:00:01"));
        }
        assert_eq!(
            modern(&mut with_mac("blue"), 52).unwrap_err(),
            "container-wide MAC address no longer supported; use endpoint-specific MAC address \
             instead"
        );
        assert_eq!(
            modern(&mut with_mac("host"), 43).unwrap_err(),
            "conflicting options: mac-address and the network mode"
        );
        assert_eq!(modern(&mut with_mac("host"), 50).unwrap().len(), 1);
    }

    #[test]
    fn two_mac_addresses_must_agree() {
        let mut request = with_mac("blue");
        let settings = EndpointOptions {
            mac_address: Some("02:00:00:00:00:02".into()),
            ..EndpointOptions::default()
        };
        request.endpoints.insert("blue".into(), settings);
        assert!(
            modern(&mut request, 50)
                .unwrap_err()
                .starts_with("the container-wide MAC")
        );
        let mut request = with_mac("blue");
        request
            .endpoints
            .insert("red".into(), EndpointOptions::default());
        assert_eq!(
            modern(&mut request, 50).unwrap_err(),
            "unable to migrate container-wide MAC address to a specific network: \
             HostOptions.NetworkMode must match the identity of a network in \
             NetworkSettings.Networks"
        );
    }

    #[test]
    fn several_networks_at_creation_came_with_1_44() {
        let two = || {
            let mut request = create_request();
            for name in ["a", "b"] {
                request
                    .endpoints
                    .insert(name.into(), EndpointOptions::default());
            }
            request
        };
        assert_eq!(
            modern(&mut two(), 43).unwrap_err(),
            "Container cannot be created with multiple network endpoints: a, b"
        );
        modern(&mut two(), 44).unwrap();
    }

    #[test]
    fn sysctls_of_eth0_move_to_the_endpoint_until_1_47() {
        let with = |key: &str| {
            let mut request = create_request();
            let sysctls = [(key.to_owned(), "1".to_owned())];
            request.host_config.sysctls = Some(sysctls.into());
            request
        };
        let mut request = with("net.ipv4.conf.eth0.log_martians");
        assert_eq!(modern(&mut request, 47).unwrap().len(), 1);
        assert!(request.host_config.sysctls.unwrap().is_empty());
        assert_eq!(
            request.endpoints["bridge"].driver_opts.as_ref().unwrap()[SYSCTLS],
            "net.ipv4.conf.IFNAME.log_martians=1"
        );
        assert!(modern(&mut with("net.ipv4.conf.eth1.log_martians"), 47).is_err());
        assert!(modern(&mut with("net.ipv4.conf.eth0.log_martians"), 48).is_err());
        assert_eq!(
            modern(&mut with("net.ipv4.ip_forward"), 55).unwrap(),
            [""; 0]
        );
    }

    #[test]
    fn a_port_without_bindings_gets_one() {
        let mut request = create_request();
        request.host_config.port_bindings = Some([("80/tcp".to_owned(), None)].into());
        assert_eq!(modern(&mut request, 51).unwrap(), [""; 0]);
        assert_eq!(
            request.host_config.port_bindings.as_ref().unwrap()["80/tcp"],
            Some(vec![PortBinding::default()])
        );
        request.host_config.port_bindings = Some([("80/tcp".to_owned(), Some(vec![]))].into());
        assert!(modern(&mut request, 52).unwrap()[0].contains("80/tcp"));
    }
}
