//! How our objects are told from others': by numbers and names that nobody else uses.

use sealane_core::model::{InterfaceName, SandboxId};
use sealane_core::plan::Netns;

/// The group of every link of ours, from its birth on.
pub const LINK_GROUP: u32 = 0x5ea1;
/// The group of links of ours that are about to be removed together.
pub(crate) const DOOMED_LINK_GROUP: u32 = 0x5ea2;
/// The name of our tables, in whichever namespace.
pub const TABLE: &str = "sealane";
/// Our chain in the table of iptables.
pub const PASSAGE_CHAIN: &str = "SEALANE-FORWARD";

const ALIAS: &str = "sealane";

/// The alias of a link of ours; a veth's says where its other end is, as `sandbox-id/name`, since
/// the kernel knows that only as a number that may change.
pub(crate) fn alias(peer: Option<&(Netns, InterfaceName)>) -> String {
    match peer {
        Some((Netns::Sandbox(id), name)) => format!("{ALIAS} {id}/{name}"),
        Some((Netns::Host, name)) => format!("{ALIAS} host/{name}"),
        None => ALIAS.into(),
    }
}

/// Where the alias says that the other end is.
pub(crate) fn peer_of_alias(alias: &str) -> Option<(Netns, InterfaceName)> {
    let (netns, name) = alias
        .strip_prefix(ALIAS)?
        .strip_prefix(' ')?
        .split_once('/')?;
    let netns = match netns {
        "host" => Netns::Host,
        id => Netns::Sandbox(SandboxId::try_from(id).ok()?),
    };
    Some((netns, InterfaceName::try_from(name).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::derive_id;

    #[test]
    fn an_alias_says_where_the_other_end_is() {
        let sandbox = Netns::Sandbox(derive_id(&[b"web"]));
        let name = InterfaceName::try_from("eth0").unwrap();
        for netns in [sandbox, Netns::Host] {
            let alias = alias(Some(&(netns, name.clone())));
            assert_eq!(peer_of_alias(&alias), Some((netns, name.clone())));
            assert!(alias.len() < 256, "IFALIASZ");
        }
        for other in [
            "",
            "sealane",
            "uplink",
            "sealane x/eth0",
            "sealane host/a:b",
        ] {
            assert_eq!(peer_of_alias(other), None, "{other}");
        }
    }
}
