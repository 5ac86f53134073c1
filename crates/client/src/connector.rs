//! The way to a session: ask, dial relay after relay, prove and judge, begin.

use postern_api::SessionGranted;
use postern_domain::{Reason, ResourceId};
use postern_session::Limits;
use postern_transport::Clock;

use crate::dial::{Reached, reach};
use crate::expectation::{ClockOff, Expectation, Keys};
use crate::{ConnectError, Evidence, GrantSource, Leg, Session, Stage, Timeouts};

/// Makes sessions.
#[derive(Debug, Clone)]
pub struct Connector<S> {
    source: S,
    clock: Clock,
    timeouts: Timeouts,
    limits: Limits,
}

impl<S: GrantSource> Connector<S> {
    /// Makes a connector that asks `source` for sessions.
    pub fn new(source: S, clock: Clock) -> Self {
        Self {
            source,
            clock,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }

    /// Sets how long each step may take.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets what a session may cost.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the clock.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Makes a session on these resources, all of them behind one gateway. `progress` hears of every step.
    ///
    /// The session runs as a task of its own until it is over; see [`Session`].
    ///
    /// # Errors
    ///
    /// Says on which leg it failed and why; if relays were tried, what became of each.
    pub async fn connect(
        &self,
        resources: &[ResourceId],
        progress: impl Fn(Stage) + Send + Sync,
    ) -> Result<Session, ConnectError> {
        match self.attempt(resources, &progress).await {
            Err(error) if error.is_pin_mismatch() => {
                // The gateway may have changed its key since the platform answered.
                progress(Stage::AskingAgain);
                let again = self.attempt(resources, &progress).await;
                if let Err(error) = &again
                    && error.is_pin_mismatch()
                {
                    tracing::error!(
                        %error,
                        "a gateway's key is not one that the platform announced, though it was asked twice"
                    );
                }
                again
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        resources: &[ResourceId],
        progress: &(impl Fn(Stage) + Send + Sync),
    ) -> Result<Session, ConnectError> {
        let keys = Keys::generate()?;
        progress(Stage::Asking);
        let granted = self.ask(resources, &keys).await?;
        progress(Stage::Granted {
            session: granted.grant.session,
            gateway: granted.grant.gateway,
            expires: granted.grant.session_expires,
        });
        let now = self.clock.now();
        let off = ClockOff::new(now, granted.time);
        off.check()?;
        if off.is_worth_a_word() {
            tracing::warn!(
                seconds = off.by.as_secs(),
                ahead = off.ahead,
                "this computer's clock is off"
            );
            progress(Stage::ClockOff {
                by: off.by,
                ahead: off.ahead,
            });
        }
        let expectation = Expectation::new(&granted, &keys, &self.clock, now)?;
        let reached = self.try_relays(&expectation, progress).await?;
        Ok(begin(reached, granted, off))
    }

    async fn ask(&self, resources: &[ResourceId], keys: &Keys) -> Result<SessionGranted, ConnectError> {
        let asking = self
            .source
            .grant(resources, keys.relay.csr_pem(), keys.gateway.csr_pem());
        match tokio::time::timeout(self.timeouts.grant, asking).await {
            Ok(Ok(granted)) => Ok(granted),
            Ok(Err(error)) => Err(ConnectError::new(Leg::Platform, error.reason, error.detail)),
            Err(_) => Err(ConnectError::new(
                Leg::Platform,
                Reason::Unavailable,
                "The platform did not answer in time.",
            )),
        }
    }

    /// Tries relays in their order until one leads to an admitted session or the gateway itself says no.
    async fn try_relays(
        &self,
        expectation: &Expectation,
        progress: &(impl Fn(Stage) + Send + Sync),
    ) -> Result<Reached, ConnectError> {
        let mut attempts = Vec::new();
        for relay in &expectation.relays {
            match reach(relay, expectation, &self.timeouts, &self.limits, progress).await {
                Ok(reached) => return Ok(reached),
                Err(attempt) => {
                    progress(Stage::RelayFailed(attempt.clone()));
                    let is_final = attempt.is_final();
                    attempts.push(attempt);
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(ConnectError::of_attempts(attempts))
    }
}

fn begin(reached: Reached, granted: SessionGranted, off: ClockOff) -> Session {
    // Ends by itself when the last handle and stream are gone, or the connection is.
    tokio::spawn(reached.driver.run());
    Session {
        connection: reached.connection,
        grant: granted.grant,
        evidence: Evidence {
            address: reached.address,
            relay: reached.relay,
            gateway: reached.gateway,
            admission: reached.admission,
            clock_distance: off.by,
        },
    }
}
