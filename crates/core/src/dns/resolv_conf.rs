//! resolv.conf: reading the host's. The one of a sandbox is written by `render`.

mod render;

pub use render::{InternalResolvConf, render_host, render_internal, render_legacy};

use super::RESOLVER_ADDRESS;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// How many upstreams are asked; Docker ignores further ones, and so does every libc.
const MAX_UPSTREAMS: usize = 3;

/// A name server as resolv.conf names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// Its address.
    pub address: IpAddr,
    /// The link a link-local address is on, as in `fe80::1%eth0`.
    pub zone: Option<String>,
}

/// The host's resolv.conf, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order.
    pub servers: Vec<Server>,
    /// What was named as a server but is no address.
    pub invalid_servers: Vec<String>,
    /// The search domains: those of the last `search` or `domain` line.
    pub search: Vec<String>,
    /// The options of all `options` lines.
    pub options: Vec<String>,
    /// Lines that are none of these; they are passed on.
    pub other: Vec<String>,
}

/// A server that the resolver relays to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalServer {
    /// The server.
    pub server: Server,
    /// Whether it is asked from the host, where it was found, and not from the sandbox.
    pub from_host: bool,
}

impl ResolvConf {
    /// Reads the text of a resolv.conf. What cannot be understood is kept, nothing is an error.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text
            .lines()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.starts_with(['#', ';']))
        {
            let mut words = line.split_whitespace();
            let Some(directive) = words.next() else {
                continue;
            };
            let arguments: Vec<String> = words.map(str::to_owned).collect();
            match (directive, &arguments[..]) {
                ("nameserver" | "domain" | "search" | "options", []) => {}
                ("nameserver", [server, ..]) => conf.add_server(server),
                ("domain" | "search", _) => conf.search = arguments,
                ("options", _) => conf.options.extend(arguments),
                (_, _) => conf.other.push(line.to_owned()),
            }
        }
        conf
    }

    fn add_server(&mut self, text: &str) {
        match Server::parse(text) {
            Some(server) => self.servers.push(server),
            None => self.invalid_servers.push(text.to_owned()),
        }
    }

    /// Whether the only server is the stub of systemd-resolved, which no sandbox can reach. The
    /// servers behind it are in `/run/systemd/resolve/resolv.conf`.
    pub fn is_systemd_stub(&self) -> bool {
        let stub = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
        matches!(&self.servers[..], [only] if only.address == stub)
    }

    /// The servers, as upstreams that are asked from the host: three at most.
    pub fn upstreams(&self) -> Vec<ExternalServer> {
        let external = |server: &Server| ExternalServer {
            server: server.clone(),
            from_host: true,
        };
        self.servers
            .iter()
            .take(MAX_UPSTREAMS)
            .map(external)
            .collect()
    }
}

impl Server {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('%') {
            Some((address, zone)) if !zone.is_empty() => {
                let address = IpAddr::V6(address.parse().ok()?);
                Some(Self {
                    address,
                    zone: Some(zone.to_owned()),
                })
            }
            Some(_) => None,
            None => Some(Self {
                address: text.parse().ok()?,
                zone: None,
            }),
        }
    }
}

impl ExternalServer {
    /// The servers of a network's own, as upstreams that are asked from the sandbox: three at most,
    /// and not the resolver itself.
    pub fn of_network(servers: &[IpAddr]) -> Vec<Self> {
        let servers = servers.iter().filter(|server| **server != RESOLVER_ADDRESS);
        let external = |server: &IpAddr| Self {
            server: Server::from(*server),
            from_host: false,
        };
        servers.take(MAX_UPSTREAMS).map(external).collect()
    }
}

impl From<IpAddr> for Server {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            zone: None,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}%{zone}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Display for ExternalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from_host {
            true => write!(f, "host({})", self.server),
            false => write!(f, "{}", self.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_file_is_read_leniently() {
        let conf = ResolvConf::parse(
            "# comment\n; comment\nnameserver 10.0.0.1 trailing\nnameserver fe80::1%eth0\n\
             nameserver 1.2.3.4.5\nnameserver\ndomain first\nsearch a  b\t c\noptions edns0\n\
             options ndots:2\n\nsortlist 1.2.3.4\n",
        );
        let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1", "fe80::1%eth0"]);
        assert_eq!(conf.invalid_servers, ["1.2.3.4.5"]);
        assert_eq!(conf.search, ["a", "b", "c"]);
        assert_eq!(conf.options, ["edns0", "ndots:2"]);
        assert_eq!(conf.other, ["sortlist 1.2.3.4"]);
    }
}
