//! The readers of what containers and conmon write, by themselves: for the fuzz targets, and
//! nothing else.

use crate::bundle::user;
use crate::logs::{LogEntry, LogQuery, LogReader};
use crate::{Result, top};
use std::path::Path;

/// Reads a log of conmon's: all of it, or the last lines of output.
pub fn log(path: &Path, tail: Option<usize>) -> Result<Vec<LogEntry>> {
    let query = LogQuery {
        tail,
        ..LogQuery::default()
    };
    let mut reader = LogReader::open(path.into(), query)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

/// Looks up a user in the files of an image.
pub fn user(name: &str, passwd: &str, group: &str) -> Result<String> {
    user::lookup(name, passwd, group).map(|found| format!("{found:?}"))
}

/// Reads the table that `ps` prints.
pub fn processes(printed: &str) -> Result<String> {
    let table = top::parse(printed, &[1, 2])?;
    let width = table.titles.len();
    assert!(table.processes.iter().all(|row| row.len() <= width));
    Ok(format!("{table:?}"))
}
