//! Reservations, by owner.

use crate::bind::{Bind, Binder};
use crate::binding::Binding;
use crate::depot::Depot;
use crate::ephemeral::Ephemeral;
use crate::look::Look;
use crate::memory::MemoryHost;
use crate::relay::{Origin, Relay, Route};
use crate::released::Released;
use crate::table::Table;
use crate::{AdoptError, PortError};
use sealane_core::model::{PortMapping, PortRequest, Protocol, SandboxId};
use sealane_kernel::fake::Steps;
use sealane_kernel::port_socket;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many ephemeral ports are tried when other processes have them.
const ATTEMPTS: usize = 10;

/// All host ports of this daemon.
#[derive(Debug)]
pub struct Ports {
    state: Mutex<State>,
    /// `None` if only the kernel shall serve.
    relay: Option<Relay>,
    host: Box<dyn Bind>,
    depot: Depot,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    owners: BTreeMap<SandboxId, Vec<Held>>,
    /// The last ephemeral port given, by protocol.
    last: BTreeMap<Protocol, u16>,
    /// What was released a moment ago.
    released: Released,
}

/// Sockets that an owner has already, by what they are bound to.
type Own = BTreeMap<(Protocol, u16, Option<IpAddr>), Option<Arc<OwnedFd>>>;

/// A reserved port.
#[derive(Debug)]
struct Held {
    mapping: PortMapping,
    /// `None` where the kernel does not have the protocol, or another process has taken the port
    /// while no daemon was there to hold it.
    socket: Option<Arc<OwnedFd>>,
    /// Whether its socket was closed for another that its owner is to have instead.
    aside: bool,
}

impl Held {
    /// The mapping and its socket, where it has one.
    fn bound(&self) -> Option<(&PortMapping, &Arc<OwnedFd>)> {
        Some((&self.mapping, self.socket.as_ref()?))
    }

    fn number(&self) -> Option<RawFd> {
        self.socket.as_ref().map(|socket| socket.as_raw_fd())
    }
}

impl Ports {
    /// Nothing reserved yet. With `relay`, what the kernel cannot translate is relayed; without, it
    /// is refused.
    pub fn open(relay: bool) -> Result<Self, PortError> {
        Self::open_with(relay, Depot::default())
    }

    /// As [`Ports::open`], with a place where sockets are kept while no daemon runs.
    pub fn open_with(relay: bool, depot: Depot) -> Result<Self, PortError> {
        let served = relay.then(Relay::start).transpose()?;
        Ok(Self {
            relay: served,
            depot,
            ..Self::unserved(relay)
        })
    }

    /// Ports for one call: what is reserved is what a daemon with or without a `relay` could have,
    /// and nothing is held or relayed afterwards.
    pub fn unserved(relay: bool) -> Self {
        Self {
            state: Mutex::default(),
            relay: None,
            host: Box::new(Binder::new(relay)),
            depot: Depot::default(),
        }
    }

    /// Ports that are bound nowhere, for tests: `taken` are those of other programs, and to bind one
    /// is a step of a run.
    pub fn in_memory(taken: BTreeSet<u16>, steps: Steps) -> Self {
        Self {
            state: Mutex::default(),
            relay: None,
            host: Box::new(MemoryHost { taken, steps }),
            depot: Depot::default(),
        }
    }

    /// Reserves a port for each request, in the order of the requests, or none at all. Requests
    /// without an address get `default_ip`, and all addresses of both families where that is
    /// `None`. The ports are mute until [`Ports::activate`].
    pub fn reserve(
        &self,
        requests: &[PortRequest],
        owner: &SandboxId,
        default_ip: Option<IpAddr>,
    ) -> Result<Vec<PortMapping>, PortError> {
        self.exchange(&[], requests, owner, default_ip)
    }

    /// Reserves further ports, like [`Ports::reserve`], among them those of `leaving`, which the
    /// owner is about to give up: one that is asked for again keeps its socket, and one that is
    /// asked for on another address is closed for it. The owner has both until [`Ports::keep`] says
    /// which; after a refusal that is what brings the closed ones back, too.
    pub fn exchange(
        &self,
        leaving: &[PortMapping],
        requests: &[PortRequest],
        owner: &SandboxId,
        default_ip: Option<IpAddr>,
    ) -> Result<Vec<PortMapping>, PortError> {
        let mut state = self.state();
        self.step_aside(&mut state, owner, leaving, requests);
        let own = state.sockets_of(owner, leaving);
        state.table.remove_all(leaving);
        let open = |released: &Released, protocol, binding, port| {
            released.wait(protocol, port, || self.host.bind(protocol, binding, port))
        };
        let sources = Sources {
            own: &own,
            open: &open,
        };
        let taken = state.take_all(requests, default_ip, sources);
        state.table.add_all(leaving);
        let held = taken?;
        let fresh = held
            .iter()
            .filter(|held| !own.contains_key(&place(&held.mapping)));
        self.depot.keep(fresh.filter_map(Held::bound));
        let mappings = held.iter().map(|held| held.mapping.clone()).collect();
        state.owners.entry(*owner).or_default().extend(held);
        Ok(mappings)
    }

    /// What [`Ports::exchange`] would reserve now. Nothing is bound, closed or remembered: what other
    /// programs have is looked up.
    pub fn foresee(
        &self,
        leaving: &[PortMapping],
        requests: &[PortRequest],
        owner: &SandboxId,
        default_ip: Option<IpAddr>,
    ) -> Result<Vec<PortMapping>, PortError> {
        let look = Look::at(&*self.host, requests, leaving)?;
        let (mut draft, own) = {
            let state = self.state();
            (state.draft(), state.sockets_of(owner, leaving))
        };
        draft.table.remove_all(leaving);
        let open = |_: &Released, protocol, binding, port| look.open(protocol, binding, port);
        let sources = Sources {
            own: &own,
            open: &open,
        };
        let held = draft.take_all(requests, default_ip, sources)?;
        Ok(held.into_iter().map(|held| held.mapping).collect())
    }

    /// Closes the ports of `leaving` that would be in the way of themselves on another address.
    fn step_aside(
        &self,
        state: &mut State,
        owner: &SandboxId,
        leaving: &[PortMapping],
        requests: &[PortRequest],
    ) {
        let held = state.owners.get_mut(owner).into_iter().flatten();
        let mut closed = Vec::new();
        for held in held.filter(|held| leaving.contains(&held.mapping)) {
            if !moves(&held.mapping, requests) {
                continue;
            }
            let Some(socket) = held.socket.take() else {
                continue;
            };
            if let Some(relay) = &self.relay {
                relay.remove(&socket);
            }
            self.depot.forget([&held.mapping]);
            held.aside = true;
            closed.push((held.mapping.protocol, held.mapping.host_port));
        }
        state.released.add(closed);
    }

    /// Gives back what `owner` has besides `mappings`, and ends what is relayed there. The ports are
    /// served from the next [`Ports::activate`] on.
    pub fn keep(&self, owner: &SandboxId, mappings: &[PortMapping]) {
        let mut state = self.state();
        let mut wanted: BTreeMap<&PortMapping, usize> = BTreeMap::new();
        for mapping in mappings {
            *wanted.entry(mapping).or_default() += 1;
        }
        let mut keeps = |held: &Held| match wanted.get_mut(&held.mapping) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Some(_) | None => false,
        };
        let held = state.owners.remove(owner).unwrap_or_default();
        let (mut kept, gone): (Vec<Held>, Vec<Held>) = held.into_iter().partition(|h| keeps(h));
        let sockets: BTreeSet<RawFd> = kept.iter().filter_map(Held::number).collect();
        let closed: Vec<&Held> = gone
            .iter()
            .filter(|held| held.number().is_some_and(|fd| !sockets.contains(&fd)))
            .collect();
        self.depot.forget(closed.iter().map(|held| &held.mapping));
        if let Some(relay) = &self.relay {
            for socket in closed.iter().filter_map(|held| held.socket.as_ref()) {
                relay.remove(socket);
            }
            relay.end_ports(gone.iter().map(|held| origin(owner, &held.mapping)));
        }
        state.give_back(gone);
        for held in kept.iter_mut().filter(|held| held.aside) {
            state.bind_again(held, &*self.host);
            self.depot.keep(held.bound());
        }
        if !kept.is_empty() {
            state.owners.insert(*owner, kept);
        }
    }

    /// Reserves ports again that `owner` had before the daemon was started. What cannot be bound,
    /// because another process has taken it meanwhile, stays reserved all the same, since the
    /// kernel still translates it; the error names it.
    pub fn adopt(&self, mappings: &[PortMapping], owner: &SandboxId) -> Result<(), AdoptError> {
        let mut state = self.state();
        let mut refused = Vec::new();
        // A daemon that was killed a moment ago may still be closing its sockets.
        let ports = mappings
            .iter()
            .map(|mapping| (mapping.protocol, mapping.host_port));
        state.released.add(ports);
        for mapping in mappings {
            let (protocol, port) = (mapping.protocol, mapping.host_port);
            let binding = Binding::of(mapping.host_ip);
            let kept = self.depot.take(mapping);
            let kept = kept.filter(|socket| self.host.take_over(socket, protocol, port));
            let is_kept = kept.is_some();
            let bind = || self.host.bind(protocol, binding, port);
            let socket = kept.map_or_else(
                || state.released.wait(protocol, port, bind),
                |kept| Ok(Some(kept)),
            );
            let socket = socket.unwrap_or_else(|error| {
                refused.push(error);
                None
            });
            state.table.add(protocol, port, binding);
            let held = Held {
                mapping: mapping.clone(),
                socket: socket.map(Arc::new),
                aside: false,
            };
            if !is_kept {
                self.depot.keep(held.bound());
            }
            state.owners.entry(*owner).or_default().push(held);
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(AdoptError(refused))
        }
    }

    /// Knows that `owner` has these ports, and holds none of them: for one call, which only has to
    /// keep others from them.
    pub fn note(&self, mappings: &[PortMapping], owner: &SandboxId) {
        let mut state = self.state();
        for mapping in mappings {
            let binding = Binding::of(mapping.host_ip);
            state
                .table
                .add(mapping.protocol, mapping.host_port, binding);
            let held = Held {
                mapping: mapping.clone(),
                socket: None,
                aside: false,
            };
            state.owners.entry(*owner).or_default().push(held);
        }
    }

    /// Leads the ports of `owner` to its addresses, now that the rules for them are in. Called
    /// again when the addresses change; streams that are under way go on. Without an address, the
    /// ports are mute.
    pub fn activate(
        &self,
        owner: &SandboxId,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
    ) -> Result<(), PortError> {
        let Some(relay) = &self.relay else {
            return Ok(());
        };
        let state = self.state();
        for held in state.owners.get(owner).into_iter().flatten() {
            let Some(socket) = &held.socket else { continue };
            let mapping = &held.mapping;
            let route = Route {
                origin: origin(owner, mapping),
                ipv4: ipv4.map(|address| SocketAddrV4::new(address, mapping.container_port)),
                ipv6: ipv6.map(|address| SocketAddrV6::new(address, mapping.container_port, 0, 0)),
            };
            if ipv4.is_none() && ipv6.is_none() {
                close(relay, socket)?;
            } else {
                open(relay, socket, route)?;
            }
        }
        Ok(())
    }

    /// Makes the ports of `owner` mute again, and ends what is relayed. They stay reserved.
    pub fn deactivate(&self, owner: &SandboxId) -> Result<(), PortError> {
        let Some(relay) = &self.relay else {
            return Ok(());
        };
        let state = self.state();
        let held = state.owners.get(owner).into_iter().flatten();
        let mut sockets = held.filter_map(|held| held.socket.as_ref());
        let result = sockets.try_for_each(|socket| close(relay, socket));
        relay.end(owner);
        result
    }

    /// Gives all ports of `owner` back, and ends what is relayed. They are free when this returns.
    pub fn release(&self, owner: &SandboxId) {
        let mut state = self.state();
        let held = state.owners.remove(owner).unwrap_or_default();
        let bound = held.iter().filter_map(Held::bound);
        self.depot.forget(bound.map(|(mapping, _)| mapping));
        for socket in held.iter().filter_map(|held| held.socket.as_ref()) {
            if let Some(relay) = &self.relay {
                relay.remove(socket);
            }
        }
        state.give_back(held);
        if let Some(relay) = &self.relay {
            relay.end(owner);
        }
    }

    /// Gives back the sockets that were kept for what is no more. Called when everything that
    /// lives has been adopted.
    pub fn forget_kept(&self) {
        self.depot.forget_rest();
    }

    /// The ports that `owner` has.
    pub fn of(&self, owner: &SandboxId) -> Vec<PortMapping> {
        let state = self.state();
        let held = state.owners.get(owner).into_iter().flatten();
        held.map(|held| held.mapping.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known, to be tried out.
    fn draft(&self) -> Self {
        Self {
            table: self.table.clone(),
            last: self.last.clone(),
            ..Self::default()
        }
    }

    /// The sockets of these reservations.
    fn sockets_of(&self, owner: &SandboxId, mappings: &[PortMapping]) -> Own {
        let wanted: BTreeSet<&PortMapping> = mappings.iter().collect();
        let held = self.owners.get(owner).into_iter().flatten();
        let held = held.filter(|held| wanted.contains(&held.mapping));
        held.map(|held| (place(&held.mapping), held.socket.clone()))
            .collect()
    }

    /// A port for each request, in their order, or none.
    fn take_all(
        &mut self,
        requests: &[PortRequest],
        default_ip: Option<IpAddr>,
        sources: Sources<'_>,
    ) -> Result<Vec<Held>, PortError> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        // Those that can have one port only choose before those who could have taken it.
        order.sort_by_key(|&index| freedom(&requests[index]));
        let mut taken: Vec<(usize, Held)> = Vec::with_capacity(requests.len());
        for index in order {
            let request = &requests[index];
            let host_ip = request.host_ip.or(default_ip);
            match self.take(request, host_ip, sources) {
                Ok(held) => taken.push((index, held)),
                Err(error) => {
                    self.give_back(taken.into_iter().map(|(_, held)| held).collect());
                    return Err(error);
                }
            }
        }
        taken.sort_by_key(|(index, _)| *index);
        Ok(taken.into_iter().map(|(_, held)| held).collect())
    }

    fn take(
        &mut self,
        request: &PortRequest,
        host_ip: Option<IpAddr>,
        sources: Sources<'_>,
    ) -> Result<Held, PortError> {
        match request.host_ports {
            Some((first, last)) if first == 0 || first > last => Err(PortError::Range(first, last)),
            Some((first, last)) if first == last => {
                self.take_port(request, host_ip, first, sources)
            }
            Some((first, last)) => {
                let attempts = usize::from(last - first) + 1;
                self.take_first(request, host_ip, first..=last, attempts, sources)
            }
            None => {
                let last = self.last.get(&request.protocol).copied();
                let candidates = Ephemeral::read()?;
                let ports = candidates.after(last);
                let held = self.take_first(request, host_ip, ports, ATTEMPTS, sources)?;
                self.last.insert(request.protocol, held.mapping.host_port);
                Ok(held)
            }
        }
    }

    /// Takes the first port that is free, past those that we have, and past `attempts` less one
    /// that other processes have.
    fn take_first(
        &mut self,
        request: &PortRequest,
        host_ip: Option<IpAddr>,
        ports: impl Iterator<Item = u16>,
        attempts: usize,
        sources: Sources<'_>,
    ) -> Result<Held, PortError> {
        let binding = Binding::of(host_ip);
        let mut refused = PortError::Exhausted;
        let mut left = attempts;
        for port in ports {
            if self.table.clash(request.protocol, port, binding).is_some() {
                continue;
            }
            match self.take_port(request, host_ip, port, sources) {
                Err(error) if error.is_taken() && left > 1 => (refused, left) = (error, left - 1),
                other => return other,
            }
        }
        Err(refused)
    }

    fn take_port(
        &mut self,
        request: &PortRequest,
        host_ip: Option<IpAddr>,
        port: u16,
        sources: Sources<'_>,
    ) -> Result<Held, PortError> {
        let (protocol, binding) = (request.protocol, Binding::of(host_ip));
        if let Some(address) = self.table.clash(protocol, port, binding) {
            return Err(PortError::Allocated { address, port });
        }
        let socket = match sources.own.get(&(protocol, port, host_ip)) {
            Some(own) => own.clone(),
            None => (sources.open)(&self.released, protocol, binding, port)?.map(Arc::new),
        };
        self.table.add(protocol, port, binding);
        let container_port = request.container_port;
        let mapping = PortMapping {
            protocol,
            host_ip,
            host_port: port,
            container_port,
        };
        Ok(Held {
            mapping,
            socket,
            aside: false,
        })
    }

    /// Opens a port again that was closed for another. It stays reserved in any case.
    fn bind_again(&self, held: &mut Held, host: &dyn Bind) {
        let PortMapping {
            protocol,
            host_port,
            host_ip,
            ..
        } = held.mapping;
        let bind = || host.bind(protocol, Binding::of(host_ip), host_port);
        match self.released.wait(protocol, host_port, bind) {
            Ok(socket) => held.socket = socket.map(Arc::new),
            Err(error) => tracing::warn!(%error, "a port cannot be served as before"),
        }
        held.aside = false;
    }

    /// Closes the sockets, and has the ports free.
    fn give_back(&mut self, held: Vec<Held>) {
        let ports = held
            .iter()
            .map(|held| (held.mapping.protocol, held.mapping.host_port));
        self.released.add(ports);
        for held in held {
            let PortMapping {
                protocol,
                host_port,
                host_ip,
                ..
            } = held.mapping;
            self.table.remove(protocol, host_port, Binding::of(host_ip));
        }
    }
}

/// Opens a socket, or looks whether that could be done.
type Open<'a> = &'a dyn Fn(&Released, Protocol, Binding, u16) -> Result<Option<OwnedFd>, PortError>;

/// Where sockets come from: those at hand first.
#[derive(Clone, Copy)]
struct Sources<'a> {
    own: &'a Own,
    open: Open<'a>,
}

/// What the socket of a mapping is bound to.
fn place(mapping: &PortMapping) -> (Protocol, u16, Option<IpAddr>) {
    (mapping.protocol, mapping.host_port, mapping.host_ip)
}

/// Whether the one port that a request names is this, but on another address.
fn moves(mapping: &PortMapping, requests: &[PortRequest]) -> bool {
    let port = mapping.host_port;
    let named = |request: &&PortRequest| {
        request.protocol == mapping.protocol && request.host_ports == Some((port, port))
    };
    let mut addresses = requests.iter().filter(named).map(|named| named.host_ip);
    let stays = addresses.clone().any(|address| address == mapping.host_ip);
    !stays && addresses.next().is_some()
}

fn origin(owner: &SandboxId, mapping: &PortMapping) -> Origin {
    Origin {
        owner: *owner,
        protocol: mapping.protocol,
        host_port: mapping.host_port,
    }
}

/// How many ports would do for a request.
fn freedom(request: &PortRequest) -> u16 {
    request
        .host_ports
        .map_or(u16::MAX, |(first, last)| last.saturating_sub(first))
}

fn open(relay: &Relay, socket: &Arc<OwnedFd>, route: Route) -> Result<(), PortError> {
    relay.add(socket, route)?;
    let refused = |source| PortError::Relay {
        what: "open a port",
        source,
    };
    port_socket::unmute(socket).map_err(refused)
}

fn close(relay: &Relay, socket: &Arc<OwnedFd>) -> Result<(), PortError> {
    relay.remove(socket);
    let refused = |source| PortError::Relay {
        what: "close a port",
        source,
    };
    port_socket::mute(socket).map_err(refused)
}
