//! What containers and their watchers write: logs, user files, tables of processes.

use super::none;
use crate::{Seen, Shape, Target};
use sealane_runtime::{LogEntry, Stream, outside};
use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "log",
        shape: Shape::Text,
        words: &[
            "2026-11-29T09:00:00.000000001+00:00",
            " stdout ",
            " stderr ",
            " F ",
            " P ",
            "\n",
            "+14:00",
            "-0001-01-01T00:00:00Z",
        ],
        made: none,
        run: log,
    },
    Target {
        name: "users",
        shape: Shape::Text,
        words: &[
            "root",
            "0",
            ":",
            "x:",
            "2147483648",
            "-1",
            "www:staff",
            "\n",
            "#",
        ],
        made: none,
        run: |bytes| {
            // A name, a passwd file and a group file, parted by empty lines.
            let text = String::from_utf8_lossy(bytes);
            let mut parts = text.splitn(3, "\n\n");
            let mut part = || parts.next().unwrap_or_default();
            match outside::user(part(), part(), part()) {
                Ok(found) => Seen::text(&found),
                Err(error) => Seen::text(&error.to_string()),
            }
        },
    },
    Target {
        name: "processes",
        shape: Shape::Text,
        words: &["PID", "UID", "CMD", "  ", "\n", "1", "2"],
        made: none,
        run: |bytes| match outside::processes(&String::from_utf8_lossy(bytes)) {
            Ok(table) => Seen::text(&table),
            Err(error) => Seen::text(&error.to_string()),
        },
    },
];

/// The last lines of a log are the end of the whole of it.
fn log(bytes: &[u8]) -> Seen {
    let path = file();
    fs::write(&path, bytes).unwrap();
    let whole = match outside::log(&path, None) {
        Ok(whole) => whole,
        Err(error) => return Seen::text(&error.to_string()),
    };
    for lines in [0, 1, 2, 5, usize::MAX] {
        let tail = outside::log(&path, Some(lines)).expect("a part of what can be read");
        let (tail, whole) = (texts(&tail), texts(&whole));
        assert!(
            whole.ends_with(&tail),
            "the last {lines}: {tail:?} of {whole:?}"
        );
    }
    Seen::debug(&whole)
}

fn texts(entries: &[LogEntry]) -> Vec<(bool, Vec<u8>)> {
    let text = |entry: &LogEntry| (entry.stream == Stream::Stdout, entry.bytes.clone());
    entries.iter().map(text).collect()
}

fn file() -> PathBuf {
    thread_local!(static FOLDER: OnceCell<TempDir> = const { OnceCell::new() });
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().unwrap());
        folder.path().join("log")
    })
}
