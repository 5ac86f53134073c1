//! A machine identity that logs in by itself, again and again, and asks for grants.

use postern_agent::{Api, ApiError};
use postern_api::{CreateSession, SessionGranted, UniversalLogin};
use postern_client::{GrantError, GrantSource};
use postern_domain::{ResourceId, Secret};
use tokio::sync::Mutex;

use crate::kept::Credential;

/// An identity with its credential; its token is renewed when the platform no longer takes it.
#[derive(Debug)]
pub struct Login {
    api: Api,
    credential: Credential,
    token: Mutex<Option<Secret<String>>>,
}

impl Login {
    /// Takes a credential; nothing is asked yet.
    #[must_use]
    pub fn new(api: Api, credential: Credential) -> Self {
        Self {
            api,
            credential,
            token: Mutex::new(None),
        }
    }

    /// Returns the platform's API.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Returns a token, logging in if there is none.
    ///
    /// # Errors
    /// The platform refused, or is away.
    pub async fn token(&self) -> Result<Secret<String>, ApiError> {
        let mut kept = self.token.lock().await;
        if let Some(token) = &*kept {
            return Ok(token.clone());
        }
        let login = UniversalLogin {
            client_id: self.credential.client_id.clone(),
            client_secret: self.credential.client_secret.clone(),
        };
        let token = self.api.log_in_universal(&login).await?.access_token;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// Asks for a session; should the token be over, once more with a new one.
    async fn create_session(&self, request: &CreateSession) -> Result<SessionGranted, ApiError> {
        match self.api.create_session(&self.token().await?, request).await {
            Err(error) if error.is_unauthenticated() => {
                *self.token.lock().await = None;
                self.api.create_session(&self.token().await?, request).await
            }
            answer => answer,
        }
    }
}

impl GrantSource for Login {
    async fn grant(
        &self,
        resources: &[ResourceId],
        relay_csr: String,
        gateway_csr: String,
    ) -> Result<SessionGranted, GrantError> {
        let request = CreateSession {
            resources: resources.to_vec(),
            relay_csr,
            gateway_csr,
        };
        self.create_session(&request)
            .await
            .map_err(|error| postern::not_granted(&error))
    }
}
