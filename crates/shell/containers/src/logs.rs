//! Reading a container's log, and following it while the container runs.

use crate::attach::spawn;
use crate::container::Container;
use crate::locks::lock;
use crate::record::Status;
use crate::request::{Chunk, LogOptions, Logs, Stream};
use crate::wake::Wake;
use crate::{ContainerError, Containers};
use bytes::Bytes;
use inotify::{Inotify, WatchMask};
use jiff::Timestamp;
use sealane_runtime::{LogEntry, LogQuery, LogReader};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;
use tokio::sync::mpsc;

/// Entries under way to a client.
const ENTRIES: usize = 64;
/// What notices of a change fit in.
const NOTICE_BYTES: usize = 1024;

impl Containers {
    /// Reads a container's log.
    pub fn logs(&self, reference: &str, options: &LogOptions) -> Result<Logs, ContainerError> {
        let container = self.registry.find(reference)?;
        let record = container.record();
        let query = LogQuery {
            tail: options.tail,
            since: options.since,
            until: options.until,
        };
        let reader = self.parts.processes.read_logs(&record.id, query)?;
        let (output, receiver) = mpsc::channel(ENTRIES);
        let past = options.until.is_some_and(|until| until <= Timestamp::now());
        let follow = options.follow && !past && record.state.status == Status::Running;
        let feed = Feed {
            reader,
            options: options.clone(),
            output,
        };
        let started = match follow {
            true => feed.follow(container),
            false => spawn("log", move || drop(feed.all())),
        };
        started.map_err(|error| {
            ContainerError::failed(format!("the log of {} cannot be read", record.name), error)
        })?;
        Ok(Logs {
            tty: record.tty(),
            output: receiver,
        })
    }
}

struct Feed {
    reader: LogReader,
    options: LogOptions,
    output: mpsc::Sender<Chunk>,
}

impl Feed {
    /// Sends all there is. `None` when the client is gone.
    fn all(mut self) -> Option<Self> {
        loop {
            match self.reader.next_entry() {
                Ok(Some(entry)) => {
                    let Some(chunk) = chunk(entry, &self.options) else {
                        continue;
                    };
                    self.output.blocking_send(chunk).ok()?;
                }
                Ok(None) => return Some(self),
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "a log cannot be read on");
                    return None;
                }
            }
        }
    }

    /// Sends all there is and all that comes, until the container ends or the time is over.
    fn follow(self, container: Arc<Container>) -> io::Result<()> {
        let wake = Wake::new()?;
        let inotify = Inotify::init()?;
        inotify
            .watches()
            .add(self.reader.path(), WatchMask::MODIFY)?;
        lock(&container.waiters).add_follower(&wake);
        spawn("log", move || {
            if let Err(error) = self.follow_with(&container, &wake, inotify) {
                tracing::warn!(%error, "a log cannot be followed");
            }
        })
    }

    fn follow_with(
        mut self,
        container: &Container,
        wake: &Arc<Wake>,
        mut inotify: Inotify,
    ) -> io::Result<()> {
        let waker = wake.waker();
        let output = self.output.clone();
        let mut closed = pin!(output.closed());
        let mut notices = [0; NOTICE_BYTES];
        loop {
            // Asked before reading: what was written before the end is read after it.
            let running = container.record().state.status == Status::Running;
            let left = self.options.until.map(time_until);
            match self.all() {
                Some(feed) => self = feed,
                None => return Ok(()),
            }
            if !running
                || left.is_some_and(|left| left.is_zero())
                || closed
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            {
                return Ok(());
            }
            wake.wait_readable_for(&inotify, left)?;
            match inotify.read_events(&mut notices) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How long it is until then; nothing if that has passed.
fn time_until(then: Timestamp) -> Duration {
    let left = Timestamp::now().duration_until(then);
    Duration::try_from(left).unwrap_or_default()
}

/// An entry as clients see it, if they asked for its stream.
fn chunk(entry: LogEntry, options: &LogOptions) -> Option<Chunk> {
    let (stream, wanted) = match entry.stream {
        sealane_runtime::Stream::Stdout => (Stream::Stdout, options.stdout),
        sealane_runtime::Stream::Stderr => (Stream::Stderr, options.stderr),
    };
    let bytes = match options.timestamps && !entry.continues {
        true => [format!("{:.9} ", entry.at).into_bytes(), entry.bytes].concat(),
        false => entry.bytes,
    };
    wanted.then(|| Chunk {
        stream,
        bytes: Bytes::from(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(continues: bool) -> LogEntry {
        LogEntry {
            at: "2024-05-06T07:08:09.5Z".parse().unwrap(),
            stream: sealane_runtime::Stream::Stderr,
            bytes: b"hello\n".to_vec(),
            continues,
        }
    }

    #[test]
    fn times_stand_before_whole_lines() {
        let options = LogOptions {
            stderr: true,
            timestamps: true,
            ..LogOptions::default()
        };
        let text = |continues| chunk(entry(continues), &options).unwrap().bytes;
        assert_eq!(&text(false)[..], b"2024-05-06T07:08:09.500000000Z hello\n");
        assert_eq!(&text(true)[..], b"hello\n");
    }

    #[test]
    fn other_streams_are_left_out() {
        let options = LogOptions {
            stdout: true,
            ..LogOptions::default()
        };
        assert_eq!(chunk(entry(false), &options), None);
    }
}
