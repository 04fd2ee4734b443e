//! The server's streams: taking connections, answering what comes on them, closing them.

use super::{BATCH, Server};
use crate::Tools;
use crate::client::Client;
use crate::poller::{EventFlags, Kind, Serial};
use crate::relay::ReplyTo;
use crate::timers::Timer;
use sealane_core::dns::{Outcome, Transport, answer};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How many connections one sandbox may have; the one worth least makes room,
const MAX_CLIENTS: usize = 64;
/// how many of them may have said nothing yet: the other places are for those that ask,
const MAX_SILENT: usize = 48;
/// and how many all sandboxes may have together; the one that has most makes room.
const MAX_ALL: usize = 1_024;
/// How long a listener rests when there are no descriptors left for another connection.
const REST: Duration = Duration::from_secs(1);

impl Server {
    pub(super) fn accept(&mut self, serial: Serial) {
        for _ in 0..BATCH {
            let Some(resolver) = self.resolvers.get(&serial) else {
                return;
            };
            match resolver.sockets.tcp.accept() {
                Ok((stream, _)) => self.welcome(stream, serial),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return self.rest(serial, &error),
            }
        }
    }

    /// Leaves the connections that cannot be taken where they are, for a while.
    fn rest(&mut self, serial: Serial, error: &io::Error) {
        tracing::warn!(%error, "a resolver takes no connections for a second");
        self.watch_listener(serial, EventFlags::empty());
        self.timers
            .set(Instant::now() + REST, Timer::Listener(serial));
    }

    fn welcome(&mut self, stream: TcpStream, resolver: Serial) {
        self.make_room(resolver);
        let serial = self.poller.serial();
        let client = Client::accept(stream, resolver, Instant::now())
            .and_then(|client| client.register(serial, &self.poller).map(|()| client));
        match client {
            Ok(client) => {
                self.timers.set(client.deadline(), Timer::Client(serial));
                self.clients.insert(serial, client);
                // Its query is often there already: a crowd behind it cannot push it out unread.
                self.serve_client(serial, EventFlags::IN);
            }
            Err(error) => tracing::debug!(%error, "a connection cannot be taken"),
        }
    }

    /// Makes room for another connection of a sandbox.
    fn make_room(&mut self, resolver: Serial) {
        let of = |resolver: Serial| {
            let clients = self.clients.iter();
            clients.filter(move |(_, client)| client.resolver == resolver)
        };
        let silent = of(resolver)
            .filter(|(_, client)| client.is_silent())
            .count();
        let crowded = match silent >= MAX_SILENT || of(resolver).count() >= MAX_CLIENTS {
            true => Some(resolver),
            false if self.clients.len() >= MAX_ALL => self.most_crowded(),
            false => None,
        };
        let crowd = crowded.into_iter().flat_map(of);
        let least = crowd.min_by_key(|(_, client)| client.worth());
        if let Some(least) = least.map(|(serial, _)| *serial) {
            self.clients.remove(&least);
        }
    }

    /// The resolver with most connections.
    fn most_crowded(&self) -> Option<Serial> {
        let mut counts: HashMap<Serial, usize> = HashMap::new();
        for client in self.clients.values() {
            *counts.entry(client.resolver).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(resolver, _)| resolver)
    }

    pub(super) fn watch_listener(&mut self, serial: Serial, interest: EventFlags) {
        let Some(resolver) = self.resolvers.get(&serial) else {
            return;
        };
        let listener = &resolver.sockets.tcp;
        if let Err(error) = self
            .poller
            .modify(listener, Kind::Listener, serial, interest)
        {
            tracing::error!(%error, "a resolver takes no more connections");
        }
    }

    pub(super) fn check_idle(&mut self, serial: Serial) {
        let now = Instant::now();
        let Some(client) = self.clients.get(&serial) else {
            return;
        };
        if client.is_idle(now) {
            self.clients.remove(&serial);
        } else {
            // A deadline in the past is that of a client whose query is still being relayed.
            let again = client.deadline().max(now + REST);
            self.timers.set(again, Timer::Client(serial));
        }
    }

    pub(super) fn serve_client(&mut self, serial: Serial, flags: EventFlags) {
        let Some(client) = self.clients.get_mut(&serial) else {
            return;
        };
        let served = match client.progress(flags, &mut self.buffer, Instant::now()) {
            Ok(queries) => queries
                .iter()
                .try_for_each(|query| self.serve_query(serial, query)),
            Err(error) => Err(error),
        };
        self.keep_or_close(serial, served);
    }

    fn serve_query(&mut self, serial: Serial, query: &[u8]) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&serial) else {
            return Ok(());
        };
        let Some(resolver) = self.resolvers.get(&client.resolver) else {
            return Ok(());
        };
        self.shared.queries.fetch_add(1, Ordering::Relaxed);
        let (view, zones) = (resolver.view.load(), self.shared.zones.load());
        match answer(query, Transport::Tcp, &view, &zones, self.random.seed()) {
            Outcome::Reply(reply) => client.reply(&reply, Instant::now()),
            Outcome::Drop => Ok(()),
            Outcome::Forward(query) => {
                client.relaying();
                let request = resolver.request(ReplyTo::Stream(serial), query, &view, &self.host);
                let (poller, timers) = (&mut self.poller, &mut self.timers);
                let mut tools = Tools {
                    poller,
                    timers,
                    now: Instant::now(),
                };
                self.relay.submit(request, &mut tools);
                Ok(())
            }
        }
    }

    pub(super) fn keep_or_close(&mut self, serial: Serial, served: io::Result<()>) {
        let Some(client) = self.clients.get_mut(&serial) else {
            return;
        };
        match served.and_then(|()| client.watch_on(serial, &self.poller)) {
            Ok(true) => {}
            Ok(false) => drop(self.clients.remove(&serial)),
            Err(error) => {
                tracing::debug!(%error, "a client's connection is closed");
                self.clients.remove(&serial);
            }
        }
    }
}
