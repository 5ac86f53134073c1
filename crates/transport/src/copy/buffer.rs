//! Buffers of 64 KiB, kept by each thread for the next one who needs one, so that a stream holds a buffer only
//! while bytes are in it.

use std::cell::RefCell;

/// The size of a buffer in bytes.
pub(super) const SIZE: usize = 64 * 1024;

/// How many free buffers a thread keeps.
const KEPT: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Takes a buffer. What is in it is left over from an earlier use.
pub(super) fn take() -> Box<[u8]> {
    FREE.with(|free| free.borrow_mut().pop())
        .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())
}

/// Gives a buffer back.
pub(super) fn give(buffer: Box<[u8]>) {
    FREE.with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(buffer);
        }
    });
}
