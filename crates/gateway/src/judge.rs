//! Judging the relay at the other end of the tunnel: before any authentication, and for as long as it lasts.

use std::sync::OnceLock;

use postern_domain::{Host, Port, Reason, RelayId, Scope};
use postern_pki::{VerifiedPeer, judge_relay_host};
use postern_ssh::{HostJudge, Refused, RefusedAttempt};
use postern_sshkey::Certificate;
use postern_transport::{Clock, TrustReceiver};
use tokio::sync::mpsc;

/// Judges host certificates of one relay.
#[derive(Debug)]
pub(crate) struct RelayJudge {
    pub(crate) relay: RelayId,
    pub(crate) scope: Scope,
    pub(crate) host: Host,
    pub(crate) port: Port,
    pub(crate) trust: TrustReceiver,
    pub(crate) clock: Clock,
    /// Who the relay is, once it was judged.
    pub(crate) peer: OnceLock<VerifiedPeer>,
    /// Where what the relay asked for and was refused goes, on its way to the audit log.
    pub(crate) refusals: mpsc::Sender<RefusedAttempt>,
}

impl HostJudge for RelayJudge {
    fn judge(&self, certificate: &Certificate) -> Result<(), Refused> {
        let now = self.clock.now();
        let trust = self.trust.borrow();
        let fresh = trust
            .fresh(now)
            .map_err(|stale| Refused::new(Reason::TrustStale.code(), stale.to_string()))?;
        let peer = judge_relay_host(
            certificate,
            (&self.host, self.port),
            self.relay,
            self.scope,
            &fresh,
            now,
        )
        .map_err(|refusal| Refused::new(refusal.reason.code(), refusal.detail))?;
        // It is judged once for each connection; should the library ask again, the first answer stands.
        self.peer.set(peer).ok();
        Ok(())
    }

    fn refused(&self, attempt: RefusedAttempt) {
        if let Err(lost) = self.refusals.try_send(attempt) {
            tracing::warn!(relay = %self.relay, %lost, "a relay is refused faster than it can be recorded");
        }
    }
}
