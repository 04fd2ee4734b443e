//! Docker's answers about a container, made of what the containers show.

use super::settings::Translate;
use super::status;
use bollard_stubs::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryHostConfig, ContainerSummaryNetworkSettings, ContainerSummaryStateEnum,
    DriverData, EndpointSettings, MountPoint, NetworkSettings, PortBinding, PortMap, PortSummary,
    PortSummaryTypeEnum,
};
use jiff::Timestamp;
use sealane_containers::{
    ContainerSummary as Listed, ContainerView, EndpointView, HostSide, MountView, PortView,
    Propagation, ShownPorts, State, Status,
};
use sealane_core::model::{Endpoint, Protocol};
use sealane_images::Backend;
use std::collections::{BTreeMap, HashMap};

/// A point in time that never was, as Go writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Where Docker says the host's own network stack is.
const HOST_STACK: &str = "/var/run/docker/netns/default";

/// All about one container.
pub(super) fn inspection(view: ContainerView) -> ContainerInspectResponse {
    let file = |name: &str| {
        let path = view.files.as_ref().map(|folder| folder.join(name));
        Some(path.map_or_else(String::new, |path| path.display().to_string()))
    };
    let log = view.log.as_ref().map(|path| path.display().to_string());
    let execs: Vec<String> = view.execs.iter().map(ToString::to_string).collect();
    let storage = match view.storage {
        Backend::Overlay => "overlay2",
        Backend::Copy => "vfs",
    };
    ContainerInspectResponse {
        id: Some(view.id.to_string()),
        created: Some(view.created.to_string()),
        state: Some(state(&view.state, view.removing)),
        image: view.image.map(|image| image.to_string()),
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        log_path: Some(log.unwrap_or_default()),
        name: Some(format!("/{}", view.name)),
        restart_count: Some(view.restart_count),
        driver: Some(storage.into()),
        platform: Some("linux".into()),
        exec_ids: Some(execs).filter(|execs| !execs.is_empty()),
        graph_driver: Some(DriverData {
            name: storage.into(),
            data: HashMap::new(),
        }),
        mounts: Some(view.mounts.iter().map(mount).collect()),
        network_settings: Some(network_settings(&view)),
        path: Some(view.path),
        args: Some(view.args),
        host_config: Some(view.host_config.translate()),
        config: Some(view.config.translate()),
        ..ContainerInspectResponse::default()
    }
}

/// A container in a list, at a time.
pub(super) fn summary(listed: Listed, now: Timestamp) -> ContainerSummary {
    ContainerSummary {
        id: Some(listed.id.to_string()),
        image: Some(listed.image),
        image_id: listed.image_id.map(|image| image.to_string()),
        command: Some(command(&listed.path, &listed.args)),
        created: Some(listed.created.as_second()),
        ports: Some(listed.ports.into_iter().map(port).collect()),
        labels: listed.labels.translate(),
        state: Some(summary_state(listed.state.status)),
        status: Some(status::describe(&listed.state, now)),
        host_config: Some(ContainerSummaryHostConfig {
            network_mode: listed.network_mode,
            annotations: listed.annotations.translate(),
        }),
        network_settings: Some(ContainerSummaryNetworkSettings {
            networks: Some(endpoints(&listed.networks)),
        }),
        mounts: Some(listed.mounts.iter().map(mount).collect()),
        names: Some(listed.names),
        ..ContainerSummary::default()
    }
}

fn state(state: &State, removing: bool) -> ContainerState {
    let time = |time: Option<Timestamp>| {
        Some(time.map_or_else(|| NEVER.to_owned(), |time| time.to_string()))
    };
    let status = match state.status {
        Status::Running => ContainerStateStatusEnum::RUNNING,
        Status::Restarting => ContainerStateStatusEnum::RESTARTING,
        Status::Created | Status::Exited if removing => ContainerStateStatusEnum::REMOVING,
        Status::Created => ContainerStateStatusEnum::CREATED,
        Status::Exited => ContainerStateStatusEnum::EXITED,
    };
    ContainerState {
        status: Some(status),
        running: Some(state.is_running()),
        paused: Some(false),
        restarting: Some(state.status == Status::Restarting),
        oom_killed: Some(state.oom_killed),
        dead: Some(false),
        pid: Some(state.pid.into()),
        exit_code: Some(state.exit_code),
        error: Some(state.error.clone()),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        health: None,
    }
}

fn summary_state(status: Status) -> ContainerSummaryStateEnum {
    match status {
        Status::Created => ContainerSummaryStateEnum::CREATED,
        Status::Running => ContainerSummaryStateEnum::RUNNING,
        Status::Restarting => ContainerSummaryStateEnum::RESTARTING,
        Status::Exited => ContainerSummaryStateEnum::EXITED,
    }
}

fn network_settings(view: &ContainerView) -> NetworkSettings {
    let stack = view.stack.as_ref();
    let sandbox = stack.map(|stack| stack.sandbox.to_string());
    let key = stack.map(|stack| match &stack.namespace {
        Some(path) => path.display().to_string(),
        None => HOST_STACK.to_owned(),
    });
    NetworkSettings {
        sandbox_id: Some(sandbox.unwrap_or_default()),
        sandbox_key: Some(key.unwrap_or_default()),
        ports: Some(port_map(&view.ports)),
        networks: Some(endpoints(&view.networks)),
    }
}

fn port_map(ports: &ShownPorts) -> PortMap {
    let entry = |((port, protocol), sides): (&(u16, Protocol), &Option<Vec<HostSide>>)| {
        let sides = sides.as_ref();
        let bindings = sides.map(|sides| sides.iter().map(binding).collect());
        (format!("{port}/{protocol}"), bindings)
    };
    ports.iter().map(entry).collect()
}

fn binding(side: &HostSide) -> PortBinding {
    PortBinding {
        host_ip: Some(side.address.to_string()),
        // A routed port has none, and Docker shows an empty one.
        host_port: Some(side.port.map_or_else(String::new, |port| port.to_string())),
    }
}

fn endpoints(networks: &BTreeMap<String, EndpointView>) -> HashMap<String, EndpointSettings> {
    let networks = networks.iter();
    networks
        .map(|(name, view)| (name.clone(), endpoint(view)))
        .collect()
}

fn endpoint(view: &EndpointView) -> EndpointSettings {
    let asked: EndpointSettings = view.asked.clone().translate();
    let shown = EndpointSettings {
        mac_address: None,
        network_id: view.network.map(|id| id.to_string()),
        dns_names: view.dns_names.clone(),
        ..asked
    };
    match &view.endpoint {
        Some(endpoint) => with_addresses(shown, endpoint),
        None => shown,
    }
}

fn with_addresses(shown: EndpointSettings, endpoint: &Endpoint) -> EndpointSettings {
    let text = |address: Option<String>| Some(address.unwrap_or_default());
    let addressed = endpoint.ipv4.is_some() || endpoint.ipv6.is_some();
    EndpointSettings {
        endpoint_id: Some(endpoint.id.to_string()),
        mac_address: addressed.then(|| endpoint.mac.shown()),
        gateway: text(endpoint.gateway4.map(|ip| ip.to_string())),
        ip_address: text(endpoint.ipv4.map(|net| net.addr().to_string())),
        ip_prefix_len: Some(endpoint.ipv4.map_or(0, |net| net.prefix_len().into())),
        ipv6_gateway: text(endpoint.gateway6.map(|ip| ip.to_string())),
        global_ipv6_address: text(endpoint.ipv6.map(|net| net.addr().to_string())),
        global_ipv6_prefix_len: Some(endpoint.ipv6.map_or(0, |net| net.prefix_len().into())),
        ..shown
    }
}

fn mount(mount: &MountView) -> MountPoint {
    let propagation = match mount.propagation {
        Propagation::Private => "rprivate",
        Propagation::Slave => "rslave",
        Propagation::Shared => "rshared",
    };
    MountPoint {
        typ: Some("bind".into()),
        source: Some(mount.source.display().to_string()),
        destination: Some(mount.destination.clone()),
        mode: Some(mount.mode.clone()),
        rw: Some(!mount.read_only),
        propagation: Some(propagation.into()),
        ..MountPoint::default()
    }
}

fn port(port: PortView) -> PortSummary {
    PortSummary {
        ip: port.address.map(|address| address.to_string()),
        private_port: port.private,
        public_port: port.public,
        typ: Some(match port.protocol {
            Protocol::Tcp => PortSummaryTypeEnum::TCP,
            Protocol::Udp => PortSummaryTypeEnum::UDP,
            Protocol::Sctp => PortSummaryTypeEnum::SCTP,
        }),
    }
}

/// The command line; arguments with spaces are quoted.
fn command(path: &str, args: &[String]) -> String {
    let quoted = args.iter().map(|argument| match argument.contains(' ') {
        true => format!("'{argument}'"),
        false => argument.clone(),
    });
    let words: Vec<String> = std::iter::once(path.to_owned()).chain(quoted).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_never_were_are_gos_zero() {
        let shown = state(&State::default(), false);
        assert_eq!(shown.started_at.as_deref(), Some(NEVER));
        assert_eq!(shown.status, Some(ContainerStateStatusEnum::CREATED));
        let shown = state(&State::default(), true);
        assert_eq!(shown.status, Some(ContainerStateStatusEnum::REMOVING));
    }

    #[test]
    fn a_port_without_a_host_side_is_shown_with_nothing() {
        let side = HostSide {
            address: [127, 0, 0, 1].into(),
            port: Some(8080),
        };
        let routed = HostSide { port: None, ..side };
        let ports = ShownPorts::from([
            ((80, Protocol::Tcp), Some(vec![side, routed])),
            ((53, Protocol::Udp), None),
        ]);
        let map = port_map(&ports);
        assert_eq!(map["53/udp"], None);
        let bound = map["80/tcp"].as_ref().unwrap().iter();
        let bound: Vec<_> = bound.map(|side| side.host_port.as_deref()).collect();
        assert_eq!(bound, [Some("8080"), Some("")]);
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let args = ["-c".to_owned(), "echo a".to_owned()];
        assert_eq!(command("sh", &args), "sh -c 'echo a'");
    }
}
