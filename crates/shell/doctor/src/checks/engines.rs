//! Other engines on the same host.

use super::{Verdict, docker, ok, or_else, warn};
use crate::{Daemon, Host};
use sealane_kernel::read::{HostChain, HostLink};

/// An engine, by the links and the chains it makes.
struct Engine {
    name: &'static str,
    links: &'static [&'static str],
    /// Starts of the names of tables and chains.
    chains: &'static [&'static str],
    advice: &'static str,
}

const ENGINES: [Engine; 3] = [
    Engine {
        name: "Podman (netavark)",
        links: &["podman0", "podman1", "cni-podman0"],
        chains: &["netavark", "NETAVARK"],
        advice: "both work side by side if their address pools differ: default_subnet_pools in \
                 containers.conf, --default-address-pool here",
    },
    Engine {
        name: "CNI",
        links: &["cni0", "nerdctl0"],
        chains: &["CNI-", "cni_"],
        advice: "both work side by side if their subnets differ: look at /etc/cni/net.d",
    },
    Engine {
        name: "Kubernetes",
        links: &["flannel.1", "cilium_host", "kube-ipvs0", "kube-bridge"],
        chains: &["KUBE-", "kube-proxy", "cali-", "CILIUM_"],
        advice: "both work side by side if --default-address-pool leaves out the cluster's pod and \
                 service ranges",
    },
];

/// Whether another engine makes container networks here.
pub(super) fn engines(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let others = ENGINES.iter().filter_map(|engine| {
        let seen = engine.seen(&host.links, &host.chains)?;
        Some(warn(
            format!("{} is or was at work on this host: {seen}", engine.name),
            engine.advice,
        ))
    });
    let found = docker::docker(host, daemon).into_iter().chain(others);
    or_else(found.collect(), || {
        ok("no other engine makes container networks here")
    })
}

impl Engine {
    fn seen(&self, links: &[HostLink], chains: &[HostChain]) -> Option<String> {
        let link = links
            .iter()
            .find(|link| !link.ours && self.links.contains(&link.name.as_str()));
        if let Some(link) = link {
            return Some(format!("there is its link {}", link.name));
        }
        let its = |name: &str| self.chains.iter().any(|start| name.starts_with(start));
        let chain = chains
            .iter()
            .find(|chain| !chain.ours && (its(&chain.name) || its(&chain.table)))?;
        Some(format!(
            "there is its chain {} in table {}",
            chain.name, chain.table
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn our_own_bridge_is_nobody_else_s() {
        let host = |ours| Host {
            links: vec![HostLink {
                name: "docker0".into(),
                ours,
                ..HostLink::default()
            }],
            ..Host::default()
        };
        assert_eq!(engines(&host(true), None)[0].level, Level::Ok);
        assert_eq!(engines(&host(false), None)[0].level, Level::Warn);
    }
}
