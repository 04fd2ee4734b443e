//! What containers printed: conmon's log files, read back.
//!
//! A line of such a file is `<time> <stdout|stderr> <F|P> <text>`. `F` stands for a full line of
//! output, `P` for a part that had no newline when it came.

use crate::{Result, RuntimeError, Stream, files};
use jiff::Timestamp;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// Which part of a log to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only the last lines; `None` for all.
    pub tail: Option<usize>,
    /// Only what was printed at or after this time.
    pub since: Option<Timestamp>,
    /// Only what was printed at or before this time.
    pub until: Option<Timestamp>,
}

/// One piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was printed.
    pub at: Timestamp,
    /// Where to.
    pub stream: Stream,
    /// What, with its newline if the program printed one.
    pub bytes: Vec<u8>,
    /// Whether it continues an entry of the same stream that had no newline.
    pub continues: bool,
}

/// A place in a log. Reading never waits; after `None`, more may come later.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: Option<File>,
    query: LogQuery,
    /// What was read from the file and not taken yet.
    buffer: Vec<u8>,
    taken: usize,
    offset: u64,
    /// Whether the last entry of stdout, of stderr lacked a newline.
    unfinished: [bool; 2],
}

impl LogReader {
    /// Opens a log, which may not exist yet.
    pub(crate) fn open(path: PathBuf, query: LogQuery) -> Result<Self> {
        let mut reader = Self {
            path,
            file: None,
            query,
            buffer: Vec::new(),
            taken: 0,
            offset: 0,
            unfinished: [false; 2],
        };
        if let (Some(lines), true) = (query.tail, reader.ready()?)
            && let Some(file) = &reader.file
        {
            reader.offset =
                start_of_tail(file, lines).map_err(files::failed("read", &reader.path))?;
        }
        // What comes later is read from its beginning.
        reader.query.tail = None;
        Ok(reader)
    }

    /// The next entry, or `None` when there is none yet.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>> {
        while let Some(line) = self.next_line()? {
            let Some(mut entry) = parse(&line) else {
                return Err(RuntimeError::Damaged {
                    path: self.path.clone(),
                    reason: format!("\"{}\" is not a log line", String::from_utf8_lossy(&line)),
                });
            };
            let unfinished = &mut self.unfinished[usize::from(entry.stream == Stream::Stderr)];
            entry.continues = *unfinished;
            *unfinished = !entry.bytes.ends_with(b"\n");
            let late_enough = self.query.since.is_none_or(|since| entry.at >= since);
            if self.query.until.is_some_and(|until| entry.at > until) {
                return Ok(None);
            }
            if late_enough {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The file, to be watched for changes. It may not exist yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A whole line without its newline.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut searched = self.taken;
        loop {
            if let Some(length) = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let end = searched + length;
                let line = self.buffer[self.taken..end].to_vec();
                self.taken = end + 1;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            searched = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> Result<bool> {
        if !self.ready()? {
            return Ok(false);
        }
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let old = self.buffer.len();
        self.buffer.resize(old + BLOCK, 0);
        let read = file.read_at(&mut self.buffer[old..], self.offset);
        let length = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(old + length);
        self.offset += length as u64;
        read.map_err(files::failed("read", &self.path))
            .map(|length| length > 0)
    }

    fn ready(&mut self) -> Result<bool> {
        if self.file.is_none() {
            self.file = files::present(File::open(&self.path))
                .map_err(files::failed("open", &self.path))?;
        }
        Ok(self.file.is_some())
    }
}

fn parse(line: &[u8]) -> Option<LogEntry> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let at: Timestamp = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    let full = match parts.next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let mut bytes = parts.next()?.to_vec();
    if full {
        bytes.push(b'\n');
    }
    Some(LogEntry {
        at,
        stream,
        bytes,
        continues: false,
    })
}

/// Where the last `lines` lines of output begin. Reads the file from its end.
fn start_of_tail(file: &File, lines: usize) -> io::Result<u64> {
    let whole = last_newline(file, file.metadata()?.len())?;
    let (mut end, mut left) = (whole, lines);
    while end > 0 {
        let start = last_newline(file, end - 1)?;
        // A line of output ends with a full line of the log; the last one is as it is.
        if end == whole || is_full(file, start, end)? {
            if left == 0 {
                return Ok(end);
            }
            left -= 1;
        }
        end = start;
    }
    Ok(0)
}

/// The offset after the last newline before `end`; 0 if there is none.
fn last_newline(file: &File, end: u64) -> io::Result<u64> {
    let mut end = end;
    let mut block = [0; 4096];
    while end > 0 {
        let length = end.min(block.len() as u64) as usize;
        let start = end - length as u64;
        file.read_exact_at(&mut block[..length], start)?;
        if let Some(place) = block[..length].iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn is_full(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let mut head = [0; 64];
    let length = (end - start).min(head.len() as u64) as usize;
    file.read_exact_at(&mut head[..length], start)?;
    let tag = head[..length].split(|byte| *byte == b' ').nth(2);
    Ok(tag == Some(b"F"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    const LOG: &str = "\
        2026-11-21T10:00:00.000000001+00:00 stdout F one\n\
        2026-11-21T11:00:01.5+01:00 stdout P tw\n\
        2026-11-21T10:00:02+00:00 stderr F  err \n\
        2026-11-21T10:00:03+00:00 stdout F o\n\
        2026-11-21T10:00:04+00:00 stdout P $ \n";

    fn texts(reader: &mut LogReader) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mark = if entry.continues { "+" } else { "" };
            texts.push(format!("{mark}{}", String::from_utf8(entry.bytes).unwrap()));
        }
        texts
    }

    fn read(query: LogQuery) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, LOG).unwrap();
        texts(&mut LogReader::open(path, query).unwrap())
    }

    fn tail(lines: usize) -> Vec<String> {
        read(LogQuery {
            tail: Some(lines),
            ..LogQuery::default()
        })
    }

    #[test]
    fn parts_are_given_as_they_came() {
        assert_eq!(
            read(LogQuery::default()),
            ["one\n", "tw", " err \n", "+o\n", "$ "]
        );
    }

    #[test]
    fn a_tail_counts_lines_of_output() {
        assert_eq!(tail(0), [""; 0]);
        assert_eq!(tail(1), ["$ "]);
        assert_eq!(tail(2), ["o\n", "$ "]);
        assert_eq!(tail(3), ["tw", " err \n", "+o\n", "$ "]);
        assert_eq!(tail(4).len(), 5);
        assert_eq!(tail(400).len(), 5);
    }

    #[test]
    fn times_bound_what_is_read() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let since = LogQuery {
            since: at("2026-11-21T10:00:02Z"),
            ..LogQuery::default()
        };
        assert_eq!(read(since), [" err \n", "+o\n", "$ "]);
        let until = LogQuery {
            until: at("2026-11-21T10:00:02Z"),
            ..LogQuery::default()
        };
        assert_eq!(read(until), ["one\n", "tw", " err \n"]);
    }

    #[test]
    fn a_log_is_followed_from_before_it_exists_and_a_torn_line_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let query = LogQuery {
            tail: Some(1),
            ..LogQuery::default()
        };
        let mut reader = LogReader::open(path.clone(), query).unwrap();
        assert_eq!(texts(&mut reader), [""; 0]);
        let mut file = File::create(&path).unwrap();
        let (torn, rest) = LOG.split_at(60);
        file.write_all(torn.as_bytes()).unwrap();
        assert_eq!(texts(&mut reader), ["one\n"]);
        file.write_all(rest.as_bytes()).unwrap();
        assert_eq!(texts(&mut reader).len(), 4);
    }
}
