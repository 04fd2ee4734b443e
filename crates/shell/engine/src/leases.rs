//! Who is expected back: an address and a MAC for each container's name on a network, and the
//! addresses that the user reserved.
//!
//! Both are stored. A lease is written when a name gets its address, and holds it against others as
//! long as these find another; a reservation is given to no name but its own.

use crate::state::NetworkState;
use crate::{Engine, EngineError};
use sealane_core::model::{Endpoint, Lease, Mac, NetworkId, Reservation, Sandbox};
use sealane_store::{Batch, StoreError, Table};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where leases are stored, by network and name.
const LEASES: Table = Table("leases");
/// Where reservations are stored, by network and address.
const RESERVATIONS: Table = Table("reservations");

/// How many absent names a network remembers; then those that were written longest ago go.
const ABSENT: usize = 4096;

fn lease_key(lease: &Lease) -> String {
    format!("{}/{}", lease.network, lease.name)
}

fn reservation_key(reservation: &Reservation) -> String {
    format!("{}/{}", reservation.network, reservation.address)
}

/// What is expected on one network.
#[derive(Default)]
pub(crate) struct Expected {
    leases: BTreeMap<String, Lease>,
    reservations: BTreeMap<IpAddr, Option<String>>,
}

impl NetworkState {
    /// The address that is a name's: reserved for it, or the one it had.
    pub(crate) fn own_address(&self, name: &str, ipv6: bool) -> Option<IpAddr> {
        let mut reserved = self.expected.reservations.iter();
        let reserved = reserved
            .find(|(address, holder)| address.is_ipv6() == ipv6 && holder.as_deref() == Some(name));
        let leased = || {
            let lease = self.expected.leases.get(name)?;
            let address = lease
                .addresses()
                .find(|address| address.is_ipv6() == ipv6)?;
            self.reserved_for_other(name, address)
                .is_none()
                .then_some(address)
        };
        reserved.map(|(address, _)| *address).or_else(leased)
    }

    /// The other name that an address is reserved for.
    pub(crate) fn reserved_for_other(&self, name: &str, address: IpAddr) -> Option<&str> {
        let holder = self.expected.reservations.get(&address)?.as_deref()?;
        (holder != name).then_some(holder)
    }

    /// The MAC address that a name had.
    pub(crate) fn own_mac(&self, name: &str) -> Option<Mac> {
        self.expected.leases.get(name)?.mac
    }

    fn set_lease(&mut self, lease: Lease) {
        let addresses: Vec<IpAddr> = lease.addresses().collect();
        self.drop_lease(&lease.name.clone());
        self.expected.leases.insert(lease.name.clone(), lease);
        addresses
            .into_iter()
            .for_each(|address| self.hold(address, true));
    }

    fn drop_lease(&mut self, name: &str) {
        let Some(lease) = self.expected.leases.remove(name) else {
            return;
        };
        for address in lease.addresses() {
            let mut others = self.expected.leases.values();
            if !others.any(|other| other.addresses().any(|held| held == address)) {
                self.hold(address, false);
            }
        }
    }

    fn set_reservation(&mut self, address: IpAddr, holder: Option<Option<String>>) {
        let on = holder.is_some();
        match holder {
            Some(holder) => drop(self.expected.reservations.insert(address, holder)),
            None => drop(self.expected.reservations.remove(&address)),
        }
        for (_, pool) in &mut self.pools {
            pool.fix(address, on);
        }
    }

    fn hold(&mut self, address: IpAddr, on: bool) {
        for (_, pool) in &mut self.pools {
            pool.hold(address, on);
        }
    }

    /// Tells pools that were made anew what is expected.
    pub(crate) fn hold_all(&mut self) {
        let leased = self.expected.leases.values().flat_map(Lease::addresses);
        for address in leased.collect::<Vec<_>>() {
            self.hold(address, true);
        }
        for address in self.expected.reservations.keys() {
            for (_, pool) in &mut self.pools {
                pool.fix(*address, true);
            }
        }
    }

    /// Everything stored of it, to be deleted with the network.
    pub(crate) fn delete_expected(&self, batch: &mut Batch) {
        for lease in self.expected.leases.values() {
            batch.delete(LEASES, lease_key(lease));
        }
        for address in self.expected.reservations.keys() {
            batch.delete(RESERVATIONS, format!("{}/{address}", self.network.id));
        }
    }

    /// The names that are not here and were written longest ago, as far as there are too many.
    fn too_old(&self, present: &dyn Fn(&str) -> bool) -> Option<String> {
        if self.expected.leases.len() <= ABSENT + self.members.len() {
            return None;
        }
        let absent = self
            .expected
            .leases
            .values()
            .filter(|lease| !present(&lease.name));
        absent
            .min_by_key(|lease| lease.written)
            .map(|lease| lease.name.clone())
    }
}

impl Engine {
    /// Knows leases and reservations again.
    pub(crate) fn load_expected(&self) -> Result<(), EngineError> {
        let failed =
            |error| EngineError::failed("the stored addresses of containers cannot be read", error);
        let leases: BTreeMap<String, Lease> = self.store.load_all(LEASES).map_err(failed)?;
        let reserved: BTreeMap<String, Reservation> =
            self.store.load_all(RESERVATIONS).map_err(failed)?;
        let mut state = self.state();
        for lease in leases.into_values() {
            if let Some(found) = state.networks.get_mut(&lease.network) {
                found.set_lease(lease);
            }
        }
        for Reservation {
            network,
            address,
            holder,
        } in reserved.into_values()
        {
            if let Some(found) = state.networks.get_mut(&network) {
                found.set_reservation(address, Some(holder));
            }
        }
        Ok(())
    }

    /// Remembers what a sandbox has, for its name to get it again.
    pub(crate) fn keep_leases(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        if !sandbox.sticky || sandbox.host {
            return Ok(());
        }
        let lease = |endpoint: &Endpoint| Lease {
            network: endpoint.network,
            name: sandbox.name.clone(),
            ipv4: endpoint.ipv4.map(|net| net.addr()),
            ipv6: endpoint.ipv6.map(|net| net.addr()),
            mac: Some(endpoint.mac),
            written: jiff::Timestamp::now().as_second(),
        };
        let with_addresses = |endpoint: &&Endpoint| endpoint.addresses().next().is_some();
        let endpoints = sandbox.endpoints.values().filter(with_addresses);
        self.write_leases(endpoints.map(lease).collect())
    }

    /// Holds the addresses that a container asks for, until it is there.
    pub(crate) fn expect_addresses(
        &self,
        reference: &str,
        name: &str,
        addresses: (Option<Ipv4Addr>, Option<Ipv6Addr>),
    ) -> Result<(), EngineError> {
        let lease = {
            let state = self.state();
            let found = state.find(reference)?;
            let known = found.expected.leases.get(name);
            Lease {
                network: found.network.id,
                name: name.into(),
                ipv4: addresses.0.or(known.and_then(|lease| lease.ipv4)),
                ipv6: addresses.1.or(known.and_then(|lease| lease.ipv6)),
                mac: known.and_then(|lease| lease.mac),
                written: jiff::Timestamp::now().as_second(),
            }
        };
        self.write_leases(vec![lease])
    }

    /// Stores the leases that say something new.
    fn write_leases(&self, leases: Vec<Lease>) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        let mut dropped = Vec::new();
        let mut new = Vec::new();
        {
            let state = self.state();
            for lease in leases {
                let Some(found) = state.networks.get(&lease.network) else {
                    continue;
                };
                let written = |known: &Lease| Lease {
                    written: lease.written,
                    ..known.clone()
                };
                let known = found.expected.leases.get(&lease.name);
                if known.map(written).as_ref() == Some(&lease) {
                    continue;
                }
                let present = |name: &str| state.sandboxes.values().any(|s| s.name == name);
                dropped.extend(found.too_old(&present).map(|name| (lease.network, name)));
                new.push(lease);
            }
        }
        let put = new
            .iter()
            .try_for_each(|lease| batch.put(LEASES, lease_key(lease), lease));
        for (network, name) in &dropped {
            batch.delete(LEASES, format!("{network}/{name}"));
        }
        put.and_then(|()| self.store.commit(&batch))
            .map_err(not_stored)?;
        let mut state = self.state();
        for (network, name) in dropped {
            if let Some(found) = state.networks.get_mut(&network) {
                found.drop_lease(&name);
            }
        }
        for lease in new {
            if let Some(found) = state.networks.get_mut(&lease.network) {
                found.set_lease(lease);
            }
        }
        Ok(())
    }

    /// Expects a name back nowhere.
    pub(crate) fn forget_leases(&self, name: &str) -> Result<(), EngineError> {
        let networks: Vec<NetworkId> = {
            let state = self.state();
            let leased = state.networks.iter();
            let leased = leased.filter(|(_, found)| found.expected.leases.contains_key(name));
            leased.map(|(id, _)| *id).collect()
        };
        let mut batch = Batch::default();
        for network in &networks {
            batch.delete(LEASES, format!("{network}/{name}"));
        }
        self.store.commit(&batch).map_err(not_stored)?;
        let mut state = self.state();
        for network in networks {
            if let Some(found) = state.networks.get_mut(&network) {
                found.drop_lease(name);
            }
        }
        Ok(())
    }

    /// Reserves an address for a name, or for the container that asks for it.
    pub(crate) fn reserve_for(
        &self,
        reference: &str,
        address: IpAddr,
        holder: Option<&str>,
    ) -> Result<(), EngineError> {
        let reservation = {
            let state = self.state();
            let found = state.find(reference)?;
            let user = state.sandboxes.values().find(|sandbox| {
                let endpoint = sandbox.endpoints.get(&found.network.id);
                endpoint.is_some_and(|endpoint| endpoint.addresses().any(|own| own == address))
            });
            check_reservable(found, address, holder, user.map(|user| user.name.as_str()))?;
            Reservation {
                network: found.network.id,
                address,
                holder: holder.map(str::to_owned),
            }
        };
        let mut batch = Batch::default();
        let put = batch.put(RESERVATIONS, reservation_key(&reservation), &reservation);
        put.and_then(|()| self.store.commit(&batch))
            .map_err(not_stored)?;
        if let Some(found) = self.state().networks.get_mut(&reservation.network) {
            found.set_reservation(address, Some(reservation.holder));
        }
        Ok(())
    }

    /// Ends a reservation.
    pub(crate) fn end_reservation(
        &self,
        reference: &str,
        address: IpAddr,
    ) -> Result<(), EngineError> {
        let network = {
            let state = self.state();
            let found = state.find(reference)?;
            if !found.expected.reservations.contains_key(&address) {
                let name = &found.network.spec.name;
                return Err(EngineError::NotFound(format!(
                    "address {address} of network {name} is not reserved"
                )));
            }
            found.network.id
        };
        let mut batch = Batch::default();
        batch.delete(RESERVATIONS, format!("{network}/{address}"));
        self.store.commit(&batch).map_err(not_stored)?;
        if let Some(found) = self.state().networks.get_mut(&network) {
            found.set_reservation(address, None);
        }
        Ok(())
    }

    /// What is expected on a network.
    pub(crate) fn expected_on(
        &self,
        reference: &str,
    ) -> Result<(Vec<Reservation>, Vec<Lease>), EngineError> {
        let state = self.state();
        let found = state.find(reference)?;
        let reservations = found.expected.reservations.iter();
        let reservation = |(address, holder): (&IpAddr, &Option<String>)| Reservation {
            network: found.network.id,
            address: *address,
            holder: holder.clone(),
        };
        let leases = found.expected.leases.values().cloned().collect();
        Ok((reservations.map(reservation).collect(), leases))
    }
}

fn check_reservable(
    found: &NetworkState,
    address: IpAddr,
    holder: Option<&str>,
    user: Option<&str>,
) -> Result<(), EngineError> {
    let name = &found.network.spec.name;
    let refused = |text: String| Err(EngineError::Forbidden(text));
    let pools = || {
        found
            .pools
            .iter()
            .filter(|(subnet, _)| subnet.contains(&address))
    };
    if pools().next().is_none() {
        return Err(EngineError::Invalid(format!(
            "no configured subnet contains IP address {address}"
        )));
    }
    let subnets = found
        .network
        .subnets(false)
        .chain(found.network.subnets(true));
    let taken = subnets.into_iter().any(|subnet| {
        subnet.gateway == Some(address) || subnet.auxiliary.values().any(|ip| *ip == address)
    });
    if taken || !pools().all(|(_, pool)| pool.could_give(address)) {
        return refused(format!(
            "{address} is an address of network {name} itself; reserve another"
        ));
    }
    match user {
        Some(user) if Some(user) != holder => refused(format!(
            "{address} is in use by container {user}; move it first"
        )),
        Some(_) | None => Ok(()),
    }
}

fn not_stored(error: StoreError) -> EngineError {
    EngineError::failed("what a container's name has could not be stored", error)
}
