//! `HostConfig.NetworkMode`: which network stack a container has.

use crate::options::HostOptions;

/// A network mode, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkMode<'a> {
    /// A stack of its own on the default bridge.
    Bridge,
    /// The host's own stack.
    Host,
    /// A stack of its own with loopback only.
    None,
    /// Another container's stack, by name or id.
    Container(&'a str),
    /// A stack of its own on a network of the user's, by name or id.
    User(&'a str),
}

impl<'a> NetworkMode<'a> {
    /// The mode that a text stands for. `default` is the default bridge.
    pub(crate) fn parse(text: &'a str) -> Self {
        match text {
            "" | "default" | "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            _ => match text.strip_prefix("container:") {
                Some(target) => Self::Container(target),
                None => Self::User(text),
            },
        }
    }

    /// The mode of a container.
    pub(crate) fn of(host_config: &'a HostOptions) -> Self {
        Self::parse(host_config.network_mode.as_deref().unwrap_or_default())
    }

    /// The network that the mode alone joins; `None` where another's stack is shared.
    pub(crate) fn network(self) -> Option<&'a str> {
        match self {
            Self::Bridge => Some("bridge"),
            Self::Host => Some("host"),
            Self::None => Some("none"),
            Self::Container(_) => None,
            Self::User(network) => Some(network),
        }
    }

    /// Whether the container has a stack of its own.
    pub(crate) fn is_private(self) -> bool {
        match self {
            Self::Bridge | Self::None | Self::User(_) => true,
            Self::Host | Self::Container(_) => false,
        }
    }

    /// Whether it is on networks where addresses and names are chosen.
    pub(crate) fn is_bridge_or_user(self) -> bool {
        match self {
            Self::Bridge | Self::User(_) => true,
            Self::Host | Self::None | Self::Container(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_a_word_or_names_something() {
        assert_eq!(NetworkMode::parse("default"), NetworkMode::Bridge);
        assert_eq!(NetworkMode::parse("none"), NetworkMode::None);
        assert_eq!(
            NetworkMode::parse("container:web"),
            NetworkMode::Container("web")
        );
        assert_eq!(NetworkMode::parse("blue"), NetworkMode::User("blue"));
        assert_eq!(NetworkMode::parse("blue").network(), Some("blue"));
    }
}
