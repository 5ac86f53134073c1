//! Credentials: a certificate chain with its private key, and the place where the newest one is read. A new one
//! is published only after our own verifier accepted it; handshakes begun before keep the old one.

use std::fmt;
use std::sync::Arc;

use postern_domain::{Host, Pin, Timestamp};
use postern_pki::{FreshTrust, Leg, Refusal, VerifiedPeer, judge, pin_of_certificate};
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;

use super::{pinned, profile};

/// A chain and a key do not make a credential.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There is no certificate.
    #[error("the credential has no certificate")]
    Empty,
    /// The certificate is for another key.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The library takes the certificate or the key for broken.
    #[error("the certificate or its private key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// A certificate chain, leaf first, with the private key of the leaf: they are known to belong together.
#[derive(Clone)]
pub struct Credential(Arc<CertifiedKey>);

impl Credential {
    /// Joins a chain, leaf first, with the leaf's private key.
    ///
    /// # Errors
    /// Fails when the chain is empty, something cannot be parsed, or the key is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CredentialError> {
        if chain.is_empty() {
            return Err(CredentialError::Empty);
        }
        let key = CertifiedKey::from_der(chain, key, &profile::one_way()).map_err(|error| {
            if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                CredentialError::KeyMismatch
            } else {
                CredentialError::Unusable(error)
            }
        })?;
        Ok(Self(Arc::new(key)))
    }

    /// Returns the chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    /// Returns the pin of the leaf's key.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.0.cert.first().and_then(pin_of_certificate)
    }

    /// Judges the credential as the other end of its leg will.
    ///
    /// # Errors
    /// The refusal that the other end would give.
    pub fn verify(&self, leg: &Leg, trust: &FreshTrust<'_>, now: Timestamp) -> Result<VerifiedPeer, Refusal> {
        judge(leg, &self.0.cert, trust, now)
    }

    /// Judges the credential of the platform's HTTPS as daemons and clients will, for each of its hosts.
    ///
    /// # Errors
    /// The refusal that they would give.
    pub fn verify_pinned(&self, pins: &[Pin], hosts: &[Host], now: Timestamp) -> Result<(), Refusal> {
        hosts
            .iter()
            .try_for_each(|host| pinned::check(&self.0.cert, pins, host, now))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").field(&self.pin()).finish()
    }
}

/// Holds the newest credential. Whoever renews owns it.
#[derive(Debug)]
pub struct CredentialStore(watch::Sender<Credential>);

impl CredentialStore {
    /// Starts with a first credential.
    #[must_use]
    pub fn new(first: Credential) -> Self {
        Self(watch::Sender::new(first))
    }

    /// Publishes a credential of a mutual leg, if it would be accepted there.
    ///
    /// # Errors
    /// The refusal that the other end would give; the old credential stays.
    pub fn publish(
        &self,
        new: Credential,
        leg: &Leg,
        trust: &FreshTrust<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        new.verify(leg, trust, now)?;
        self.0.send_replace(new);
        Ok(())
    }

    /// Publishes a credential of the platform's HTTPS, if it would be accepted for each host.
    ///
    /// # Errors
    /// The refusal that daemons and clients would give; the old credential stays.
    pub fn publish_pinned(
        &self,
        new: Credential,
        pins: &[Pin],
        hosts: &[Host],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        new.verify_pinned(pins, hosts, now)?;
        self.0.send_replace(new);
        Ok(())
    }

    /// Returns where the newest credential is read.
    #[must_use]
    pub fn subscribe(&self) -> CredentialReceiver {
        CredentialReceiver(self.0.subscribe())
    }

    /// Returns the newest credential.
    #[must_use]
    pub fn current(&self) -> Credential {
        self.0.borrow().clone()
    }
}

/// Where the newest credential is read; each handshake takes the one of its moment.
#[derive(Debug, Clone)]
pub struct CredentialReceiver(watch::Receiver<Credential>);

impl CredentialReceiver {
    /// Returns the newest credential.
    #[must_use]
    pub fn current(&self) -> Credential {
        self.0.borrow().clone()
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.borrow().0)
    }
}

impl From<Credential> for CredentialReceiver {
    /// A credential that is never replaced.
    fn from(credential: Credential) -> Self {
        Self(watch::channel(credential).1)
    }
}

impl From<&CredentialStore> for CredentialReceiver {
    fn from(store: &CredentialStore) -> Self {
        store.subscribe()
    }
}

impl ResolvesServerCert for CredentialReceiver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for CredentialReceiver {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
