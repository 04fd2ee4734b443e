//! Waiting for a container's end without a thread of one's own.

use crate::locks::lock;
use crate::request::{Exit, WaitCondition};
use crate::wake::Wake;
use crate::{ContainerError, Containers};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

impl Containers {
    /// Subscribes to a container's end.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<Waiter, ContainerError> {
        let container = self.registry.find(reference)?;
        // Ends are published under this lock, after the record has them.
        let mut waiters = lock(&container.waiters);
        let removed = lock(&container.life).removed;
        let ended =
            condition == WaitCondition::NotRunning && !container.record().state.is_running();
        match removed || ended {
            true => Ok(Waiter::ready(container.last_exit())),
            false => Ok(waiters.add(condition)),
        }
    }
}

/// A subscription to the end of a container. A future that needs no particular runtime.
#[derive(Debug)]
pub struct Waiter(oneshot::Receiver<Exit>);

impl Waiter {
    /// One that is answered already.
    pub(crate) fn ready(exit: Exit) -> Self {
        let (sender, receiver) = oneshot::channel();
        // The receiver is right here, so it can be sent to.
        let sent = sender.send(exit);
        debug_assert!(sent.is_ok());
        Self(receiver)
    }

    /// Blocks until it happened. `None` if the daemon ends first.
    pub fn wait(self) -> Option<Exit> {
        self.0.blocking_recv().ok()
    }
}

impl Future for Waiter {
    /// `None` if the daemon ends first.
    type Output = Option<Exit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Exit>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

/// Waits for a waiter's answer until a deadline. `None` if it did not come.
pub(crate) fn wait_until(mut waiter: Waiter, deadline: Option<Instant>) -> Option<Exit> {
    let thread = std::thread::current();
    let waker = std::task::Waker::from(Arc::new(Unpark(thread)));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(exit) = Pin::new(&mut waiter).poll(&mut context) {
            return exit;
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return None,
            Some(left) => std::thread::park_timeout(left),
            None => std::thread::park(),
        }
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Who waits for one container.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// For its next exit; its removal counts as one.
    exit: Vec<oneshot::Sender<Exit>>,
    /// For the end of this very run, or of the attempt at it.
    run: Vec<oneshot::Sender<Exit>>,
    /// For its removal.
    removal: Vec<oneshot::Sender<Exit>>,
    /// Threads that read its log as it grows.
    followers: Vec<Weak<Wake>>,
}

impl Waiters {
    /// Adds one. Whether the condition holds already is for the caller to know.
    pub(crate) fn add(&mut self, condition: WaitCondition) -> Waiter {
        let list = match condition {
            WaitCondition::NotRunning | WaitCondition::NextExit => &mut self.exit,
            WaitCondition::Removed => &mut self.removal,
        };
        subscribe(list)
    }

    /// Adds one for the end of the run that is under way or about to begin.
    pub(crate) fn add_run(&mut self) -> Waiter {
        subscribe(&mut self.run)
    }

    /// Wakes this thread too when the container exits.
    pub(crate) fn add_follower(&mut self, wake: &Arc<Wake>) {
        self.followers
            .retain(|follower| follower.strong_count() > 0);
        self.followers.push(Arc::downgrade(wake));
    }

    /// Tells those who wait for an exit.
    pub(crate) fn exited(&mut self, exit: &Exit) {
        tell(&mut self.exit, exit);
        self.run_ended(exit);
        for follower in self
            .followers
            .drain(..)
            .filter_map(|follower| follower.upgrade())
        {
            follower.ring();
        }
    }

    /// Tells those who wait for the end of this run, which may not even have begun.
    pub(crate) fn run_ended(&mut self, exit: &Exit) {
        tell(&mut self.run, exit);
    }

    /// Wakes all waiters.
    pub(crate) fn removed(&mut self, exit: &Exit) {
        tell(&mut self.removal, exit);
        self.exited(exit);
    }
}

fn subscribe(list: &mut Vec<oneshot::Sender<Exit>>) -> Waiter {
    // Those who gave up would pile up on a container that runs for long.
    list.retain(|waiter| !waiter.is_closed());
    let (sender, receiver) = oneshot::channel();
    list.push(sender);
    Waiter(receiver)
}

fn tell(list: &mut Vec<oneshot::Sender<Exit>>, exit: &Exit) {
    for waiter in list.drain(..) {
        // One who gave up needs no answer.
        drop(waiter.send(exit.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i64) -> Exit {
        Exit { code, error: None }
    }

    #[test]
    fn an_exit_is_told_to_those_who_wait_for_it() {
        let mut waiters = Waiters::default();
        let next = waiters.add(WaitCondition::NextExit);
        let removed = waiters.add(WaitCondition::Removed);
        waiters.exited(&exit(3));
        assert_eq!(next.wait(), Some(exit(3)));
        assert_eq!(wait_until(removed, Some(Instant::now())), None);
    }

    #[test]
    fn a_removal_is_told_to_everybody() {
        let mut waiters = Waiters::default();
        let next = waiters.add(WaitCondition::NextExit);
        let removed = waiters.add(WaitCondition::Removed);
        waiters.removed(&exit(0));
        assert_eq!(wait_until(next, None), Some(exit(0)));
        assert_eq!(removed.wait(), Some(exit(0)));
    }

    #[test]
    fn a_run_that_did_not_begin_ends_for_those_who_wait_for_that_run_only() {
        let mut waiters = Waiters::default();
        let (run, next) = (waiters.add_run(), waiters.add(WaitCondition::NextExit));
        waiters.run_ended(&exit(127));
        assert_eq!(run.wait(), Some(exit(127)));
        assert_eq!(wait_until(next, Some(Instant::now())), None);
    }

    #[test]
    fn those_who_gave_up_are_forgotten() {
        let mut waiters = Waiters::default();
        for _ in 0..10 {
            drop(waiters.add(WaitCondition::NotRunning));
        }
        assert_eq!(waiters.exit.len(), 1);
    }

    #[test]
    fn a_wait_that_is_answered_later_ends_then() {
        let mut waiters = Waiters::default();
        let waiter = waiters.add(WaitCondition::NextExit);
        let waiting = std::thread::spawn(move || wait_until(waiter, None));
        waiters.exited(&exit(9));
        assert_eq!(waiting.join().unwrap(), Some(exit(9)));
    }
}
