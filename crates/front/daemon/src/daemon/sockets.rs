//! The sockets that the daemon listens on: made, or passed by systemd.

use super::error::{DaemonError, Result};
use super::passed::Passed;
use crate::config::{Config, Host};
use rustix::fs::{Gid, Mode, chown};
use rustix::net::{AddressFamily, getsockname};
use rustix::process::umask;
use sealane_docker_api::{Listener, load_tls};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tokio_rustls::TlsAcceptor;

/// The group that may use the socket, where it exists.
const USUAL_GROUP: &str = "docker";
/// Who may use a unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// Sockets that are open, and not yet served.
pub(crate) struct Sockets {
    open: Vec<Open>,
    tls: Option<TlsAcceptor>,
    /// Files to remove at the end.
    files: Vec<PathBuf>,
}

enum Open {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Sockets {
    /// Opens everything that the settings name. Clients may connect from now on; they are answered
    /// once the daemon serves.
    pub(crate) fn open(config: &Config, mut passed: Vec<Passed>) -> Result<Self> {
        let group = group(config.group.as_deref())?;
        let mut sockets = Self {
            open: Vec::new(),
            tls: None,
            files: Vec::new(),
        };
        for host in &config.hosts {
            match host {
                Host::Unix(path) => sockets.open_unix(path, group)?,
                Host::Tcp(address) => {
                    let listener = TcpListener::bind(address).map_err(listen(address))?;
                    sockets.open.push(Open::Tcp(listener));
                }
                Host::Passed(name) => sockets.open.extend(chosen(&mut passed, name.as_deref())?),
            }
        }
        // Certificates that no socket needs may be absent.
        let needed = |open: &Open| matches!(open, Open::Tcp(_));
        if let Some(files) = config.tls.as_ref()
            && sockets.open.iter().any(needed)
        {
            sockets.tls = Some(load_tls(files).map_err(DaemonError::Tls)?);
        }
        Ok(sockets)
    }

    fn open_unix(&mut self, path: &Path, group: Option<Gid>) -> Result<()> {
        let address = path.display().to_string();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(listen(&address))?;
        }
        remove_stale(path)?;
        // No client gets in before the mode and the group are right.
        let before = umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(listen(&address))?;
        self.files.push(path.into());
        if let Some(group) = group {
            chown(path, None, Some(group)).map_err(|error| listen(&address)(error.into()))?;
        }
        let mode = fs::Permissions::from_mode(SOCKET_MODE);
        fs::set_permissions(path, mode).map_err(listen(&address))?;
        self.open.push(Open::Unix(listener));
        Ok(())
    }

    /// Hands the sockets to the event loop.
    pub(crate) fn listeners(&mut self) -> Result<Vec<Listener>> {
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .map(|socket| self.listener(socket))
            .collect()
    }

    fn listener(&self, socket: Open) -> Result<Listener> {
        match socket {
            Open::Unix(socket) => {
                let ready = socket.set_nonblocking(true);
                let ready = ready.and_then(|()| tokio::net::UnixListener::from_std(socket));
                Ok(Listener::Unix(ready.map_err(listen("a unix socket"))?))
            }
            Open::Tcp(socket) => {
                let Some(tls) = self.tls.clone() else {
                    // A passed TCP socket is the one way to get here.
                    let reason = "a TCP socket was passed, which is served with --tlsverify only";
                    return Err(DaemonError::NotPassed(reason.into()));
                };
                let ready = socket.set_nonblocking(true);
                let ready = ready.and_then(|()| tokio::net::TcpListener::from_std(socket));
                Ok(Listener::Tls(ready.map_err(listen("a TCP socket"))?, tls))
            }
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in &self.files {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(%error, path = %path.display(), "the socket's file stays");
            }
        }
    }
}

fn listen(address: &str) -> impl FnOnce(io::Error) -> DaemonError + use<> {
    let address = address.to_owned();
    move |source| DaemonError::Listen { address, source }
}

/// Refuses sockets that another daemon serves. Changes nothing.
pub(crate) fn refuse_taken(hosts: &[Host]) -> Result<()> {
    let paths = hosts.iter().filter_map(|host| match host {
        Host::Unix(path) => Some(path),
        Host::Passed(_) | Host::Tcp(_) => None,
    });
    for path in paths {
        if UnixStream::connect(path).is_ok() {
            return Err(DaemonError::SocketTaken { path: path.clone() });
        }
    }
    Ok(())
}

/// Removes a socket without a listener, as a killed daemon leaves it.
fn remove_stale(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let address = path.display().to_string();
    if !found.file_type().is_socket() {
        let reason = io::Error::other("there is something else than a socket");
        return Err(listen(&address)(reason));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(DaemonError::SocketTaken { path: path.into() });
    }
    fs::remove_file(path).map_err(listen(&address))
}

/// The group of unix sockets; `None` leaves them root's.
fn group(wanted: Option<&str>) -> Result<Option<Gid>> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let Some(name) = wanted else {
        return Ok(gid(&groups, USUAL_GROUP));
    };
    if name.is_empty() {
        return Ok(None);
    }
    let number = name.parse().ok().map(Gid::from_raw);
    match gid(&groups, name).or(number) {
        Some(gid) => Ok(Some(gid)),
        None => Err(DaemonError::NoGroup(name.into())),
    }
}

/// The number of a group in /etc/group (group(5)).
fn gid(groups: &str, name: &str) -> Option<Gid> {
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok().map(Gid::from_raw)
}

/// The sockets that systemd passed, all of them or those of one name or number.
fn chosen(passed: &mut Vec<Passed>, wanted: Option<&str>) -> Result<Vec<Open>> {
    let is_wanted = |socket: &mut Passed| {
        wanted.is_none_or(|wanted| wanted == socket.name || wanted == socket.number)
    };
    let failed = |error: io::Error| DaemonError::NotPassed(error.to_string());
    let found = passed.extract_if(.., is_wanted);
    let sockets: Vec<Open> = found
        .map(|passed| kind(passed.socket).map_err(failed))
        .collect::<Result<_>>()?;
    if sockets.is_empty() {
        return Err(DaemonError::NotPassed("no such socket was passed".into()));
    }
    Ok(sockets)
}

fn kind(socket: OwnedFd) -> io::Result<Open> {
    match getsockname(&socket)?.address_family() {
        AddressFamily::UNIX => Ok(Open::Unix(socket.into())),
        AddressFamily::INET | AddressFamily::INET6 => Ok(Open::Tcp(socket.into())),
        _ => Err(io::Error::other(
            "a socket was passed that is neither unix nor TCP",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_name() {
        let groups = "root:x:0:\ndocker:x:998:a,b\nshort\n";
        assert_eq!(gid(groups, "docker"), Some(Gid::from_raw(998)));
        assert_eq!(gid(groups, "short"), None);
        assert_eq!(gid(groups, "nosuch"), None);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let live = UnixListener::bind(&path).unwrap();
        assert!(matches!(
            remove_stale(&path),
            Err(DaemonError::SocketTaken { .. })
        ));
        drop(live);
        remove_stale(&path).unwrap();
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(matches!(
            remove_stale(&path),
            Err(DaemonError::Listen { .. })
        ));
    }
}
