//! The pid file: says which process the daemon is, and keeps a second one away.

use super::error::{DaemonError, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A pid file that is held. It is removed when the daemon ends in order; after a crash the lock is
/// gone with the process, so that a number that another process has got by now does no harm.
pub(crate) struct Pidfile {
    path: PathBuf,
    _locked: File,
}

impl Pidfile {
    /// Takes the file and writes the process id.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let failed = |source| DaemonError::Pidfile {
            path: path.into(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = holder(&mut file);
                return Err(DaemonError::PidfileTaken {
                    path: path.into(),
                    pid,
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        write(&mut file).map_err(failed)?;
        Ok(Self {
            path: path.into(),
            _locked: file,
        })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the pid file stays");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().into(),
        Ok(_) | Err(_) => "of unknown number".into(),
    }
}

fn write(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/daemon.pid");
        let first = Pidfile::take(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
        let Err(DaemonError::PidfileTaken { pid, .. }) = Pidfile::take(&path) else {
            panic!("a second daemon took the pid file");
        };
        assert_eq!(pid, std::process::id().to_string());
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_crash_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.pid");
        fs::write(&path, "1").unwrap();
        Pidfile::take(&path).expect("nobody holds it");
    }
}
