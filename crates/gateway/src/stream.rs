//! One CONNECT stream: authorized anew, put on record, dialled, copied both ways.

use postern_audit::{Durability, Event, Hop, Recorded};
use postern_domain::{Reason, ResourceAuthority};
use postern_session::{Ask, Denial, Opening, Permit, Stream, authorize, authorize_probe};
use postern_transport::{CopyEnd, WithReset, copy_two_way};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dial::{Approach, DIAL_TIME, approach, dial};
use crate::inner::{Shared, Visitor, note};

/// Serves one stream until it ends. Whatever comes of it is on record before it happens.
pub(crate) async fn serve(shared: &Shared, visitor: &Visitor, opening: Opening) {
    let ask = match opening.ask() {
        Ask::Connect(ask) => ask,
        Ask::Probe => return probe(shared, visitor, opening),
    };
    let attempt = Attempt { shared, visitor, ask };
    let reached = tokio::select! {
        reached = attempt.reach() => reached,
        _ = opening.abandoned() => {
            let now = shared.clock.now();
            let event = Event::failed(Hop::Target, "stream.abandon", Reason::ConnectionLost, now);
            return note(&shared.recorder, attempt.describe(event)).await;
        }
    };
    let target = match reached {
        Ok(target) => target,
        Err(reason) => return opening.refuse(reason),
    };
    let mut why = None;
    let stop = async { why = Some(attempt.until_it_must_end().await) };
    let stream = WithReset::new(opening.accept(), Stream::reset);
    let copied = copy_two_way(stream, target, stop).await;
    attempt.note_end(copied, why).await;
}

/// Answers the platform's question after the gateway's health.
fn probe(shared: &Shared, visitor: &Visitor, opening: Opening) {
    match authorize_probe(&visitor.peer, &shared.policy.borrow(), shared.clock.now()) {
        Ok(()) => drop(opening.accept()),
        Err(denial) => opening.refuse(denial.reason),
    }
}

/// One client's attempt to reach one resource.
struct Attempt<'a> {
    shared: &'a Shared,
    visitor: &'a Visitor,
    ask: ResourceAuthority,
}

impl Attempt<'_> {
    fn describe(&self, event: Event) -> Event {
        self.visitor.describe(event).with_resource(self.ask.resource)
    }

    fn authorize(&self) -> Result<Permit, Denial> {
        let shared = self.shared;
        authorize(
            &self.visitor.peer,
            &shared.policy.borrow(),
            self.ask,
            shared.clock.now(),
        )
    }

    /// Admits the attempt and dials the target.
    async fn reach(&self) -> Result<TcpStream, Reason> {
        let shared = self.shared;
        let deadline = Instant::now() + DIAL_TIME;
        let (permit, approach) = self.admit(deadline).await?;
        match dial(&permit, &approach, deadline).await {
            Ok(target) => Ok(target),
            Err(error) => {
                let event = Event::failed(Hop::Target, "stream.dial", error.reason, shared.clock.now());
                note(&shared.recorder, self.describe(event.with_detail(&error.detail))).await;
                Err(error.reason)
            }
        }
    }

    /// Authorizes the attempt and judges the target's addresses, then puts the permit on record.
    async fn admit(&self, deadline: Instant) -> Result<(Recorded<Permit>, Approach), Reason> {
        let shared = self.shared;
        let judged = match self.authorize() {
            Ok(permit) => match approach(&permit, &shared.rules, deadline).await {
                Ok(approach) => Ok((permit, approach)),
                Err(error) => Err((error.reason, error.detail)),
            },
            Err(denial) => Err((denial.reason, denial.to_string())),
        };
        let (permit, approach) = match judged {
            Ok(judged) => judged,
            Err((reason, detail)) => {
                let event = Event::refused(Hop::Target, "stream.open", reason, shared.clock.now());
                note(&shared.recorder, self.describe(event.with_detail(&detail))).await;
                return Err(reason);
            }
        };
        let event = self.describe(Event::allowed(Hop::Target, "stream.open", shared.clock.now()));
        match shared.recorder.record(permit, event, Durability::Soon).await {
            Ok(recorded) => Ok((recorded, approach)),
            Err(error) => {
                tracing::error!(%error, "stream refused");
                Err(Reason::NotRecorded)
            }
        }
    }

    /// Resolves when policy no longer permits this stream. The session's own end is watched by the session.
    async fn until_it_must_end(&self) -> Reason {
        let mut policy = self.shared.policy.clone();
        while policy.changed().await.is_ok() {
            if let Err(denial) = self.authorize() {
                return denial.reason;
            }
        }
        Reason::TrustStale
    }

    async fn note_end(&self, copied: CopyEnd, why: Option<Reason>) {
        let mut event = Event::ended(Hop::Target, "stream.close", self.shared.clock.now());
        event.reason = why;
        note(
            &self.shared.recorder,
            self.describe(event.with_bytes(copied.a_to_b, copied.b_to_a)),
        )
        .await;
    }
}
