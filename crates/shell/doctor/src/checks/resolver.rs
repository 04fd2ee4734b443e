//! Name servers that containers are led to.

use super::{Verdict, error, ok, warn};
use crate::{Daemon, Host};
use std::net::IpAddr;

/// Whether containers' queries have somewhere to go.
pub(super) fn resolver(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let Some(text) = &host.resolv_conf else {
        return vec![error(
            "there is no /etc/resolv.conf, so containers ask 8.8.8.8",
            "write one, or start the daemon with --dns ADDRESS",
        )];
    };
    let servers: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().split('%').next()?.parse().ok())
        .collect();
    vec![if servers.is_empty() {
        warn(
            "/etc/resolv.conf names no name server, so containers ask 8.8.8.8",
            "add a nameserver line, or start the daemon with --dns ADDRESS",
        )
    } else if servers.iter().all(IpAddr::is_loopback) {
        warn(
            format!(
                "/etc/resolv.conf names only {}, which containers on the default bridge cannot reach; they \
                 ask 8.8.8.8",
                servers[0]
            ),
            "networks of your own have a resolver that asks it for them; for the default bridge start the \
             daemon with --dns ADDRESS",
        )
    } else {
        ok("containers' queries have a name server to go to")
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn servers_on_the_host_only_are_told() {
        let level = |text: &str| {
            let host = Host {
                resolv_conf: Some(text.into()),
                ..Host::default()
            };
            resolver(&host, None)[0].level
        };
        assert_eq!(level("nameserver 127.0.0.53\n"), Level::Warn);
        assert_eq!(
            level("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"),
            Level::Ok
        );
        assert_eq!(level("nameserver fe80::1%eth0\n"), Level::Ok);
        assert_eq!(level("search lan\n"), Level::Warn);
    }
}
