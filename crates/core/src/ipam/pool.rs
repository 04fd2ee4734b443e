//! The addresses of one subnet.

use super::offset_set::OffsetSet;
use super::span::Span;
use crate::model::{IpFamily, SubnetSpec};
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

/// How long a released address rests before another endpoint may get it: until then caches and
/// tracked connections may still lead to it.
pub const QUARANTINE: Duration = Duration::from_secs(60);

/// Why an address cannot be reserved. The texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReserveError {
    /// The address is not of this subnet.
    #[error("no configured subnet contains IP address {0}")]
    Outside(IpAddr),
    /// The address is reserved, or it is the network's or the broadcast address.
    #[error("Address already in use")]
    Taken(IpAddr),
    /// Every dynamic address is in use.
    #[error("no available addresses on this pool")]
    Exhausted,
}

/// Why the gateway or an auxiliary address of a new network cannot be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The gateway cannot be reserved.
    #[error("failed to allocate gateway ({gateway}): {source}")]
    Gateway {
        /// The gateway asked for.
        gateway: IpAddr,
        /// Why not.
        source: ReserveError,
    },
    /// An auxiliary address cannot be reserved.
    #[error("failed to allocate secondary ip address ({name}:{address}): {source}")]
    Auxiliary {
        /// The name of the address.
        name: String,
        /// The address asked for.
        address: IpAddr,
        /// Why not.
        source: ReserveError,
    },
}

/// How full a subnet is, as `docker network inspect` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Addresses not to be had, with those of the network, the gateway and broadcast.
    pub in_use: u64,
    /// Dynamic addresses still to be had.
    pub available: u64,
}

/// One subnet's addresses: which are reserved, and which rest after their release.
///
/// Invariant: `blocked` is what is in use together with what is in quarantine, `quarantine` and
/// `oldest` hold the same addresses, and `avoided` is `blocked` with `held` and `fixed`. A clone
/// shares all of it until one of the two changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    subnet: Span,
    /// Offsets of the first and the last dynamic address.
    dynamic: (u128, u128),
    blocked: OffsetSet,
    /// When each address in quarantine was released.
    quarantine: OrdMap<u128, Duration>,
    oldest: OrdSet<(Duration, u128)>,
    /// Addresses that others are expected to come back to.
    held: OrdSet<u128>,
    /// Addresses that are never given, only reserved by name.
    fixed: OrdSet<u128>,
    /// What a new endpoint should not get.
    avoided: OffsetSet,
    in_use: u128,
    dynamic_in_use: u128,
}

impl Pool {
    /// An empty pool; `range` limits the dynamic addresses. Two addresses are never given: the
    /// first (the network's, or the subnet-router anycast of IPv6) and the broadcast address. An
    /// IPv4 /31 or /32 has neither.
    pub fn new(subnet: IpNet, range: Option<IpNet>) -> Self {
        let span = Span::from(&subnet);
        let range = range.map_or(span, |range| Span::from(&range));
        let clamp = |number: u128| number.clamp(span.first, span.last) - span.first;
        let mut pool = Self {
            subnet: span,
            dynamic: (clamp(range.first), clamp(range.last)),
            blocked: OffsetSet::default(),
            quarantine: OrdMap::new(),
            oldest: OrdSet::new(),
            held: OrdSet::new(),
            fixed: OrdSet::new(),
            avoided: OffsetSet::default(),
            in_use: 0,
            dynamic_in_use: 0,
        };
        for offset in pool.never_given().into_iter().flatten() {
            pool.take(offset);
        }
        pool
    }

    /// The pool of a network's subnet, its gateway and auxiliary addresses reserved.
    pub fn open(spec: &SubnetSpec) -> Result<Self, OpenError> {
        let mut pool = Self::new(spec.subnet, spec.ip_range);
        if let Some(gateway) = spec.gateway {
            pool.reserve(gateway)
                .map_err(|source| OpenError::Gateway { gateway, source })?;
        }
        for (name, &address) in &spec.auxiliary {
            pool.reserve(address).map_err(|source| {
                let name = name.clone();
                OpenError::Auxiliary {
                    name,
                    address,
                    source,
                }
            })?;
        }
        Ok(pool)
    }

    /// Reserves an address that was asked for by name: anywhere in the subnet, in quarantine too.
    pub fn reserve(&mut self, address: IpAddr) -> Result<(), ReserveError> {
        let offset = self
            .subnet
            .offset_of(address)
            .ok_or(ReserveError::Outside(address))?;
        if self.is_in_use(offset) {
            return Err(ReserveError::Taken(address));
        }
        self.take(offset);
        Ok(())
    }

    /// Reserves the lowest free dynamic address that is neither in quarantine nor held for others.
    /// If there is none: the one that has been in quarantine longest, then one that is held, at
    /// last one that is both.
    pub fn allocate(&mut self, now: Duration) -> Result<IpAddr, ReserveError> {
        self.end_quarantines(now);
        let (first, last) = self.dynamic;
        let free = self.avoided.first_gap(first, last);
        let offset = free
            .or_else(|| self.longest_in_quarantine(false))
            .or_else(|| self.held_and_free())
            .or_else(|| self.longest_in_quarantine(true))
            .ok_or(ReserveError::Exhausted)?;
        self.take(offset);
        Ok(self.subnet.address_at(offset))
    }

    /// Keeps an address for an endpoint that is expected back: others get it only when nothing
    /// else is left. One that is not of this subnet is ignored, here and below.
    pub fn hold(&mut self, address: IpAddr, on: bool) {
        if let Some(offset) = self.subnet.offset_of(address) {
            if on {
                self.held.insert(offset);
            } else {
                self.held.remove(&offset);
            }
            self.note(offset);
        }
    }

    /// Whether an address is kept for an endpoint that is expected back.
    pub fn is_held(&self, address: IpAddr) -> bool {
        let offset = self.subnet.offset_of(address);
        offset.is_some_and(|offset| self.held.contains(&offset))
    }

    /// Never gives an address; it can only be reserved by who knows it.
    pub fn fix(&mut self, address: IpAddr, on: bool) {
        if let Some(offset) = self.subnet.offset_of(address) {
            if on {
                self.fixed.insert(offset);
            } else {
                self.fixed.remove(&offset);
            }
            self.note(offset);
        }
    }

    /// Whether an address could be an endpoint's: it is of this subnet, and not one that is never
    /// given.
    pub fn could_give(&self, address: IpAddr) -> bool {
        let offset = self.subnet.offset_of(address);
        offset.is_some_and(|offset| !self.never_given().contains(&Some(offset)))
    }

    /// Reserves `address`, which the endpoint had before, if it is still free; else as
    /// [`Pool::allocate`] does.
    pub fn allocate_again(
        &mut self,
        address: IpAddr,
        now: Duration,
    ) -> Result<IpAddr, ReserveError> {
        match self.reserve(address) {
            Ok(()) => Ok(address),
            Err(ReserveError::Taken(_) | ReserveError::Outside(_) | ReserveError::Exhausted) => {
                self.allocate(now)
            }
        }
    }

    /// Gives an address back: it rests for [`QUARANTINE`]. Call it when the link that had the
    /// address is gone. An address that is not reserved stays as it is.
    pub fn release(&mut self, address: IpAddr, now: Duration) {
        let Some(offset) = self.subnet.offset_of(address) else {
            return;
        };
        if !self.is_in_use(offset) || self.never_given().contains(&Some(offset)) {
            return;
        }
        self.count(offset, false);
        self.quarantine.insert(offset, now);
        self.oldest.insert((now, offset));
    }

    /// Gives an address back that no endpoint had yet, so that it need not rest.
    pub fn cancel(&mut self, address: IpAddr) {
        let Some(offset) = self.subnet.offset_of(address) else {
            return;
        };
        if self.is_in_use(offset) && !self.never_given().contains(&Some(offset)) {
            self.count(offset, false);
            self.blocked.remove(offset);
            self.note(offset);
        }
    }

    /// How full it is. An address in quarantine counts as available.
    pub fn usage(&self) -> Usage {
        let (first, last) = self.dynamic;
        let fixed = self.fixed.range(first..=last);
        let fixed = fixed.filter(|offset| !self.is_in_use(**offset)).count();
        let available = (last - first).saturating_add(1) - self.dynamic_in_use;
        let available = available.saturating_sub(fixed as u128);
        let saturate = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        Usage {
            in_use: saturate(self.in_use),
            available: saturate(available),
        }
    }

    /// The first and the broadcast address, where the subnet has them.
    fn never_given(&self) -> [Option<u128>; 2] {
        let last = self.subnet.last - self.subnet.first;
        match (self.subnet.family, last) {
            (IpFamily::V6, _) => [Some(0), None],
            (IpFamily::V4, 0 | 1) => [None, None],
            (IpFamily::V4, _) => [Some(0), Some(last)],
        }
    }

    fn is_in_use(&self, offset: u128) -> bool {
        self.blocked.contains(offset) && !self.quarantine.contains_key(&offset)
    }

    fn take(&mut self, offset: u128) {
        self.leave_quarantine(offset);
        self.blocked.insert(offset);
        self.note(offset);
        self.count(offset, true);
    }

    /// Keeps `avoided` what it is.
    fn note(&mut self, offset: u128) {
        let avoided = self.blocked.contains(offset)
            || self.held.contains(&offset)
            || self.fixed.contains(&offset);
        match avoided {
            true => self.avoided.insert(offset),
            false => self.avoided.remove(offset),
        };
    }

    fn count(&mut self, offset: u128, taken: bool) {
        let step = |count: u128| if taken { count + 1 } else { count - 1 };
        self.in_use = step(self.in_use);
        if (self.dynamic.0..=self.dynamic.1).contains(&offset) {
            self.dynamic_in_use = step(self.dynamic_in_use);
        }
    }

    /// Forgets that an address is in quarantine, but leaves it blocked; false if it was not there.
    fn leave_quarantine(&mut self, offset: u128) -> bool {
        let Some(released) = self.quarantine.remove(&offset) else {
            return false;
        };
        self.oldest.remove(&(released, offset)).is_some()
    }

    fn end_quarantines(&mut self, now: Duration) {
        while let Some(&(released, offset)) = self.oldest.get_min()
            && released.saturating_add(QUARANTINE) <= now
        {
            self.leave_quarantine(offset);
            self.blocked.remove(offset);
            self.note(offset);
        }
    }

    fn longest_in_quarantine(&self, held_too: bool) -> Option<u128> {
        let (first, last) = self.dynamic;
        let fits = |offset: &u128| {
            (first..=last).contains(offset)
                && !self.fixed.contains(offset)
                && (held_too || !self.held.contains(offset))
        };
        self.oldest.iter().map(|&(_, offset)| offset).find(fits)
    }

    fn held_and_free(&self) -> Option<u128> {
        let (first, last) = self.dynamic;
        let mut held = self.held.range(first..=last).copied();
        held.find(|offset| !self.blocked.contains(*offset) && !self.fixed.contains(offset))
    }
}

/// The gateway of a network that names none: the first address that the subnet, or its subpool if
/// it has one, would give. `None` if it has no address to give.
pub fn default_gateway(subnet: IpNet, range: Option<IpNet>) -> Option<IpAddr> {
    Pool::new(subnet, range).allocate(Duration::ZERO).ok()
}
