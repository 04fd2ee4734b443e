//! What a handler left of a request's body.
//!
//! Clients send the head first and the body after it. A connection that is closed while the body is on
//! its way breaks their write, and they never read the answer. So what is left is read, as far as it is
//! short, before the answer goes.

use crate::body::RequestBody;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much is read of a body that no handler read, as Go's server does.
const MOST: usize = 256 << 10;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a body comes back to.
type Slot = Arc<Mutex<Option<RequestBody>>>;

/// What will be left of a body that is lent to a handler.
pub(crate) struct Unread(Slot);

/// A body on loan: what is left of it goes back when it is dropped.
struct Lent {
    body: RequestBody,
    slot: Slot,
}

/// Lends a body.
pub(crate) fn lend(body: RequestBody) -> (RequestBody, Unread) {
    let slot = Slot::default();
    let lent = Lent {
        body,
        slot: Arc::clone(&slot),
    };
    (lent.boxed(), Unread(slot))
}

impl Unread {
    /// Reads what is left, but for what is long or late.
    pub(crate) async fn drain(self) {
        let Some(body) = locked(&self.0).take() else {
            return;
        };
        let rest = Limited::new(body, MOST).collect();
        if !matches!(tokio::time::timeout(PATIENCE, rest).await, Ok(Ok(_))) {
            tracing::debug!("the rest of a request was too long or too late to be read");
        }
    }
}

fn locked(slot: &Slot) -> MutexGuard<'_, Option<RequestBody>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::replace(&mut self.body, crate::body::empty());
            *locked(&self.slot) = Some(body);
        }
    }
}
