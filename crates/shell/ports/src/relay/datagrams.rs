//! Datagrams: for each peer of a UDP port, a session with a socket of its own to the container.

use super::token::Token;
use super::{Ending, Origin, Shared};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use sealane_kernel::port_socket::{self, LocalEnd};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a session without datagrams lasts.
const IDLE: Duration = Duration::from_secs(90);
/// How many sessions there can be; a new one ends the one idle longest.
const SESSIONS: usize = 4096;
/// How many answers of one session are carried before the others have their turn.
const TURN: usize = 64;

/// All sessions.
pub(super) struct Datagrams {
    shared: Arc<Shared>,
    sessions: HashMap<u64, Session>,
    numbers: HashMap<Conversation, u64>,
    /// The sessions by when they were used last.
    oldest: BTreeSet<(Instant, u64)>,
    next: u64,
}

/// Who talks to whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Conversation {
    port: RawFd,
    peer: SocketAddr,
    local: LocalEnd,
}

struct Session {
    origin: Origin,
    conversation: Conversation,
    target: SocketAddr,
    socket: OwnedFd,
    used: Instant,
}

impl Datagrams {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (sessions, numbers) = (HashMap::new(), HashMap::new());
        Self {
            shared,
            sessions,
            numbers,
            oldest: BTreeSet::new(),
            next: 0,
        }
    }

    /// Carries what peers sent to a port, `turn` datagrams at most.
    pub(super) fn forward(&mut self, port: RawFd, turn: usize, buffer: &mut [u8]) {
        for _ in 0..turn {
            let received = match self.shared.ports().get(&port) {
                None => return,
                Some(open) => port_socket::receive(&open.socket, buffer).map(|datagram| {
                    let target = open.route.target(datagram.peer.ip());
                    (datagram, open.route.origin, target)
                }),
            };
            match received {
                Ok((datagram, origin, Some(target))) => {
                    let conversation = Conversation {
                        port,
                        peer: datagram.peer,
                        local: datagram.local,
                    };
                    let bytes = &buffer[..datagram.length];
                    self.send(conversation, origin, target, bytes);
                }
                Ok((_, _, None)) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The kernel reports here what became of earlier answers.
                Err(_) => {}
            }
        }
    }

    /// Carries back what the container sent in a session.
    pub(super) fn answer(&mut self, number: u64, buffer: &mut [u8]) {
        let Some(session) = self.sessions.get(&number) else {
            return;
        };
        for _ in 0..TURN {
            let length = match net::recv(&session.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, length)) => length,
                Err(Errno::AGAIN) => break,
                // The container does not listen there, or not any more.
                Err(_) => continue,
            };
            let Conversation { port, peer, local } = session.conversation;
            if let Some(open) = self.shared.ports().get(&port) {
                // An answer that cannot be sent is lost, as datagrams are.
                let _lost = port_socket::send(&open.socket, &buffer[..length], peer, &local);
            }
        }
        self.touch(number);
    }

    /// When the next session expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.oldest.first().map(|(used, _)| *used + IDLE)
    }

    /// Ends the sessions that were idle too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(used, number)) = self.oldest.first()
            && used + IDLE <= now
        {
            self.remove(number);
        }
    }

    /// Ends these sessions.
    pub(super) fn end(&mut self, endings: &[Ending]) {
        let concerned = |(_, session): &(&u64, &Session)| {
            let mut endings = endings.iter();
            endings.any(|ending| ending.concerns(&session.origin))
        };
        let ended: Vec<u64> = self
            .sessions
            .iter()
            .filter(concerned)
            .map(|(n, _)| *n)
            .collect();
        ended.into_iter().for_each(|number| self.remove(number));
    }

    fn send(
        &mut self,
        conversation: Conversation,
        origin: Origin,
        target: SocketAddr,
        bytes: &[u8],
    ) {
        let known = self.numbers.get(&conversation).copied();
        let moved = |number: &u64| self.sessions.get(number).is_none_or(|s| s.target != target);
        if let Some(number) = known.filter(moved) {
            self.remove(number);
        }
        let Some(number) = self.number_of(conversation, origin, target) else {
            return;
        };
        if let Some(session) = self.sessions.get(&number) {
            let send = || net::send(&session.socket, bytes, SendFlags::DONTWAIT);
            // The first error may be of an earlier datagram. What cannot be sent then is lost, as
            // datagrams are.
            let _lost = send().or_else(|_| send());
        }
        self.touch(number);
    }

    /// The session of a conversation; a new one if there is none.
    fn number_of(
        &mut self,
        conversation: Conversation,
        origin: Origin,
        target: SocketAddr,
    ) -> Option<u64> {
        if let Some(number) = self.numbers.get(&conversation) {
            return Some(*number);
        }
        if self.sessions.len() >= SESSIONS {
            self.remove_oldest();
        }
        let socket = match connect(target) {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.remove_oldest();
                connect(target)
            }
            other => other,
        };
        let number = self.next;
        let opened = socket.and_then(|socket| {
            self.shared
                .watch(&socket, Token::Session(number), EventFlags::IN)?;
            Ok(socket)
        });
        let socket = match opened {
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%error, %target, "cannot relay datagrams of a published port");
                return None;
            }
        };
        self.next += 1;
        let used = Instant::now();
        self.sessions.insert(
            number,
            Session {
                origin,
                conversation,
                target,
                socket,
                used,
            },
        );
        self.numbers.insert(conversation, number);
        self.oldest.insert((used, number));
        Some(number)
    }

    fn touch(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        self.oldest.remove(&(session.used, number));
        session.used = Instant::now();
        self.oldest.insert((session.used, number));
    }

    fn remove_oldest(&mut self) {
        if let Some(&(_, number)) = self.oldest.first() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(session) = self.sessions.remove(&number) {
            self.numbers.remove(&session.conversation);
            self.oldest.remove(&(session.used, number));
        }
    }
}

fn connect(target: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if target.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::DGRAM, flags, None)?;
    net::connect(&socket, &target)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::{Protocol, derive_id};
    use std::net::{IpAddr, Ipv4Addr};

    const TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

    fn datagrams() -> Datagrams {
        Datagrams::new(Arc::new(Shared::new().unwrap()))
    }

    fn origin(owner: &str, host_port: u16) -> Origin {
        Origin {
            owner: derive_id(&[owner.as_bytes()]),
            protocol: Protocol::Udp,
            host_port,
        }
    }

    /// Has a peer, told apart by its port, begin a session.
    fn begin(datagrams: &mut Datagrams, owner: &str, peer: u16) -> u64 {
        let address = Ipv4Addr::LOCALHOST.into();
        let local = LocalEnd {
            address,
            interface: 0,
        };
        let conversation = Conversation {
            port: 0,
            peer: SocketAddr::new(address, peer),
            local,
        };
        datagrams
            .number_of(conversation, origin(owner, peer), TARGET)
            .unwrap()
    }

    #[test]
    fn a_session_ends_after_ninety_idle_seconds() {
        let mut datagrams = datagrams();
        assert_eq!(
            datagrams.next_expiry(),
            None,
            "an idle relay does not wake up"
        );
        let first = begin(&mut datagrams, "web", 1);
        begin(&mut datagrams, "web", 2);
        datagrams.touch(first);
        let due = datagrams.next_expiry().unwrap();
        datagrams.expire(due - Duration::from_millis(1));
        assert_eq!(datagrams.sessions.len(), 2);
        datagrams.expire(due);
        assert_eq!(datagrams.sessions.keys().collect::<Vec<_>>(), [&first]);
        datagrams.expire(due + IDLE);
        assert!(datagrams.sessions.is_empty() && datagrams.numbers.is_empty());
        assert_eq!(datagrams.next_expiry(), None);
    }

    #[test]
    fn one_too_many_ends_the_one_idle_longest() {
        let mut datagrams = datagrams();
        crate::raise_file_limit().unwrap();
        let first = begin(&mut datagrams, "web", 0);
        let second = begin(&mut datagrams, "web", 1);
        datagrams.touch(first);
        for peer in 2..=SESSIONS as u16 {
            begin(&mut datagrams, "web", peer);
        }
        assert_eq!(datagrams.sessions.len(), SESSIONS);
        assert!(datagrams.sessions.contains_key(&first));
        assert!(!datagrams.sessions.contains_key(&second));
    }

    #[test]
    fn only_the_sessions_of_an_owner_end_with_it() {
        let mut datagrams = datagrams();
        begin(&mut datagrams, "web", 1);
        let kept = begin(&mut datagrams, "other", 1 + 1);
        let third = begin(&mut datagrams, "other", 3);
        datagrams.end(&[Ending::Owner(derive_id(&[b"web"]))]);
        assert!(datagrams.sessions.contains_key(&third));
        datagrams.end(&[Ending::Port(origin("other", 3))]);
        assert_eq!(datagrams.sessions.keys().collect::<Vec<_>>(), [&kept]);
        assert_eq!((datagrams.numbers.len(), datagrams.oldest.len()), (1, 1));
    }
}
