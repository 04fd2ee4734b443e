//! A client's ends of a process's streams, and the threads that join them to the process.
//!
//! The front is asynchronous and this crate is not: between them are channels. A thread that waits
//! for output also notices when the client goes away.

use crate::ContainerError;
use crate::Containers;
use crate::container::Container;
use crate::detach::{DetachKeys, Leave};
use crate::events::tell;
use crate::locks::lock;
use crate::record::{Record, Status};
use crate::request::{AttachOptions, Attached, Chunk, Stream};
use crate::wait::{Waiter, wait_until};
use crate::wake::Wake;
use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use sealane_runtime::{LogQuery, LogReader, MAX_FRAME, decode_frame, stdin_chunks};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pieces of output under way to a client; more, and the container waits for the client.
const OUTPUT_PIECES: usize = 16;
/// Pieces of input under way to a process.
const INPUT_PIECES: usize = 4;
/// These threads call little.
const STACK_BYTES: usize = 256 << 10;

/// The near ends of an attachment.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) output: mpsc::Sender<Chunk>,
    input: Option<mpsc::Receiver<Bytes>>,
    stdout: bool,
    stderr: bool,
    /// How the client may leave by typing.
    leave: Option<Leave>,
}

impl Ends {
    /// Lets the client leave by typing.
    pub(crate) fn with(self, leave: Option<Leave>) -> Self {
        Self { leave, ..self }
    }
}

/// A client that attached before the process was there.
#[derive(Debug)]
pub(crate) struct Pending {
    ends: Ends,
    past: Option<LogReader>,
}

/// Makes both ends of an attachment; the input only if it is asked for and open.
pub(crate) fn ends(options: &AttachOptions, tty: bool, open_stdin: bool) -> (Attached, Ends) {
    let (output, output_end) = mpsc::channel(OUTPUT_PIECES);
    let input = (options.stdin && open_stdin).then(|| mpsc::channel(INPUT_PIECES));
    let (input, input_end) = input.unzip();
    let attached = Attached {
        tty,
        output: output_end,
        input,
    };
    (
        attached,
        Ends {
            output,
            input: input_end,
            stdout: options.stdout,
            stderr: options.stderr,
            leave: None,
        },
    )
}

/// How long the end of a container may take to be recorded before its clients see the end of its
/// output without that.
const END_RECORDED: Duration = Duration::from_secs(30);

/// Why nothing more is carried to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The process has said everything.
    Process,
    /// The client has left.
    Client,
}

/// Joins a client's ends to a process's socket: first the past, then what comes. `finished` runs
/// when the process has said everything or the client is gone; only then the client sees
/// the end.
pub(crate) fn join(
    ends: Ends,
    past: Option<LogReader>,
    socket: OwnedFd,
    finished: impl FnOnce(Over) + Send + 'static,
) -> io::Result<()> {
    let socket = Arc::new(socket);
    let wake = Wake::new()?;
    let Ends {
        output,
        input,
        stdout,
        stderr,
        leave,
    } = ends;
    let left = Arc::new(AtomicBool::new(false));
    if let Some(input) = input {
        let socket = Arc::clone(&socket);
        let goodbye = (Arc::clone(&left), Arc::clone(&wake));
        spawn("input", move || {
            carry_input(input, &socket, leave, &goodbye)
        })?;
    }
    spawn("output", move || {
        let carrier = Carrier {
            output,
            stdout,
            stderr,
            left,
        };
        let over = match past.is_none_or(|past| carrier.tell_past(past)) {
            true => carrier.carry(&socket, &wake),
            false => Over::Client,
        };
        if carrier.left.load(Ordering::Acquire) {
            // The process runs on; its end is not waited for here.
            drop(carrier);
        }
        finished(over);
    })
}

/// Starts a small thread.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map(drop)
}

struct Carrier {
    output: mpsc::Sender<Chunk>,
    stdout: bool,
    stderr: bool,
    /// The client has typed that it leaves.
    left: Arc<AtomicBool>,
}

impl Carrier {
    /// Sends what was logged until now. Returns whether the client still listens.
    fn tell_past(&self, mut past: LogReader) -> bool {
        loop {
            match past.next_entry() {
                Ok(Some(entry)) if !self.tell(entry.stream, &entry.bytes) => return false,
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "a log cannot be read on");
                    return true;
                }
            }
        }
    }

    /// Sends what a socket says, until its end or until the client is gone.
    fn carry(&self, socket: &OwnedFd, wake: &Arc<Wake>) -> Over {
        let waker = wake.waker();
        let mut closed = pin!(self.output.closed());
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let gone = closed.as_mut().poll(&mut Context::from_waker(&waker));
            if gone.is_ready() || self.left.load(Ordering::Acquire) {
                return Over::Client;
            }
            match recv(socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => match decode_frame(&buffer[..length]) {
                    Some((stream, bytes)) if self.tell(stream, bytes) => {}
                    Some(_) => return Over::Client,
                    None => return Over::Process,
                },
                Err(Errno::AGAIN) => {
                    if let Err(error) = wake.wait_readable(socket) {
                        tracing::warn!(%error, "cannot wait for the output of a process");
                        return Over::Process;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Over::Process,
                Err(error) => {
                    tracing::warn!(%error, "the output of a process cannot be read on");
                    return Over::Process;
                }
            }
        }
    }

    /// Sends a piece of output if it is asked for. Returns whether the client still listens.
    fn tell(&self, stream: sealane_runtime::Stream, bytes: &[u8]) -> bool {
        let (stream, wanted) = match stream {
            sealane_runtime::Stream::Stdout => (Stream::Stdout, self.stdout),
            sealane_runtime::Stream::Stderr => (Stream::Stderr, self.stderr),
        };
        let bytes = Bytes::copy_from_slice(bytes);
        !wanted || self.output.blocking_send(Chunk { stream, bytes }).is_ok()
    }
}

/// Hands input to a process until the client closes its half or leaves, or the process closes its
/// own. A client that leaves sees so by the end of its output.
fn carry_input(
    mut input: mpsc::Receiver<Bytes>,
    socket: &OwnedFd,
    mut leave: Option<Leave>,
    (left, wake): &(Arc<AtomicBool>, Arc<Wake>),
) {
    while let Some(bytes) = input.blocking_recv() {
        let (bytes, leaves) = match &mut leave {
            Some(leave) => leave.typed(&bytes),
            None => (bytes, false),
        };
        if !hand_on(&bytes, socket) {
            return;
        }
        if leaves {
            leave.into_iter().for_each(Leave::tell);
            left.store(true, Ordering::Release);
            wake.ring();
            return;
        }
    }
    if leave.is_some_and(|leave| !hand_on(&leave.rest(), socket)) {
        return;
    }
    match shutdown(socket, Shutdown::Write) {
        Ok(()) | Err(Errno::NOTCONN) => {}
        Err(errno) => tracing::debug!(%errno, "the input of a process cannot be closed"),
    }
}

/// Hands a piece of input to a process. Returns whether it still reads.
fn hand_on(bytes: &Bytes, socket: &OwnedFd) -> bool {
    for chunk in stdin_chunks(bytes) {
        while let Err(errno) = send(socket, chunk, SendFlags::NOSIGNAL) {
            if errno != Errno::INTR {
                tracing::debug!(%errno, "a process does not read its input any more");
                return false;
            }
        }
    }
    true
}

impl Containers {
    /// Opens a container's streams. One that does not run yet is attached to when it starts, so
    /// that nothing it writes is lost.
    pub fn attach(
        &self,
        reference: &str,
        options: AttachOptions,
    ) -> Result<Attached, ContainerError> {
        let container = self.registry.find(reference)?;
        let record = container.record();
        if record.state.status == Status::Restarting {
            return Err(ContainerError::Conflict(format!(
                "container {reference} is restarting, wait until the container is running"
            )));
        }
        let open_stdin = record.config.open_stdin.unwrap_or_default();
        let (attached, ends) = ends(&options, record.tty(), open_stdin);
        let ends = ends.with(
            record
                .tty()
                .then(|| self.leave(options.detach_keys, &record)),
        );
        let past = match options.logs {
            true => Some(
                self.parts
                    .processes
                    .read_logs(&record.id, LogQuery::default())?,
            ),
            false => None,
        };
        match options.stream {
            true => self.join_or_wait(&container, ends, past)?,
            false => self.tell_past_only(ends, past)?,
        }
        self.tell(&record, "attach", []);
        Ok(attached)
    }

    /// What a client types to leave a container's terminal.
    fn leave(&self, keys: DetachKeys, record: &Arc<Record>) -> Leave {
        let (events, record) = (self.events.clone(), Arc::clone(record));
        Leave::new(keys, move || tell(&events, &record, "detach", []))
    }

    /// Joins a client to a process that is there, or lets it wait for the start.
    fn join_or_wait(
        &self,
        container: &Container,
        ends: Ends,
        past: Option<LogReader>,
    ) -> Result<(), ContainerError> {
        // A start joins those who wait under this lock, after its process is made: a waiter that does
        // not see the process here is seen there.
        let mut pending = lock(&container.pending);
        // Before the look at the process: an end that is recorded after it is sent to this one.
        let recorded = lock(&container.waiters).add_run();
        match self.parts.processes.state(&container.id)? {
            Some(state) if state.alive => {
                let socket = self.parts.processes.attach(&container.id)?;
                join(ends, past, socket, after(recorded)).map_err(no_thread)
            }
            // It has just ended, and so have its streams.
            Some(_) => self.tell_past_only(ends, past),
            None => {
                pending.push(Pending { ends, past });
                Ok(())
            }
        }
    }

    fn tell_past_only(&self, ends: Ends, past: Option<LogReader>) -> Result<(), ContainerError> {
        let Some(past) = past else { return Ok(()) };
        let Ends {
            output,
            stdout,
            stderr,
            ..
        } = ends;
        let carrier = Carrier {
            output,
            stdout,
            stderr,
            left: Arc::default(),
        };
        let tell = move || {
            // Whether the client still listened at the end makes no difference.
            let _ = carrier.tell_past(past);
        };
        spawn("log", tell).map_err(no_thread)
    }

    /// Joins those who attached before the start to the process that was just made.
    pub(crate) fn join_pending(&self, container: &Container) -> Result<(), ContainerError> {
        let mut pending = lock(&container.pending);
        for Pending { ends, past } in pending.drain(..) {
            if ends.output.is_closed() {
                continue;
            }
            let recorded = lock(&container.waiters).add_run();
            let socket = self.parts.processes.attach(&container.id)?;
            join(ends, past, socket, after(recorded)).map_err(no_thread)?;
        }
        Ok(())
    }
}

/// Holds the end of a container's output back until its record says how it ended and its endpoints
/// are released: what a client asks next is answered by that.
fn after(recorded: Waiter) -> impl FnOnce(Over) + Send + 'static {
    move |over| {
        let deadline = Instant::now().checked_add(END_RECORDED);
        if over == Over::Process && wait_until(recorded, deadline).is_none() {
            tracing::debug!("the end of a container is told before it is recorded");
        }
    }
}

fn no_thread(error: io::Error) -> ContainerError {
    ContainerError::failed(
        "no thread could be started for the streams of a container",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::sync::mpsc::channel;

    fn all() -> AttachOptions {
        AttachOptions {
            stream: true,
            stdin: true,
            stdout: true,
            stderr: true,
            ..AttachOptions::default()
        }
    }

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn say(socket: &OwnedFd, message: &[u8]) {
        send(socket, message, SendFlags::empty()).unwrap();
    }

    #[test]
    fn output_and_input_are_carried_until_the_process_ends() {
        let (ours, process) = pair();
        let (mut attached, ends) = ends(&all(), false, true);
        let (told, finished) = channel();
        join(ends, None, ours, move |over| told.send(over).unwrap()).unwrap();

        say(&process, b"\x02out");
        say(&process, b"\x03err");
        let chunk = attached.output.blocking_recv().unwrap();
        assert_eq!(
            (chunk.stream, &chunk.bytes[..]),
            (Stream::Stdout, &b"out"[..])
        );
        assert_eq!(
            attached.output.blocking_recv().unwrap().stream,
            Stream::Stderr
        );

        let input = attached.input.take().unwrap();
        input.blocking_send(Bytes::from_static(b"in")).unwrap();
        drop(input);
        let mut buffer = [0; 8];
        let (length, _) = recv(&process, &mut buffer[..], RecvFlags::empty()).unwrap();
        assert_eq!(&buffer[..length], b"in");
        let (length, _) = recv(&process, &mut buffer[..], RecvFlags::empty()).unwrap();
        assert_eq!(length, 0, "the input has ended");

        say(&process, b"\x02more");
        drop(process);
        assert_eq!(&attached.output.blocking_recv().unwrap().bytes[..], b"more");
        assert_eq!(attached.output.blocking_recv(), None);
        assert_eq!(finished.recv().unwrap(), Over::Process);
    }

    #[test]
    fn a_client_that_goes_away_is_noticed_while_nothing_is_said() {
        let (ours, process) = pair();
        let (attached, ends) = ends(&all(), false, false);
        assert!(attached.input.is_none(), "there is no input to be had");
        let (told, finished) = channel();
        join(ends, None, ours, move |over| told.send(over).unwrap()).unwrap();
        drop(attached);
        assert_eq!(finished.recv().unwrap(), Over::Client);
        let (length, _) = recv(&process, &mut [0; 8][..], RecvFlags::empty()).unwrap();
        assert_eq!(length, 0, "our end is closed");
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        let (ours, process) = pair();
        let options = AttachOptions {
            stdout: false,
            ..all()
        };
        let (mut attached, ends) = ends(&options, false, false);
        join(ends, None, ours, |_| {}).unwrap();
        say(&process, b"\x02out");
        say(&process, b"\x03err");
        drop(process);
        assert_eq!(
            attached.output.blocking_recv().unwrap().stream,
            Stream::Stderr
        );
        assert_eq!(attached.output.blocking_recv(), None);
    }

    #[test]
    fn a_client_leaves_by_its_keys_and_the_process_keeps_its_input() {
        let (ours, process) = pair();
        let (mut attached, ends) = ends(&all(), true, true);
        let (told, left) = channel();
        let leave = Leave::new(DetachKeys::default(), move || told.send(()).unwrap());
        let (ended, finished) = channel();
        join(ends.with(Some(leave)), None, ours, move |over| {
            ended.send(over).unwrap()
        })
        .unwrap();
        let input = attached.input.take().unwrap();
        input.blocking_send(Bytes::from_static(b"in\x10")).unwrap();
        input.blocking_send(Bytes::from_static(b"\x11on")).unwrap();
        left.recv().unwrap();
        assert_eq!(attached.output.blocking_recv(), None);
        assert_eq!(finished.recv().unwrap(), Over::Client);
        let mut buffer = [0; 8];
        let (length, _) = recv(&process, &mut buffer[..], RecvFlags::empty()).unwrap();
        assert_eq!(&buffer[..length], b"in", "and no key of the others");
    }
}
