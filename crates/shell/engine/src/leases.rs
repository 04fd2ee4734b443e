//! Who is expected back: an address and a MAC for each container's name on a network, and the
//! addresses that the user reserved.
//!
//! Both are stored. A lease is written when a name gets its address, and holds it against others as
//! long as these find another; a reservation is given to no name but its own.

use crate::{Engine, EngineError};
use sealane_core::model::{Endpoint, Lease, Reservation, Sandbox};
use sealane_core::reserve::{LeaseChange, NetworkState};
use sealane_store::{Batch, StoreError, Table};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where leases are stored, by network and name.
const LEASES: Table = Table("leases");
/// Where reservations are stored, by network and address.
const RESERVATIONS: Table = Table("reservations");

fn lease_key(lease: &Lease) -> String {
    format!("{}/{}", lease.network, lease.name)
}

fn reservation_key(reservation: &Reservation) -> String {
    format!("{}/{}", reservation.network, reservation.address)
}

/// Everything stored of a network's, to be deleted with it.
pub(crate) fn delete_expected(found: &NetworkState, batch: &mut Batch) {
    for lease in found.expected.leases() {
        batch.delete(LEASES, lease_key(lease));
    }
    for (address, _) in found.expected.reserved() {
        batch.delete(RESERVATIONS, format!("{}/{address}", found.network.id));
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
        let known = LeaseChange {
            new: leases.into_values().collect(),
            dropped: vec![],
        };
        self.known.change(|draft| {
            draft.change_leases(&known);
            reserved.values().for_each(|one| draft.put_reservation(one));
        });
        Ok(())
    }

    /// Remembers what a sandbox has, for its name to get it again.
    pub(crate) fn keep_leases(&self, sandbox: &Sandbox) -> Result<(), EngineError> {
        self.write_leases(self.leases_for(sandbox))
    }

    /// Remembers for another name what a sandbox has, and nothing for the one it had.
    pub(crate) fn rename_leases(&self, old: &Sandbox, new: &Sandbox) -> Result<(), EngineError> {
        let state = self.state();
        let dropped = state.leases_of(&old.name).dropped;
        let new = state.new_leases(self.leases_for(new)).new;
        self.change_leases(&LeaseChange { new, dropped })
    }

    /// Holds the addresses that a container of this name will ask for, until it is there.
    pub fn expect(
        &self,
        reference: &str,
        name: &str,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(), EngineError> {
        let lease = {
            let state = self.state();
            let found = state.find(reference)?;
            let known = found.expected.lease(name);
            Lease {
                network: found.network.id,
                name: name.into(),
                ipv4: ipv4.or(known.and_then(|lease| lease.ipv4)),
                ipv6: ipv6.or(known.and_then(|lease| lease.ipv6)),
                mac: known.and_then(|lease| lease.mac),
                written: self.clock.now().as_second(),
            }
        };
        self.write_leases(vec![lease])
    }

    /// Stores the leases that say something new.
    fn write_leases(&self, leases: Vec<Lease>) -> Result<(), EngineError> {
        let change = self.state().new_leases(leases);
        self.change_leases(&change)
    }

    /// Ends the leases of this name.
    pub fn forget_name(&self, name: &str) -> Result<(), EngineError> {
        let change = self.state().leases_of(name);
        self.change_leases(&change)
    }

    /// Stores what is new of leases, then knows it.
    fn change_leases(&self, change: &LeaseChange) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        for (network, name) in &change.dropped {
            batch.delete(LEASES, format!("{network}/{name}"));
        }
        let mut new = change.new.iter();
        new.try_for_each(|lease| batch.put(LEASES, lease_key(lease), lease))
            .and_then(|()| self.store.commit(&batch))
            .map_err(not_stored)?;
        self.known.change(|draft| draft.change_leases(change));
        Ok(())
    }

    /// What a sandbox has, if its name is to get it again.
    fn leases_for(&self, sandbox: &Sandbox) -> Vec<Lease> {
        if !sandbox.sticky || sandbox.host {
            return vec![];
        }
        let lease = |endpoint: &Endpoint| Lease {
            network: endpoint.network,
            name: sandbox.name.clone(),
            ipv4: endpoint.ipv4.map(|net| net.addr()),
            ipv6: endpoint.ipv6.map(|net| net.addr()),
            mac: Some(endpoint.mac),
            written: self.clock.now().as_second(),
        };
        let with_addresses = |endpoint: &&Endpoint| endpoint.addresses().next().is_some();
        let endpoints = sandbox.endpoints.values().filter(with_addresses);
        endpoints.map(lease).collect()
    }

    /// Reserves an address, so that it is given to the container of this name only; without a name,
    /// to none that does not ask for it.
    pub fn reserve_address(
        &self,
        reference: &str,
        address: IpAddr,
        holder: Option<&str>,
    ) -> Result<(), EngineError> {
        let reservation = self.state().reservable(reference, address, holder)?;
        let mut batch = Batch::default();
        let put = batch.put(RESERVATIONS, reservation_key(&reservation), &reservation);
        put.and_then(|()| self.store.commit(&batch))
            .map_err(not_stored)?;
        self.known
            .change(|draft| draft.put_reservation(&reservation));
        Ok(())
    }

    /// Ends the reservation of an address.
    pub fn release_address(&self, reference: &str, address: IpAddr) -> Result<(), EngineError> {
        let network = self.state().reserved(reference, address)?;
        let mut batch = Batch::default();
        batch.delete(RESERVATIONS, format!("{network}/{address}"));
        self.store.commit(&batch).map_err(not_stored)?;
        self.known
            .change(|draft| draft.drop_reservation(&network, address));
        Ok(())
    }

    /// The reserved addresses of a network, and those that names are expected to come back to.
    pub fn expected(&self, reference: &str) -> Result<(Vec<Reservation>, Vec<Lease>), EngineError> {
        let state = self.state();
        let found = state.find(reference)?;
        let reservation = |(address, holder): (IpAddr, Option<&str>)| Reservation {
            network: found.network.id,
            address,
            holder: holder.map(str::to_owned),
        };
        let reservations = found.expected.reserved().map(reservation);
        let leases = found.expected.leases().cloned();
        Ok((reservations.collect(), leases.collect()))
    }
}

fn not_stored(error: StoreError) -> EngineError {
    EngineError::failed("what a container's name has could not be stored", error)
}
