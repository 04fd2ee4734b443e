//! One process at a time per data root: a daemon for its life, others for one call.

use crate::private::private;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often the file is looked at while another holds it.
const LOOK: Duration = Duration::from_millis(20);
/// A daemon that is seen so often is there to stay: what a dead one wrote may still be read for a
/// moment after another has taken the lock.
const LOOKS: u32 = 4;
/// What stands behind the process id of one who leaves soon.
const CALL: &str = "call";

/// For how long a process takes a data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// A daemon's life.
    Daemon,
    /// One call.
    Call,
}

/// Who holds a data root, as far as it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub process: Option<u32>,
    /// For how long.
    pub tenure: Tenure,
}

/// Holding one means that no other process uses the data root. The kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub(crate) struct RootLock(File);

/// Why a data root could not be locked.
pub(crate) enum LockError {
    /// Another process holds it.
    Held(Holder),
    Io(io::Error),
}

impl RootLock {
    /// Takes the lock. Who holds it for one call is waited for, so long; a daemon is not.
    pub(crate) fn take(path: &Path, mine: Tenure, patience: Duration) -> Result<Self, LockError> {
        let file = open(path).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Self::held(file, mine),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let end = Instant::now() + patience;
        let turn = queue(file).map_err(LockError::Io)?;
        let mut looks = 0;
        loop {
            match turn.recv_timeout(LOOK) {
                Ok(taken) => return Self::held(taken.map_err(LockError::Io)?, mine),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "the thread that waits for the lock has ended";
                    return Err(LockError::Io(io::Error::other(why)));
                }
            }
            let holder = holder(path);
            let stays = holder.tenure == Tenure::Daemon && holder.process.is_some_and(lives);
            looks = if stays { looks + 1 } else { 0 };
            if looks >= LOOKS || Instant::now() >= end {
                return Err(LockError::Held(holder));
            }
        }
    }

    fn held(mut file: File, mine: Tenure) -> Result<Self, LockError> {
        write_holder(&mut file, mine).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

impl Drop for RootLock {
    fn drop(&mut self) {
        // The next reader is not to take this process for the holder.
        if let Err(error) = self.0.set_len(0) {
            tracing::debug!(%error, "the lock still names this process");
        }
    }
}

/// Waits for the lock on a thread of its own, which ends when it has it. If it is no longer waited for
/// by then, the lock is let go of.
fn queue(file: File) -> io::Result<Receiver<io::Result<File>>> {
    let (sender, turn) = channel();
    let wait = move || {
        let taken = loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => break Err(error.into()),
                Ok(()) => break Ok(file),
            }
        };
        drop(sender.send(taken));
    };
    thread::Builder::new().name("queue".into()).spawn(wait)?;
    Ok(turn)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    private(options).open(path)
}

/// Who the file says holds the lock. A file that says nothing is of one who comes or goes.
fn holder(path: &Path) -> Holder {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|word| word.parse().ok());
    let for_a_call = words.next() == Some(CALL) || process.is_none() || read.is_err();
    let tenure = if for_a_call {
        Tenure::Call
    } else {
        Tenure::Daemon
    };
    Holder { process, tenure }
}

fn lives(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// On a full disk it is left out: the lock itself needs no room.
fn write_holder(file: &mut File, mine: Tenure) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let process = std::process::id();
    let text = match mine {
        Tenure::Daemon => format!("{process}\n"),
        Tenure::Call => format!("{process} {CALL}\n"),
    };
    match file.write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(30);

    fn take(path: &Path, mine: Tenure, patience: Duration) -> Result<RootLock, Holder> {
        RootLock::take(path, mine, patience).map_err(|error| match error {
            LockError::Held(holder) => holder,
            LockError::Io(error) => panic!("{error}"),
        })
    }

    #[test]
    fn a_daemon_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _daemon = take(&path, Tenure::Daemon, LONG).unwrap();
        for tenure in [Tenure::Daemon, Tenure::Call] {
            let holder = take(&path, tenure, LONG).unwrap_err();
            assert_eq!(holder.tenure, Tenure::Daemon);
            assert_eq!(holder.process, Some(std::process::id()));
        }
    }

    #[test]
    fn a_call_is_waited_for_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let call = take(&path, Tenure::Call, LONG).unwrap();
        let holder = take(&path, Tenure::Daemon, SHORT).unwrap_err();
        assert_eq!(holder.tenure, Tenure::Call);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&path, Tenure::Daemon, LONG));
            thread::sleep(SHORT);
            drop(call);
            waiting.join().unwrap().expect("the call has left");
        });
    }

    #[test]
    fn what_a_dead_daemon_wrote_keeps_nobody_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, format!("{}\n", u32::MAX)).unwrap();
        let file = open(&path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&path, Tenure::Call, LONG));
            thread::sleep(LOOK * (LOOKS + 2));
            drop(file);
            waiting.join().unwrap().expect("the dead one holds nothing");
        });
    }
}
