//! Simulated hosts and the LAN between them.

use crate::Host;
use rustix::process::getpid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Hosts on a LAN of their own. Everything on them is gone when this is dropped, and also when the
/// process that holds it is killed: the namespaces live as long as a pipe to them is open.
#[derive(Debug)]
pub struct Lab {
    id: String,
    lan: Host,
    peer: Host,
    hosts: Vec<Host>,
    keeper: Child,
    lifeline: Option<ChildStdin>,
}

impl Lab {
    /// Makes a lab with one host.
    #[expect(
        clippy::new_without_default,
        reason = "it makes namespaces; that is no default"
    )]
    pub fn new() -> Self {
        Self::with_hosts(1)
    }

    /// Makes a lab with several hosts.
    ///
    /// # Panics
    /// When this process may not make namespaces.
    pub fn with_hosts(count: usize) -> Self {
        let id = new_id();
        let mut keeper = Command::new(repository().join("tools/lab"))
            .arg(&id)
            .arg(count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C ends the tests; the keeper stays to clean up after them.
            .process_group(0)
            .spawn()
            .expect("tools/lab starts");
        let lifeline = keeper.stdin.take();
        let output = keeper.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let mut named: Vec<(String, Host)> = lines
            .by_ref()
            .take_while(|line| line != "ready")
            .filter_map(|line| {
                let (name, pid) = line.split_once(' ')?;
                Some((name.to_owned(), Host::new(name, pid.parse().ok()?, &id)))
            })
            .collect();
        assert!(
            named.len() == count + 2,
            "tools/lab did not come up; its reason is on standard error (tests run as root)"
        );
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut take = |wanted: &str| {
            let position = named.iter().position(|(name, _)| name == wanted);
            named.remove(position.expect("tools/lab makes it")).1
        };
        let (lan, peer) = (take("lan"), take("peer"));
        let hosts = (0..count)
            .map(|index| take(&format!("host{index}")))
            .collect();
        Self {
            id,
            lan,
            peer,
            hosts,
            keeper,
            lifeline,
        }
    }

    /// A host, from 0.
    pub fn host(&self, index: usize) -> &Host {
        &self.hosts[index]
    }

    /// The LAN's other member and router.
    pub fn peer(&self) -> &Host {
        &self.peer
    }

    /// The namespace of the LAN's bridge.
    pub fn lan(&self) -> &Host {
        &self.lan
    }

    /// Its id; the cgroups of its daemons are below `/sealane-lab-ID`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The keeper ends when all is gone. That it is gone is what we wait for, not how it ended.
        drop(self.keeper.wait());
    }
}

/// The folder of the workspace.
///
/// # Panics
/// When this crate has been moved out of it.
pub fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .map(PathBuf::from)
        .expect("the crate is two folders deep")
}

/// An id no other lab has. It says whose it is, so that leftovers of a dead owner are known.
fn new_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    // The name, in parentheses, may have blanks; the start time is the 20th field after it.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let started = after_name.split_whitespace().nth(19).unwrap_or("0");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{started}-{number}", getpid().as_raw_nonzero())
}
