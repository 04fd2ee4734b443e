//! Announcements of addresses: the first soon, the others after it, as neighbors may miss one.

use sealane_core::plan::{Effect, Repeat};
use sealane_kernel::write::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the first one waits: it is flooded to every port of a bridge, which is to cost the
/// operation that it belongs to nothing.
const FIRST: Duration = Duration::from_millis(10);

/// Sends announcements from a thread of its own.
pub(crate) struct Announcer {
    queue: Sender<Order>,
}

/// What the thread is asked for.
enum Order {
    /// To announce.
    Announce(Pending),
    /// To announce now whatever is still to be announced, and to say when that is done.
    Finish(Sender<()>),
}

/// An announcement that is not over.
struct Pending {
    due: Instant,
    left: u8,
    interval: Duration,
    effect: Effect,
}

impl Announcer {
    pub(crate) fn new<K: Write + Send + Sync + ?Sized + 'static>(kernel: Arc<K>) -> Self {
        let (queue, announcements) = channel();
        let run = move || repeat(&*kernel, &announcements);
        if let Err(error) = thread::Builder::new().name("announce".into()).spawn(run) {
            tracing::warn!(%error, "cannot start the thread that announces addresses");
        }
        Self { queue }
    }

    /// Announces soon, and as often again as is asked for.
    pub(crate) fn announce(&self, effect: Effect, repeat: Repeat) {
        let Some(left) = repeat.times.checked_sub(1) else {
            return;
        };
        let interval = Duration::from_millis(repeat.interval_ms.into());
        let announcement = Pending {
            due: Instant::now() + FIRST,
            left,
            interval,
            effect,
        };
        if self.queue.send(Order::Announce(announcement)).is_err() {
            tracing::warn!("an address is not announced: the thread that does it has ended");
        }
    }

    /// Announces now what waits for it, once, and forgets the repetitions: this process ends.
    pub(crate) fn finish(&self) {
        let (done, finished) = channel();
        // Either way there is nothing left to wait for.
        if self.queue.send(Order::Finish(done)).is_ok() {
            let _ = finished.recv();
        }
    }
}

/// Sends each announcement when it is due, until the sender is gone.
fn repeat<K: Write + ?Sized>(kernel: &K, announcements: &Receiver<Order>) {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        match next(announcements, &pending) {
            Ok(Order::Announce(announcement)) => pending.push(announcement),
            Ok(Order::Finish(done)) => {
                for mut announcement in pending.drain(..) {
                    send(kernel, &mut announcement);
                }
                drop(done);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        pending.retain_mut(|announcement| announcement.due > now || send(kernel, announcement));
    }
}

/// The next announcement, or a timeout when a pending one is due.
fn next(announcements: &Receiver<Order>, pending: &[Pending]) -> Result<Order, RecvTimeoutError> {
    match pending.iter().map(|announcement| announcement.due).min() {
        None => announcements
            .recv()
            .map_err(|_| RecvTimeoutError::Disconnected),
        Some(due) => announcements.recv_timeout(due.saturating_duration_since(Instant::now())),
    }
}

/// Sends one, and says whether it has to be sent again.
fn send<K: Write + ?Sized>(kernel: &K, announcement: &mut Pending) -> bool {
    if let Err(error) = kernel.run(&announcement.effect) {
        // The sandbox may be gone by now; then there is nothing left to announce.
        tracing::debug!(effect = %announcement.effect, %error, "not announced");
        return false;
    }
    announcement.due = Instant::now() + announcement.interval;
    match announcement.left.checked_sub(1) {
        Some(left) => announcement.left = left,
        None => return false,
    }
    true
}
