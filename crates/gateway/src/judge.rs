//! Judging the relay at the other end of the tunnel, before any authentication.

use postern_domain::{Host, Port, Reason, RelayId, Scope};
use postern_pki::judge_relay_host;
use postern_ssh::{HostJudge, Refused};
use postern_sshkey::Certificate;
use postern_transport::{Clock, TrustReceiver};

/// Judges host certificates of one relay.
#[derive(Debug)]
pub(crate) struct RelayJudge {
    pub(crate) relay: RelayId,
    pub(crate) scope: Scope,
    pub(crate) host: Host,
    pub(crate) port: Port,
    pub(crate) trust: TrustReceiver,
    pub(crate) clock: Clock,
}

impl HostJudge for RelayJudge {
    fn judge(&self, certificate: &Certificate) -> Result<(), Refused> {
        let now = self.clock.now();
        let trust = self.trust.borrow();
        let fresh = trust
            .fresh(now)
            .map_err(|stale| Refused::new(Reason::TrustStale.code(), stale.to_string()))?;
        judge_relay_host(
            certificate,
            (&self.host, self.port),
            self.relay,
            self.scope,
            &fresh,
            now,
        )
        .map(|_| ())
        .map_err(|refusal| Refused::new(refusal.reason.code(), refusal.detail))
    }
}
