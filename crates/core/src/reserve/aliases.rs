//! What the host calls endpoints whose address may be another network's, too: one of [`ALIASES`].

use super::Snapshot;
use crate::model::{ALIASES, EndpointId};
use std::net::Ipv4Addr;

const FIRST: u32 = ALIASES.addr().to_bits();
const COUNT: u32 = 1 << (32 - ALIASES.prefix_len());

impl Snapshot {
    /// Takes the alias that follows from the endpoint's id, or the next that is free. `None` if all
    /// are taken.
    pub(super) fn take_alias(&mut self, endpoint: EndpointId) -> Option<Ipv4Addr> {
        let [a, b, c, ..] = *endpoint.as_bytes();
        let start = u32::from_be_bytes([0, a, b, c]) % COUNT;
        let mut candidates = (0..COUNT).map(|n| Ipv4Addr::from(FIRST + (start + n) % COUNT));
        let free = candidates.find(|alias| self.is_free(*alias, endpoint))?;
        self.aliases.insert(free, endpoint);
        Some(free)
    }

    /// Keeps the alias of an endpoint of an earlier run.
    pub(super) fn keep_alias(&mut self, alias: Ipv4Addr, endpoint: EndpointId) {
        self.aliases.insert(alias, endpoint);
    }

    /// Gives an alias back.
    pub(super) fn drop_alias(&mut self, alias: Ipv4Addr, endpoint: EndpointId) {
        if self.aliases.get(&alias) == Some(&endpoint) {
            self.aliases.remove(&alias);
        }
    }

    fn is_free(&self, alias: Ipv4Addr, endpoint: EndpointId) -> bool {
        let owner = self.aliases.get(&alias);
        owner.is_none_or(|owner| *owner == endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;

    #[test]
    fn an_alias_is_one_endpoints_and_follows_from_the_id() {
        let mut state = Snapshot::default();
        let (one, other) = (derive_id(&[b"one"]), derive_id(&[b"other"]));
        let first = state.take_alias(one).unwrap();
        assert_eq!(state.take_alias(one), Some(first));
        state.keep_alias(first, other);
        assert_ne!(state.take_alias(one), Some(first));
        state.drop_alias(first, one);
        assert_ne!(state.take_alias(one), Some(first), "it is the other's");
        state.drop_alias(first, other);
        assert_eq!(state.take_alias(one), Some(first));
    }
}
