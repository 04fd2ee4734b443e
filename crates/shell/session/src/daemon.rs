//! The daemon's side: calls of other processes, run in its session.

use crate::ask::{Question, VERSION, socket};
use crate::request::{Answer, Refusal};
use sealane_core::model::ErrorClass;
use sealane_engine::Engine;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long calls that are under way may take when the daemon ends.
const LAST_CALLS: Duration = Duration::from_secs(10);
/// How long the caller may take to say what it wants.
const QUESTION: Duration = Duration::from_secs(10);

/// The socket on which calls are answered. Dropped, it is gone, and the calls that were under way
/// have ended.
pub struct Calls {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    engine: Arc<Engine>,
    ending: AtomicBool,
    /// How many calls are under way.
    under_way: Mutex<usize>,
    /// Rung when one ends.
    ended: Condvar,
}

impl Calls {
    /// Answers calls from now on. What a daemon that was killed has left of its socket is replaced.
    pub fn serve(exec_root: &Path, engine: Arc<Engine>) -> io::Result<Self> {
        let path = socket(exec_root);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // The folder is root's alone, so that no other process is faster than this.
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let shared = Arc::new(Shared {
            engine,
            ending: AtomicBool::new(false),
            under_way: Mutex::new(0),
            ended: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let run = move || accept(&listener, &accepting);
        let thread = thread::Builder::new().name("calls".into()).spawn(run)?;
        Ok(Self {
            path,
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        // Wakes the thread; who comes now finds the socket gone or closed, and waits for its turn.
        drop(UnixStream::connect(&self.path));
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the socket for calls stays");
        }
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that takes calls had panicked");
        }
        let under_way = self.shared.under_way.lock();
        let under_way = under_way.unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .shared
            .ended
            .wait_timeout_while(under_way, LAST_CALLS, |count| *count > 0);
        let (left, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            tracing::warn!(left = *left, "calls are broken off");
        }
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let answered = stream.and_then(|stream| answer_apart(stream, shared));
        if let Err(error) = answered {
            tracing::warn!(%error, "a call cannot be taken");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Answers on a thread of its own: a use case may wait for others.
fn answer_apart(stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let call = UnderWay::begin(shared);
    let run = move || {
        if let Err(error) = answer(&stream, &call.0.engine) {
            tracing::debug!(%error, "who called has left");
        }
    };
    thread::Builder::new().name("call".into()).spawn(run)?;
    Ok(())
}

fn answer(stream: &UnixStream, engine: &Engine) -> io::Result<()> {
    stream.set_read_timeout(Some(QUESTION))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer = respond(&line, engine);
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    (&mut &*stream).write_all(&line)
}

fn respond(line: &str, engine: &Engine) -> Result<Answer, Refusal> {
    let not_understood = |why: String| Refusal {
        class: ErrorClass::InvalidArgument,
        text: format!(
            "the daemon does not understand this call, as it is of another version: {why}"
        ),
    };
    let question: Question =
        serde_json::from_str(line).map_err(|error| not_understood(error.to_string()))?;
    if question.version != VERSION {
        let why = format!("it speaks {VERSION}, the call {}", question.version);
        return Err(not_understood(why));
    }
    let answer = question.call.run(engine, question.again);
    answer.map_err(Refusal::from)
}

/// A call under way.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn begin(shared: &Arc<Shared>) -> Self {
        let mut count = shared
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        Self(Arc::clone(shared))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let count = self.0.under_way.lock();
        *count.unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
