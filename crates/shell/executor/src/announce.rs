//! Announcements of addresses: the first at once, two more a second apart, as neighbors may miss
//! one (Docker sends three).

use sealane_core::plan::Effect;
use sealane_kernel::write::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const REPEATS: usize = 2;
const INTERVAL: Duration = Duration::from_secs(1);

/// Sends announcements from a thread of its own.
pub(crate) struct Announcer {
    queue: Sender<Effect>,
}

/// An announcement that is not over.
struct Pending {
    due: Instant,
    left: usize,
    effect: Effect,
}

impl Announcer {
    pub(crate) fn new<K: Write + Send + Sync + 'static>(kernel: Arc<K>) -> Self {
        let (queue, announcements) = channel();
        let run = move || repeat(&*kernel, &announcements);
        if let Err(error) = thread::Builder::new().name("announce".into()).spawn(run) {
            tracing::warn!(%error, "cannot start the thread that announces addresses");
        }
        Self { queue }
    }

    /// Announces now and twice more.
    pub(crate) fn announce(&self, effect: Effect) {
        if self.queue.send(effect).is_err() {
            tracing::warn!("an address is not announced: the thread that does it has ended");
        }
    }
}

/// Sends each announcement when it is due, until the sender is gone.
fn repeat<K: Write>(kernel: &K, announcements: &Receiver<Effect>) {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        match next(announcements, &pending) {
            Ok(effect) => pending.push(Pending {
                due: Instant::now(),
                left: REPEATS,
                effect,
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        pending.retain_mut(|announcement| announcement.due > now || send(kernel, announcement));
    }
}

/// The next announcement, or a timeout when a pending one is due.
fn next(announcements: &Receiver<Effect>, pending: &[Pending]) -> Result<Effect, RecvTimeoutError> {
    match pending.iter().map(|announcement| announcement.due).min() {
        None => announcements
            .recv()
            .map_err(|_| RecvTimeoutError::Disconnected),
        Some(due) => announcements.recv_timeout(due.saturating_duration_since(Instant::now())),
    }
}

/// Sends one, and says whether it has to be sent again.
fn send<K: Write>(kernel: &K, announcement: &mut Pending) -> bool {
    if let Err(error) = kernel.run(&announcement.effect) {
        // The sandbox may be gone by now; then there is nothing left to announce.
        tracing::debug!(effect = %announcement.effect, %error, "not announced");
        return false;
    }
    announcement.due = Instant::now() + INTERVAL;
    match announcement.left.checked_sub(1) {
        Some(left) => announcement.left = left,
        None => return false,
    }
    true
}
