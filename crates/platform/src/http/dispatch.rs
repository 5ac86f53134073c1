//! The one way through the API: admit, decide, answer, record.
//!
//! Whoever may not do a thing is told so before anything is looked up or read. An attempt is recorded whether
//! it was allowed or not; what the log cannot take is not done.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use postern_audit::{Durability, Event, Hop, Outcome, Source};
use postern_domain::Reason;
use tokio::time::{Instant, timeout};

use super::app::App;
use super::connection::Peer;
use super::endpoint::{Admission, Call, Endpoint, Handler, OpenCall, Reply};
use super::fold::Kind;
use super::input::{self, Input, Parameters};
use super::subject::with_subjects;
use super::{problem, source};
use crate::access::{self, Action};
use crate::credential;
use crate::{Arrival, Error, RequestContext};

/// The largest body.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// The largest path and headers together.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// An attempt, as far as it got.
struct Attempt {
    arrival: Arrival,
    action: &'static str,
    path: &'static str,
    parameters: Parameters,
    context: Option<RequestContext>,
}

/// Answers a request to an endpoint.
pub(super) async fn dispatch(
    app: Arc<App>,
    endpoint: &'static Endpoint,
    parameters: Parameters,
    request: Request<Body>,
) -> Response<Body> {
    let mut attempt = Attempt {
        arrival: arrive(&app, &request),
        action: endpoint.admission.action(),
        path: endpoint.path,
        parameters,
        context: None,
    };
    let deadline = app.limits().request_deadline();
    let answered = timeout(deadline, answer(&app, endpoint, request, &mut attempt)).await;
    let result = answered.unwrap_or_else(|_| Err(problem::too_slow()));
    let result = record(&app, &attempt, endpoint.admission, result).await;
    let id = attempt.arrival.request;
    match result {
        Ok(reply) => problem::reply(reply, id),
        Err(error) => problem::problem(&error, id),
    }
}

/// Answers a request that no endpoint is for.
pub(super) async fn refuse(app: Arc<App>, request: Request<Body>, error: Error) -> Response<Body> {
    let attempt = Attempt {
        arrival: arrive(&app, &request),
        action: "unknown",
        path: "",
        parameters: Parameters::new(),
        context: None,
    };
    let id = attempt.arrival.request;
    match record(&app, &attempt, Admission::Open(attempt.action), Err(error)).await {
        Ok(reply) => problem::reply(reply, id),
        Err(error) => problem::problem(&error, id),
    }
}

fn arrive(app: &App, request: &Request<Body>) -> Arrival {
    let peer = request.extensions().get::<Peer>();
    app.arrival(|trusted| peer.map(|peer| source::source(peer.address, request.headers(), trusted)))
}

async fn answer(
    app: &Arc<App>,
    endpoint: &'static Endpoint,
    request: Request<Body>,
    attempt: &mut Attempt,
) -> Result<Reply, Error> {
    let arrival = attempt.arrival;
    let head = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    if head.sum::<usize>() + request.uri().to_string().len() > HEAD_LIMIT {
        return Err(problem::head_too_large(HEAD_LIMIT));
    }
    if matches!(endpoint.admission, Admission::Login(_)) && !app.allow_login(arrival.source) {
        return Err(Error::rate_limited());
    }
    let bearer = input::bearer(request.headers())?;
    let decided = match endpoint.admission {
        Admission::Open(_) | Admission::Login(_) => None,
        Admission::Bearer(action) => {
            let token = bearer
                .as_ref()
                .ok_or_else(|| Error::unauthenticated(Reason::Unauthenticated))?;
            let context = credential::authenticate(app.store(), &arrival, token).await?;
            if let Some(peer) = request.extensions().get::<Peer>() {
                peer.authenticated();
            }
            attempt.context = Some(context.clone());
            let access = access::decide(&context, action)?;
            Some((context, access))
        }
    };
    let (head, body) = request.into_parts();
    let input = Input {
        parameters: attempt.parameters.clone(),
        query: head.uri.query().map(Into::into),
        bearer,
        is_json: input::is_json(&head.headers),
        body: read(&head.method, body).await?,
    };
    let app = Arc::clone(app);
    match (endpoint.handler, decided) {
        (Handler::Open(run), _) => run(OpenCall { app, arrival, input }).await,
        (Handler::Guarded(run), Some((context, access))) => {
            run(Call {
                app,
                context,
                access,
                input,
            })
            .await
        }
        (Handler::Guarded(_), None) => Err(Error::internal("a guarded handler at an open endpoint")),
    }
}

/// Reads the body of a method that has one.
async fn read(method: &Method, body: Body) -> Result<Bytes, Error> {
    if *method != Method::POST && *method != Method::PUT {
        return Ok(Bytes::new());
    }
    let collected = timeout(BODY_DEADLINE, Limited::new(body, BODY_LIMIT).collect()).await;
    match collected.map_err(|_| problem::body_timeout())? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(problem::too_large(BODY_LIMIT)),
        Err(_) => Err(Error::invalid("the body broke off")),
    }
}

/// Records an attempt, unless the service did so together with its change.
async fn record(
    app: &App,
    attempt: &Attempt,
    admission: Admission,
    result: Result<Reply, Error>,
) -> Result<Reply, Error> {
    match result {
        // Nobody acts and nothing is shown where no credential is asked for.
        Ok(reply) if reply.recorded || matches!(admission, Admission::Open(_)) => Ok(reply),
        Ok(reply) => {
            // A daemon polls every second; its polls are counted, not listed.
            if matches!(admission, Admission::Bearer(Action::WatchSnapshot)) {
                app.folds()
                    .count(kind(attempt, Outcome::Allowed, None), attempt.arrival.now);
                return Ok(reply);
            }
            let event = Event::allowed(Hop::Api, attempt.action, attempt.arrival.now);
            let recorded = app
                .recorder()
                .record(reply, describe(event, attempt), Durability::Soon)
                .await;
            recorded
                .map(postern_audit::Recorded::into_inner)
                .map_err(Error::not_recorded)
        }
        Err(error) => {
            let (now, reason) = (attempt.arrival.now, error.reason());
            let failed = error.status().is_server_error();
            let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
            if attempt.context.is_none() && folded(app, attempt, outcome, Some(reason)) {
                return Err(error);
            }
            let event = match failed {
                true => Event::failed(Hop::Api, attempt.action, reason, now),
                false => Event::refused(Hop::Api, attempt.action, reason, now),
            };
            // The detail of a body that could not be read repeats some of it, which may be a secret.
            let event = match error.status() {
                StatusCode::BAD_REQUEST => event,
                _ => event.with_detail(error.detail()),
            };
            if let Err(error) = app.recorder().note(describe(event, attempt)).await {
                tracing::error!(request = %attempt.arrival.request, %error, "a refusal was not recorded");
            }
            Err(error)
        }
    }
}

/// Counts an attempt instead of recording it, if there are too many from its source.
fn folded(app: &App, attempt: &Attempt, outcome: Outcome, reason: Option<Reason>) -> bool {
    let Arrival { source, now, .. } = attempt.arrival;
    !app.folds()
        .is_single(kind(attempt, outcome, reason), source, now, Instant::now())
}

fn kind(attempt: &Attempt, outcome: Outcome, reason: Option<Reason>) -> Kind {
    Kind {
        action: attempt.action,
        outcome,
        reason,
        actor: attempt.context.as_ref().map(|context| context.actor),
        organization: attempt.context.as_ref().and_then(|context| context.organization),
        source: Some(source::network_of(attempt.arrival.source)),
    }
}

fn describe(event: Event, attempt: &Attempt) -> Event {
    let event = with_subjects(event, attempt.path, &attempt.parameters);
    let event = event.with_source(Source::folded(attempt.arrival.source));
    match &attempt.context {
        Some(context) => event
            .with_actor(context.actor)
            .with_organization(context.organization),
        None => event,
    }
}
