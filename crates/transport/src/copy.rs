//! Two-way copy: joins two streams until both directions have ended. The end of one direction crosses as an
//! end of that direction only; a reset crosses as a reset, never as an orderly end. Bytes are not looked at.
//!
//! An idle pair holds no buffer, a moving one at most one of 64 KiB for each direction; buffers are reused, so a
//! packet costs no allocation.

mod buffer;
mod direction;
mod duplex;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use direction::{Direction, Failed};
pub use duplex::{Duplex, WithReset};

/// How long the second direction may stay silent after the first has ended. A peer that never answers an end
/// with its own would otherwise hold the pair for ever.
pub const HALF_CLOSED_IDLE: Duration = Duration::from_secs(3600);

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowEnded {
    /// Both directions ended in order.
    Finished,
    /// The first stream was reset or failed, and the second was reset.
    ResetByA,
    /// The second stream was reset or failed, and the first was reset.
    ResetByB,
    /// It was told to stop, and both streams were reset.
    Stopped,
    /// One direction had ended and the other stayed silent for [`HALF_CLOSED_IDLE`]; both streams were reset.
    HalfClosedIdle,
}

/// What a copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyEnd {
    /// Bytes from the first stream to the second.
    pub a_to_b: u64,
    /// Bytes from the second stream to the first.
    pub b_to_a: u64,
    /// How it ended.
    pub how: HowEnded,
}

/// Copies between `a` and `b` until both directions have ended, one stream fails, or `stop` resolves. The
/// streams are closed when it returns; dropping the future closes them without a reset.
pub async fn copy_two_way<A: Duplex, B: Duplex>(
    mut a: A,
    mut b: B,
    stop: impl Future<Output = ()>,
) -> CopyEnd {
    let mut stop = pin!(stop);
    let mut idle = pin!(None::<Sleep>);
    let mut to_b = Direction::default();
    let mut to_a = Direction::default();
    let mut moved = 0;
    let how = poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(HowEnded::Stopped);
        }
        let b_done = match to_b.poll(cx, &mut a, &mut b) {
            Poll::Ready(Err(Failed::Source)) => return Poll::Ready(HowEnded::ResetByA),
            Poll::Ready(Err(Failed::Sink)) => return Poll::Ready(HowEnded::ResetByB),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        let a_done = match to_a.poll(cx, &mut b, &mut a) {
            Poll::Ready(Err(Failed::Source)) => return Poll::Ready(HowEnded::ResetByB),
            Poll::Ready(Err(Failed::Sink)) => return Poll::Ready(HowEnded::ResetByA),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if a_done && b_done {
            return Poll::Ready(HowEnded::Finished);
        }
        if a_done || b_done {
            let total = to_a.bytes() + to_b.bytes();
            if idle.is_none() || total != moved {
                moved = total;
                idle.set(Some(tokio::time::sleep_until(Instant::now() + HALF_CLOSED_IDLE)));
            }
            if let Some(sleep) = idle.as_mut().as_pin_mut() {
                return sleep.poll(cx).map(|()| HowEnded::HalfClosedIdle);
            }
        }
        Poll::Pending
    })
    .await;
    let end = CopyEnd {
        a_to_b: to_b.bytes(),
        b_to_a: to_a.bytes(),
        how,
    };
    if how != HowEnded::Finished {
        a.reset();
        b.reset();
    }
    end
}
