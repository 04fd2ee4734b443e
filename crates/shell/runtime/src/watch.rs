//! Notice of ends: of processes by conmon's exit files, and of conmons that wrote none.
//!
//! A process whose conmon is gone has no reader of its output or of its exit code. It is
//! killed, and its exit file says 137.

use crate::exits::{ExitOf, exec_file, of_container, of_exec};
use crate::identity::Identity;
use crate::layout::Layout;
use crate::{Exit, Result, files};
use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use sealane_core::model::Id;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The exit code of a process that was killed.
const KILLED: &str = "137";
/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

// What is ready, in the epoll set; conmons have higher numbers.
const FILES: u64 = 0;
const STOP: u64 = 1;

/// A process and the conmon that watches over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supervised {
    pub(crate) id: Id,
    pub(crate) of: ExitOf,
    pub(crate) container: Id,
    pub(crate) process: Identity,
    pub(crate) conmon: Identity,
}

/// All watchers of ends. A watcher's thread ends with it.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<Vec<Watcher>>);

#[derive(Debug)]
struct Watcher {
    watches: Watches,
    stop: OwnedFd,
    shared: Arc<Shared>,
}

/// What a watcher and its thread both know.
#[derive(Debug)]
struct Shared {
    layout: Arc<Layout>,
    epoll: OwnedFd,
    watched: Mutex<Watched>,
    /// Set when ends are not reported any more.
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Watched {
    execs: BTreeMap<WatchDescriptor, Id>,
    conmons: BTreeMap<u64, (Supervised, OwnedFd)>,
    numbers: u64,
}

impl Watchers {
    /// Starts to tell of the ends of containers.
    pub(crate) fn add(&self, layout: &Arc<Layout>) -> Result<Receiver<Exit>> {
        let exits = layout.exits();
        let (watcher, inotify) = watcher(layout).map_err(files::failed("watch", &exits))?;
        let (sender, receiver) = channel();
        let stop = watcher
            .stop
            .try_clone()
            .map_err(files::failed("watch", &exits))?;
        let teller = Teller {
            inotify,
            _stop: stop,
            shared: watcher.shared.clone(),
            sender,
        };
        thread::Builder::new()
            .name("exits".into())
            .spawn(move || teller.tell())
            .map_err(files::failed("watch", &exits))?;
        self.all().push(watcher);
        Ok(receiver)
    }

    /// Tells of the end of an exec, too. Its folder exists and it does not run yet.
    pub(crate) fn watch_exec(&self, exec: &Id) -> Result<()> {
        self.all()
            .iter()
            .try_for_each(|watcher| watcher.watch_exec(exec))
    }

    /// Sees to a process whose conmon ends too early.
    pub(crate) fn supervise(&self, supervised: &Supervised) {
        for watcher in self.all().iter() {
            watcher.shared.supervise(supervised);
        }
    }

    /// Leaves a container or an exec alone, before it is deleted.
    pub(crate) fn forget(&self, id: &Id) {
        for watcher in self.all().iter() {
            watcher
                .shared
                .watched()
                .conmons
                .retain(|_, (supervised, _)| supervised.id != *id);
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Watcher>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|watcher| !watcher.shared.ended.load(Ordering::Relaxed));
        all
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for watcher in self.all().iter() {
            // An eventfd refuses only when its counter is full, and then it is readable anyway.
            let _full = rustix::io::write(&watcher.stop, &1_u64.to_ne_bytes());
        }
    }
}

fn watcher(layout: &Arc<Layout>) -> io::Result<(Watcher, Inotify)> {
    let inotify = Inotify::init()?;
    inotify.watches().add(layout.exits(), events())?;
    let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &inotify, EventData::new_u64(FILES), EventFlags::IN)?;
    epoll::add(&epoll, &stop, EventData::new_u64(STOP), EventFlags::IN)?;
    let watched = Mutex::new(Watched {
        numbers: STOP,
        ..Watched::default()
    });
    let ended = AtomicBool::new(false);
    let shared = Arc::new(Shared {
        layout: layout.clone(),
        epoll,
        watched,
        ended,
    });
    Ok((
        Watcher {
            watches: inotify.watches(),
            stop,
            shared,
        },
        inotify,
    ))
}

/// conmon renames an exit file into place when it is whole.
fn events() -> WatchMask {
    WatchMask::MOVED_TO | WatchMask::ONLYDIR
}

impl Watcher {
    fn watch_exec(&self, exec: &Id) -> Result<()> {
        let folder = self.shared.layout.exec(exec);
        // The lock first: an event must find its exec in the map.
        let mut watched = self.shared.watched();
        let descriptor = self
            .watches
            .clone()
            .add(folder.path(), events())
            .map_err(files::failed("watch", folder.path()))?;
        watched.execs.insert(descriptor, *exec);
        Ok(())
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervise(&self, supervised: &Supervised) {
        let mut watched = self.watched();
        let Some(handle) = supervised.conmon.open() else {
            return self.settle(supervised);
        };
        watched.numbers += 1;
        let number = watched.numbers;
        let data = EventData::new_u64(number);
        match epoll::add(&self.epoll, &handle, data, EventFlags::IN) {
            Ok(()) => drop(watched.conmons.insert(number, (*supervised, handle))),
            Err(error) => tracing::warn!(%error, id = %supervised.id, "conmon is not watched"),
        }
    }

    /// A conmon has ended. Its process is forgotten already if it was deleted meanwhile.
    fn conmon_ended(&self, number: u64) {
        let mut watched = self.watched();
        if let Some((supervised, _handle)) = watched.conmons.remove(&number) {
            self.settle(&supervised);
        }
    }

    /// Writes the exit file that a conmon should have written. The caller holds the lock.
    fn settle(&self, supervised: &Supervised) {
        let Supervised {
            id,
            of,
            container,
            process,
            ..
        } = supervised;
        let file = match of {
            ExitOf::Container => self.layout.exit_file(id),
            ExitOf::Exec => exec_file(&self.layout, id, container),
        };
        if file.exists() {
            return;
        }
        tracing::error!(%id, "conmon ended before its process, which is killed now");
        process.kill(PATIENCE);
        if let Err(error) = files::write(&file, KILLED.as_bytes()) {
            tracing::error!(%error, %id, "an end cannot be written down");
        }
    }
}

/// The thread of a watcher.
struct Teller {
    inotify: Inotify,
    /// Kept open as long as it is in the epoll set.
    _stop: OwnedFd,
    shared: Arc<Shared>,
    sender: Sender<Exit>,
}

impl Teller {
    fn tell(mut self) {
        if let Err(error) = self.tell_until_stopped() {
            tracing::error!(%error, "ends of containers are no longer noticed");
        }
        self.shared.ended.store(true, Ordering::Relaxed);
    }

    fn tell_until_stopped(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut ready = Vec::with_capacity(64);
        loop {
            ready.clear();
            match epoll::wait(&self.shared.epoll, spare_capacity(&mut ready), None) {
                Err(Errno::INTR) => continue,
                waited => waited?,
            };
            for event in &ready {
                match event.data.u64() {
                    FILES => {
                        let ended = self.ended(&mut buffer)?;
                        if ended
                            .into_iter()
                            .any(|exit| self.sender.send(exit).is_err())
                        {
                            return Ok(());
                        }
                    }
                    STOP => return Ok(()),
                    number => self.shared.conmon_ended(number),
                }
            }
        }
    }

    fn ended(&mut self, buffer: &mut [u8]) -> io::Result<Vec<Exit>> {
        let events = match self.inotify.read_events(buffer) {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut watched = self.shared.watched();
        let mut ended = Vec::new();
        for event in events {
            if event.mask.contains(inotify::EventMask::IGNORED) {
                watched.execs.remove(&event.wd);
            }
            let name = event.name.and_then(|name| name.to_str());
            // Files on their way to their name are none of ours.
            let Some(id) = name.and_then(|name| Id::try_from(name).ok()) else {
                continue;
            };
            let read = match watched.execs.get(&event.wd) {
                Some(exec) => of_exec(&self.shared.layout, exec, &id),
                None => of_container(&self.shared.layout, &id),
            };
            match read {
                Ok(exit) => ended.extend(exit),
                Err(error) => tracing::warn!(%error, "an exit file cannot be read"),
            }
        }
        Ok(ended)
    }
}
