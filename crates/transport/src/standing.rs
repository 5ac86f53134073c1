//! The standing of an open connection: how long its peer's authority lasts.
//!
//! A handshake judges once. Afterwards the connection is judged again whenever trust changes, at least every
//! [`RECHECK`] (so that trust that grows stale is noticed), and at the moment at which the peer's session ends.

use std::time::Duration;

use postern_domain::Reason;
use postern_pki::VerifiedPeer;
use tokio::time::Instant;

use crate::{Clock, Drain, TrustReceiver};

/// The longest time between two judgements.
pub const RECHECK: Duration = Duration::from_secs(30);

/// What open connections are judged by; cheap to clone.
#[derive(Debug, Clone)]
pub struct Standing {
    trust: TrustReceiver,
    clock: Clock,
    drain: Drain,
    grace: Duration,
}

impl Standing {
    /// Makes it. Connections may go on for `grace` after the drain began.
    #[must_use]
    pub const fn new(trust: TrustReceiver, clock: Clock, drain: Drain, grace: Duration) -> Self {
        Self {
            trust,
            clock,
            drain,
            grace,
        }
    }

    /// Returns whether the peer's authority holds now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(&self, peer: &VerifiedPeer) -> Result<(), Reason> {
        let now = self.clock.now();
        let trust = self.trust.borrow();
        let fresh = trust.fresh(now).map_err(|_| Reason::TrustStale)?;
        peer.still_holds(&fresh, now).map_err(|refusal| refusal.reason)
    }

    /// Resolves when the peer's authority is lost or the drain's grace is over, with the reason.
    pub async fn lost(&self, peer: &VerifiedPeer) -> Reason {
        let mut trust = self.trust.clone();
        let drained = async {
            self.drain.draining().await;
            tokio::time::sleep(self.grace).await;
        };
        let mut drained = std::pin::pin!(drained);
        loop {
            trust.mark_unchanged();
            if let Err(reason) = self.judge(peer) {
                return reason;
            }
            let end = peer
                .session_expires()
                .map(|end| end.since(self.clock.now()).saturating_add(TICK));
            let next = Instant::now() + end.unwrap_or(RECHECK).min(RECHECK);
            tokio::select! {
                () = tokio::time::sleep_until(next) => (),
                // The sender lives as long as the daemon; if it is gone, so is all that could renew trust.
                changed = trust.changed() => if changed.is_err() { return Reason::TrustStale },
                () = &mut drained => return Reason::Draining,
            }
        }
    }
}

/// The clock's resolution: a session's last millisecond still belongs to it.
const TICK: Duration = Duration::from_millis(1);
