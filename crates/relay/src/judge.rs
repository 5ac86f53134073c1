//! Judging a gateway at the SSH port. Organization and gateway are what its certificate says, never a look-up by
//! name.

use std::net::SocketAddr;
use std::sync::Arc;

use postern_audit::{Event, Hop, Source};
use postern_domain::{Reason, RelayId, Scope};
use postern_pki::{Claimed, Refusal, VerifiedPeer, judge_gateway};
use postern_ssh::{Judge, Offered, Refused, RefusedAttempt};
use postern_transport::{Clock, TrustReceiver};

use crate::reports::Reports;

/// Judges certificates of gateways for one relay, and puts every refusal on record.
#[derive(Debug)]
pub(crate) struct GatewayJudge {
    pub(crate) relay: RelayId,
    pub(crate) scope: Scope,
    pub(crate) trust: TrustReceiver,
    pub(crate) clock: Clock,
    pub(crate) reports: Reports,
}

impl GatewayJudge {
    fn event(&self, reason: Reason, detail: &str, peer: SocketAddr) -> Event {
        Event::refused(Hop::RelaySsh, "tunnel.open", reason, self.clock.now())
            .with_detail(detail)
            .with_relay(self.relay)
            .with_source(Source::seen(peer))
    }

    fn verify(&self, offered: &Offered<'_>) -> Result<VerifiedPeer, Refusal> {
        let now = self.clock.now();
        let trust = self.trust.borrow();
        let fresh = trust.fresh(now).map_err(|stale| Refusal {
            reason: stale.reason(),
            detail: stale.to_string(),
            claimed: Claimed::default(),
        })?;
        judge_gateway(
            offered.certificate,
            offered.user,
            self.relay,
            self.scope,
            &fresh,
            now,
        )
    }
}

impl Judge for GatewayJudge {
    type Verdict = Arc<VerifiedPeer>;

    fn judge(&self, offered: Offered<'_>) -> Result<Self::Verdict, Refused> {
        self.verify(&offered).map(Arc::new).map_err(|refusal| {
            let event = self
                .event(refusal.reason, &refusal.detail, offered.peer)
                .with_organization(refusal.claimed.organization)
                .with_gateway(refusal.claimed.gateway)
                .with_certificate(refusal.claimed.serial);
            self.reports.send(event);
            Refused::new(refusal.reason.code(), refusal.detail)
        })
    }

    fn refused(&self, attempt: RefusedAttempt, peer: SocketAddr) {
        let reason = attempt.code().parse().unwrap_or(Reason::Refused);
        let detail = format!("{}: {}", attempt.attempt, attempt.detail);
        self.reports.send(self.event(reason, &detail, peer));
    }
}
