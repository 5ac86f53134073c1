//! Access tokens of a daemon: short, kept in memory only, asked for with a statement.

use http::Method;
use postern_api::{StatementLogin, Token};
use postern_domain::{Secret, Timestamp};
use tokio::sync::Mutex;

use crate::api::{Api, STATEMENT_PATH};
use crate::error::ApiError;
use crate::statement::Statements;

/// Gives out the newest token, one request for it at a time.
#[derive(Debug)]
pub struct TokenSource {
    api: Api,
    statements: Statements,
    /// Held while a token is asked for: whoever comes meanwhile gets the same.
    token: Mutex<Option<Token>>,
}

impl TokenSource {
    /// Makes a source; nothing is asked yet.
    #[must_use]
    pub fn new(api: Api, statements: Statements) -> Self {
        Self {
            api,
            statements,
            token: Mutex::new(None),
        }
    }

    /// Returns the client that tokens are asked with.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Returns a token that has at least a third of its life left.
    ///
    /// # Errors
    /// If the platform does not give one.
    pub async fn token(&self) -> Result<Secret<String>, ApiError> {
        let mut held = self.token.lock().await;
        let now = self.api.time_of_platform().platform();
        match &*held {
            Some(token) if now < due(token) => Ok(token.access_token.clone()),
            _ => {
                let token = self.ask().await?;
                Ok(held.insert(token).access_token.clone())
            }
        }
    }

    /// Runs a request with a token. If the platform demands another (401), it is asked for once and the request run
    /// again.
    ///
    /// # Errors
    /// That of the request, or of asking for a token.
    pub async fn call<T, F, Fut>(&self, request: F) -> Result<T, ApiError>
    where
        F: Fn(Secret<String>) -> Fut,
        Fut: Future<Output = Result<T, ApiError>>,
    {
        let token = self.token().await?;
        match request(token.clone()).await {
            Err(error) if error.is_unauthenticated() => {
                self.forget(&token).await;
                request(self.token().await?).await
            }
            answer => answer,
        }
    }

    /// Drops a token that was refused, unless a newer one has taken its place.
    async fn forget(&self, refused: &Secret<String>) {
        let mut held = self.token.lock().await;
        held.take_if(|token| token.access_token.expose() == refused.expose());
    }

    async fn ask(&self) -> Result<Token, ApiError> {
        if !self.api.time_of_platform().is_learned() {
            self.learn_time().await?;
        }
        match self.ask_once().await {
            // The clock may have been set since the platform's time was learned, or a statement been lost on the way
            // and sent again: learn it anew and make another.
            Err(error) if error.is_unauthenticated() => {
                self.learn_time().await?;
                self.ask_once().await
            }
            answer => answer,
        }
    }

    async fn ask_once(&self) -> Result<Token, ApiError> {
        let now = self.api.time_of_platform().platform();
        let statement = self
            .statements
            .make(&Method::POST, STATEMENT_PATH, now)
            .map_err(|error| ApiError::Unsendable(error.to_string()))?;
        self.api.log_in_statement(&StatementLogin { statement }).await
    }

    async fn learn_time(&self) -> Result<(), ApiError> {
        // Whether the clock is good enough to go by is judged where the snapshot is taken: a statement is made in the
        // platform's own time.
        let (_, _skew) = self.api.server_time().await?;
        Ok(())
    }
}

/// The moment from which a token is replaced, in the platform's time.
fn due(token: &Token) -> Timestamp {
    token.time.plus(token.expires.since(token.time) * 2 / 3)
}
