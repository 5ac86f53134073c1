//! Time, logging in, and what a daemon asks for itself.

use http::Method;
use postern_api::{
    EnrollRequest, Enrolled, PREFIX, PasswordLogin, RenewRequest, Renewed, ServerTime, Snapshot,
    StatementLogin, Token, UniversalLogin, Whoami,
};
use postern_domain::Secret;

use super::Api;
use crate::clock_check::ClockSkew;
use crate::error::ApiError;

/// The path that a statement is made for.
pub(crate) const STATEMENT_PATH: &str = "/api/v1/auth/statement";

impl Api {
    /// `GET /time`: the platform's clock and instance. What it says of the clock is learned and judged.
    ///
    /// # Errors
    /// If the request does not succeed; the inner error if the clocks are too far apart.
    pub async fn server_time(&self) -> Result<(ServerTime, Result<(), ClockSkew>), ApiError> {
        let sent = self.now();
        let body = self
            .exchange
            .send(Method::GET, &format!("{PREFIX}/time"), None, None)
            .await?;
        let time: ServerTime = self.read(&body)?;
        let skew = self.time.learn(time.time, sent);
        Ok((time, skew))
    }

    /// `POST /auth/universal`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn log_in_universal(&self, login: &UniversalLogin) -> Result<Token, ApiError> {
        self.post(None, "/auth/universal", login).await
    }

    /// `POST /auth/password`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn log_in_password(&self, login: &PasswordLogin) -> Result<Token, ApiError> {
        self.post(None, "/auth/password", login).await
    }

    /// `POST /auth/statement`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn log_in_statement(&self, login: &StatementLogin) -> Result<Token, ApiError> {
        self.post(None, "/auth/statement", login).await
    }

    /// `GET /whoami`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn whoami(&self, token: &Secret<String>) -> Result<Whoami, ApiError> {
        self.get(token, "/whoami").await
    }

    /// `POST /enroll`, with a one-time token in the body or the bearer token of a machine identity.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn enroll(
        &self,
        token: Option<&Secret<String>>,
        request: &EnrollRequest,
    ) -> Result<Enrolled, ApiError> {
        self.post(token, "/enroll", request).await
    }

    /// `POST /daemon/certificates`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn renew_certificates(
        &self,
        token: &Secret<String>,
        request: &RenewRequest,
    ) -> Result<Renewed, ApiError> {
        self.post(Some(token), "/daemon/certificates", request).await
    }

    /// `GET /watch/snapshot`.
    ///
    /// # Errors
    /// If the request does not succeed.
    pub async fn snapshot(&self, token: &Secret<String>) -> Result<Snapshot, ApiError> {
        self.get(token, "/watch/snapshot").await
    }
}
