//! Who is connected and says nothing.
//!
//! A connection is *busy* while a request of it is answered, and *waiting* otherwise. Those that
//! wait are bounded, for each peer and in all; of too many the one that has waited longest is shut.
//! So a crowd that connects and is silent leaves places for others, and does not push out what a
//! busy client has under way. Start at [`Crowd::arrive`].

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How many connections wait at most.
const WAITING: usize = 2048;
/// How many of one address do.
const WAITING_OF_ADDRESS: usize = 256;
/// How many of unix sockets do.
const WAITING_OF_UNIX: usize = 1024;
/// How long a connection may take to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// This host, by a unix socket.
    Unix,
    /// An address; of IPv6 the network, since a host has all of it.
    Address(IpAddr),
}

impl Peer {
    /// The peer with an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                std::net::Ipv6Addr::from(network).into()
            }
        })
    }

    fn limit(self) -> usize {
        match self {
            Self::Unix => WAITING_OF_UNIX,
            Self::Address(_) => WAITING_OF_ADDRESS,
        }
    }
}

/// All connections that wait.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Grows by one with each that begins to wait.
    next: u64,
    /// In the order in which they began to.
    all: BTreeMap<u64, Arc<Seat>>,
    /// How many each peer has.
    counts: HashMap<Peer, usize>,
}

/// One connection's.
#[derive(Debug)]
pub(crate) struct Seat {
    peer: Peer,
    turned_away: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Its place among those that wait; `None` while it is busy or turned away.
    place: Option<u64>,
    /// A request has come.
    spoke: bool,
    /// It has ended, or was taken over: it does not wait again.
    over: bool,
}

/// A connection among the others. Dropping it gives its place back.
#[derive(Debug)]
pub(crate) struct Guest {
    crowd: Arc<Crowd>,
    seat: Arc<Seat>,
}

/// A request under way. Dropping it lets its connection wait.
#[derive(Debug)]
pub(crate) struct Busy(Guest);

impl Crowd {
    /// Takes a new connection in: it waits for its first request.
    pub(crate) fn arrive(self: &Arc<Self>, peer: Peer) -> Guest {
        let seat = Arc::new(Seat {
            peer,
            turned_away: Notify::new(),
            state: Mutex::default(),
        });
        self.wait(&seat);
        Guest {
            crowd: Arc::clone(self),
            seat,
        }
    }

    /// Shuts the connection that has waited longest, for one that has no place otherwise.
    pub(crate) fn make_room(&self) {
        let mut waiting = lock(&self.0);
        if let Some(place) = waiting.all.keys().next().copied() {
            waiting.turn_away(place);
        }
    }

    fn wait(&self, seat: &Arc<Seat>) {
        let mut waiting = lock(&self.0);
        let place = waiting.next;
        {
            let mut state = lock(&seat.state);
            if state.over {
                return;
            }
            state.place = Some(place);
        }
        waiting.next += 1;
        waiting.all.insert(place, Arc::clone(seat));
        *waiting.counts.entry(seat.peer).or_default() += 1;
        waiting.keep_bounds(seat.peer);
    }

    /// Takes a connection out of those that wait.
    fn leave(&self, seat: &Seat) {
        let mut waiting = lock(&self.0);
        let place = lock(&seat.state).place.take();
        if let Some(place) = place {
            waiting.forget(place);
        }
    }
}

impl Waiting {
    fn keep_bounds(&mut self, peer: Peer) {
        let of_peer = self.counts.get(&peer).copied().unwrap_or_default();
        let too_many = match of_peer > peer.limit() {
            true => Some(peer),
            false if self.all.len() > WAITING => self.largest(),
            false => None,
        };
        let Some(peer) = too_many else { return };
        let oldest = self.all.iter().find(|(_, seat)| seat.peer == peer);
        if let Some((&place, _)) = oldest {
            self.turn_away(place);
        }
    }

    /// The peer that has the most.
    fn largest(&self) -> Option<Peer> {
        let counts = self.counts.iter().max_by_key(|(_, count)| **count);
        counts.map(|(peer, _)| *peer)
    }

    fn turn_away(&mut self, place: u64) {
        if let Some(seat) = self.forget(place) {
            let mut state = lock(&seat.state);
            state.place = None;
            state.over = true;
            seat.turned_away.notify_one();
        }
    }

    fn forget(&mut self, place: u64) -> Option<Arc<Seat>> {
        let seat = self.all.remove(&place)?;
        if let Some(count) = self.counts.get_mut(&seat.peer) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&seat.peer);
            }
        }
        Some(seat)
    }
}

impl Guest {
    /// Marks the beginning of a request.
    pub(crate) fn begin(&self) -> Busy {
        {
            let mut state = lock(&self.seat.state);
            state.spoke = true;
            // It speaks at the last moment: it is answered.
            state.over = false;
        }
        self.crowd.leave(&self.seat);
        Busy(Self {
            crowd: Arc::clone(&self.crowd),
            seat: Arc::clone(&self.seat),
        })
    }

    /// Ends when the connection is to be shut: others need its place, or it has said nothing for
    /// too long.
    pub(crate) async fn turned_away(&self) {
        let silent = async {
            tokio::time::sleep(FIRST_REQUEST).await;
            if lock(&self.seat.state).spoke {
                pending::<()>().await;
            }
        };
        let pushed_out = async {
            loop {
                self.seat.turned_away.notified().await;
                if lock(&self.seat.state).over {
                    return;
                }
            }
        };
        tokio::select! {
            () = pushed_out => {}
            () = silent => {}
        }
    }

    /// It has ended.
    pub(crate) fn gone(&self) {
        lock(&self.seat.state).over = true;
        self.crowd.leave(&self.seat);
    }
}

impl Busy {
    /// The client takes the connection over: it is busy to its end.
    pub(crate) fn for_good(&self) {
        lock(&self.0.seat.state).over = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.crowd.wait(&self.0.seat);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Peer {
        Peer::of([192, 0, 2, last].into())
    }

    fn is_shut(guest: &Guest) -> bool {
        let state = lock(&guest.seat.state);
        state.over && state.place.is_none()
    }

    fn count(crowd: &Crowd) -> usize {
        lock(&crowd.0).all.len()
    }

    #[test]
    fn a_silent_crowd_of_one_address_shuts_its_own_connections() {
        let crowd = Arc::new(Crowd::default());
        let other = crowd.arrive(address(2));
        let silent: Vec<Guest> = (0..WAITING_OF_ADDRESS + 10)
            .map(|_| crowd.arrive(address(1)))
            .collect();
        assert!(silent[..10].iter().all(is_shut), "the oldest went");
        assert!(!silent[10..].iter().any(is_shut) && !is_shut(&other));
        assert_eq!(count(&crowd), WAITING_OF_ADDRESS + 1);
    }

    #[test]
    fn of_many_addresses_the_one_that_has_most_gives_way() {
        let crowd = Arc::new(Crowd::default());
        let few = crowd.arrive(address(0));
        let mut many = Vec::new();
        for last in 1..=8 {
            many.extend((0..WAITING_OF_ADDRESS).map(|_| crowd.arrive(address(last))));
        }
        assert_eq!(count(&crowd), WAITING);
        assert!(!is_shut(&few), "it came first and has one only");
        assert_eq!(many.iter().filter(|guest| is_shut(guest)).count(), 1);
    }

    #[test]
    fn who_is_busy_is_not_shut() {
        let crowd = Arc::new(Crowd::default());
        let guest = crowd.arrive(Peer::Unix);
        let busy = guest.begin();
        let silent: Vec<Guest> = (0..WAITING_OF_UNIX)
            .map(|_| crowd.arrive(Peer::Unix))
            .collect();
        assert!(!is_shut(&guest));
        drop(busy);
        assert!(is_shut(&silent[0]), "it waits again, behind all others");
        crowd.make_room();
        assert!(is_shut(&silent[1]) && !is_shut(&guest));
    }

    #[test]
    fn who_has_gone_or_was_taken_over_does_not_wait() {
        let crowd = Arc::new(Crowd::default());
        let guest = crowd.arrive(Peer::Unix);
        let busy = guest.begin();
        busy.for_good();
        drop(busy);
        let gone = crowd.arrive(Peer::Unix);
        gone.gone();
        assert_eq!(count(&crowd), 0);
        assert!(lock(&crowd.0).counts.is_empty());
    }

    #[test]
    fn a_host_is_its_ipv6_network() {
        let peer = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), address(1));
    }
}
