//! Host driver: the sandbox is the host's own network stack, so there is nothing to make.

use crate::plan::Plan;

/// Returns the kernel objects of the host network: none.
pub fn plan_network() -> Plan {
    Plan::default()
}
