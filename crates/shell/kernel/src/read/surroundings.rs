//! What decides about packets besides us: the host's addresses and routes, its switches, and the
//! chains of others. For explanations, which take all of it at once.

use super::address;
use crate::kernel::Kernel;
use crate::mark::{self, USER_TABLE};
use crate::nft::{decode, number, table};
use crate::sysctl;
use sealane_core::explain::{ForeignFilter, HostFacts, HostRoute};
use sealane_core::model::{IpFamily, PerFamily};
use sealane_core::nft::{Family, HookPoint};
use sealane_core::plan::Netns;
use std::collections::BTreeMap;
use std::io;

/// What the names of the user's own chains begin with.
const USER_CHAINS: &str = "sealane-user-";
/// The one in there that is ours.
const ACCEPT: &str = "sealane-user-accept";

impl Kernel {
    /// Reads what an explanation has to know of the host.
    pub fn host_facts(&self) -> io::Result<HostFacts> {
        let switches = self.in_namespace(Netns::Host, || {
            let on = |setting| -> io::Result<bool> {
                Ok(sysctl::read(setting)?.is_some_and(|value| value != "0"))
            };
            let forwards = PerFamily {
                v4: on("ipv4/ip_forward")?,
                v6: on("ipv6/conf/all/forwarding")?,
            };
            let bridged = PerFamily {
                v4: on("bridge/bridge-nf-call-iptables")?,
                v6: on("bridge/bridge-nf-call-ip6tables")?,
            };
            Ok((forwards, bridged))
        });
        let (forwards, bridge_filter) = switches?;
        let addresses = self.addresses()?;
        Ok(HostFacts {
            addresses: addresses
                .into_iter()
                .map(|found| (found.link, found.address))
                .collect(),
            routes: self.all_routes()?,
            forwards,
            other_owners: self.links_of_other_owners()?,
            bridge_filter,
            foreign: self.foreign_filters()?,
            user_rules: self.user_rules()?,
        })
    }

    fn all_routes(&self) -> io::Result<Vec<HostRoute>> {
        let channel = self.channel(Netns::Host)?;
        let names = self.link_names()?;
        let mut routes = address::routes(&channel, IpFamily::V4)?;
        routes.extend(address::routes(&channel, IpFamily::V6)?);
        let named = routes.into_iter().filter_map(|route| {
            Some(HostRoute {
                to: route.to,
                via: route.via,
                link: names.get(&route.link)?.clone(),
                source: route.source,
                metric: route.metric,
            })
        });
        Ok(named.collect())
    }

    /// The base chains of others that drop by policy, at the points that packets for the host or
    /// through it pass.
    fn foreign_filters(&self) -> io::Result<Vec<ForeignFilter>> {
        let channel = self.channel(Netns::Host)?;
        let mut found = Vec::new();
        for family in [Family::Inet, Family::Ip, Family::Ip6] {
            let replies = channel.netfilter().dump(&table::chains(number(family)))?;
            let chains = replies
                .iter()
                .filter_map(|reply| decode::chain(&reply.payload));
            found.extend(chains.filter_map(|chain| foreign(family, chain)));
        }
        Ok(found)
    }

    /// How many rules the user's chains have.
    fn user_rules(&self) -> io::Result<Vec<(String, usize)>> {
        let channel = self.channel(Netns::Host)?;
        let own = self.marks().table(USER_TABLE);
        let request = table::rules(number(Family::Inet), &own, None);
        let replies = channel.netfilter().dump(&request)?;
        let mut counts = BTreeMap::new();
        for rule in replies
            .iter()
            .filter_map(|reply| decode::rule(&reply.payload))
        {
            if rule.chain.starts_with(USER_CHAINS) && rule.chain != ACCEPT {
                *counts.entry(rule.chain).or_default() += 1;
            }
        }
        Ok(counts.into_iter().collect())
    }
}

fn foreign(family: Family, chain: decode::Chain) -> Option<ForeignFilter> {
    let ours = mark::is_table(&chain.table) || mark::is_passage_chain(&chain.name);
    // NF_INET_LOCAL_IN, NF_INET_FORWARD
    let point = match chain.hook?.point {
        1 => HookPoint::Input,
        2 => HookPoint::Forward,
        _elsewhere => return None,
    };
    (chain.policy_drop && !ours).then_some(ForeignFilter {
        family,
        table: chain.table,
        chain: chain.name,
        point,
    })
}
