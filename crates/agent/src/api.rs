//! The platform's HTTP API, one typed method for each endpoint.
//!
//! HTTP/1.1 over TLS to the pinned platform, a few connections kept for the next requests. Every request has a
//! deadline, every answer a longest length. Nothing is retried but what was never sent; no redirect is followed.

mod administration;
mod authentication;
mod exchange;
mod line;
mod network;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use postern_api::{ListQuery, PREFIX};
use postern_domain::{Pin, Secret, Target, Timestamp};
use postern_transport::{Clock, PinnedConnector};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::address::PlatformAddress;
use crate::clock_check::PlatformTime;
use crate::error::ApiError;
pub(crate) use authentication::STATEMENT_PATH;
use exchange::Exchange;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Name, TCP and TLS together.
    pub connect: Duration,
    /// The whole request, connecting included.
    pub request: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(15),
        }
    }
}

/// The body of a request that says all in its path.
#[derive(Debug, Serialize)]
struct NoBody {}

/// A client of the platform's API. Clones share connections, pins and what is known of the platform's time.
#[derive(Debug, Clone)]
pub struct Api {
    exchange: Arc<Exchange>,
    pins: watch::Sender<Vec<Pin>>,
    time: PlatformTime,
}

impl Api {
    /// Makes a client; nothing is connected yet.
    #[must_use]
    pub fn new(address: PlatformAddress, clock: Clock) -> Self {
        Self::with_deadlines(address, clock, Deadlines::default())
    }

    /// Makes a client with other deadlines.
    #[must_use]
    pub fn with_deadlines(address: PlatformAddress, clock: Clock, deadlines: Deadlines) -> Self {
        let (pins, pinned) = watch::channel(address.pins);
        let connector = PinnedConnector::new(pinned, clock.clone(), &[b"http/1.1"]);
        Self {
            exchange: Arc::new(Exchange::new(address.target, connector, deadlines)),
            pins,
            time: PlatformTime::new(clock),
        }
    }

    /// Returns where the platform is and how it is known now.
    #[must_use]
    pub fn address(&self) -> PlatformAddress {
        PlatformAddress {
            target: self.exchange.address().clone(),
            pins: self.pins.borrow().clone(),
        }
    }

    /// Returns the platform's time as last learned.
    #[must_use]
    pub const fn time_of_platform(&self) -> &PlatformTime {
        &self.time
    }

    /// Takes the pins that the platform announced, for the connections to come. An empty set changes nothing.
    pub fn announce_pins(&self, announced: &[Pin]) {
        self.pins.send_if_modified(|pins| {
            let changes = !announced.is_empty() && pins != announced;
            if changes {
                announced.clone_into(pins);
            }
            changes
        });
    }

    fn address_text(&self) -> &Target {
        self.exchange.address()
    }

    fn now(&self) -> Timestamp {
        self.time.local()
    }

    async fn get<T: DeserializeOwned>(&self, token: &Secret<String>, path: &str) -> Result<T, ApiError> {
        let body = self
            .exchange
            .send(Method::GET, &format!("{PREFIX}{path}"), Some(token), None)
            .await?;
        self.read(&body)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        token: &Secret<String>,
        path: &str,
        query: &ListQuery,
    ) -> Result<T, ApiError> {
        self.get(token, &format!("{path}{}", exchange::query_text(query)))
            .await
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        token: Option<&Secret<String>>,
        path: &str,
        body: &B,
    ) -> Result<T, ApiError> {
        let body = exchange::body(body)?;
        let path = format!("{PREFIX}{path}");
        let answer = self.exchange.send(Method::POST, &path, token, Some(body)).await?;
        self.read(&answer)
    }

    async fn effect(&self, token: &Secret<String>, method: Method, path: &str) -> Result<(), ApiError> {
        let path = format!("{PREFIX}{path}");
        self.exchange
            .send(method, &path, Some(token), None)
            .await
            .map(drop)
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ApiError> {
        serde_json::from_slice(body).map_err(|error| ApiError::Unreadable {
            address: self.address_text().clone(),
            detail: format!("line {} column {} of its body", error.line(), error.column()),
        })
    }
}
