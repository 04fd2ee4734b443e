//! What the IPAM part of a request may say. The texts are Docker's.

use super::span::Span;
use crate::model::{IpFamily, SubnetSpec};
use ipnet::IpNet;
use std::net::IpAddr;
use thiserror::Error;

/// Everything that is wrong with an IPAM configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid network config:\n{}", .0.join("\n"))]
pub struct InvalidIpam(pub Vec<String>);

/// A subnet has addresses in common with another network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid pool request: Pool overlaps with other one on this address space")]
pub struct PoolOverlap {
    /// The subnet asked for.
    pub wanted: IpNet,
    /// The one that is there.
    pub present: IpNet,
}

/// Checks the subnets of a request and reports all faults. IPv6 subnets are looked at only where
/// the network has IPv6; otherwise they are ignored altogether.
pub fn validate(subnets: &[SubnetSpec], enable_ipv6: bool) -> Result<(), InvalidIpam> {
    let used = |spec: &&SubnetSpec| enable_ipv6 || matches!(spec.subnet, IpNet::V4(_));
    let faults: Vec<String> = subnets.iter().filter(used).flat_map(faults_of).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(InvalidIpam(faults))
    }
}

/// Refuses a subnet that overlaps one of `present`.
pub fn check_overlap<'a>(
    wanted: IpNet,
    present: impl IntoIterator<Item = &'a IpNet>,
) -> Result<(), PoolOverlap> {
    let span = Span::from(&wanted);
    let mut present = present.into_iter();
    match present.find(|other| Span::from(*other).overlaps(&span)) {
        Some(&present) => Err(PoolOverlap { wanted, present }),
        None => Ok(()),
    }
}

fn faults_of(spec: &SubnetSpec) -> Vec<String> {
    let subnet = spec.subnet;
    let mut faults = Vec::new();
    if subnet != subnet.trunc() {
        faults.push(format!(
            "invalid subnet {subnet}: it should be {}",
            subnet.trunc()
        ));
    }
    if let Some(range) = spec.ip_range {
        let reasons = range_faults(range, subnet).into_iter();
        faults.extend(reasons.map(|reason| format!("invalid ip-range {range}: {reason}")));
    }
    if let Some(gateway) = spec.gateway
        && let Some(reason) = address_fault(gateway, subnet)
    {
        faults.push(format!("invalid gateway {gateway}: {reason}"));
    }
    for (name, &address) in &spec.auxiliary {
        if let Some(reason) = address_fault(address, subnet) {
            faults.push(format!("invalid auxiliary address {name}: {reason}"));
        }
    }
    faults
}

fn range_faults(range: IpNet, subnet: IpNet) -> Vec<String> {
    let mut reasons = Vec::new();
    if range.addr().is_ipv6() != subnet.addr().is_ipv6() {
        return vec![other_family(subnet)];
    }
    if range.prefix_len() < subnet.prefix_len() {
        reasons.push(format!(
            "CIDR block is bigger than its parent subnet {subnet}"
        ));
    }
    if range != range.trunc() {
        reasons.push(format!("it should be {}", range.trunc()));
    }
    if !Span::from(&range).overlaps(&Span::from(&subnet)) {
        reasons.push(format!("parent subnet {subnet} doesn't contain ip-range"));
    }
    reasons
}

fn address_fault(address: IpAddr, subnet: IpNet) -> Option<String> {
    if address.is_ipv6() != subnet.addr().is_ipv6() {
        return Some(other_family(subnet));
    }
    let outside = !subnet.contains(&address);
    outside.then(|| format!("parent subnet {subnet} doesn't contain this address"))
}

fn other_family(subnet: IpNet) -> String {
    let family = IpFamily::of(subnet.addr());
    format!("parent subnet is an {family} block")
}
