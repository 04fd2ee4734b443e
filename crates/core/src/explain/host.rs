//! What explaining has to know of the host beyond what we planned: read in the shell, passed in.

use crate::model::{IpFamily, PerFamily, Protocol, SandboxId};
use crate::nft::{Family, HookPoint};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The host as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its addresses, by link.
    pub addresses: Vec<(String, IpNet)>,
    /// Its routes.
    pub routes: Vec<HostRoute>,
    /// Whether it forwards.
    pub forwards: PerFamily<bool>,
    /// Whether bridged packets pass its IP filters.
    pub bridge_filter: PerFamily<bool>,
    /// The links that other daemons of ours made.
    pub other_owners: BTreeSet<String>,
    /// Base chains of others that drop what none of their rules accepts.
    pub foreign: Vec<ForeignFilter>,
    /// How many rules the user has put into each of the chains that are theirs.
    pub user_rules: Vec<(String, usize)>,
}

/// A route of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoute {
    /// The destinations.
    pub to: IpNet,
    /// The next hop; `None` where destinations are on the link.
    pub via: Option<IpAddr>,
    /// The link.
    pub link: String,
    /// The address that the host's own packets have by it, where it says so.
    pub source: Option<IpAddr>,
    /// Of two routes to the same destinations the one with the lower metric is taken.
    pub metric: u32,
}

/// A foreign base chain, whose policy is to drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFilter {
    /// The family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// Where it stands.
    pub point: HookPoint,
}

impl ForeignFilter {
    /// Whether it sees packets of a family.
    pub(super) fn sees(&self, family: IpFamily) -> bool {
        match self.family {
            Family::Ip => family == IpFamily::V4,
            Family::Ip6 => family == IpFamily::V6,
            Family::Inet => true,
            Family::Bridge => false,
        }
    }

    /// Its name as `nft list chain` takes it.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.family, self.table, self.chain)
    }
}

/// Whether something in a namespace (`None`: the host's) receives at an address and port.
pub type Listening<'a> = dyn Fn(Option<SandboxId>, Protocol, SocketAddr) -> bool + 'a;
