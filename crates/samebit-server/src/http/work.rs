//! What is still to be done for clients: whoever ends the server waits for that, and for nothing else.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// A count of things that are being done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work(Arc<AtomicUsize>);

/// One of them; over when this is dropped.
#[derive(Debug)]
pub(crate) struct Doing(Arc<AtomicUsize>);

impl Work {
    pub(crate) fn begin(&self) -> Doing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Doing(Arc::clone(&self.0))
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's mark: empty until all of it has come and its answer is being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark(Arc<OnceLock<Doing>>);

impl Mark {
    /// The request has come.
    pub(crate) fn set(&self, work: &Work) {
        self.0.get_or_init(|| work.begin());
    }

    /// The body that the mark is kept for, until it has been sent.
    pub(crate) fn keep(self, body: Body) -> Body {
        match self.0.get() {
            Some(_) => Body::new(Marked { body, _mark: self }),
            None => body,
        }
    }
}

struct Marked {
    body: Body,
    _mark: Mark,
}

impl HttpBody for Marked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
