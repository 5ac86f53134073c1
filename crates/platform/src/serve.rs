//! Serving: bind, then run until the drain. The only place of this daemon that listens.
//!
//! The HTTPS certificate is issued under the Platform Root for 24 hours and issued again at two thirds of that;
//! a new one is verified as daemons will verify it before it replaces the old one. Its chain includes the root,
//! whose key is what daemons pin.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postern_domain::{Host, Pin, Port, RequestId, Target, Timestamp};
use postern_pki::{LeafKey, Refusal, certificate_from_pem, verify_csr};
use postern_transport::{Clock, Credential, CredentialStore, Drain, ServerTls, serve};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use crate::config::{Config, Limits};
use crate::http::{App, Connections, Parts};
use crate::keys::{RootKey, RootKeyError};
use crate::{Arrival, Error, OpenError, Platform, Settings, issue};

/// How long an HTTPS certificate lives, unless the settings say less.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the upkeep looks whether something is due.
const UPKEEP: Duration = Duration::from_secs(10);
/// After how many of these what was only counted becomes records.
const FOLDS: u64 = 6;

/// The platform cannot begin to serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store or what is in it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The root key.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The address to listen on.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The HTTPS certificate.
    #[error("the HTTPS certificate cannot be issued: {0}")]
    Certificate(String),
}

/// A platform whose port is bound and that serves as soon as it runs.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    local_address: SocketAddr,
    public_address: Target,
    tls: ServerTls,
    https: Https,
    app: Arc<App>,
    platform: Arc<Platform>,
    clock: Clock,
    limits: Limits,
}

impl Platform {
    /// Opens the instance and binds its port, with the lifetimes that are the default.
    ///
    /// # Errors
    /// Says what is missing or taken.
    pub async fn bind(config: Config, clock: Clock) -> Result<Bound, StartError> {
        Self::bind_with(config, Settings::default(), clock).await
    }

    /// Opens the instance and binds its port.
    ///
    /// # Errors
    /// Says what is missing or taken.
    pub async fn bind_with(
        config: Config,
        mut settings: Settings,
        clock: Clock,
    ) -> Result<Bound, StartError> {
        settings.certificates.platform = settings.certificates.platform.min(LIFETIME);
        let root = match &config.keys.root_key {
            Some(text) => RootKey::parse(text.expose())?,
            None => RootKey::load(&config.keys.root_key_file)?,
        };
        let platform = Arc::new(Self::open(&config.store.path, &root, settings).await?);
        drop(root);
        let listen = config.server.listen;
        let taken = |error| StartError::Bind(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(taken)?;
        let local_address = listener.local_addr().map_err(taken)?;
        let hosts = config.certificate_hosts();
        let public_address = match config.server.public_address {
            Some(address) => address,
            None => Target {
                host: hosts
                    .first()
                    .cloned()
                    .unwrap_or_else(|| Host::Address(local_address.ip())),
                port: Port::new(local_address.port()).unwrap_or(Port::MIN),
            },
        };
        let https = Https::begin(&platform, hosts, clock.now()).await?;
        let tls = ServerTls::new(&https.credentials, clock.clone(), &[b"h2", b"http/1.1"])
            .map_err(|e| StartError::Certificate(e.to_string()))?;
        let app = Arc::new(App::new(Parts {
            platform: Arc::clone(&platform),
            clock: clock.clone(),
            limits: config.limits.clone(),
            trusted_proxies: config.server.trusted_proxies,
            public_address: public_address.clone(),
        }));
        let limits = config.limits;
        Ok(Bound {
            listener,
            local_address,
            public_address,
            tls,
            https,
            app,
            platform,
            clock,
            limits,
        })
    }
}

impl Bound {
    /// Returns the address and port that are bound.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_address
    }

    /// Returns where daemons reach the platform, as enrollment tickets say it.
    #[must_use]
    pub const fn public_address(&self) -> &Target {
        &self.public_address
    }

    /// Returns the keys that the HTTPS certificate may chain to.
    #[must_use]
    pub fn pins(&self) -> &[Pin] {
        self.platform.pins()
    }

    /// Returns the control plane.
    #[must_use]
    pub fn platform(&self) -> Arc<Platform> {
        Arc::clone(&self.platform)
    }

    /// Serves until the drain begins, then finishes what is under way.
    pub async fn run(self, drain: Drain) {
        let Self {
            listener,
            local_address,
            tls,
            mut https,
            app,
            platform,
            clock,
            limits,
            ..
        } = self;
        tracing::info!(%local_address, public_address = %self.public_address, "the platform serves");
        let connections = Arc::new(Connections::new(Arc::clone(&app), tls, drain.clone()));
        let shed = |source: SocketAddr, reason| tracing::debug!(%source, %reason, "connection shed");
        let serving = serve(listener, limits.accept(), drain, shed, |stream, peer, slot| {
            Arc::clone(&connections).serve(stream, peer, slot)
        });
        let upkeep = async {
            let mut ticks = tokio::time::interval(UPKEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for tick in 0_u64.. {
                ticks.tick().await;
                if tick % FOLDS == FOLDS - 1 {
                    app.write_folds().await;
                }
                https.renew_if_due(&platform, clock.now()).await;
            }
        };
        let served = tokio::select! {
            served = serving => served,
            () = upkeep => return,
        };
        if tokio::time::timeout(limits.request_deadline(), app.idle())
            .await
            .is_err()
        {
            tracing::warn!("requests were still under way at their deadline");
        }
        app.write_folds().await;
        platform.close().await;
        tracing::info!(
            accepted = served.accepted,
            shed = served.shed,
            cut = served.cut,
            "the platform has stopped"
        );
    }
}

/// The HTTPS certificate, and when it is to be issued again.
#[derive(Debug)]
struct Https {
    hosts: Vec<Host>,
    credentials: CredentialStore,
    due: Timestamp,
}

impl Https {
    async fn begin(platform: &Platform, hosts: Vec<Host>, now: Timestamp) -> Result<Self, StartError> {
        let failed = |error: RenewError| StartError::Certificate(error.to_string());
        let (credential, due) = certify(platform, &hosts, now).await.map_err(failed)?;
        credential
            .verify_pinned(platform.pins(), &hosts, now)
            .map_err(|refusal| failed(RenewError::Refused(Box::new(refusal))))?;
        Ok(Self {
            hosts,
            credentials: CredentialStore::new(credential),
            due,
        })
    }

    /// Issues the certificate again, if it is due. A failure is logged, the old one stays, and the next tick
    /// tries again.
    async fn renew_if_due(&mut self, platform: &Platform, now: Timestamp) {
        if now < self.due {
            return;
        }
        let renewed = async {
            let (credential, due) = certify(platform, &self.hosts, now).await?;
            let published = self
                .credentials
                .publish_pinned(credential, platform.pins(), &self.hosts, now);
            published.map_err(|refusal| RenewError::Refused(Box::new(refusal)))?;
            Ok::<_, RenewError>(due)
        };
        match renewed.await {
            Ok(due) => {
                self.due = due;
                tracing::info!("the HTTPS certificate was issued again");
            }
            Err(error) => tracing::error!(%error, "the HTTPS certificate was not issued again"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error("a key could not be made: {0}")]
    Key(#[from] postern_pki::KeyError),
    #[error("the request is wrong: {0}")]
    Request(#[from] postern_pki::RequestError),
    #[error("it was not issued: {0}")]
    Issue(#[from] Error),
    #[error("it cannot be read: {0}")]
    Pem(#[from] postern_pki::PemError),
    #[error("it cannot be used: {0}")]
    Credential(#[from] postern_transport::CredentialError),
    #[error("daemons would refuse it: {0}")]
    Refused(Box<Refusal>),
}

/// Makes a key and has it certified. Returns when it is to be done again: at two thirds of the lifetime.
async fn certify(
    platform: &Platform,
    hosts: &[Host],
    now: Timestamp,
) -> Result<(Credential, Timestamp), RenewError> {
    let key = LeafKey::generate()?;
    let request = verify_csr(&key.csr_pem())?;
    let arrival = Arrival {
        request: RequestId::generate(now),
        now,
        source: Ipv4Addr::LOCALHOST.into(),
    };
    let issued = issue::certify_platform(platform, &arrival, &request, hosts.to_vec()).await?;
    let chain = issued
        .chain
        .iter()
        .map(|pem| certificate_from_pem(pem))
        .collect::<Result<Vec<_>, _>>()?;
    let credential = Credential::new(chain, key.private_key_der())?;
    let due = now.plus(issued.validity.not_after.since(now) * 2 / 3);
    Ok((credential, due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InitOptions;

    async fn bound() -> (tempfile::TempDir, Bound, postern_transport::ClockHand) {
        let directory = tempfile::tempdir().unwrap();
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        let (clock, hand) = Clock::manual(start);
        Platform::init(directory.path(), InitOptions::default(), start)
            .await
            .unwrap();
        let bound = Platform::bind(Config::for_data_directory(directory.path()), clock)
            .await
            .unwrap();
        (directory, bound, hand)
    }

    #[tokio::test]
    async fn the_certificate_is_issued_again_at_two_thirds_and_not_before() {
        let (_directory, mut bound, hand) = bound().await;
        let first = bound.https.credentials.current().pin();
        hand.advance(Duration::from_secs(15 * 60 * 60));
        bound.https.renew_if_due(&bound.platform, bound.clock.now()).await;
        assert_eq!(bound.https.credentials.current().pin(), first);
        hand.advance(Duration::from_secs(60 * 60));
        bound.https.renew_if_due(&bound.platform, bound.clock.now()).await;
        let second = bound.https.credentials.current();
        assert_ne!(second.pin(), first);
        hand.advance(Duration::from_secs(20 * 60 * 60));
        second
            .verify_pinned(bound.pins(), &bound.https.hosts, bound.clock.now())
            .unwrap();
    }

    #[tokio::test]
    async fn a_certificate_that_cannot_be_issued_leaves_the_old_one_in_use() {
        let (_directory, mut bound, hand) = bound().await;
        let first = bound.https.credentials.current().pin();
        hand.advance(Duration::from_secs(17 * 60 * 60));
        bound.platform.close().await;
        bound.https.renew_if_due(&bound.platform, bound.clock.now()).await;
        assert_eq!(bound.https.credentials.current().pin(), first);
    }

    #[tokio::test]
    async fn the_certificate_names_every_host_that_was_asked_for_and_no_other() {
        let (_directory, bound, _hand) = bound().await;
        let credential = bound.https.credentials.current();
        let verify =
            |host: &str| credential.verify_pinned(bound.pins(), &[host.parse().unwrap()], bound.clock.now());
        assert!(verify("localhost").is_ok() && verify("127.0.0.1").is_ok());
        assert!(verify("other.example").is_err());
    }
}
