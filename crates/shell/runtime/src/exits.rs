//! How processes end: conmon's exit files, and notice of new ones.

use crate::layout::Layout;
use crate::{Result, RuntimeError, files};
use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};
use jiff::Timestamp;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use sealane_core::model::Id;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitOf {
    /// A container's first process.
    Container,
    /// A program run in a container besides.
    Exec,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Of which container, or of which exec.
    pub id: Id,
    /// Which of the two.
    pub of: ExitOf,
    /// Its exit code; 128 + the signal that killed it.
    pub code: i32,
    /// When it ended.
    pub at: Timestamp,
    /// Whether the kernel killed something in the container for want of memory.
    pub oom: bool,
}

/// How a container ended; `None` if conmon has not written it down.
pub(crate) fn of_container(layout: &Layout, id: &Id) -> Result<Option<Exit>> {
    let oom = layout.container(id).oom().exists();
    let read = read(&layout.exit_file(id))?;
    Ok(read.map(|(code, at)| Exit {
        id: *id,
        of: ExitOf::Container,
        code,
        at,
        oom,
    }))
}

/// How an exec ended; its folder holds the exit file, named after the container.
pub(crate) fn of_exec(layout: &Layout, exec: &Id, container: &Id) -> Result<Option<Exit>> {
    let read = read(&layout.exec(exec).path().join(container.to_string()))?;
    Ok(read.map(|(code, at)| Exit {
        id: *exec,
        of: ExitOf::Exec,
        code,
        at,
        oom: false,
    }))
}

fn read(path: &Path) -> Result<Option<(i32, Timestamp)>> {
    let Some(bytes) = files::read(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let code = text.trim().parse().map_err(|_| RuntimeError::Damaged {
        path: path.into(),
        reason: format!("\"{}\" is not an exit code", text.trim()),
    })?;
    let Some(about) = files::present(fs::metadata(path)).map_err(files::failed("look at", path))?
    else {
        return Ok(None);
    };
    let at = about.modified().map_err(files::failed("look at", path))?;
    Ok(Some((
        code,
        Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH),
    )))
}

/// Everyone who wants to know of ends. A watcher's thread ends with it.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<Vec<Watcher>>);

#[derive(Debug)]
struct Watcher {
    watches: Watches,
    execs: Arc<Mutex<BTreeMap<WatchDescriptor, Id>>>,
    stop: OwnedFd,
}

impl Watchers {
    /// Starts to tell of ends.
    pub(crate) fn add(&self, layout: Arc<Layout>) -> Result<Receiver<Exit>> {
        let exits = layout.exits();
        let watch = |source| files::failed("watch", &exits)(source);
        let inotify = Inotify::init().map_err(watch)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| watch(errno.into()))?;
        let ours = stop.try_clone().map_err(watch)?;
        inotify.watches().add(&exits, events()).map_err(watch)?;
        let watcher = Watcher {
            watches: inotify.watches(),
            execs: Arc::default(),
            stop,
        };
        let (sender, receiver) = channel();
        let teller = Teller {
            inotify,
            stop: ours,
            execs: watcher.execs.clone(),
            layout,
            sender,
        };
        for name in files::names(&teller.layout.execs())? {
            if let Ok(exec) = Id::try_from(name.as_str()) {
                watcher.watch_exec(&teller.layout, &exec)?;
            }
        }
        thread::Builder::new()
            .name("exits".into())
            .spawn(move || teller.tell())
            .map_err(watch)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watcher);
        Ok(receiver)
    }

    /// Tells of the end of an exec, too. Its folder exists and it does not run yet.
    pub(crate) fn watch_exec(&self, layout: &Layout, exec: &Id) -> Result<()> {
        let watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watchers
            .iter()
            .try_for_each(|watcher| watcher.watch_exec(layout, exec))
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for watcher in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // An eventfd refuses only when its counter is full, and then it is readable anyway.
            let _full = rustix::io::write(&watcher.stop, &1_u64.to_ne_bytes());
        }
    }
}

impl Watcher {
    fn watch_exec(&self, layout: &Layout, exec: &Id) -> Result<()> {
        let folder = layout.exec(exec);
        // The lock first: an event must find its exec in the map.
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = self
            .watches
            .clone()
            .add(folder.path(), events())
            .map_err(files::failed("watch", folder.path()))?;
        execs.insert(descriptor, *exec);
        Ok(())
    }
}

/// conmon renames an exit file into place when it is whole.
fn events() -> WatchMask {
    WatchMask::MOVED_TO | WatchMask::ONLYDIR
}

struct Teller {
    inotify: Inotify,
    stop: OwnedFd,
    execs: Arc<Mutex<BTreeMap<WatchDescriptor, Id>>>,
    layout: Arc<Layout>,
    sender: Sender<Exit>,
}

impl Teller {
    fn tell(mut self) {
        let mut buffer = vec![0; 64 * 1024];
        while self.wait() {
            let ended = match self.ended(&mut buffer) {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "ends of containers are no longer noticed");
                    return;
                }
            };
            for exit in ended {
                if self.sender.send(exit).is_err() {
                    return;
                }
            }
        }
    }

    /// Waits for events. False when it is time to stop.
    fn wait(&self) -> bool {
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN),
                PollFd::new(&self.stop, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "ends of containers are no longer noticed");
                    return false;
                }
                Ok(_) => return polled[1].revents().is_empty(),
            }
        }
    }

    fn ended(&mut self, buffer: &mut [u8]) -> io::Result<Vec<Exit>> {
        let events = match self.inotify.read_events(buffer) {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        for event in events {
            if event.mask.contains(inotify::EventMask::IGNORED) {
                execs.remove(&event.wd);
            }
            let name = event.name.and_then(|name| name.to_str());
            // Files on their way to their name are none of ours.
            let Some(id) = name.and_then(|name| Id::try_from(name).ok()) else {
                continue;
            };
            let read = match execs.get(&event.wd) {
                Some(exec) => of_exec(&self.layout, exec, &id),
                None => of_container(&self.layout, &id),
            };
            match read {
                Ok(exit) => ended.extend(exit),
                Err(error) => tracing::warn!(%error, "an exit file cannot be read"),
            }
        }
        Ok(ended)
    }
}
