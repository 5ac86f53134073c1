//! Renewing a daemon's certificates, for the same keys, at two thirds of their life.
//!
//! New certificates are judged by our own verifiers, then written to the disk, then published; the old ones serve
//! until then, and whoever began with them goes on.

use std::sync::Arc;
use std::time::Duration;

use postern_api::{DaemonCertificates, RenewRequest, UnverifiedDaemonRequest};
use postern_domain::{Reason, Timestamp};
use postern_pki::KeyError;
use postern_sshkey::Certificate;
use postern_transport::{Backoff, CredentialReceiver, CredentialStore, Drain};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::certificates::{CertificatesRefused, certify, server_leg};
use crate::daemon::Daemon;
use crate::error::ApiError;
use crate::knowledge::Known;
use crate::state::{StateDir, StateError};
use crate::token::TokenSource;

/// It is looked at least this often whether certificates are due: the clock may be set, or stand while a host sleeps.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// The longest wait between attempts to renew what is due.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Certificates were not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The platform did not give any.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Those that it gave would be refused.
    #[error(transparent)]
    Certificates(#[from] CertificatesRefused),
    /// They could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// No request could be made.
    #[error("no certificate request could be made: {0}")]
    Key(#[from] KeyError),
}

impl RenewError {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Api(error) => error.reason(),
            Self::Certificates(refused) => refused.reason(),
            Self::State(_) | Self::Key(_) => Reason::Internal,
        }
    }
}

/// Holds a daemon's certificates and renews them.
#[derive(Debug)]
pub struct Renewer {
    state: StateDir,
    tokens: Arc<TokenSource>,
    known: watch::Receiver<Arc<Known>>,
    daemon: Daemon,
    tls: CredentialStore,
    ssh: watch::Sender<Arc<Certificate>>,
}

impl Renewer {
    /// Begins with the certificates on the disk, renewed if they are due. Those that are due and still good serve if
    /// the platform is away.
    ///
    /// # Errors
    /// If there are no certificates that the other ends would accept.
    pub async fn start(
        state: StateDir,
        tokens: Arc<TokenSource>,
        known: watch::Receiver<Arc<Known>>,
        mut daemon: Daemon,
    ) -> Result<Self, RenewError> {
        let now = tokens.api().time_of_platform().local();
        let knowledge = Arc::clone(&known.borrow());
        let held = certify(daemon.id, &daemon.keys, &daemon.certificates, &knowledge, now);
        let certified = match held {
            Ok(held) if now < due(&daemon.certificates) => held,
            held => match ask(&tokens, &daemon).await {
                Ok(certificates) => {
                    let certified = certify(daemon.id, &daemon.keys, &certificates, &knowledge, now)?;
                    daemon.certificates = certificates;
                    daemon.save(&state)?;
                    certified
                }
                Err(error) => {
                    let held = held.map_err(|_| error)?;
                    tracing::warn!("the certificates are due and could not be renewed yet");
                    held
                }
            },
        };
        Ok(Self {
            state,
            tokens,
            known,
            daemon,
            tls: CredentialStore::new(certified.tls),
            ssh: watch::Sender::new(certified.ssh),
        })
    }

    /// Returns where the newest TLS credential is read.
    #[must_use]
    pub fn tls(&self) -> CredentialReceiver {
        self.tls.subscribe()
    }

    /// Returns where the newest SSH certificate is read; its key is [`crate::Keys::certified`]'s.
    #[must_use]
    pub fn ssh(&self) -> watch::Receiver<Arc<Certificate>> {
        self.ssh.subscribe()
    }

    /// Renews if two thirds of the certificates' life have passed at `now`. Returns whether it did.
    ///
    /// # Errors
    /// If it should have and could not; the old certificates stay.
    pub async fn renew_if_due(&mut self, now: Timestamp) -> Result<bool, RenewError> {
        if now < due(&self.daemon.certificates) {
            return Ok(false);
        }
        let certificates = ask(&self.tokens, &self.daemon).await?;
        let known = Arc::clone(&self.known.borrow());
        let now = self.tokens.api().time_of_platform().local();
        let certified = certify(self.daemon.id, &self.daemon.keys, &certificates, &known, now)?;
        self.daemon.certificates = certificates;
        self.daemon.save(&self.state)?;
        let leg = server_leg(self.daemon.id, &self.daemon.keys, &known)?;
        let trust = known.trust.fresh(now).map_err(CertificatesRefused::from)?;
        self.tls
            .publish(certified.tls, &leg, &trust, now)
            .map_err(CertificatesRefused::tls)?;
        self.ssh.send_replace(certified.ssh);
        tracing::info!(expires = %self.daemon.certificates.expires, "renewed the certificates");
        Ok(true)
    }

    /// Renews whenever it is due, until `stop` drains.
    pub async fn keep_renewed(mut self, stop: Drain) {
        let mut backoff = Backoff::new(LONGEST_WAIT);
        loop {
            let now = self.tokens.api().time_of_platform().local();
            let wait = tokio::select! {
                renewed = self.renew_if_due(now) => match renewed {
                    Ok(_) => {
                        backoff.reset();
                        due(&self.daemon.certificates).since(now).min(LOOK_EVERY)
                    }
                    Err(error) => {
                        let expires = self.daemon.certificates.expires;
                        tracing::warn!(%error, reason = %error.reason(), %expires, "the certificates are due and could not be renewed");
                        backoff.next_wait()
                    }
                },
                () = stop.draining() => return,
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.draining() => return,
            }
        }
    }
}

/// Asks the platform to certify the daemon's keys again.
async fn ask(tokens: &TokenSource, daemon: &Daemon) -> Result<DaemonCertificates, RenewError> {
    let requests = daemon.keys.certified.requests(daemon.instance, daemon.kind())?;
    let request = &RenewRequest {
        request: UnverifiedDaemonRequest {
            csr: requests.csr,
            ssh_key: requests.ssh_key,
            ssh_proof: requests.ssh_proof,
        },
    };
    let api = tokens.api();
    let renewed = tokens.call(|token| async move { api.renew_certificates(&token, request).await });
    Ok(renewed.await?.certificates)
}

/// The moment at which two thirds of the certificates' life have passed.
fn due(certificates: &DaemonCertificates) -> Timestamp {
    certificates
        .issued
        .plus(certificates.expires.since(certificates.issued) * 2 / 3)
}
