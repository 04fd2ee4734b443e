//! What other daemons of ours, each with its owner, have in this namespace.

use super::table;
use crate::kernel::Kernel;
use crate::mark::{self, TABLE};
use crate::nft::number;
use sealane_core::model::{IpFamily, PerFamily};
use sealane_core::nft::{Datum, Family};
use sealane_core::plan::Netns;
use sealane_core::scopes::set;
use std::collections::BTreeSet;
use std::io;

/// A chain that only the host's table of an owner has: the user's is called otherwise.
const CHAIN: &str = "forward";

impl Kernel {
    /// The links of the host that they made.
    pub(crate) fn links_of_other_owners(&self) -> io::Result<BTreeSet<String>> {
        let links = self.host_links()?.into_iter();
        let others = links.filter(|link| link.other_owners);
        Ok(others.map(|link| link.name).collect())
    }

    /// Whether one of them switched forwarding on for its own networks only. Then the host forwards,
    /// but not by itself.
    pub(crate) fn forwarding_of_other_owners(&self) -> io::Result<PerFamily<bool>> {
        let family = number(Family::Inet);
        let own = self.marks().table(TABLE);
        let mut chains = self.chains_of(Family::Inet)?;
        chains.retain(|chain| {
            let of_host = mark::is_table(&chain.table) && chain.name == CHAIN;
            of_host && chain.table != own
        });
        let channel = self.channel(Netns::Host)?;
        let mut socket = channel.netfilter();
        let mut theirs = PerFamily::default();
        for chain in chains {
            for ip in IpFamily::BOTH {
                let map = (family, chain.table.as_str(), set::FOREIGN);
                let kept = table::element(&mut socket, map, &[Datum::NfProto(ip)])?;
                theirs[ip] |= kept.is_some();
            }
        }
        Ok(theirs)
    }
}
