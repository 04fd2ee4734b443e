//! What is left of Docker Engine, or that it runs beside us.

use super::firewalls::word;
use super::{Verdict, listed, warn};
use crate::{Daemon, Host};
use sealane_kernel::read::{HostChain, HostLink};
use std::collections::BTreeSet;

/// Its tables where it does without iptables.
const TABLE: &str = "docker-bridges";
/// The chain that it leaves to its users.
const USERS: &str = "DOCKER-USER";
/// So many links are listed by name.
const NAMED: usize = 4;

/// What is left of Docker Engine, if anything, and what to do about it.
pub(super) fn docker(host: &Host, daemon: Option<&Daemon>) -> Option<Verdict> {
    let chains: Vec<&HostChain> = host.chains.iter().filter(|chain| is_its(chain)).collect();
    let named = |name: &str| {
        host.links
            .iter()
            .any(|link| !link.ours && link.name == name)
    };
    if chains.is_empty() && !named("docker0") && !named("docker_gwbridge") {
        return None;
    }
    let left = listed(&[links(host), rules(host, &chains)].concat());
    if host.dockerd {
        return Some(warn(
            format!("Docker Engine runs on this host: {left}"),
            "stop it (systemctl disable --now docker docker.socket), or keep both apart: another socket \
             (-H), another bridge (--bridge or --bip) and other address pools (--default-address-pool) \
             for one of them",
        ));
    }
    Some(warn(
        format!("Docker Engine was at work on this host and has left behind {left}"),
        advice(host, daemon, &chains),
    ))
}

fn is_its(chain: &HostChain) -> bool {
    !chain.ours && (chain.name.starts_with("DOCKER") || chain.table == TABLE)
}

/// Whether a link has a name that it gives bridges of networks: `br-` and twelve digits of the id.
fn is_its_bridge(link: &HostLink) -> bool {
    let digits = link.name.strip_prefix("br-").unwrap_or_default();
    let known = ["docker0", "docker_gwbridge"].contains(&link.name.as_str());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    !link.ours && (known || digits.len() == 12 && digits.bytes().all(hex))
}

fn links(host: &Host) -> Vec<String> {
    let bridges = host.links.iter().filter(|link| is_its_bridge(link));
    let bridges: Vec<&str> = bridges.map(|link| link.name.as_str()).collect();
    let veths = host
        .links
        .iter()
        .filter(|link| !link.ours && link.kind == "veth" && link.name.starts_with("veth"));
    let mut found = Vec::new();
    let named = listed(&bridges[..bridges.len().min(NAMED)]);
    match bridges.len() {
        0 => {}
        1 => found.push(format!("the bridge {named}")),
        2..=NAMED => found.push(format!("the bridges {named}")),
        all => found.push(format!("{all} bridges, such as {named}")),
    }
    match veths.count() {
        0 => {}
        1 => found.push("one veth link".into()),
        several => found.push(format!("{several} veth links")),
    }
    found
}

fn rules(host: &Host, chains: &[&HostChain]) -> Vec<String> {
    let mut found = Vec::new();
    let places: BTreeSet<String> = chains
        .iter()
        .map(|chain| format!("{} {}", word(chain.family), chain.table))
        .collect();
    if !places.is_empty() {
        let places: Vec<String> = places.into_iter().collect();
        let names: BTreeSet<&str> = chains.iter().map(|chain| chain.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        found.push(format!(
            "the chains {} in {}",
            listed(&names),
            listed(&places)
        ));
    }
    if !chains.is_empty() && host.chains.iter().any(drops_forwarded) {
        found.push("a FORWARD chain that drops by policy".into());
    }
    found
}

fn drops_forwarded(chain: &HostChain) -> bool {
    chain.table == "filter" && chain.name == "FORWARD" && chain.policy_drop
}

fn advice(host: &Host, daemon: Option<&Daemon>, chains: &[&HostChain]) -> String {
    let mut advice = String::new();
    if chains.iter().any(|chain| chain.table == TABLE) {
        advice.push_str(
            "its tables drop what is sent to docker0: nft delete table ip docker-bridges, the same \
             with ip6, and start the daemon again; ",
        );
    }
    if chains.iter().any(|chain| chain.name == USERS) {
        advice.push_str(
            "rules of yours in DOCKER-USER do not concern our networks: write them into \
             the chain sealane-user-forward of table inet sealane-user (docs/guides/firewall.md); ",
        );
    }
    if daemon.is_some()
        && !host
            .links
            .iter()
            .any(|link| link.ours && link.name == "docker0")
    {
        advice.push_str("docker0 stays where it is the default bridge; ");
    }
    advice.push_str(
        "nothing else is in the way: new networks avoid its subnets; it is gone after a reboot, if \
         Docker does not start again (systemctl disable docker docker.socket)",
    );
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, kind: &str, ours: bool) -> HostLink {
        HostLink {
            name: name.into(),
            kind: kind.into(),
            ours,
            ..HostLink::default()
        }
    }

    #[test]
    fn what_is_left_is_named() {
        let host = Host {
            links: vec![
                link("docker0", "bridge", false),
                link("br-0123456789ab", "bridge", false),
                link("br-office", "bridge", false),
                link("veth1", "veth", false),
            ],
            ..Host::default()
        };
        let told = docker(&host, None).unwrap().finding;
        assert!(
            told.contains("the bridges docker0 and br-0123456789ab"),
            "{told}"
        );
        assert!(
            told.contains("one veth link") && !told.contains("office"),
            "{told}"
        );
    }

    #[test]
    fn our_own_bridges_are_not_docker_s() {
        let host = Host {
            links: vec![
                link("docker0", "bridge", true),
                link("br-0123456789ab", "bridge", true),
            ],
            ..Host::default()
        };
        assert!(docker(&host, None).is_none());
    }
}
