//! The resolv.conf of a sandbox.
//!
//! Three kinds of sandbox have three kinds of file: on user networks it names only the resolver
//! ([`render_internal`]), on the default bridge the host's servers as far as they can be reached
//! ([`render_legacy`]), and with the host's own network stack all of them ([`render_host`]). The
//! comments are Docker's to the letter, because its users and its tests read them.

use super::{ExternalServer, MAX_UPSTREAMS, ResolvConf, Server};
use crate::dns::RESOLVER_ADDRESS;
use crate::model::NameserverConfig;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const DEFAULT_IPV4: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)),
];
const DEFAULT_IPV6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844)),
];

const HEADER: &str = "# Written by Sealane. Edit it as you like: once it differs from what was\n\
    # written, it is yours, and left alone.\n";

/// What a sandbox on user networks gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalResolvConf {
    /// The text of its file.
    pub text: String,
    /// The servers that its resolver relays to: three at most.
    pub upstreams: Vec<ExternalServer>,
    /// Whether the host or the user set `ndots` (see [`crate::dns::View::ndots_set`]).
    pub ndots_set: bool,
}

/// The file of a sandbox whose names are answered by the resolver at 127.0.0.11. `path` is where
/// the host's file was read.
pub fn render_internal(
    host: &ResolvConf,
    path: &str,
    asked: &NameserverConfig,
) -> InternalResolvConf {
    let mut draft = Draft::new(host, path, asked);
    let ndots_set = draft.ndots().is_some();
    let from_host = asked.servers.is_empty();
    draft.external = (draft.servers.drain(..))
        .map(|server| ExternalServer { server, from_host })
        .collect();
    draft.servers.push(IpAddr::V4(RESOLVER_ADDRESS).into());
    draft.options.retain(|option| !is_invalid_ndots(option));
    if draft.ndots().is_none() {
        draft.options.push("ndots:0".to_owned());
        draft.ndots_from = Some("internal");
    }
    draft.transform = Some("internal resolver");
    if draft.external.is_empty() {
        draft.warnings.push("NO EXTERNAL NAMESERVERS DEFINED");
    }
    InternalResolvConf {
        text: draft.render(),
        upstreams: draft.upstreams(),
        ndots_set,
    }
}

/// The file of a sandbox on the default bridge, which has no resolver: the host's servers, less
/// those that only the host can reach. `ipv6` says whether the sandbox has IPv6.
pub fn render_legacy(
    host: &ResolvConf,
    path: &str,
    asked: &NameserverConfig,
    ipv6: bool,
) -> String {
    let mut draft = Draft::new(host, path, asked);
    draft.transform = Some("legacy");
    if asked.servers.is_empty() {
        let reachable = |a: &IpAddr| !a.is_loopback() && (ipv6 || a.is_ipv4());
        draft.servers.retain(|server| reachable(&server.address));
        if draft.servers.is_empty() {
            let ipv6_defaults = DEFAULT_IPV6.into_iter().filter(|_| ipv6);
            draft.servers = DEFAULT_IPV4
                .into_iter()
                .chain(ipv6_defaults)
                .map(Server::from)
                .collect();
            draft.warnings.push("Used default nameservers.");
        }
    }
    draft.render()
}

/// The file of a sandbox that uses the host's network stack.
pub fn render_host(host: &ResolvConf, path: &str, asked: &NameserverConfig) -> String {
    Draft::new(host, path, asked).render()
}

/// A file in the making, with what its closing comments tell.
struct Draft<'a> {
    path: &'a str,
    servers: Vec<Server>,
    external: Vec<ExternalServer>,
    invalid_servers: &'a [String],
    search: Vec<String>,
    options: Vec<String>,
    other: &'a [String],
    overrides: Vec<&'static str>,
    ndots_from: Option<&'static str>,
    transform: Option<&'static str>,
    warnings: Vec<&'static str>,
}

impl<'a> Draft<'a> {
    /// The host's file, with what was asked for in the place of what it says.
    fn new(host: &'a ResolvConf, path: &'a str, asked: &NameserverConfig) -> Self {
        let mut draft = Self {
            path,
            servers: host.servers.clone(),
            external: vec![],
            invalid_servers: &host.invalid_servers,
            search: host.search.clone(),
            options: host.options.clone(),
            other: &host.other,
            overrides: vec![],
            ndots_from: None,
            transform: None,
            warnings: vec![],
        };
        draft.ndots_from = draft.ndots().map(|_| "host");
        draft.apply(asked);
        draft
    }

    fn apply(&mut self, asked: &NameserverConfig) {
        if !asked.servers.is_empty() {
            self.servers = asked.servers.iter().copied().map(Server::from).collect();
            self.overrides.push("nameservers");
        }
        if !asked.search.is_empty() {
            self.search = asked
                .search
                .iter()
                .filter(|domain| *domain != ".")
                .cloned()
                .collect();
            self.overrides.push("search");
        }
        if !asked.options.is_empty() {
            self.options = asked.options.clone();
            self.ndots_from = self.ndots().map(|_| "override");
            self.overrides.push("options");
        }
    }

    fn ndots(&self) -> Option<&String> {
        self.options
            .iter()
            .rfind(|option| ndots_value(option).is_some())
    }

    /// The external servers in so far as they can be relayed to: not the resolver itself.
    fn upstreams(&self) -> Vec<ExternalServer> {
        let own = |e: &&ExternalServer| !e.from_host && e.server.address == RESOLVER_ADDRESS;
        self.external
            .iter()
            .filter(|e| !own(e))
            .take(MAX_UPSTREAMS)
            .cloned()
            .collect()
    }

    fn render(&self) -> String {
        let mut lines = vec![HEADER.to_owned()];
        lines.extend(
            self.servers
                .iter()
                .map(|server| format!("nameserver {server}")),
        );
        if !self.search.is_empty() {
            lines.push(format!("search {}", self.search.join(" ")));
        }
        if !self.options.is_empty() {
            lines.push(format!("options {}", self.options.join(" ")));
        }
        lines.extend(self.other.iter().cloned());
        lines.push(String::new());
        lines.extend(self.closing_comments());
        lines.push(String::new());
        lines.join("\n")
    }

    fn closing_comments(&self) -> Vec<String> {
        let transform = self
            .transform
            .map_or(String::new(), |name| format!(" ({name})"));
        let mut lines = vec![format!("# Based on host file: '{}'{transform}", self.path)];
        lines.extend(self.warnings.iter().map(|warning| format!("# {warning}")));
        if !self.external.is_empty() {
            let external: Vec<_> = self.external.iter().map(ToString::to_string).collect();
            lines.push(format!("# ExtServers: [{}]", external.join(" ")));
        }
        if !self.invalid_servers.is_empty() {
            lines.push(format!(
                "# Invalid nameservers: [{}]",
                self.invalid_servers.join(" ")
            ));
        }
        lines.push(format!("# Overrides: [{}]", self.overrides.join(" ")));
        lines.extend(
            self.ndots_from
                .map(|from| format!("# Option ndots from: {from}")),
        );
        lines
    }
}

/// What follows `ndots` in an option, empty if nothing does; `None` if it is another option.
fn ndots_value(option: &str) -> Option<&str> {
    match option.split_once(':') {
        Some((name, value)) => (name == "ndots").then_some(value),
        None => (option == "ndots").then_some(""),
    }
}

fn is_invalid_ndots(option: &str) -> bool {
    ndots_value(option).is_some_and(|value| value.parse::<u32>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const PATH: &str = "/etc/resolv.conf";

    fn asked(servers: &[&str], search: &[&str], options: &[&str]) -> NameserverConfig {
        let strings = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
        NameserverConfig {
            servers: servers
                .iter()
                .map(|server| server.parse().unwrap())
                .collect(),
            search: strings(search),
            options: strings(options),
        }
    }

    fn without_header(text: &str) -> &str {
        text.strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .unwrap()
    }

    fn internal(host: &str, asked: &NameserverConfig, text: Expect) -> InternalResolvConf {
        let conf = render_internal(&ResolvConf::parse(host), PATH, asked);
        text.assert_eq(without_header(&conf.text));
        conf
    }

    fn legacy(host: &str, ipv6: bool, text: Expect) {
        let conf = ResolvConf::parse(host);
        let rendered = render_legacy(&conf, PATH, &NameserverConfig::default(), ipv6);
        text.assert_eq(without_header(&rendered));
    }

    #[test]
    fn servers_of_the_host_are_asked_from_the_host() {
        let host = "nameserver 10.199.0.1\nnameserver ::1\nsearch example.org\n";
        let conf = internal(
            host,
            &NameserverConfig::default(),
            expect![[r#"
                nameserver 127.0.0.11
                search example.org
                options ndots:0

                # Based on host file: '/etc/resolv.conf' (internal resolver)
                # ExtServers: [host(10.199.0.1) host(::1)]
                # Overrides: []
                # Option ndots from: internal
            "#]],
        );
        assert!(conf.upstreams.iter().all(|upstream| upstream.from_host));
        assert!(!conf.ndots_set);
    }

    #[test]
    fn servers_asked_for_are_asked_from_the_sandbox() {
        let servers = [
            "127.0.0.11",
            "127.0.0.53",
            "fd00::53",
            "10.0.0.3",
            "10.0.0.4",
        ];
        let conf = internal(
            "nameserver 10.0.0.1\noptions ndots:3 edns0\nsearch x\n",
            &asked(&servers, &["."], &["ndots:2", "trust-ad"]),
            expect![[r#"
                nameserver 127.0.0.11
                options ndots:2 trust-ad

                # Based on host file: '/etc/resolv.conf' (internal resolver)
                # ExtServers: [127.0.0.11 127.0.0.53 fd00::53 10.0.0.3 10.0.0.4]
                # Overrides: [nameservers search options]
                # Option ndots from: override
            "#]],
        );
        let upstreams: Vec<_> = conf.upstreams.iter().map(ToString::to_string).collect();
        assert_eq!(upstreams, ["127.0.0.53", "fd00::53", "10.0.0.3"]);
        assert!(conf.ndots_set);
    }

    #[test]
    fn an_ndots_of_the_host_is_kept_if_it_is_a_number() {
        let none = NameserverConfig::default();
        let kept = internal(
            "nameserver 127.0.0.53\noptions ndots:1\n",
            &none,
            expect![[r#"
                nameserver 127.0.0.11
                options ndots:1

                # Based on host file: '/etc/resolv.conf' (internal resolver)
                # ExtServers: [host(127.0.0.53)]
                # Overrides: []
                # Option ndots from: host
            "#]],
        );
        assert!(kept.ndots_set);
        internal(
            "nameserver 127.0.0.53\noptions trust-ad ndots:-1 ndots edns0\n",
            &none,
            expect![[r#"
                nameserver 127.0.0.11
                options trust-ad edns0 ndots:0

                # Based on host file: '/etc/resolv.conf' (internal resolver)
                # ExtServers: [host(127.0.0.53)]
                # Overrides: []
                # Option ndots from: internal
            "#]],
        );
    }

    #[test]
    fn a_host_without_servers_is_said_to_have_none() {
        let conf = internal(
            "",
            &NameserverConfig::default(),
            expect![[r#"
                nameserver 127.0.0.11
                options ndots:0

                # Based on host file: '/etc/resolv.conf' (internal resolver)
                # NO EXTERNAL NAMESERVERS DEFINED
                # Overrides: []
                # Option ndots from: internal
            "#]],
        );
        assert_eq!(conf.upstreams, []);
    }

    #[test]
    fn the_default_bridge_has_the_servers_it_can_reach() {
        let host = "nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fd00::1\n";
        legacy(
            host,
            false,
            expect![[r#"
                nameserver 10.0.0.1

                # Based on host file: '/etc/resolv.conf' (legacy)
                # Overrides: []
            "#]],
        );
        legacy(
            host,
            true,
            expect![[r#"
                nameserver 10.0.0.1
                nameserver fd00::1

                # Based on host file: '/etc/resolv.conf' (legacy)
                # Overrides: []
            "#]],
        );
    }

    #[test]
    fn the_default_bridge_falls_back_to_public_servers() {
        legacy(
            "nameserver 127.0.0.53\nnameserver fd00::1\n",
            false,
            expect![[r#"
                nameserver 8.8.8.8
                nameserver 8.8.4.4

                # Based on host file: '/etc/resolv.conf' (legacy)
                # Used default nameservers.
                # Overrides: []
            "#]],
        );
        legacy(
            "nameserver ::1\n",
            true,
            expect![[r#"
                nameserver 8.8.8.8
                nameserver 8.8.4.4
                nameserver 2001:4860:4860::8888
                nameserver 2001:4860:4860::8844

                # Based on host file: '/etc/resolv.conf' (legacy)
                # Used default nameservers.
                # Overrides: []
            "#]],
        );
    }

    #[test]
    fn servers_asked_for_are_kept_on_the_default_bridge_whatever_they_are() {
        let host = ResolvConf::parse("nameserver 10.0.0.1\nsortlist 10.0.0.0\nnameserver x\n");
        let text = render_legacy(&host, PATH, &asked(&["127.0.0.1"], &[], &[]), false);
        expect![[r#"
            nameserver 127.0.0.1
            sortlist 10.0.0.0

            # Based on host file: '/etc/resolv.conf' (legacy)
            # Invalid nameservers: [x]
            # Overrides: [nameservers]
        "#]]
        .assert_eq(without_header(&text));
    }

    #[test]
    fn the_host_network_has_the_file_of_the_host() {
        let text = render_host(
            &ResolvConf::parse("nameserver 127.0.0.53\n"),
            PATH,
            &NameserverConfig::default(),
        );
        expect![[r#"
            nameserver 127.0.0.53

            # Based on host file: '/etc/resolv.conf'
            # Overrides: []
        "#]]
        .assert_eq(without_header(&text));
    }
}
