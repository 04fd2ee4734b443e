//! Where everything is: the paths below the exec root and the data root.

use crate::room::Room;
use crate::{Result, files};
use sealane_core::model::Id;
use std::fs;
use std::path::{Path, PathBuf};

/// Another one after each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The folders of one runtime.
#[derive(Debug)]
pub(crate) struct Layout {
    /// For the ends of containers.
    pub(crate) room: Room,
    exec_root: PathBuf,
    logs: PathBuf,
}

/// What belongs to one process that conmon watches: a container's first one, or an exec.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Layout {
    /// Makes the folders that are missing. What is from before a reboot is removed: its
    /// processes are gone, their pids are others' by now.
    pub(crate) fn open(exec_root: &Path, data_root: &Path) -> Result<Self> {
        let layout = Self {
            room: Room::of(exec_root),
            exec_root: exec_root.into(),
            logs: data_root.join("logs"),
        };
        let volatile = [
            layout.runtime_root(),
            layout.containers(),
            layout.execs(),
            layout.exits(),
        ];
        let now = Path::new(BOOT_ID);
        let now = fs::read(now).map_err(files::failed("read", now))?;
        let stamp = layout.exec_root.join("boot-id");
        let is_now = files::read(&stamp)? == Some(now.clone());
        for folder in &volatile {
            if !is_now {
                files::remove_folder(folder)?;
            }
            files::make_private_folder(folder)?;
        }
        if !is_now {
            files::write(&stamp, &now)?;
        }
        files::make_private_folder(&layout.logs)?;
        Ok(layout)
    }

    /// The state of the OCI runtime.
    pub(crate) fn runtime_root(&self) -> PathBuf {
        self.exec_root.join("runtime")
    }

    /// One folder for each container with a process.
    pub(crate) fn containers(&self) -> PathBuf {
        self.exec_root.join("containers")
    }

    /// The root file system of a container that is never run.
    pub(crate) fn trial(&self) -> PathBuf {
        self.exec_root.join("trial")
    }

    /// One folder for each exec.
    pub(crate) fn execs(&self) -> PathBuf {
        self.exec_root.join("execs")
    }

    /// conmon writes a container's exit code here, into a file with its id.
    pub(crate) fn exits(&self) -> PathBuf {
        self.exec_root.join("exits")
    }

    pub(crate) fn exit_file(&self, id: &Id) -> PathBuf {
        self.exits().join(id.to_string())
    }

    pub(crate) fn container(&self, id: &Id) -> Folder {
        Folder(self.containers().join(id.to_string()))
    }

    pub(crate) fn exec(&self, id: &Id) -> Folder {
        Folder(self.execs().join(id.to_string()))
    }

    pub(crate) fn log(&self, id: &Id) -> PathBuf {
        self.logs.join(format!("{id}.log"))
    }

    /// The fifo on which a created container waits for its start.
    pub(crate) fn start_fifo(&self, id: &Id) -> PathBuf {
        self.runtime_root().join(id.to_string()).join("exec.fifo")
    }
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The OCI bundle's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// The process of an exec.
    pub(crate) fn process(&self) -> PathBuf {
        self.0.join("process.json")
    }

    /// Who runs here: pids and start times.
    pub(crate) fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    /// The pid, as the OCI runtime writes it.
    pub(crate) fn pid(&self) -> PathBuf {
        self.0.join("pid")
    }

    pub(crate) fn conmon_pid(&self) -> PathBuf {
        self.0.join("conmon.pid")
    }

    /// What conmon itself has to say.
    pub(crate) fn conmon_log(&self) -> PathBuf {
        self.0.join("conmon.log")
    }

    /// What the OCI runtime logs.
    pub(crate) fn runtime_log(&self) -> PathBuf {
        self.0.join("runtime.log")
    }

    /// conmon's control fifo.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("ctl")
    }

    /// Leads to the log, so that its path may hold a colon, which conmon splits at.
    pub(crate) fn log_link(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Exists once the kernel killed something in the container for want of memory.
    pub(crate) fn oom(&self) -> PathBuf {
        self.0.join("oom")
    }
}
