//! What a container shall be, and the request for it.

use serde_json::{Map, Value, json};

/// The image that every daemon is given.
pub(crate) const IMAGE: &str = "img";

/// A published port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// As the API names it.
    protocol: &'static str,
    /// On the host.
    outside: u16,
    /// In the container.
    inside: u16,
}

/// A container to be created.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What its first network is.
    pub(crate) network: String,
    /// What it runs.
    pub(crate) command: Vec<String>,
    /// Its published ports.
    pub(crate) ports: Vec<Port>,
    /// Further names on its first network.
    pub(crate) aliases: Vec<String>,
}

impl Port {
    /// A port for streams: on the host, inside.
    pub(crate) fn tcp((outside, inside): (u16, u16)) -> Self {
        Self {
            protocol: "tcp",
            outside,
            inside,
        }
    }

    /// A port for datagrams: on the host, inside.
    pub(crate) fn udp((outside, inside): (u16, u16)) -> Self {
        Self {
            protocol: "udp",
            outside,
            inside,
        }
    }

    fn key(self) -> String {
        format!("{}/{}", self.inside, self.protocol)
    }
}

impl Wanted {
    /// A container that stays.
    pub(crate) fn lasting(network: &str) -> Self {
        Self {
            network: network.into(),
            command: vec!["sleep".into(), "100000".into()],
            ports: vec![],
            aliases: vec![],
        }
    }

    /// A container that ends at once.
    pub(crate) fn brief(network: &str) -> Self {
        Self {
            command: vec!["true".into()],
            ..Self::lasting(network)
        }
    }

    /// The same with published ports.
    pub(crate) fn publishing(self, ports: impl IntoIterator<Item = Port>) -> Self {
        Self {
            ports: ports.into_iter().collect(),
            ..self
        }
    }

    /// The same with further names on its network.
    pub(crate) fn called(self, names: &[String]) -> Self {
        Self {
            aliases: names.to_vec(),
            ..self
        }
    }

    /// The body of the request that creates it.
    pub(crate) fn body(&self) -> Value {
        let exposed = self.ports.iter().map(|port| (port.key(), json!({})));
        let exposed: Map<String, Value> = exposed.collect();
        let mut body = json!({
            "Image": IMAGE,
            "Cmd": self.command,
            "ExposedPorts": exposed,
            "HostConfig": { "NetworkMode": self.network, "PortBindings": bindings(&self.ports) },
        });
        if !self.aliases.is_empty() {
            let endpoint = json!({ (&self.network): { "Aliases": self.aliases } });
            body["NetworkingConfig"] = json!({ "EndpointsConfig": endpoint });
        }
        body
    }
}

/// Published ports as a request has them.
pub(crate) fn bindings(ports: &[Port]) -> Value {
    let binding = |port: &Port| {
        let host = json!([{ "HostPort": port.outside.to_string() }]);
        (port.key(), host)
    };
    Value::Object(ports.iter().map(binding).collect())
}
