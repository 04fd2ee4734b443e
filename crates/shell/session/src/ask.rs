//! Asking the daemon that owns an exec root: a line of JSON there, a line back.

use crate::request::{Answer, Call, Refusal};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// How the two talk. A daemon refuses calls of another version.
pub(crate) const VERSION: u32 = 1;

/// What is said to the daemon.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) version: u32,
    /// Whether it may be done already.
    pub(crate) again: bool,
    pub(crate) call: Call,
}

/// What came of it.
pub(crate) enum Asked {
    Answered(Result<Answer, Refusal>),
    /// There is no daemon, or it does not serve yet.
    Nobody,
    /// It ended in the middle.
    BrokenOff,
}

/// Where the daemon of an exec root is asked.
pub(crate) fn socket(exec_root: &Path) -> PathBuf {
    exec_root.join("session").join("socket")
}

/// Asks the daemon, and waits for its answer as long as it lives.
pub(crate) fn ask(exec_root: &Path, call: &Call, again: bool) -> io::Result<Asked> {
    let stream = match UnixStream::connect(socket(exec_root)) {
        Ok(stream) => stream,
        Err(error) => {
            use io::ErrorKind::{ConnectionRefused, NotFound};
            let nobody = matches!(error.kind(), ConnectionRefused | NotFound);
            return if nobody {
                Ok(Asked::Nobody)
            } else {
                Err(error)
            };
        }
    };
    let question = Question {
        version: VERSION,
        again,
        call: call.clone(),
    };
    let mut line = serde_json::to_vec(&question)?;
    line.push(b'\n');
    let mut answer = String::new();
    let said = (&stream).write_all(&line);
    let heard = said.and_then(|()| BufReader::new(&stream).read_line(&mut answer));
    match heard {
        Ok(_) if answer.ends_with('\n') => Ok(Asked::Answered(serde_json::from_str(&answer)?)),
        // It may have been killed, and closed the connection in one way or the other.
        Ok(_) | Err(_) => Ok(Asked::BrokenOff),
    }
}
