//! The gateway's end of the inner session: one tunnelled stream becomes a mutual-TLS session, and that a series
//! of CONNECT streams, each authorized anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_audit::{Durability, Event, Hop, Recorder, Source};
use postern_domain::{Reason, RelayId};
use postern_pki::VerifiedPeer;
use postern_session::{Denial, Policy, session_admitted};
use postern_ssh::RefusedAttempt;
use postern_transport::{AcceptError, Clock, MutualAcceptor, Standing};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::rules::Rules;
use crate::stream;

/// How long a client has for the inner handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Where a tunnelled stream says it comes from. The relay tells it; nothing proves it.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The client's address, as the relay saw it.
    pub source: Option<SocketAddr>,
    /// The relay that delivered the stream.
    pub relay: Option<RelayId>,
}

/// All that an inner session is judged and served by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inner {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) acceptor: MutualAcceptor,
    pub(crate) policy: watch::Receiver<Arc<Policy>>,
    pub(crate) standing: Standing,
    pub(crate) rules: Rules,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) limits: postern_session::Limits,
    pub(crate) handshakes: Semaphore,
    pub(crate) sessions: Semaphore,
}

/// Who a session belongs to; every record about it says the same.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) peer: Arc<VerifiedPeer>,
    pub(crate) origin: Origin,
}

impl Visitor {
    /// Adds to an event whose session it was.
    pub(crate) fn describe(&self, event: Event) -> Event {
        let grant = self.peer.grant();
        let event = event
            .with_organization(self.peer.organization())
            .with_session(self.peer.session())
            .with_gateway(grant.map(|g| g.gateway))
            .with_project(grant.and_then(|g| g.project))
            .with_certificate(self.peer.serial().clone());
        let event = match grant {
            Some(grant) => event.with_actor(grant.actor),
            None => event,
        };
        describe_origin(event, self.origin)
    }
}

fn describe_origin(event: Event, origin: Origin) -> Event {
    let event = event.with_relay(origin.relay);
    match origin.source {
        Some(address) => event.with_source(Source::claimed(address)),
        None => event,
    }
}

impl Shared {
    fn admitted(&self, peer: &VerifiedPeer) -> Result<(), Denial> {
        session_admitted(peer, &self.policy.borrow(), self.clock.now())
    }
}

impl Inner {
    /// Serves one tunnelled stream until its session ends: by the client, by its expiry, by revocation, or by
    /// the gateway's own drain. Everything about it is on record.
    pub async fn serve<IO>(&self, io: IO, origin: Origin)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let shared = &self.shared;
        let Ok(handshaking) = shared.handshakes.try_acquire() else {
            let detail = "this gateway has too many handshakes under way";
            return self.note_refused(Reason::OverQuota, detail, origin, None).await;
        };
        let judged = match shared
            .acceptor
            .handshake(io, Instant::now() + HANDSHAKE_TIME)
            .await
        {
            Ok(judged) => judged,
            Err(error) => {
                return self
                    .note_refused(error.reason, &error.detail, origin, Some(&error))
                    .await;
            }
        };
        drop(handshaking);
        let visitor = match judged.peer {
            Ok(peer) => Visitor {
                peer: Arc::new(peer),
                origin,
            },
            Err(error) => {
                self.note_refused(error.reason, &error.detail, origin, Some(&error))
                    .await;
                return self.run(judged.stream, Err(error.reason), None).await;
            }
        };
        let place = shared.sessions.try_acquire().map_err(|_| Reason::OverQuota);
        let admission = match &place {
            Ok(_) => self.admit(&visitor).await,
            Err(reason) => {
                self.refuse(&visitor, *reason, "this gateway has too many sessions")
                    .await
            }
        };
        self.run(judged.stream, admission, Some(&visitor)).await;
    }

    /// Judges what the policy says of a session, and puts the answer on record.
    async fn admit(&self, visitor: &Visitor) -> Result<(), Reason> {
        let shared = &self.shared;
        if let Err(denial) = shared.admitted(&visitor.peer) {
            return self
                .refuse(visitor, denial.reason, denial.reason.explanation())
                .await;
        }
        let event = visitor.describe(Event::allowed(
            Hop::GatewayInner,
            "session.open",
            shared.clock.now(),
        ));
        match shared.recorder.record((), event, Durability::Synced).await {
            Ok(recorded) => {
                recorded.into_inner();
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "session refused");
                Err(error.reason())
            }
        }
    }

    async fn refuse(&self, visitor: &Visitor, reason: Reason, detail: &str) -> Result<(), Reason> {
        let event = Event::refused(Hop::GatewayInner, "session.open", reason, self.shared.clock.now());
        note(&self.shared.recorder, visitor.describe(event.with_detail(detail))).await;
        Err(reason)
    }

    /// Runs a session that was admitted to its end, or tells the client that it was not.
    async fn run<IO>(&self, tls: IO, admission: Result<(), Reason>, visitor: Option<&Visitor>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let shared = &self.shared;
        let (hand, orders) = postern_session::orders();
        let handler = |opening| {
            let (shared, visitor) = (Arc::clone(shared), visitor.cloned());
            async move {
                if let Some(visitor) = visitor {
                    stream::serve(&shared, &visitor, opening).await;
                }
            }
        };
        let serving = postern_session::serve(tls, admission, &shared.limits, orders, handler);
        let governing = async {
            if let (Ok(()), Some(visitor)) = (admission, visitor) {
                hand.end(self.until_it_must_end(visitor).await);
            }
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = serving => ended,
            never = governing => never,
        };
        let (Ok(()), Some(visitor)) = (admission, visitor) else {
            return;
        };
        let mut event = Event::ended(Hop::GatewayInner, "session.close", shared.clock.now());
        event.reason = ended.reason();
        note(&shared.recorder, visitor.describe(event)).await;
    }

    /// Records what a relay asked for on its tunnel and was refused.
    pub(crate) async fn note_refused_relay(&self, relay: RelayId, attempt: &RefusedAttempt) {
        let reason = attempt.code().parse().unwrap_or(Reason::RequestNotOffered);
        let event = Event::refused(
            Hop::GatewayTunnel,
            "tunnel.request",
            reason,
            self.shared.clock.now(),
        );
        self.note_relay(
            relay,
            event.with_detail(&format!("{}: {}", attempt.attempt, attempt.detail)),
        )
        .await;
    }

    /// Records that a tunnel was ended because its relay's authority was lost.
    pub(crate) async fn note_lost_relay(&self, relay: RelayId, reason: Reason) {
        let event = Event::ended(Hop::GatewayTunnel, "tunnel.close", self.shared.clock.now());
        self.note_relay(relay, event.with_reason(reason)).await;
    }

    async fn note_relay(&self, relay: RelayId, event: Event) {
        let (organization, gateway) = {
            let policy = self.shared.policy.borrow();
            (policy.organization, policy.gateway)
        };
        let event = event
            .with_organization(organization)
            .with_gateway(gateway)
            .with_relay(relay);
        note(&self.shared.recorder, event).await;
    }

    async fn note_refused(&self, reason: Reason, detail: &str, origin: Origin, error: Option<&AcceptError>) {
        let event = Event::refused(Hop::GatewayInner, "session.open", reason, self.shared.clock.now());
        let mut event = describe_origin(event.with_detail(detail), origin);
        if let Some(claimed) = error.map(|e| &e.claimed) {
            event = event
                .with_organization(claimed.organization)
                .with_gateway(claimed.gateway)
                .with_session(claimed.session)
                .with_certificate(claimed.serial.clone());
        }
        note(&self.shared.recorder, event).await;
    }

    /// Resolves when the session's authority ends, with the reason.
    async fn until_it_must_end(&self, visitor: &Visitor) -> Reason {
        let shared = &self.shared;
        let mut policy = shared.policy.clone();
        let excluded = async {
            loop {
                policy.mark_unchanged();
                if let Err(denial) = shared.admitted(&visitor.peer) {
                    return denial.reason;
                }
                if policy.changed().await.is_err() {
                    return Reason::TrustStale;
                }
            }
        };
        tokio::select! {
            reason = shared.standing.lost(&visitor.peer) => reason,
            reason = excluded => reason,
        }
    }
}

/// Records what allows nothing. If it cannot be recorded the log says so; there is nothing to take back.
pub(crate) async fn note(recorder: &Recorder, event: Event) {
    if let Err(error) = recorder.note(event).await {
        tracing::error!(%error, "an event could not be recorded");
    }
}
