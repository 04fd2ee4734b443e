//! Subnets for networks that name none.

use super::span::{Span, address_of};
use crate::model::IpFamily;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, Ipv6Addr};
use thiserror::Error;

/// A prefix to cut subnets from, as `default-address-pools` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPool {
    /// The prefix.
    pub base: IpNet,
    /// The prefix length of the subnets.
    pub size: u8,
}

/// Why an address pool cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidAddressPool {
    /// Its subnets would be larger than itself.
    #[error("address pool {base} is smaller than its subnets of /{size}; give it a larger size")]
    Small {
        /// The prefix.
        base: IpNet,
        /// The prefix length asked for.
        size: u8,
    },
    /// The prefix length is longer than an address, or zero.
    #[error("address pool {base} cannot be cut into subnets of /{size}")]
    Size {
        /// The prefix.
        base: IpNet,
        /// The prefix length asked for.
        size: u8,
    },
}

/// Why no subnet was chosen. The texts are Docker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChooseError {
    /// Nothing is left.
    #[error("all predefined address pools have been fully subnetted")]
    Exhausted,
    /// No pool of this family can be cut into subnets of the size asked for.
    #[error("invalid address pool")]
    NoSuchSize,
}

/// Chooses subnets for networks that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPools {
    pools: Vec<AddressPool>,
    /// Where subnets come from when the pools are used up.
    spare: Vec<AddressPool>,
}

impl AddressPools {
    /// The pools, in order of address; one inside another is left out. If none is IPv6, the /48
    /// of unique local addresses that belongs to `daemon_id` is added.
    pub fn new(mut pools: Vec<AddressPool>, daemon_id: &[u8]) -> Result<Self, InvalidAddressPool> {
        pools.iter().try_for_each(check)?;
        if !pools.iter().any(|pool| matches!(pool.base, IpNet::V6(_))) {
            pools.push(unique_local(daemon_id));
        }
        pools
            .iter_mut()
            .for_each(|pool| pool.base = pool.base.trunc());
        pools.sort_by_key(|pool| (Span::from(&pool.base).first, pool.base.prefix_len()));
        let mut kept: Vec<AddressPool> = Vec::new();
        for pool in pools {
            let span = Span::from(&pool.base);
            if !kept
                .iter()
                .any(|other| Span::from(&other.base).overlaps(&span))
            {
                kept.push(pool);
            }
        }
        Ok(Self {
            pools: kept,
            spare: vec![],
        })
    }

    /// Docker's pools of 31 subnets, and the IPv6 /48 that belongs to `daemon_id`. When those of
    /// IPv4 are used up, small subnets of 10.0.0.0/8 follow, its upper half first: the lower is
    /// where companies and VPNs begin to count.
    pub fn predefined(daemon_id: &[u8]) -> Self {
        let pool = |a: u8, b: u8, length: u8, size: u8| AddressPool {
            base: Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), length).into(),
            size,
        };
        let pools = vec![
            pool(172, 17, 16, 16),
            pool(172, 18, 16, 16),
            pool(172, 19, 16, 16),
            pool(172, 20, 14, 16),
            pool(172, 24, 14, 16),
            pool(172, 28, 14, 16),
            pool(192, 168, 16, 20),
            unique_local(daemon_id),
        ];
        Self {
            pools,
            spare: vec![pool(10, 128, 9, 24), pool(10, 0, 9, 24)],
        }
    }

    /// The pools, in the order they are used.
    pub fn pools(&self) -> &[AddressPool] {
        &self.pools
    }

    /// How many subnets of a family there are in all, and how many are left.
    pub fn room(&self, family: IpFamily, taken: &[IpNet], avoid: &[IpNet]) -> (u128, u128) {
        let used: Vec<Span> = taken.iter().chain(avoid).map(Span::from).collect();
        let mut total: u128 = 0;
        let mut gone: u128 = 0;
        for pool in self.of_family(family) {
            let span = Span::from(&pool.base);
            let bits = pool.base.max_prefix_len() - pool.size;
            let block = |number: u128| number.checked_shr(bits.into()).unwrap_or(0);
            let blocks = |first: u128, last: u128| block(last) - block(first) + 1;
            total += blocks(span.first, span.last);
            for other in used.iter().filter(|other| other.overlaps(&span)) {
                let (first, last) = (other.first.max(span.first), other.last.min(span.last));
                gone += blocks(first, last);
            }
        }
        (total, total.saturating_sub(gone))
    }

    fn of_family(&self, family: IpFamily) -> impl Iterator<Item = &AddressPool> {
        let all = self.pools.iter().chain(&self.spare);
        all.filter(move |pool| family.has(pool.base.addr()))
    }

    /// The first subnet of a family that overlaps neither the `taken` subnets of other networks
    /// nor what the host uses itself (`avoid`). `size` is the prefix length that
    /// `--subnet 0.0.0.0/24` or `::/64` asks for.
    pub fn choose(
        &self,
        family: IpFamily,
        taken: &[IpNet],
        avoid: &[IpNet],
        size: Option<u8>,
    ) -> Result<IpNet, ChooseError> {
        let mut used: Vec<Span> = taken.iter().chain(avoid).map(Span::from).collect();
        used.retain(|span| span.family == family);
        used.sort_unstable_by_key(|span| span.first);

        let fits = |pool: &AddressPool| {
            (pool.base.prefix_len()..=pool.base.max_prefix_len()).contains(&pool.size)
        };
        let sized = self.of_family(family).map(|pool| AddressPool {
            size: size.unwrap_or(pool.size),
            ..*pool
        });
        let mut usable = sized.filter(fits).peekable();
        if usable.peek().is_none() {
            return Err(ChooseError::NoSuchSize);
        }
        usable
            .find_map(|pool| first_free(&pool, &used))
            .ok_or(ChooseError::Exhausted)
    }
}

/// The /48 of unique local addresses (RFC 4193) that belongs to a daemon: its global id is the
/// low 40 bits of the first 64 of the SHA-256 of the daemon's id, as Docker has it.
fn unique_local(daemon_id: &[u8]) -> AddressPool {
    let hash = Sha256::digest(daemon_id);
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&hash[3..8]);
    AddressPool {
        base: Ipv6Net::new_assert(Ipv6Addr::from(octets), 48).into(),
        size: 64,
    }
}

fn check(pool: &AddressPool) -> Result<(), InvalidAddressPool> {
    let AddressPool { base, size } = *pool;
    if size == 0 || size > base.max_prefix_len() {
        return Err(InvalidAddressPool::Size { base, size });
    }
    if size < base.prefix_len() {
        return Err(InvalidAddressPool::Small { base, size });
    }
    Ok(())
}

/// The first subnet of a pool that overlaps none of `used`, which are in order of their first
/// address.
fn first_free(pool: &AddressPool, used: &[Span]) -> Option<IpNet> {
    let span = Span::from(&pool.base);
    let host_bits = pool.base.max_prefix_len() - pool.size;
    // The last number of the subnet that `number` is in.
    let end_of =
        |number: u128| number | (1u128.checked_shl(host_bits.into()).unwrap_or(0)).wrapping_sub(1);
    let mut start = span.first;
    for other in used {
        if other.last < start {
            continue;
        }
        if other.first > end_of(start) {
            break;
        }
        start = end_of(other.last)
            .checked_add(1)
            .filter(|next| *next <= span.last)?;
    }
    IpNet::new(address_of(start, span.family), pool.size).ok()
}
