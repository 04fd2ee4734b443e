//! How processes end: conmon's exit files.

use crate::layout::Layout;
use crate::{Result, RuntimeError, files};
use jiff::Timestamp;
use sealane_core::model::Id;
use std::fs;
use std::path::{Path, PathBuf};

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitOf {
    /// A container's first process.
    Container,
    /// A program run in a container besides.
    Exec,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Of which container, or of which exec.
    pub id: Id,
    /// Which of the two.
    pub of: ExitOf,
    /// Its exit code; 128 + the signal that killed it.
    pub code: i32,
    /// When it ended.
    pub at: Timestamp,
    /// Whether the kernel killed something in the container for want of memory.
    pub oom: bool,
}

/// How a container ended; `None` if conmon has not written it down.
pub(crate) fn of_container(layout: &Layout, id: &Id) -> Result<Option<Exit>> {
    let oom = layout.container(id).oom().exists();
    let read = read(&layout.exit_file(id))?;
    Ok(read.map(|(code, at)| Exit {
        id: *id,
        of: ExitOf::Container,
        code,
        at,
        oom,
    }))
}

/// How an exec ended.
pub(crate) fn of_exec(layout: &Layout, exec: &Id, container: &Id) -> Result<Option<Exit>> {
    let read = read(&exec_file(layout, exec, container))?;
    Ok(read.map(|(code, at)| Exit {
        id: *exec,
        of: ExitOf::Exec,
        code,
        at,
        oom: false,
    }))
}

/// Where conmon writes the exit code of an exec: in its folder, under the container's id.
pub(crate) fn exec_file(layout: &Layout, exec: &Id, container: &Id) -> PathBuf {
    layout.exec(exec).path().join(container.to_string())
}

fn read(path: &Path) -> Result<Option<(i32, Timestamp)>> {
    let Some(bytes) = files::read(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let code = text.trim().parse().map_err(|_| RuntimeError::Damaged {
        path: path.into(),
        reason: format!("\"{}\" is not an exit code", text.trim()),
    })?;
    let Some(about) = files::present(fs::metadata(path)).map_err(files::failed("look at", path))?
    else {
        return Ok(None);
    };
    let at = about.modified().map_err(files::failed("look at", path))?;
    Ok(Some((
        code,
        Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH),
    )))
}
