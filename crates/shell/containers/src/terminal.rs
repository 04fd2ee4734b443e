//! A container's terminal size and process table.

use crate::record::Status;
use crate::request::TerminalSize;
use crate::stop::not_running;
use crate::{ContainerError, Containers};
use sealane_core::model::Id;
use sealane_runtime::ProcessTable;

impl Containers {
    /// Tells a container's terminal its size.
    pub fn resize(&self, reference: &str, size: TerminalSize) -> Result<(), ContainerError> {
        let id = self.running(reference)?;
        self.parts.processes.resize(&id, size.height, size.width)?;
        if let Some(container) = self.registry.get(&id) {
            let size = [
                ("height", size.height.to_string()),
                ("width", size.width.to_string()),
            ];
            self.tell(&container.record(), "resize", size);
        }
        Ok(())
    }

    /// The processes in a container, as `ps` with these arguments shows them.
    pub fn top(
        &self,
        reference: &str,
        ps_args: Option<&str>,
    ) -> Result<ProcessTable, ContainerError> {
        let id = self.running(reference)?;
        let words = ps_args.unwrap_or_default().split_whitespace();
        let words: Vec<String> = words.map(str::to_owned).collect();
        let table = self.parts.processes.top(&id, &words)?;
        let container = self.registry.get(&id);
        if let Some(container) = container {
            self.tell(&container.record(), "top", []);
        }
        Ok(table)
    }

    /// The id of a container that has a process.
    fn running(&self, reference: &str) -> Result<Id, ContainerError> {
        let container = self.registry.find(reference)?;
        match container.record().state.status {
            Status::Running => Ok(container.id),
            Status::Created | Status::Restarting | Status::Exited => Err(not_running(&container)),
        }
    }
}
