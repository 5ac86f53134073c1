//! What a daemon proves: that it holds the TLS key, the SSH key and the identity key, for this instance.

use http::StatusCode;
use postern_api::{EnrollRequest, UnverifiedDaemonRequest};
use postern_domain::{Actor, DaemonId, InstanceId, Pin, Scope, Timestamp};
use postern_pki::{
    DaemonKind, RequestError, VerifiedRequest, pin_of_ssh_key, sha256, verify_daemon_request,
    verify_identity_statement,
};
use postern_sshkey::PublicKey;

use crate::Error;
use crate::error::OnConflict as _;
use crate::store::{Write, millis, scope_text};

/// A request whose proofs hold.
#[derive(Debug)]
pub(super) struct Proof {
    /// TLS key and SSH key.
    pub(super) request: VerifiedRequest,
    identity: PublicKey,
    ssh: (PublicKey, Pin),
    /// SHA-256 over the pins of the three keys.
    pub(super) fingerprint: Vec<u8>,
}

/// Verifies a daemon's requests.
///
/// # Errors
/// 400 if they cannot be read, 403 if a proof does not hold.
pub(super) fn verify_request(
    request: &UnverifiedDaemonRequest,
    instance: InstanceId,
    kind: DaemonKind,
) -> Result<VerifiedRequest, Error> {
    verify_daemon_request(&request.csr, &request.ssh_key, &request.ssh_proof, instance, kind).map_err(refusal)
}

/// Says why a request was refused.
pub(crate) fn refusal(error: RequestError) -> Error {
    let status = match error {
        RequestError::Signature | RequestError::SshProof | RequestError::IdentityProof => {
            StatusCode::FORBIDDEN
        }
        RequestError::Pem(_) | RequestError::Malformed | RequestError::KeyKind | RequestError::SshKey => {
            StatusCode::BAD_REQUEST
        }
    };
    Error::new(error.reason(), status, error.to_string())
}

impl Proof {
    /// Verifies all proofs of an enrollment.
    ///
    /// # Errors
    /// As [`verify_request`]; 400 if one key is used for two purposes.
    pub(super) fn verify(
        request: &EnrollRequest,
        instance: InstanceId,
        kind: DaemonKind,
    ) -> Result<Self, Error> {
        let verified = verify_request(&request.request, instance, kind)?;
        let EnrollRequest {
            identity_key,
            identity_proof,
            ..
        } = request;
        let identity =
            verify_identity_statement(identity_key, identity_proof, instance, &request.request.csr)
                .map_err(refusal)?;
        let missing = || Error::internal("a daemon's request has an SSH key");
        let ssh = verified.ssh_key().cloned().ok_or_else(missing)?;
        let pin = verified.ssh_pin().ok_or_else(missing)?;
        let identity_pin = pin_of_ssh_key(&identity);
        if identity_pin == pin {
            return Err(Error::invalid(
                "identity_key: it must be another key than ssh_key",
            ));
        }
        let pins = [verified.pin(), pin, identity_pin];
        let bytes: Vec<u8> = pins.iter().flat_map(|p| *p.as_bytes()).collect();
        Ok(Self {
            request: verified,
            identity,
            ssh: (ssh, pin),
            fingerprint: sha256(&bytes).to_vec(),
        })
    }

    /// Refuses an identity key that was revoked; the others are judged where they are certified.
    pub(super) async fn demand_good_identity_key(&self, write: &mut Write) -> Result<(), Error> {
        crate::revoke::demand_good_key(write, pin_of_ssh_key(&self.identity)).await
    }

    /// Writes the daemon's keys.
    ///
    /// # Errors
    /// A conflict, if one of them is another daemon's.
    pub(super) async fn insert(
        &self,
        write: &mut Write,
        (daemon, scope): (DaemonId, Scope),
        enrolled_by: Actor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (ssh, ssh_pin) = &self.ssh;
        sqlx::query(
            "INSERT INTO daemon_keys (daemon, scope, ssh_key, ssh_pin, tls_pin, identity_key, identity_pin, \
                 enrolled_by, created, last_used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        )
        .bind(daemon.to_string())
        .bind(scope_text(scope))
        .bind(ssh.to_openssh())
        .bind(ssh_pin.to_string())
        .bind(self.request.pin().to_string())
        .bind(self.identity.to_openssh())
        .bind(pin_of_ssh_key(&self.identity).to_string())
        .bind(enrolled_by.to_string())
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .on_conflict(|| "a key is in use by another daemon already: make new ones".into())?;
        Ok(())
    }
}
