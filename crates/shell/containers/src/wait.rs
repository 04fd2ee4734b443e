//! Waiting for a container's end without a thread of one's own.

use crate::request::Exit;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// A subscription to the end of a container. A future that needs no particular runtime.
#[derive(Debug)]
pub struct Waiter(pub(crate) oneshot::Receiver<Exit>);

impl Waiter {
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
