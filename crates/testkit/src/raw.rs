//! A session taken apart: certificates and keys as files or values, and the raw pipe to the gateway, for peers that
//! are not our client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use postern_api::{CreateSession, SessionGranted, TlsAnchor};
use postern_domain::{ResourceId, Timestamp};
use postern_pki::{LeafKey, Leg, Revocations, Trust, certificate_from_pem};
use postern_transport::{ALPN_RELAY, Credential, MutualConnector, RelayStatus};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::world::World;

/// A granted session with the keys it was granted to.
#[derive(Debug)]
pub struct RawSession {
    /// What the platform answered.
    pub granted: SessionGranted,
    /// The key of the relay leg.
    pub relay_key: LeafKey,
    /// The key of the inner leg.
    pub gateway_key: LeafKey,
}

impl World {
    /// Asks for a session, as the identity that may connect.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn raw_session(&self, resources: &[ResourceId]) -> anyhow::Result<RawSession> {
        let (relay_key, gateway_key) = (LeafKey::generate()?, LeafKey::generate()?);
        let request = CreateSession {
            resources: resources.to_vec(),
            relay_csr: relay_key.csr_pem(),
            gateway_csr: gateway_key.csr_pem(),
        };
        let token = self.seeded.developer.token().await?;
        let granted = self.stack.api.create_session(&token, &request).await?;
        Ok(RawSession {
            granted,
            relay_key,
            gateway_key,
        })
    }

    /// Returns what a client that holds `anchors` trusts.
    ///
    /// # Errors
    /// An anchor is not well-formed.
    pub fn trust(
        &self,
        anchors: &[TlsAnchor],
        now: Timestamp,
    ) -> anyhow::Result<watch::Receiver<Arc<Trust>>> {
        let parsed = anchors
            .iter()
            .map(|a| postern_pki::TlsAnchor::parse(a.owner, a.role, &a.root, &a.issuer))
            .collect::<Result<Vec<_>, _>>()?;
        let trust = Trust {
            instance: self.stack.platform.instance().id,
            tls: parsed,
            ssh: Vec::new(),
            revoked: Revocations::new(),
            learned: now,
            max_age: Duration::from_secs(3600),
        };
        Ok(watch::channel(Arc::new(trust)).1)
    }

    /// Goes through the relay with a session's own certificate, up to the status byte: what follows on the stream is
    /// the gateway's end.
    ///
    /// # Errors
    /// The relay refused, or said anything but open.
    pub async fn pipe(&self, session: &RawSession) -> anyhow::Result<TlsStream<TcpStream>> {
        let credential = credential(&session.granted.certificates.relay, &session.relay_key)?;
        match self.knock(session, credential).await? {
            (RelayStatus::Open, stream) => Ok(stream),
            (status, _) => bail!("the relay said {status:?}"),
        }
    }

    /// Goes to the relay with any credential, and returns what it said.
    ///
    /// # Errors
    /// The relay ended the connection without a status byte.
    pub async fn knock(
        &self,
        session: &RawSession,
        credential: Credential,
    ) -> anyhow::Result<(RelayStatus, TlsStream<TcpStream>)> {
        let relay = session.granted.relays.first().context("a relay")?;
        let clock = self.stack.clock().clone();
        let trust = self.trust(&relay.anchors, clock.now())?;
        let connector = MutualConnector::new(credential, trust, clock, ALPN_RELAY);
        let leg = Leg::RelayServer {
            scope: relay.scope,
            relay: relay.id,
            host: relay.host.clone(),
        };
        let tcp = TcpStream::connect(self.stack.relay_tls).await?;
        tcp.set_nodelay(true)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = connector.connect(tcp, &leg, deadline).await?.stream;
        let status = RelayStatus::read(&mut stream).await?;
        Ok((status, stream))
    }
}

impl RawSession {
    /// Writes the inner leg's chain, key and root as PEM files into `directory`, and returns their paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_inner(&self, directory: &Path) -> anyhow::Result<[PathBuf; 3]> {
        let anchor = self.granted.gateway.anchors.first().context("an anchor")?;
        let files = [
            ("inner-chain.pem", self.granted.certificates.gateway.concat()),
            ("inner-key.pem", self.gateway_key.to_pem().expose().clone()),
            ("inner-root.pem", anchor.root.clone()),
        ];
        let mut paths = Vec::new();
        for (name, content) in files {
            let path = directory.join(name);
            std::fs::write(&path, content)?;
            paths.push(path);
        }
        paths.try_into().map_err(|_| anyhow::anyhow!("three files"))
    }
}

/// Joins a chain in PEM with its key.
///
/// # Errors
/// They do not belong together.
pub fn credential(chain: &[String], key: &LeafKey) -> anyhow::Result<Credential> {
    let chain = chain
        .iter()
        .map(|pem| certificate_from_pem(pem))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Credential::new(chain, key.private_key_der())?)
}
