//! The link of the host that the endpoints of a macvlan or ipvlan network sit on.
//!
//! Reads the model; writes nothing. Start at [`Parent::of`].

use crate::model::{InterfaceName, InvalidInterfaceName, Network, parse_flag};
use crate::plan::{Key, Link, LinkKind, Netns, Object, Plan, Upper};
use thiserror::Error;

/// `parent`: the link of the host, such as `eth0`; `eth0.10` is its 802.1q sub-interface.
pub const PARENT: &str = "parent";
/// `host_access`: whether the host and the endpoints reach each other, which by themselves they do
/// not.
pub const HOST_ACCESS: &str = "host_access";

/// The link that a network's endpoints sit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// One that is there: it is used, and neither made nor removed.
    Given(InterfaceName),
    /// A sub-interface for the frames with a tag, made for the networks that name it.
    Vlan {
        /// Its name.
        name: InterfaceName,
        /// The link it sits on.
        below: InterfaceName,
        /// The tag.
        id: u16,
    },
    /// A link to nowhere, made for one network.
    Dummy(InterfaceName),
}

/// A parent that cannot be; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidParent {
    /// The loopback.
    #[error("loopback interface is not a valid {0} parent link")]
    Loopback(&'static str),
    /// It is not there, and its name is not that of a sub-interface.
    #[error("invalid subinterface vlan name {0}, example formatting is eth0.10")]
    Missing(String),
    /// More than one dot.
    #[error(
        "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {0}"
    )]
    Format(String),
    /// No number after the dot.
    #[error("unable to parse a valid vlan id from: {0} (ex. eth0.10 for vlan 10)")]
    Number(String),
    /// A number that no tag has.
    #[error("vlan id must be between 1-4094, received: {0}")]
    Range(i64),
    /// Not a truth value.
    #[error(
        "failed to parse {HOST_ACCESS} value: {0} (strconv.ParseBool: parsing \"{0}\": invalid syntax)"
    )]
    HostAccess(String),
    /// Not a name for a link.
    #[error(transparent)]
    Name(#[from] InvalidInterfaceName),
}

impl Parent {
    /// Reads the parent of a network. `driver` and `prefix` name the driver, and its dummies.
    pub fn of(
        network: &Network,
        driver: &'static str,
        prefix: &str,
    ) -> Result<Self, InvalidParent> {
        match network.option(PARENT).unwrap_or_default() {
            "" => Ok(Self::Dummy(InterfaceName::from_id(prefix, &network.id, 12))),
            "lo" => Err(InvalidParent::Loopback(driver)),
            name if network.users_device.is_some() => Ok(Self::Given(name.try_into()?)),
            name => Self::sub_interface(name),
        }
    }

    /// Reads a name like `eth0.10`.
    fn sub_interface(name: &str) -> Result<Self, InvalidParent> {
        let parts: Vec<&str> = name.split('.').collect();
        let (below, id) = match parts.as_slice() {
            [_] => return Err(InvalidParent::Missing(name.into())),
            [below, id] => (*below, *id),
            _ => return Err(InvalidParent::Format(name.into())),
        };
        let number: i64 = id.parse().map_err(|_| InvalidParent::Number(id.into()))?;
        let id = u16::try_from(number)
            .ok()
            .filter(|id| (1..=4094).contains(id));
        Ok(Self::Vlan {
            name: name.try_into()?,
            below: below.try_into()?,
            id: id.ok_or(InvalidParent::Range(number))?,
        })
    }

    /// The link itself.
    pub fn name(&self) -> &InterfaceName {
        match self {
            Self::Given(name) | Self::Vlan { name, .. } | Self::Dummy(name) => name,
        }
    }

    /// The link that has to be there before anything is made.
    pub fn given(&self) -> Option<&InterfaceName> {
        match self {
            Self::Given(name) => Some(name),
            Self::Vlan { below, .. } => Some(below),
            Self::Dummy(_) => None,
        }
    }

    /// Whether nothing of the outside can be reached by it.
    pub fn leads_nowhere(&self) -> bool {
        matches!(self, Self::Dummy(_))
    }

    /// Returns what has to be made of it. Networks that share it want the same.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let kind = match self {
            Self::Given(_) => return plan,
            Self::Vlan { below, id, .. } => LinkKind::Upper {
                parent: below.clone(),
                kind: Upper::Vlan(*id),
            },
            Self::Dummy(_) => LinkKind::Dummy,
        };
        plan.add(
            Key::Link(Netns::Host, self.name().clone()),
            Object::Link(Link::of(kind)),
        );
        plan.add(Key::Up(Netns::Host, self.name().clone()), Object::Present);
        plan
    }
}

/// The link of the host by which it reaches the endpoints of a network, if that is asked for.
pub fn shim(network: &Network) -> Result<Option<InterfaceName>, InvalidParent> {
    let value = network.option(HOST_ACCESS).unwrap_or_default();
    if value.is_empty() {
        return Ok(None);
    }
    let wanted = parse_flag(value).ok_or_else(|| InvalidParent::HostAccess(value.into()))?;
    Ok(wanted.then(|| InterfaceName::from_id("sh-", &network.id, 12)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::bridge::tests::network;
    use expect_test::expect;

    fn parent(name: &str) -> Result<Parent, String> {
        let mut network = network();
        network.spec.options = [(PARENT.to_owned(), name.to_owned())].into();
        Parent::of(&network, "macvlan", "dm-").map_err(|error| error.to_string())
    }

    #[test]
    fn a_sub_interface_is_made_over_the_link_it_names() {
        expect![[r#"
            link   host/eth0.10 vlan 10 on eth0
            up     host/eth0.10
        "#]]
        .assert_eq(&parent("eth0.10").unwrap().plan().to_string());
    }

    #[test]
    fn without_a_parent_there_is_a_dummy() {
        let dummy = parent("").unwrap();
        assert!(dummy.leads_nowhere());
        assert!(
            dummy.plan().to_string().starts_with("link   host/dm-"),
            "{}",
            dummy.plan()
        );
    }

    #[test]
    fn what_is_no_parent_is_refused_in_dockers_words() {
        let faults = [
            (
                "lo",
                "loopback interface is not a valid macvlan parent link",
            ),
            (
                "eth9",
                "invalid subinterface vlan name eth9, example formatting is eth0.10",
            ),
            (
                "eth0.1.2",
                "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead \
                 received eth0.1.2",
            ),
            (
                "eth0.x",
                "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
            ),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
            (
                "eth0.4095",
                "vlan id must be between 1-4094, received: 4095",
            ),
        ];
        for (name, text) in faults {
            assert_eq!(parent(name), Err(text.to_owned()));
        }
    }
}
