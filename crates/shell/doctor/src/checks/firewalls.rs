//! Firewalls of others that drop what containers send. An accept of ours does not outweigh them.

use super::{Verdict, ok, or_else, warn};
use crate::{Daemon, Host};
use sealane_core::nft::Family;
use sealane_kernel::read::{HostChain, HostHook};

/// Which firewalls are at work, and whether they let containers' packets through.
pub(super) fn firewalls(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let integrated = daemon.is_none_or(|daemon| daemon.firewall_integration);
    let foreign = || host.chains.iter().filter(|chain| !chain.ours);
    let mut found = Vec::new();
    if foreign().any(|chain| chain.table == "firewalld") {
        found.push(of_firewalld(integrated));
    }
    let ufw = foreign().any(|chain| chain.name.starts_with("ufw"));
    let drops = |hook| {
        move |chain: &&HostChain| {
            chain.hook == Some(hook) && chain.policy_drop && chain.table != "firewalld"
        }
    };
    for chain in foreign().filter(drops(HostHook::Forward)) {
        found.push(of_forward(chain, ufw, integrated));
    }
    if foreign().any(|chain| drops(HostHook::Input)(&chain)) && !found.is_empty() {
        found.push(ok(
            "packets for the host itself are dropped unless a rule accepts them; published ports are \
             led past that, and the resolver of containers needs no rule",
        ));
    }
    or_else(found, || ok("no foreign firewall drops what is forwarded"))
}

fn of_firewalld(integrated: bool) -> Verdict {
    if integrated {
        return ok("firewalld is at work; the daemon gives it a zone and a policy for its bridges");
    }
    warn(
        "firewalld is at work and the daemon was told not to talk to it",
        "start the daemon without --firewall-integration=off, or put the bridges into a zone yourself: \
         firewall-cmd --permanent --zone=trusted --add-interface=docker0",
    )
}

fn of_forward(chain: &HostChain, ufw: bool, integrated: bool) -> Verdict {
    let by_iptables = chain.table == "filter"
        && chain.name == "FORWARD"
        && matches!(chain.family, Family::Ip | Family::Ip6);
    let who = match (by_iptables, ufw) {
        (true, true) => "ufw",
        (true, false) => "iptables",
        (false, _) => "a firewall",
    };
    let place = format!("{} {} {}", word(chain.family), chain.table, chain.name);
    if by_iptables && integrated {
        return ok(format!(
            "{who} drops what is forwarded ({place}); the daemon has one jump at the head of that chain \
             for its bridges"
        ));
    }
    let finding = format!("{who} drops what is forwarded ({place}), containers' packets too");
    let advice = if by_iptables {
        "start the daemon without --firewall-integration=off, or accept its bridges: \
         iptables -I FORWARD -i docker0 -j ACCEPT, and the same with -o"
            .into()
    } else {
        format!(
            "accept the bridges there: nft insert rule {place} iifname {{ \"docker0\", \"br-*\" }} accept, \
             and the same with oifname"
        )
    };
    warn(finding, advice)
}

pub(super) fn word(family: Family) -> &'static str {
    match family {
        Family::Ip => "ip",
        Family::Ip6 => "ip6",
        Family::Inet => "inet",
        Family::Bridge => "bridge",
    }
}
