//! Enrollment: a daemon makes its keys, proves that it holds them, and learns who it is.
//!
//! Keys and requests are on the disk before they are sent. If the answer is lost, the same enrollment repeats them
//! and gets the same answer; what was refused for good is forgotten. Nothing is kept of the one-time token or of the
//! machine identity's but a digest, to tell whether an enrollment is the same.

use std::sync::Arc;

use postern_api::{EnrollRequest, Enrolled, EnrollmentTicket, UnverifiedDaemonRequest};
use postern_domain::{DaemonId, InstanceId, Name, Pin, RelayId, Secret, Timestamp};
use postern_pki::{DaemonKind, KeyError, sha256, sign_identity_statement};
use postern_transport::Clock;
use serde::{Deserialize, Serialize};

use crate::address::PlatformAddress;
use crate::api::Api;
use crate::certificates::{CertificatesRefused, certify};
use crate::clock_check::ClockSkew;
use crate::daemon::{Daemon, Keys, StoredKeys, kind_of};
use crate::error::ApiError;
use crate::knowledge::{Known, SnapshotError};
use crate::snapshot;
use crate::state::{StateDir, StateError};

const FILE: &str = "enrolling.json";

/// A daemon did not enroll.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The platform refused, or could not be asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The clocks are too far apart.
    #[error(transparent)]
    Clock(#[from] ClockSkew),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// No keys could be made.
    #[error("no keys could be made: {0}")]
    Key(String),
    /// The platform enrolled a daemon of another kind: the token is a relay's, and this is a gateway, or the reverse.
    #[error("the platform enrolled this {expected} as {found}")]
    Kind {
        /// Whom the platform enrolled.
        found: DaemonId,
        /// The kind that this is.
        expected: DaemonKind,
    },
    /// The snapshot that came with the answer is not right.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The certificates that came with the answer would be refused.
    #[error(transparent)]
    Certificates(#[from] CertificatesRefused),
}

impl From<KeyError> for EnrollError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

/// What a machine identity enrolls a gateway as.
#[derive(Debug, Clone)]
pub struct NewGateway {
    /// Its name; it is made if it does not exist.
    pub name: Name,
    /// Its relays, in order; empty: the platform assigns one.
    pub relays: Vec<RelayId>,
}

/// Enrolls with a one-time token.
///
/// # Errors
/// See [`EnrollError`]. After one that is not the platform's own, trying again with the same token repeats it.
pub async fn enroll_with_ticket(
    state: &StateDir,
    kind: DaemonKind,
    ticket: &EnrollmentTicket,
    clock: Clock,
) -> Result<Daemon, EnrollError> {
    let enrollment = Enrollment {
        kind,
        attempt: attempt(&[kind.as_str(), "token", ticket.secret.expose()]),
        bearer: None,
        token: Some(ticket.secret.clone()),
        gateway: None,
    };
    enrollment.run(state, ticket.into(), clock).await
}

/// Enrolls a gateway with the access token of a machine identity.
///
/// # Errors
/// See [`EnrollError`]. After one that is not the platform's own, trying again repeats it.
pub async fn enroll_with_identity(
    state: &StateDir,
    platform: PlatformAddress,
    token: &Secret<String>,
    gateway: NewGateway,
    clock: Clock,
) -> Result<Daemon, EnrollError> {
    let enrollment = Enrollment {
        kind: DaemonKind::Gateway,
        attempt: attempt(&[
            "gateway",
            "identity",
            &platform.target.to_string(),
            gateway.name.as_str(),
        ]),
        bearer: Some(token.clone()),
        token: None,
        gateway: Some(gateway),
    };
    enrollment.run(state, platform, clock).await
}

/// Tells one enrollment from another without keeping what it was made with.
fn attempt(parts: &[&str]) -> Pin {
    Pin::from_digest(sha256(parts.join("\n").as_bytes()))
}

struct Enrollment {
    kind: DaemonKind,
    attempt: Pin,
    bearer: Option<Secret<String>>,
    token: Option<Secret<String>>,
    gateway: Option<NewGateway>,
}

/// The keys and requests of an enrollment whose answer has not arrived.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    attempt: Pin,
    instance: InstanceId,
    keys: StoredKeys,
    request: UnverifiedDaemonRequest,
    identity_key: String,
    identity_proof: String,
}

impl Enrollment {
    async fn run(
        self,
        state: &StateDir,
        platform: PlatformAddress,
        clock: Clock,
    ) -> Result<Daemon, EnrollError> {
        let api = Api::new(platform, clock);
        let (time, skew) = api.server_time().await?;
        skew?;
        let (keys, pending) = self.prepare(state, time.instance)?;
        let request = EnrollRequest {
            token: self.token,
            name: self.gateway.as_ref().map(|g| g.name.clone()),
            relays: self.gateway.map(|g| g.relays).unwrap_or_default(),
            request: pending.request,
            identity_key: pending.identity_key,
            identity_proof: pending.identity_proof,
        };
        let sent = api.time_of_platform().local();
        let enrolled = match api.enroll(self.bearer.as_ref(), &request).await {
            Ok(enrolled) => enrolled,
            Err(error) => {
                if error.is_final() {
                    state.remove(FILE)?;
                }
                return Err(error.into());
            }
        };
        if kind_of(enrolled.daemon) != self.kind {
            return Err(EnrollError::Kind {
                found: enrolled.daemon,
                expected: self.kind,
            });
        }
        let now = api.time_of_platform().local();
        finish(state, &api, (time.instance, keys), enrolled, (sent, now)).await
    }

    /// Returns the keys and requests of this enrollment, on the disk: those of last time, if it is the same.
    fn prepare(&self, state: &StateDir, instance: InstanceId) -> Result<(Keys, Pending), EnrollError> {
        match state.load::<Pending>(FILE)? {
            Some(pending) if pending.attempt == self.attempt && pending.instance == instance => {
                let keys = Keys::from_stored(&pending.keys).map_err(|detail| state.corrupt(FILE, detail))?;
                return Ok((keys, pending));
            }
            Some(_) | None => {}
        }
        let keys = Keys::generate()?;
        let requests = keys.certified.requests(instance, self.kind)?;
        let pending = Pending {
            attempt: self.attempt,
            instance,
            keys: keys
                .to_stored()
                .map_err(|error| EnrollError::Key(error.to_string()))?,
            request: UnverifiedDaemonRequest {
                csr: requests.csr,
                ssh_key: requests.ssh_key,
                ssh_proof: requests.ssh_proof,
            },
            identity_key: keys.identity.public_key().to_openssh(),
            identity_proof: sign_identity_statement(&keys.identity, instance, keys.certified.tls.csr_der())?,
        };
        state.save(FILE, &pending)?;
        Ok((keys, pending))
    }
}

/// Judges the answer and makes it the daemon's state.
async fn finish(
    state: &StateDir,
    api: &Api,
    (instance, keys): (InstanceId, Keys),
    enrolled: Enrolled,
    (sent, now): (Timestamp, Timestamp),
) -> Result<Daemon, EnrollError> {
    let known = Known::first(enrolled.snapshot, enrolled.daemon, instance, sent)?;
    certify(enrolled.daemon, &keys, &enrolled.certificates, &known, now)?;
    api.announce_pins(&known.snapshot.platform_pins);
    let daemon = Daemon {
        id: enrolled.daemon,
        name: enrolled.name,
        instance,
        platform: api.address(),
        keys: Arc::new(keys),
        certificates: enrolled.certificates,
    };
    daemon.save(state)?;
    snapshot::save(state, &known.snapshot, sent).await?;
    state.remove(FILE)?;
    Ok(daemon)
}
