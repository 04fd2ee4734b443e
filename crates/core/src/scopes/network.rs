//! A network's scope: what its driver wants, once for all its endpoints.

use crate::drivers::Driven;
use crate::model::Facts;
use crate::plan::Plan;

/// Returns the kernel objects of a network that no other one shares.
pub fn plan_network(network: &Driven, facts: &Facts) -> Plan {
    if network.spec.config_only {
        return Plan::default();
    }
    network.settings().plan_network(network, facts)
}

/// Returns what a network needs of the host and may share with others: the link that its endpoints
/// sit on, where that is ours to make.
pub fn plan_shared(network: &Driven) -> Plan {
    if network.spec.config_only {
        return Plan::default();
    }
    network.settings().plan_shared()
}
