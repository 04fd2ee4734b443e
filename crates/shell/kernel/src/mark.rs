//! What distinguishes our objects from others', and those of one of our daemons from another's:
//! numbers and names that no other program uses, made from the name of their owner.
//!
//! The usual owner's marks are as they were before there were owners. A plan names tables without
//! their owner; that is added and taken off here, at the border.

use sealane_core::model::{BRIDGE_GROUP, Id, InterfaceName, LINK_GROUP, Owner};
use sealane_core::nft::Table;
use sealane_core::plan::{LinkGroup, Netns};
use std::borrow::Cow;

/// What a plan calls our table on the host, and how the names of all of our tables begin.
pub(crate) const TABLE: &str = "sealane";
/// What a plan calls the host's table that is the user's.
pub(crate) const USER_TABLE: &str = "sealane-user";
/// How the name of our chain in the table of iptables begins; the usual owner's is no longer.
const PASSAGE_CHAIN: &str = "SEALANE-FORWARD";
const ALIAS: &str = "sealane";

/// The marks of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    owner: Owner,
    group: u32,
    bridges: u32,
    doomed: u32,
    passage_chain: String,
}

impl Marks {
    pub(crate) fn of(owner: Owner) -> Self {
        let (group, bridges, doomed) = groups(&owner);
        let passage_chain = suffixed(&owner, PASSAGE_CHAIN).into_owned();
        Self {
            owner,
            group,
            bridges,
            doomed,
            passage_chain,
        }
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The number of a group of links of ours, which they have from their birth on.
    pub(crate) fn group_of(&self, group: LinkGroup) -> u32 {
        match group {
            LinkGroup::Ours => self.group,
            LinkGroup::Bridges => self.bridges,
        }
    }

    /// Which of our groups has a number.
    pub(crate) fn group_from(&self, number: u32) -> LinkGroup {
        if number == self.bridges {
            LinkGroup::Bridges
        } else {
            LinkGroup::Ours
        }
    }

    /// The group of links of ours that are about to be removed together.
    pub(crate) fn doomed_group(&self) -> u32 {
        self.doomed
    }

    /// Our chain in the table of iptables.
    pub(crate) fn passage_chain(&self) -> &str {
        &self.passage_chain
    }

    /// What the kernel calls a table that a plan calls so.
    pub(crate) fn table<'a>(&self, plans: &'a str) -> Cow<'a, str> {
        suffixed(&self.owner, plans)
    }

    /// A table under the name that the kernel knows it by.
    pub(crate) fn named<'a>(&self, table: &'a Table) -> Cow<'a, Table> {
        match self.table(&table.name) {
            Cow::Borrowed(_) => Cow::Borrowed(table),
            Cow::Owned(name) => Cow::Owned(Table {
                name,
                ..table.clone()
            }),
        }
    }

    /// The name of the file that a sandbox's namespace is bound to.
    pub(crate) fn namespace_file(&self, digits: String) -> String {
        if self.owner.is_usual() {
            digits
        } else {
            format!("{digits}@{}", self.owner)
        }
    }

    /// The digits in the name of a file, if it is one of ours.
    pub(crate) fn namespace_digits<'a>(&self, file: &'a str) -> Option<&'a str> {
        match file.split_once('@') {
            None => self.owner.is_usual().then_some(file),
            Some((digits, owner)) => (owner == self.owner.as_str()).then_some(digits),
        }
    }

    /// The alias of a link of ours; a veth's says where its other end is, as `sandbox-id/name`, since
    /// the kernel knows that only as a number that may change.
    pub(crate) fn alias(&self, peer: Option<&(Netns, InterfaceName)>) -> String {
        let own = if self.owner.is_usual() {
            ALIAS.into()
        } else {
            format!("{ALIAS}@{}", self.owner)
        };
        match peer {
            Some((Netns::Sandbox(id), name)) => format!("{own} {id}/{name}"),
            Some((Netns::Host, name)) => format!("{own} host/{name}"),
            Some((Netns::Network(id), name)) => format!("{own} net:{id}/{name}"),
            None => own,
        }
    }

    /// Whether a link of this group and alias is ours. The group alone says so unless the alias
    /// names another owner, whose number happens to be the same.
    pub(crate) fn bears(&self, group: u32, alias: &str) -> bool {
        let ours = || owner_of_alias(alias).is_none_or(|owner| owner == self.owner.as_str());
        [self.group, self.bridges, self.doomed].contains(&group) && ours()
    }
}

/// Whether a group of links is one of Sealane's, of any owner.
pub(crate) fn is_group(group: u32) -> bool {
    group & LINK_GROUP.mask == LINK_GROUP.value
}

/// Whether a table, of any owner, is one of Sealane's.
pub(crate) fn is_table(name: &str) -> bool {
    name == TABLE || name.starts_with("sealane-")
}

/// Whether a chain in a table of iptables, of any owner, is one of Sealane's.
pub(crate) fn is_passage_chain(name: &str) -> bool {
    name.starts_with(PASSAGE_CHAIN)
}

/// Where an alias says that the other end is.
pub(crate) fn peer_of_alias(alias: &str) -> Option<(Netns, InterfaceName)> {
    owner_of_alias(alias)?;
    let (netns, name) = alias.split_once(' ')?.1.split_once('/')?;
    let netns = match netns.split_once(':') {
        None if netns == "host" => Netns::Host,
        None => Netns::Sandbox(Id::try_from(netns).ok()?),
        Some(("net", id)) => Netns::Network(Id::try_from(id).ok()?),
        Some(_) => return None,
    };
    Some((netns, InterfaceName::try_from(name).ok()?))
}

/// The owner that an alias names.
pub(crate) fn owner_of_alias(alias: &str) -> Option<&str> {
    let own = alias.split_once(' ').map_or(alias, |(own, _)| own);
    match own.split_once('@') {
        None => (own == ALIAS).then_some(ALIAS),
        Some((ALIAS, owner)) => Some(owner),
        Some(_) => None,
    }
}

fn suffixed<'a>(owner: &Owner, text: &'a str) -> Cow<'a, str> {
    if owner.is_usual() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{text}-{owner}"))
    }
}

/// The groups of an owner's links, of its bridges, and of those about to be removed together. The low bits are the
/// same for all owners; the high ones, below the sign of the kernel's number, follow from the name
/// (FNV-1a).
fn groups(owner: &Owner) -> (u32, u32, u32) {
    let hash = owner.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let whose = if owner.is_usual() {
        0
    } else {
        hash % 0x7fff + 1
    };
    let number = |low: u32| whose << 16 | low;
    (
        number(LINK_GROUP.value),
        number(BRIDGE_GROUP.value),
        number(LINK_GROUP.value + 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::derive_id;

    fn marks(owner: &str) -> Marks {
        Marks::of(Owner::try_from(owner).unwrap())
    }

    #[test]
    fn an_alias_says_where_the_other_end_is() {
        let sandbox = Netns::Sandbox(derive_id(&[b"web"]));
        let name = InterfaceName::try_from("eth0").unwrap();
        let network = Netns::Network(derive_id(&[b"blue"]));
        for (netns, owner) in [
            (sandbox, "sealane"),
            (Netns::Host, "twelve-bytes"),
            (network, "sealane"),
        ] {
            let alias = marks(owner).alias(Some(&(netns, name.clone())));
            assert_eq!(peer_of_alias(&alias), Some((netns, name.clone())));
            assert!(alias.len() < 256, "IFALIASZ");
        }
        for other in [
            "",
            "sealane",
            "uplink",
            "sealane x/eth0",
            "sealane host/a:b",
            "uplink@x host/eth0",
        ] {
            assert_eq!(peer_of_alias(other), None, "{other}");
        }
    }

    #[test]
    fn the_usual_marks_are_those_of_before_there_were_owners() {
        let usual = Marks::of(Owner::default());
        assert_eq!(
            (usual.group_of(LinkGroup::Ours), usual.doomed_group()),
            (0x5ea1, 0x5ea2)
        );
        assert_eq!(usual.alias(None), "sealane");
        assert_eq!(usual.table("sealane-dns"), "sealane-dns");
        assert_eq!(usual.passage_chain(), "SEALANE-FORWARD");
        assert_eq!(usual.namespace_file("0123".into()), "0123");
    }

    #[test]
    fn owners_do_not_take_each_others_objects_for_their_own() {
        let all = ["sealane", "a", "b", "twelve-bytes"].map(marks);
        for one in &all {
            assert!(
                one.bears(one.group_of(LinkGroup::Ours), ""),
                "at birth, without an alias"
            );
            assert_eq!(
                one.group_of(LinkGroup::Ours) & LINK_GROUP.mask,
                LINK_GROUP.value
            );
            assert!(
                i32::try_from(one.doomed_group()).is_ok(),
                "the kernel's is an int"
            );
            assert!(one.passage_chain().len() <= 28, "XT_EXTENSION_MAXNAMELEN");
            let file = one.namespace_file("0123".into());
            for other in &all {
                let same = one == other;
                assert_eq!(
                    one.bears(other.group_of(LinkGroup::Ours), &other.alias(None)),
                    same
                );
                assert_eq!(one.bears(other.doomed_group(), ""), same);
                assert_eq!(one.table("sealane") == other.table("sealane"), same);
                assert_eq!(other.namespace_digits(&file).is_some(), same);
            }
        }
        // Where numbers collide, the alias decides.
        assert!(!all[1].bears(all[1].group_of(LinkGroup::Ours), &all[2].alias(None)));
        assert!(all[1].bears(all[1].group_of(LinkGroup::Ours), "an operator's words"));
    }
}
