//! The whole of what an enrolled daemon does towards the platform, started and run as one.

use std::path::PathBuf;
use std::sync::Arc;

use postern_domain::{DaemonId, InstanceId};
use postern_pki::Trust;
use postern_sshkey::{Certificate, PrivateKey};
use postern_transport::{Clock, CredentialReceiver, Drain};
use tokio::sync::watch;

use crate::api::Api;
use crate::daemon::Daemon;
use crate::knowledge::Known;
use crate::renew::{RenewError, Renewer};
use crate::snapshot::{Contact, PollError, Poller};
use crate::state::{StateDir, StateError};
use crate::statement::Statements;
use crate::token::TokenSource;

/// A daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No daemon has enrolled with this state directory.
    #[error("no daemon has enrolled with the state directory {}", path.display())]
    NotEnrolled {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing is known to begin with.
    #[error(transparent)]
    Poll(#[from] PollError),
    /// There are no certificates to begin with.
    #[error(transparent)]
    Renew(#[from] RenewError),
}

/// What an enrolled daemon has to go by.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Who it is.
    pub id: DaemonId,
    /// The instance it belongs to.
    pub instance: InstanceId,
    /// Its requests to the platform, and the tokens for them.
    pub tokens: Arc<TokenSource>,
    /// What it knows.
    pub known: watch::Receiver<Arc<Known>>,
    /// Whom it trusts: the part of [`Self::known`] that transport reads.
    pub trust: watch::Receiver<Arc<Trust>>,
    /// Whether the platform answers.
    pub contact: watch::Receiver<Contact>,
    /// Its TLS credential.
    pub tls: CredentialReceiver,
    /// Its SSH certificate.
    pub ssh: watch::Receiver<Arc<Certificate>>,
    /// The key of its SSH certificates.
    pub ssh_key: PrivateKey,
}

/// What must run for an [`Agent`] to stay up to date.
#[derive(Debug)]
#[must_use = "nothing stays up to date unless it runs"]
pub struct AgentRun {
    poller: Poller,
    renewer: Renewer,
}

impl Agent {
    /// Starts from the state directory: with what it holds, and the platform's help where that is not enough.
    ///
    /// # Errors
    /// If no daemon enrolled there, or what is needed to begin is neither there nor to be had from the platform.
    pub async fn start(state: &StateDir, clock: Clock) -> Result<(Self, AgentRun), StartError> {
        let daemon = Daemon::load(state)?.ok_or_else(|| StartError::NotEnrolled {
            path: state.path().to_owned(),
        })?;
        let api = Api::new(daemon.platform.clone(), clock);
        let statements = Statements::new(daemon.id, daemon.instance, daemon.keys.identity.clone());
        let tokens = Arc::new(TokenSource::new(api, statements));
        let mut poller = Poller::start(state.clone(), Arc::clone(&tokens), &daemon).await?;
        // What was kept may be old; newer is better, and the platform may be away.
        drop(poller.poll().await);
        let (id, instance) = (daemon.id, daemon.instance);
        let ssh_key = daemon.keys.certified.ssh.clone();
        let renewer = Renewer::start(state.clone(), Arc::clone(&tokens), poller.known(), daemon).await?;
        let agent = Self {
            id,
            instance,
            known: poller.known(),
            trust: poller.trust(),
            contact: poller.contact(),
            tls: renewer.tls(),
            ssh: renewer.ssh(),
            ssh_key,
            tokens,
        };
        Ok((agent, AgentRun { poller, renewer }))
    }
}

impl AgentRun {
    /// Keeps everything up to date until `stop` drains. A daemon stops it after its last connection.
    pub async fn run(self, stop: Drain) {
        tokio::join!(self.poller.run(stop.clone()), self.renewer.keep_renewed(stop));
    }
}
