//! One session for many connections, made anew when it is lost or near its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_domain::{Port, ResourceId};
use postern_session::{OpenError, Stream};
use tokio::sync::Mutex;

use crate::{ConnectError, Connector, GrantSource, Leg, Session, Stage};

/// A session that ends sooner than this takes no new connection.
const NEAR_END: Duration = Duration::from_secs(30);

/// A failed attempt and its number.
type Failure = (u64, ConnectError);

#[derive(Debug, Default)]
struct State {
    session: Option<Arc<Session>>,
    failure: Option<Failure>,
}

/// Keeps one session on a set of resources. Whoever asks while a session is being made waits for that attempt
/// and shares its outcome.
pub struct Pool<S> {
    connector: Connector<S>,
    resources: Vec<ResourceId>,
    state: Mutex<State>,
    /// Attempts that have come to an end.
    attempts: AtomicU64,
    progress: Box<dyn Fn(Stage) + Send + Sync>,
}

impl<S> std::fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

impl<S: GrantSource> Pool<S> {
    /// Makes a pool of sessions on these resources, all of them behind one gateway. Nothing is asked for before the
    /// first connection.
    pub fn new(connector: Connector<S>, resources: Vec<ResourceId>) -> Self {
        Self {
            connector,
            resources,
            state: Mutex::default(),
            attempts: AtomicU64::new(0),
            progress: Box::new(|_| {}),
        }
    }

    /// Sets who hears of the steps on the way to each session.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Stage) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Returns the session, or makes one.
    ///
    /// # Errors
    ///
    /// Why there is none: of this attempt, or of one that ended while we waited.
    pub async fn session(&self) -> Result<Arc<Session>, ConnectError> {
        let arrived = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(session) = &state.session
            && self.is_usable(session)
        {
            return Ok(Arc::clone(session));
        }
        if let Some((number, error)) = &state.failure
            && *number > arrived
        {
            return Err(error.clone());
        }
        let result = self.connector.connect(&self.resources, &self.progress).await;
        let number = self.attempts.fetch_add(1, Ordering::AcqRel) + 1;
        match result {
            Ok(session) => {
                let session = Arc::new(session);
                state.session = Some(Arc::clone(&session));
                state.failure = None;
                Ok(session)
            }
            Err(error) => {
                state.session = None;
                state.failure = Some((number, error.clone()));
                Err(error)
            }
        }
    }

    fn is_usable(&self, session: &Session) -> bool {
        session.is_open() && session.expires().since(self.connector.clock().now()) > NEAR_END
    }

    /// Opens a connection to a resource at its port. If the session turns out to be over, a new one is made, once.
    ///
    /// # Errors
    ///
    /// Why there is no session, or the gateway's refusal with its reason.
    pub async fn open(&self, resource: ResourceId, port: Port) -> Result<Stream, ConnectError> {
        let session = self.session().await?;
        match session.open(resource, port).await {
            Err(error) if error.is_session_over() => {
                self.forget(&session).await;
                let session = self.session().await?;
                session.open(resource, port).await.map_err(refused)
            }
            result => result.map_err(refused),
        }
    }

    /// Drops a session that has proven useless, unless it was replaced already.
    async fn forget(&self, useless: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if state
            .session
            .as_ref()
            .is_some_and(|session| Arc::ptr_eq(session, useless))
        {
            state.session = None;
        }
    }
}

fn refused(error: OpenError) -> ConnectError {
    ConnectError::new(Leg::Session, error.reason(), error.to_string())
}
