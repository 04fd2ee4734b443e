//! A process's output and input, over conmon's attach socket.
//!
//! The socket keeps message boundaries. A message from conmon is one byte that names the stream,
//! then what was printed; a message to conmon is input and nothing else. [`Attach`] blocks; an
//! asynchronous front takes the socket with [`Attach::into_fd`] and uses [`decode_frame`] and
//! [`stdin_chunks`].

use crate::layout::Folder;
use crate::{Result, RuntimeError, files};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
    connect as connect_socket, recv, send, shutdown, socket_with,
};
use sealane_core::model::Id;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The longest message conmon sends.
pub const MAX_FRAME: usize = 64 * 1024;
/// The longest message conmon takes whole.
pub const MAX_STDIN: usize = 8 * 1024;

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output; with a terminal, all output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes a message of conmon's apart. `None` for an empty message, which is the end, and for a
/// stream that conmon does not have.
pub fn decode_frame(message: &[u8]) -> Option<(Stream, &[u8])> {
    match message {
        [2, bytes @ ..] => Some((Stream::Stdout, bytes)),
        [3, bytes @ ..] => Some((Stream::Stderr, bytes)),
        _ => None,
    }
}

/// Cuts input into messages that conmon takes whole. Never yields an empty one: that would be
/// the end of input.
pub fn stdin_chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(MAX_STDIN)
}

/// A connection to a process's output and input.
///
/// The holder of one must keep reading: conmon waits for its readers, and the container for it.
/// Dropping it ends the input of a process made with [`crate::Stdin::Once`].
#[derive(Debug)]
pub struct Attach {
    socket: OwnedFd,
}

impl Attach {
    /// Waits for output; `None` once the process has ended and everything was read.
    pub fn read(&self) -> Result<Option<(Stream, Vec<u8>)>> {
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            match recv(&self.socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((length, _)) => {
                    let frame = decode_frame(&buffer[..length]);
                    return Ok(frame.map(|(stream, bytes)| (stream, bytes.to_vec())));
                }
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                Err(errno) => return Err(broken("read", errno)),
            }
        }
    }

    /// Gives input to the process.
    pub fn write_stdin(&self, bytes: &[u8]) -> Result<()> {
        for chunk in stdin_chunks(bytes) {
            while let Err(errno) = send(&self.socket, chunk, SendFlags::NOSIGNAL) {
                if errno != Errno::INTR {
                    return Err(broken("write", errno));
                }
            }
        }
        Ok(())
    }

    /// Ends the input; output goes on. A process made with [`crate::Stdin::Open`] does not
    /// notice.
    pub fn close_stdin(&self) -> Result<()> {
        match shutdown(&self.socket, Shutdown::Write) {
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(errno) => Err(broken("close the input of", errno)),
        }
    }

    /// The socket (`SOCK_SEQPACKET`, blocking), for a caller that polls.
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }
}

impl AsFd for Attach {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Connects to the conmon that has its files here.
pub(crate) fn connect(folder: &Folder) -> Result<Attach> {
    let path = folder.path().join("attach");
    let failed = |errno: Errno| files::failed("connect to", &path)(errno.into());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = open(folder.path(), flags, Mode::empty()).map_err(failed)?;
    // By way of the descriptor, because the address of a socket holds 107 bytes only.
    let short = format!("/proc/self/fd/{}/attach", opened.as_raw_fd());
    let address = SocketAddrUnix::new(short.as_str()).map_err(failed)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    connect_socket(&socket, &address).map_err(failed)?;
    Ok(Attach { socket })
}

/// Sets the size of the terminal, by way of conmon's control fifo.
pub(crate) fn resize(id: &Id, folder: &Folder, height: u16, width: u16) -> Result<()> {
    let control = folder.control();
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = match open(&control, flags, Mode::empty()) {
        Ok(fifo) => fifo,
        Err(Errno::NOENT) => return Err(RuntimeError::NotFound(*id)),
        // It is not open for reading: conmon has ended.
        Err(Errno::NXIO) => return Err(RuntimeError::Ended(*id)),
        Err(errno) => return Err(files::failed("open", &control)(errno.into())),
    };
    let message = format!("1 {height} {width}\n");
    rustix::io::write(&fifo, message.as_bytes())
        .map(drop)
        .map_err(|errno| files::failed("write to", &control)(errno.into()))
}

fn broken(action: &'static str, errno: Errno) -> RuntimeError {
    RuntimeError::File {
        action,
        path: PathBuf::from("the attach socket"),
        source: errno.into(),
    }
}
