//! The cgroups of containers and of their supervisors, in whatever hierarchies the host has.
//!
//! A container's cgroup is made by the OCI runtime; here its processes are listed and killed and
//! its remains are taken away. conmon is moved out of the daemon's cgroup, so that what ends
//! the daemon by its cgroup, as systemd does, leaves the containers alone.

use crate::{Result, RuntimeError, files};
use rustix::process::Signal;
use sealane_core::model::Id;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::identity::Identity;

/// How long processes that were killed may take to leave their cgroup.
const PATIENCE: Duration = Duration::from_secs(5);
/// The cgroup of all conmons.
const SUPERVISORS: &str = "conmon";

/// The cgroup hierarchies of the host, and our place in them.
#[derive(Debug)]
pub(crate) struct Cgroups {
    parent: String,
    hierarchies: Vec<Hierarchy>,
    /// Held for reading while a container is made: its parent must not be taken away then.
    parent_in_use: RwLock<()>,
}

#[derive(Debug)]
struct Hierarchy {
    mount: PathBuf,
    /// Whether systemd finds the processes of its services here.
    tracks_services: bool,
}

impl Cgroups {
    /// Reads where the hierarchies are mounted.
    pub(crate) fn open(parent: Option<&str>) -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        let mounts = fs::read_to_string(path).map_err(files::failed("read", path))?;
        let parent = format!("/{}", parent.unwrap_or("sealane").trim_matches('/'));
        if parent == "/" || parent.split('/').any(|part| part == "..") {
            return Err(RuntimeError::InvalidSpec(format!(
                "invalid cgroup parent \"{parent}\""
            )));
        }
        Ok(Self {
            parent,
            hierarchies: hierarchies(&mounts),
            parent_in_use: RwLock::default(),
        })
    }

    /// Whether all there is is one hierarchy of version 2.
    pub(crate) fn unified(&self) -> bool {
        self.hierarchies
            .iter()
            .all(|hierarchy| hierarchy.mount == Path::new("/sys/fs/cgroup"))
    }

    /// The path of a container's cgroup, the same in every hierarchy.
    pub(crate) fn path(&self, id: &Id) -> String {
        format!("{}/{id}", self.parent)
    }

    /// Keeps the parent from being taken away as long as the guard lives.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.parent_in_use
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a supervisor, and so what it will start, out of the daemon's cgroup.
    pub(crate) fn adopt_supervisor(&self, pid: u32) -> Result<()> {
        for hierarchy in self
            .hierarchies
            .iter()
            .filter(|hierarchy| hierarchy.tracks_services)
        {
            let folder = hierarchy.folder(&self.parent).join(SUPERVISORS);
            let procs = folder.join("cgroup.procs");
            let moved = match fs::write(&procs, pid.to_string()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    files::make_folder(&folder)?;
                    fs::write(&procs, pid.to_string())
                }
                done => done,
            };
            moved.map_err(files::failed("move conmon to", &procs))?;
        }
        Ok(())
    }

    /// The pids in a container's cgroup and those below it.
    pub(crate) fn pids(&self, id: &Id) -> Result<Vec<i32>> {
        let folders = self
            .hierarchies
            .iter()
            .map(|hierarchy| hierarchy.folder(&self.path(id)));
        let Some(folder) = folders.into_iter().find(|folder| folder.exists()) else {
            return Ok(Vec::new());
        };
        let mut pids = Vec::new();
        collect(&folder, &mut pids)?;
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// What a file of a container's cgroup says, in whichever hierarchy has it.
    pub(crate) fn read(&self, id: &Id, file: &str) -> Option<String> {
        let path = self.path(id);
        let mut folders = self.hierarchies.iter().map(|one| one.folder(&path));
        folders.find_map(|folder| fs::read_to_string(folder.join(file)).ok())
    }

    /// Kills what is in a container's cgroup and removes it everywhere.
    pub(crate) fn remove(&self, id: &Id) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let path = self.path(id);
        for hierarchy in &self.hierarchies {
            let folder = hierarchy.folder(&path);
            while let Err(source) = remove_below(&folder) {
                if source.kind() != io::ErrorKind::ResourceBusy || Instant::now() > end {
                    return Err(files::failed("remove the cgroup", &folder)(source));
                }
                kill_below(&folder)?;
                sleep(Duration::from_millis(2));
            }
        }
        self.remove_parent();
        Ok(())
    }

    /// Removes the parent and the supervisors' cgroup where they are empty.
    pub(crate) fn remove_parent(&self) {
        let Ok(_alone) = self.parent_in_use.try_write() else {
            return;
        };
        for hierarchy in &self.hierarchies {
            let mut folder = hierarchy.folder(&self.parent);
            remove_if_empty(&folder.join(SUPERVISORS));
            while folder != hierarchy.mount && fs::remove_dir(&folder).is_ok() {
                folder.pop();
            }
        }
    }

    /// The containers that have a cgroup.
    pub(crate) fn containers(&self) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        for hierarchy in &self.hierarchies {
            let names = files::names(&hierarchy.folder(&self.parent))?;
            ids.extend(
                names
                    .iter()
                    .filter_map(|name| Id::try_from(name.as_str()).ok()),
            );
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The pids of all supervisors.
    pub(crate) fn supervisors(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        for hierarchy in self
            .hierarchies
            .iter()
            .filter(|hierarchy| hierarchy.tracks_services)
        {
            let folder = hierarchy.folder(&self.parent).join(SUPERVISORS);
            if folder.exists() {
                collect(&folder, &mut pids)?;
            }
        }
        Ok(pids)
    }
}

impl Hierarchy {
    fn folder(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }
}

/// Finds the cgroup mounts: `… <mount point> … - cgroup <source> <options>`.
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else {
            continue;
        };
        let (kind, rest) = right.split_once(' ').unwrap_or((right, ""));
        let tracks_services = match kind {
            "cgroup2" => true,
            "cgroup" => rest.contains("name=systemd"),
            _ => continue,
        };
        if mount.starts_with("/sys/fs/cgroup") && found.iter().all(|other| other.mount != mount) {
            found.push(Hierarchy {
                mount,
                tracks_services,
            });
        }
    }
    found
}

fn collect(folder: &Path, pids: &mut Vec<i32>) -> Result<()> {
    let Some(listed) = files::read(&folder.join("cgroup.procs"))? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&listed);
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    below(folder)?
        .iter()
        .try_for_each(|child| collect(child, pids))
}

fn kill_below(folder: &Path) -> Result<()> {
    // One write kills them all where the kernel can; the loop is for hierarchies of version 1.
    if fs::write(folder.join("cgroup.kill"), "1").is_ok() {
        return Ok(());
    }
    let mut pids = Vec::new();
    collect(folder, &mut pids)?;
    for process in pids.into_iter().filter_map(Identity::of) {
        process
            .signal(Signal::KILL)
            .map_err(|errno| files::failed("kill what is left in", folder)(errno.into()))?;
    }
    Ok(())
}

fn remove_below(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for child in below(folder).map_err(io::Error::other)? {
        remove_below(&child)?;
    }
    files::present(fs::remove_dir(folder)).map(drop)
}

/// Removes a cgroup unless a process is in it. One that has just ended may still hold it for a
/// moment, when it is no longer listed.
fn remove_if_empty(folder: &Path) {
    let end = Instant::now() + PATIENCE;
    let empty =
        || files::read(&folder.join("cgroup.procs")).is_ok_and(|procs| procs == Some(vec![]));
    while let Err(error) = fs::remove_dir(folder) {
        if error.kind() != io::ErrorKind::ResourceBusy || !empty() || Instant::now() > end {
            return;
        }
        sleep(Duration::from_millis(1));
    }
}

fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let children = files::names(folder)?
        .into_iter()
        .map(|name| folder.join(name));
    Ok(children.filter(|child| child.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_once() {
        let mounts = "\
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            38 31 0:35 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            39 31 0:36 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw shared:1 - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
            42 31 0:38 / /elsewhere rw - cgroup2 cgroup2 rw\n";
        let found: Vec<_> = hierarchies(mounts)
            .into_iter()
            .map(|hierarchy| (hierarchy.mount, hierarchy.tracks_services))
            .collect();
        let at = |name: &str| PathBuf::from("/sys/fs/cgroup").join(name);
        let wanted = [
            (at("memory"), false),
            (at("systemd"), true),
            (at("unified"), true),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_parent_outside_the_tree_is_refused() {
        assert!(Cgroups::open(Some("/")).is_err());
        assert!(Cgroups::open(Some("a/../..")).is_err());
        assert_eq!(Cgroups::open(Some("a/b/")).unwrap().parent, "/a/b");
    }
}
