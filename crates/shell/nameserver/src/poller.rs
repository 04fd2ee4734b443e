//! The poller: epoll, with names for what it watches.

use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

pub(crate) use rustix::event::epoll::EventFlags;

/// What a watched descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says that there are commands.
    Wake = 0,
    /// A sandbox's UDP socket.
    Datagrams = 1,
    /// A sandbox's TCP listener.
    Listener = 2,
    /// A connection of a client in a sandbox.
    Client = 3,
    /// A UDP socket to an upstream.
    Asker = 4,
    /// A TCP connection to an upstream.
    Line = 5,
}

/// Tells things of one kind apart. A number is never used twice, so a late event of something
/// closed cannot be taken for one of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Serial(u64);

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) kind: Kind,
    pub(crate) serial: Serial,
    pub(crate) flags: EventFlags,
}

/// An epoll instance. Descriptors leave it by being closed.
pub(crate) struct Poller {
    epoll: OwnedFd,
    last_serial: u64,
}

const KIND_BITS: u64 = 3;
/// How many events are fetched at once.
const BATCH: usize = 128;

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll,
            last_serial: 0,
        })
    }

    /// A number that was never used.
    pub(crate) fn serial(&mut self) -> Serial {
        self.last_serial += 1;
        Serial(self.last_serial)
    }

    /// Watches a descriptor until it is closed.
    pub(crate) fn add(
        &self,
        fd: impl AsFd,
        kind: Kind,
        serial: Serial,
        interest: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, data(kind, serial), interest)?)
    }

    /// Watches for something else from now on.
    pub(crate) fn modify(
        &self,
        fd: impl AsFd,
        kind: Kind,
        serial: Serial,
        interest: EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            data(kind, serial),
            interest,
        )?)
    }

    /// Waits until something happens, for as long as it takes without a limit, and fills `ready`.
    pub(crate) fn wait(
        &mut self,
        limit: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        // A limit too long for a Timespec is as good as none.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut events = [MaybeUninit::uninit(); BATCH];
        match epoll::wait(&self.epoll, &mut events[..], limit.as_ref()) {
            Ok((events, _)) => ready.extend(events.iter().filter_map(read_event)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn data(kind: Kind, serial: Serial) -> epoll::EventData {
    epoll::EventData::new_u64(serial.0 << KIND_BITS | kind as u64)
}

fn read_event(event: &epoll::Event) -> Option<Ready> {
    let (data, flags) = (event.data, event.flags);
    let kinds = [
        Kind::Wake,
        Kind::Datagrams,
        Kind::Listener,
        Kind::Client,
        Kind::Asker,
        Kind::Line,
    ];
    let kind = data.u64() & ((1 << KIND_BITS) - 1);
    let kind = kinds.into_iter().find(|known| *known as u64 == kind)?;
    Some(Ready {
        kind,
        serial: Serial(data.u64() >> KIND_BITS),
        flags,
    })
}
