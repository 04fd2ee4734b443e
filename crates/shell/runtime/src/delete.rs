//! Taking containers away, whole ones and what is left of them.

use crate::layout::Folder;
use crate::runtime::Record;
use crate::{Result, Runtime, files, programs};
use sealane_core::model::Id;
use std::path::Path;
use std::time::Duration;

/// How long a killed process and its conmon may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

impl Runtime {
    /// Kills what is left of a container and removes everything but its log: bundle, exit file,
    /// cgroups, and its execs. Does nothing if there is nothing.
    pub fn delete(&self, id: &Id) -> Result<()> {
        let folder = self.layout.container(id);
        self.watchers.forget(id);
        if folder.path().exists() {
            self.end(id, &folder)?;
        }
        if self.layout.runtime_root().join(id.to_string()).exists() {
            let arguments = ["delete", "--force", &id.to_string()];
            self.programs.must("exec runtime delete", id, &arguments)?;
        }
        // Their conmons are in a cgroup, too, which goes with the last container.
        self.delete_execs(id)?;
        self.cgroups.remove(id)?;
        files::remove(&self.layout.exit_file(id))?;
        files::remove_folder(folder.path())
    }

    /// Ends the process and waits for conmon, which still writes down how it ended.
    fn end(&self, id: &Id, folder: &Folder) -> Result<()> {
        let record: Option<Record> = files::read_json(&folder.record())?;
        if let Some(record) = &record {
            record.process.kill(PATIENCE);
        }
        let conmon = record.and_then(|record| record.conmon);
        if conmon.is_none_or(|conmon| !conmon.wait(PATIENCE)) {
            self.end_conmons(id)?;
        }
        Ok(())
    }

    /// A daemon that died right after starting conmon does not know its pid.
    fn end_conmons(&self, id: &Id) -> Result<()> {
        let everyone = files::names(Path::new("/proc"))?;
        let pids: Vec<i32> = everyone
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        for conmon in programs::conmons_of(id, &pids) {
            conmon.kill(PATIENCE);
        }
        Ok(())
    }

    /// Kills containers whose cgroup exists but whose bundle is gone, as when the exec root was
    /// emptied under them. Returns them. Only those that `ours` knows: another daemon may keep its
    /// containers in the same parent cgroup.
    pub fn stop_strays(&self, ours: &dyn Fn(&Id) -> bool) -> Result<Vec<Id>> {
        let known = self.list()?;
        let mut strays = self.cgroups.containers()?;
        strays.retain(|id| !known.contains(id) && ours(id));
        for id in &strays {
            self.cgroups.remove(id)?;
            for conmon in programs::conmons_of(id, &self.cgroups.supervisors()?) {
                conmon.kill(PATIENCE);
            }
        }
        self.cgroups.remove_parent();
        Ok(strays)
    }
}
