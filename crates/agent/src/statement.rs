//! Statements: how a daemon shows who it is, without a secret that could be stolen on the way or from a log.
//!
//! A statement is a JWT (RFC 7519) signed with EdDSA (RFC 8037) by the identity key. It lives for [`LIFETIME`],
//! names the one request that may carry it, and has a random `jti` that the platform accepts once.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use postern_api::StatementClaims;
use postern_domain::{DaemonId, InstanceId, Secret, Timestamp};
use postern_sshkey::PrivateKey;

/// How long a statement lives: the longest that the platform takes.
const LIFETIME: Duration = Duration::from_secs(60);
/// The length of a signature by Ed25519 (RFC 8032 section 5.1.6).
const SIGNATURE: usize = 64;
const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;

/// A statement could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The system gave no randomness.
    #[error("no statement can be made: the system gave no randomness")]
    Randomness,
    /// The identity key did not sign.
    #[error("no statement can be made: the identity key did not sign")]
    Key,
}

/// Makes the statements of one daemon.
#[derive(Debug, Clone)]
pub struct Statements {
    daemon: DaemonId,
    instance: InstanceId,
    key: PrivateKey,
}

impl Statements {
    /// Takes the daemon, the instance it speaks to, and its identity key.
    #[must_use]
    pub const fn new(daemon: DaemonId, instance: InstanceId, key: PrivateKey) -> Self {
        Self {
            daemon,
            instance,
            key,
        }
    }

    /// Makes a statement for one request; `now` is the platform's time.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn make(
        &self,
        method: &Method,
        path: &str,
        now: Timestamp,
    ) -> Result<Secret<String>, StatementError> {
        let mut jti = [0; 16];
        rand::fill(&mut jti).map_err(|_| StatementError::Randomness)?;
        let claims = StatementClaims {
            iss: self.daemon,
            aud: self.instance,
            iat: now.as_unix_seconds(),
            exp: now.plus(LIFETIME).as_unix_seconds(),
            jti: URL_SAFE_NO_PAD.encode(jti),
            htm: method.to_string(),
            htp: path.into(),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| StatementError::Key)?;
        let mut statement = URL_SAFE_NO_PAD.encode(HEADER);
        statement.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut statement);
        // The key stays where it is: its SSH signature ends with the 64 bytes that JWS wants (RFC 8709 section 6).
        let signature = self.key.sign_raw(statement.as_bytes());
        let signature = signature.last_chunk::<SIGNATURE>().ok_or(StatementError::Key)?;
        statement.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut statement);
        Ok(Secret::new(statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode, errors::Error};
    use postern_domain::GatewayId;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_900);

    fn read(statement: &Secret<String>, key: &PrivateKey) -> Result<TokenData<StatementClaims>, Error> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let wire = key.public_key().to_bytes();
        let public = DecodingKey::from_ed_der(wire.last_chunk::<32>().unwrap());
        decode(statement.expose(), &public, &validation)
    }

    fn statements() -> (Statements, PrivateKey) {
        let key = PrivateKey::generate().unwrap();
        let daemon = DaemonId::Gateway(GatewayId::generate(NOW));
        (
            Statements::new(daemon, InstanceId::generate(NOW), key.clone()),
            key,
        )
    }

    #[test]
    fn a_statement_names_speaker_instance_request_and_a_minute() {
        let (statements, key) = statements();
        let statement = statements
            .make(&Method::POST, "/api/v1/auth/statement", NOW)
            .unwrap();
        let read = read(&statement, &key).unwrap();
        assert_eq!(read.header.typ.as_deref(), Some("JWT"));
        let claims = read.claims;
        assert_eq!((claims.iss, claims.aud), (statements.daemon, statements.instance));
        assert_eq!((claims.iat, claims.exp), (1_700_000_000, 1_700_000_060));
        assert_eq!((&*claims.htm, &*claims.htp), ("POST", "/api/v1/auth/statement"));
        assert_eq!(claims.jti.len(), 22);
    }

    #[test]
    fn no_two_statements_have_one_jti() {
        let (statements, key) = statements();
        let jti = || {
            read(&statements.make(&Method::POST, "/", NOW).unwrap(), &key)
                .unwrap()
                .claims
                .jti
        };
        assert_ne!(jti(), jti());
    }

    #[test]
    fn another_key_does_not_verify_it() {
        let (statements, _) = statements();
        let statement = statements.make(&Method::POST, "/", NOW).unwrap();
        assert!(read(&statement, &PrivateKey::generate().unwrap()).is_err());
    }
}
