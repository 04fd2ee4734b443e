//! Who is expected back: an address and a MAC for each container's name on a network, and the
//! addresses that the user reserved.
//!
//! A lease holds its addresses against others as long as these find another; a reserved address is
//! given to none but the name it is for.

use super::{NetworkState, Refusal, Snapshot};
use crate::model::{IpFamily, Lease, Mac, NetworkId, Reservation};
use imbl::OrdMap;
use std::net::IpAddr;

/// How many absent names a network remembers; then those that were written longest ago go.
const ABSENT: usize = 4096;

/// What is expected on one network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    leases: OrdMap<String, Lease>,
    reservations: OrdMap<IpAddr, Option<String>>,
}

/// What is to be written of leases, and what is to be forgotten for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseChange {
    /// Leases that say something new.
    pub new: Vec<Lease>,
    /// Names that are not expected any more, by network.
    pub dropped: Vec<(NetworkId, String)>,
}

impl Expected {
    /// The leases, by name.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// What a name is expected to come back to.
    pub fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.get(name)
    }

    /// The reserved addresses, and whom they are for.
    pub fn reserved(&self) -> impl Iterator<Item = (IpAddr, Option<&str>)> {
        let reservations = self.reservations.iter();
        reservations.map(|(address, holder)| (*address, holder.as_deref()))
    }

    /// Whether a lease has an address.
    fn is_leased(&self, address: IpAddr) -> bool {
        let mut leases = self.leases.values();
        leases.any(|lease| lease.addresses().any(|held| held == address))
    }
}

impl NetworkState {
    /// The address that is a name's: reserved for it, or the one it had.
    pub(super) fn own_address(&self, name: &str, family: IpFamily) -> Option<IpAddr> {
        let mut reserved = self.expected.reservations.iter();
        let reserved = reserved
            .find(|(address, holder)| family.has(**address) && holder.as_deref() == Some(name));
        let leased = || {
            let lease = self.expected.leases.get(name)?;
            let address = lease.addresses().find(|address| family.has(*address))?;
            self.reserved_for_other(name, address)
                .is_none()
                .then_some(address)
        };
        reserved.map(|(address, _)| *address).or_else(leased)
    }

    /// The other name that an address is reserved for.
    pub(super) fn reserved_for_other(&self, name: &str, address: IpAddr) -> Option<&str> {
        let holder = self.expected.reservations.get(&address)?.as_deref()?;
        (holder != name).then_some(holder)
    }

    /// The MAC address that a name had.
    pub(super) fn own_mac(&self, name: &str) -> Option<Mac> {
        self.expected.leases.get(name)?.mac
    }

    fn set_lease(&mut self, lease: &Lease) {
        self.drop_lease(&lease.name);
        let leases = &mut self.expected.leases;
        leases.insert(lease.name.clone(), lease.clone());
        lease
            .addresses()
            .for_each(|address| self.hold(address, true));
    }

    fn drop_lease(&mut self, name: &str) {
        let Some(lease) = self.expected.leases.remove(name) else {
            return;
        };
        for address in lease.addresses() {
            if !self.expected.is_leased(address) {
                self.hold(address, false);
            }
        }
    }

    fn hold(&mut self, address: IpAddr, on: bool) {
        for (_, pool) in &mut self.pools {
            pool.hold(address, on);
        }
    }

    fn fix(&mut self, address: IpAddr, on: bool) {
        for (_, pool) in &mut self.pools {
            pool.fix(address, on);
        }
    }

    /// Tells pools that were made anew what is expected.
    pub(super) fn hold_all(&mut self) {
        let expected = self.expected.clone();
        for address in expected.leases().flat_map(Lease::addresses) {
            self.hold(address, true);
        }
        for (address, _) in expected.reserved() {
            self.fix(address, true);
        }
    }

    /// The name that is not here and was written longest ago, if there are too many.
    fn too_old(&self, present: &dyn Fn(&str) -> bool) -> Option<String> {
        let leases = &self.expected.leases;
        if leases.len() <= ABSENT + self.members.len() {
            return None;
        }
        let absent = leases.values().filter(|lease| !present(&lease.name));
        absent
            .min_by_key(|lease| lease.written)
            .map(|lease| lease.name.clone())
    }
}

impl Snapshot {
    /// Of these leases those that say something new, and who is forgotten for them.
    pub fn new_leases(&self, leases: Vec<Lease>) -> LeaseChange {
        let mut change = LeaseChange::default();
        for lease in leases {
            let Some(found) = self.network(&lease.network) else {
                continue;
            };
            let known = found.expected.leases.get(&lease.name);
            let as_known = |known: &Lease| Lease {
                written: lease.written,
                ..known.clone()
            };
            if known.map(as_known).as_ref() == Some(&lease) {
                continue;
            }
            let present = |name: &str| self.sandboxes().any(|sandbox| sandbox.name == name);
            let too_old = found.too_old(&present);
            let dropped = too_old.map(|name| (lease.network, name));
            change.dropped.extend(dropped);
            change.new.push(lease);
        }
        change
    }

    /// Everything that a name is expected to come back to is forgotten.
    pub fn leases_of(&self, name: &str) -> LeaseChange {
        let leased = self
            .networks()
            .filter(|found| found.expected.lease(name).is_some());
        LeaseChange {
            new: vec![],
            dropped: leased
                .map(|found| (found.network.id, name.to_owned()))
                .collect(),
        }
    }

    /// Expects what a change says.
    pub fn change_leases(&mut self, change: &LeaseChange) {
        for (network, name) in &change.dropped {
            if let Some(found) = self.contents(network) {
                found.drop_lease(name);
            }
        }
        for lease in &change.new {
            if let Some(found) = self.contents(&lease.network) {
                found.set_lease(lease);
            }
        }
    }

    /// The reservation of an address for a name, or for any container that asks for it, if it can be.
    pub fn reservable(
        &self,
        reference: &str,
        address: IpAddr,
        holder: Option<&str>,
    ) -> Result<Reservation, Refusal> {
        let found = self.find(reference)?;
        let user = self.members_of(&found.network.id).find(|sandbox| {
            let endpoint = sandbox.endpoints.get(&found.network.id);
            endpoint.is_some_and(|endpoint| endpoint.addresses().any(|own| own == address))
        });
        check_reservable(found, address, holder, user.map(|user| user.name.as_str()))?;
        Ok(Reservation {
            network: found.network.id,
            address,
            holder: holder.map(str::to_owned),
        })
    }

    /// The network on which an address is reserved.
    pub fn reserved(&self, reference: &str, address: IpAddr) -> Result<NetworkId, Refusal> {
        let found = self.find(reference)?;
        match found.expected.reservations.contains_key(&address) {
            true => Ok(found.network.id),
            false => Err(Refusal::NotReserved {
                address,
                network: found.network.spec.name.clone(),
            }),
        }
    }

    /// Reserves an address.
    pub fn put_reservation(&mut self, reservation: &Reservation) {
        if let Some(found) = self.contents(&reservation.network) {
            let reservations = &mut found.expected.reservations;
            reservations.insert(reservation.address, reservation.holder.clone());
            found.fix(reservation.address, true);
        }
    }

    /// Ends the reservation of an address.
    pub fn drop_reservation(&mut self, network: &NetworkId, address: IpAddr) {
        if let Some(found) = self.contents(network) {
            found.expected.reservations.remove(&address);
            found.fix(address, false);
        }
    }
}

fn check_reservable(
    found: &NetworkState,
    address: IpAddr,
    holder: Option<&str>,
    user: Option<&str>,
) -> Result<(), Refusal> {
    let network = &found.network;
    let pools = found.pools.iter();
    let mut pools = pools
        .filter(|(subnet, _)| subnet.contains(&address))
        .peekable();
    if pools.peek().is_none() {
        return Err(Refusal::Outside(address));
    }
    let mut subnets = network.subnets_in_use();
    let taken = subnets.any(|subnet| {
        subnet.gateway == Some(address) || subnet.auxiliary.values().any(|ip| *ip == address)
    });
    if taken || !pools.all(|(_, pool)| pool.could_give(address)) {
        return Err(Refusal::OfNetwork {
            address,
            network: network.spec.name.clone(),
        });
    }
    match user {
        Some(user) if Some(user) != holder => Err(Refusal::InUse {
            address,
            user: user.into(),
        }),
        Some(_) | None => Ok(()),
    }
}
