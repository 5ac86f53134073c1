//! A piece of a stream on its way to the wire, and the account of how much is on its way.
//!
//! The HTTP/2 library drops a piece when it has been written; that is how the sender learns that the wire
//! has taken it, and until then joins what is written after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;

/// How many bytes of one stream lie between its queue and the wire.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    bytes: AtomicUsize,
    waiting: AtomicWaker,
}

impl InFlight {
    /// Returns the bytes on their way, and has the task woken when they become fewer.
    pub(crate) fn watch(&self, cx: &Context<'_>) -> usize {
        self.waiting.register(cx.waker());
        self.bytes.load(Ordering::Acquire)
    }

    /// Takes the waker back, so that a finished task is not kept.
    pub(crate) fn forget(&self) -> Option<Waker> {
        self.waiting.take()
    }
}

/// A piece of a stream, counted from its making until it is dropped.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    charge: usize,
    account: Option<Arc<InFlight>>,
}

impl Chunk {
    pub(crate) fn new(bytes: Bytes, account: &Arc<InFlight>) -> Self {
        let charge = bytes.len();
        account.bytes.fetch_add(charge, Ordering::AcqRel);
        Self {
            bytes,
            charge,
            account: Some(Arc::clone(account)),
        }
    }

    /// Makes the empty piece that ends a stream.
    pub(crate) const fn end() -> Self {
        Self {
            bytes: Bytes::new(),
            charge: 0,
            account: None,
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.bytes.fetch_sub(self.charge, Ordering::AcqRel);
            account.waiting.wake();
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
