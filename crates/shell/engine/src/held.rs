//! A network that an operation works on, and what becomes of it when the operation ends, however it
//! ends: other operations that wait for the network would wait for a phase that is never left.

use crate::known::Known;
use sealane_core::model::NetworkId;
use sealane_core::reserve::Phase;

/// A network whose phase an operation has set. Let go of, by a panic as well, it is settled, or not
/// known any more; and operations that wait for it go on.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    known: &'a Known,
    id: NetworkId,
    remains: bool,
}

impl<'a> Held<'a> {
    /// One that is there when it is let go of.
    pub(crate) fn remaining(known: &'a Known, id: NetworkId) -> Self {
        Self {
            known,
            id,
            remains: true,
        }
    }

    /// One that is not, unless [`Held::remain`] says so.
    pub(crate) fn passing(known: &'a Known, id: NetworkId) -> Self {
        Self {
            known,
            id,
            remains: false,
        }
    }

    /// Whether it is there when it is let go of.
    pub(crate) fn remain(&mut self, remains: bool) {
        self.remains = remains;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Self { known, id, remains } = self;
        known.settle(|draft| match remains {
            true => draft.set_phase(id, Phase::Settled),
            false => drop(draft.drop_network(id)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::drivers::{Driven, OF_CONFIGURATION};
    use sealane_core::model::{IpamSpec, Network, NetworkSpec, derive_id};
    use sealane_core::reserve::NetworkState;
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread;

    fn knows_in(phase: Phase) -> (Known, NetworkId) {
        let id = derive_id(&[b"blue"]);
        let network = Driven::of(Network {
            id,
            created: String::new(),
            spec: NetworkSpec {
                name: "blue".into(),
                driver: OF_CONFIGURATION.name(),
                scope: Default::default(),
                internal: false,
                attachable: false,
                ingress: false,
                config_only: false,
                config_from: None,
                enable_ipv4: false,
                enable_ipv6: false,
                ipam: IpamSpec {
                    driver: "default".into(),
                    options: None,
                    subnets: vec![],
                },
                options: BTreeMap::new(),
                labels: BTreeMap::new(),
            },
            segments: 0,
            users_device: None,
        });
        let known = Known::default();
        let state = NetworkState::new(Arc::new(network.unwrap()), vec![], phase);
        known.change(|draft| draft.put_network(state));
        (known, id)
    }

    fn phase(known: &Known, id: &NetworkId) -> Option<Phase> {
        known.now().network(id).map(|found| found.phase)
    }

    #[test]
    fn a_panic_leaves_no_network_in_the_middle_of_an_operation() {
        for (during, remains) in [
            (Phase::Changing, true),
            (Phase::Leaving, true),
            (Phase::Making, false),
            (Phase::Gone, false),
        ] {
            let (known, id) = knows_in(during);
            let operation = || {
                let mut held = Held::remaining(&known, id);
                held.remain(remains);
                panic!("in the middle of it");
            };
            let ended = catch_unwind(AssertUnwindSafe(operation));
            assert!(ended.is_err());
            assert_eq!(phase(&known, &id), remains.then_some(Phase::Settled));
        }
    }

    #[test]
    fn who_waits_for_a_network_is_told_of_its_end_by_a_panic() {
        let (known, id) = knows_in(Phase::Changing);
        let found = thread::scope(|scope| {
            let held = Held::remaining(&known, id);
            let waiting = scope.spawn(|| {
                known.when_settled(|| {
                    let found = known.now().find_settled("blue")?.network.id;
                    Ok(found)
                })
            });
            let operation = scope.spawn(move || {
                let _held = held;
                panic!("in the middle of it");
            });
            assert!(operation.join().is_err());
            waiting.join().unwrap()
        });
        assert_eq!(found.ok(), Some(id));
    }
}
