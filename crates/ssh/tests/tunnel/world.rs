//! A relay and a gateway with authorities of their own, joined by a connection in memory or by TCP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_ssh::{
    AcceptError, Attempt, ClientConfig, ConnectError, HostJudge, Incoming, IncomingEvent, Judge, Offered,
    Refused, RefusedAttempt, ServerConfig, Tunnel, TunnelStream,
};
use postern_sshkey::{Certificate, CertificateKind, CertificateSpec, PrivateKey, PublicKey};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

/// The gateway's id, which is its principal and its user name.
pub(crate) const GATEWAY: &str = "gateway-1";
/// The relay's host name.
pub(crate) const HOST: &str = "relay.test";
/// 2100-01-01, since the library looks at the real clock.
const FAR: u64 = 4_102_444_800;

pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 4242))
}

pub(crate) fn client() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], 50_000))
}

/// Admits users that one authority signed, and remembers what was refused.
#[derive(Debug)]
pub(crate) struct TestJudge {
    authority: PublicKey,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) attempts: Mutex<Vec<RefusedAttempt>>,
}

impl TestJudge {
    pub(crate) fn attempts(&self) -> Vec<(Attempt, String)> {
        let attempts = self.attempts.lock().unwrap();
        attempts
            .iter()
            .map(|each| (each.attempt, each.detail.clone()))
            .collect()
    }
}

impl Judge for TestJudge {
    type Verdict = String;

    fn judge(&self, offered: Offered<'_>) -> Result<String, Refused> {
        self.asked.lock().unwrap().push(offered.user.to_owned());
        let certificate = offered.certificate;
        if *certificate.signature_key() != self.authority {
            return Err(Refused::new("unknown_authority", "signed by somebody else"));
        }
        if certificate.kind() != CertificateKind::User {
            return Err(Refused::new("wrong_usage", "not for a user"));
        }
        if certificate.principals() != [offered.user] {
            return Err(Refused::new("wrong_name", "for another user"));
        }
        Ok(format!("{} from {}", offered.user, offered.peer))
    }

    fn refused(&self, attempt: RefusedAttempt, _peer: SocketAddr) {
        self.attempts.lock().unwrap().push(attempt);
    }
}

/// Takes hosts that one authority signed, and remembers what was refused.
#[derive(Debug)]
pub(crate) struct TestHostJudge {
    authority: PublicKey,
    pub(crate) attempts: Mutex<Vec<RefusedAttempt>>,
}

impl HostJudge for TestHostJudge {
    fn judge(&self, certificate: &Certificate) -> Result<(), Refused> {
        if *certificate.signature_key() != self.authority {
            return Err(Refused::new("unknown_authority", "signed by somebody else"));
        }
        if certificate.principals() != [HOST] {
            return Err(Refused::new("wrong_name", "another host"));
        }
        Ok(())
    }

    fn refused(&self, attempt: RefusedAttempt) {
        self.attempts.lock().unwrap().push(attempt);
    }
}

/// Authorities, keys and judges.
pub(crate) struct World {
    pub(crate) host_authority: PrivateKey,
    pub(crate) user_authority: PrivateKey,
    pub(crate) judge: Arc<TestJudge>,
    pub(crate) host_judge: Arc<TestHostJudge>,
}

impl World {
    pub(crate) fn new() -> Self {
        let host_authority = PrivateKey::generate().unwrap();
        let user_authority = PrivateKey::generate().unwrap();
        Self {
            judge: Arc::new(TestJudge {
                authority: user_authority.public_key().clone(),
                asked: Mutex::default(),
                attempts: Mutex::default(),
            }),
            host_judge: Arc::new(TestHostJudge {
                authority: host_authority.public_key().clone(),
                attempts: Mutex::default(),
            }),
            host_authority,
            user_authority,
        }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::new(self.server_signed_by(&self.host_authority))
    }

    pub(crate) fn server_signed_by(&self, authority: &PrivateKey) -> ServerConfig {
        let key = PrivateKey::generate().unwrap();
        let certificate = host_spec(&key).sign(authority).unwrap();
        ServerConfig::new(&key, &certificate).unwrap()
    }

    pub(crate) fn client(&self) -> ClientConfig {
        self.client_signed_by(&self.user_authority)
    }

    pub(crate) fn client_signed_by(&self, authority: &PrivateKey) -> ClientConfig {
        let key = PrivateKey::generate().unwrap();
        let certificate = user_spec(&key).sign(authority).unwrap();
        ClientConfig::new(GATEWAY, &key, &certificate).unwrap()
    }

    /// Joins the two over a connection in memory.
    pub(crate) async fn meet(
        &self,
        server: Arc<ServerConfig>,
        client: &ClientConfig,
    ) -> (
        Result<Tunnel<String>, AcceptError>,
        Result<Incoming<TestHostJudge>, ConnectError>,
    ) {
        let (theirs, ours) = wire();
        self.meet_over(theirs, ours, server, client).await
    }

    pub(crate) async fn meet_over<A, B>(
        &self,
        relay_end: A,
        gateway_end: B,
        server: Arc<ServerConfig>,
        client: &ClientConfig,
    ) -> (
        Result<Tunnel<String>, AcceptError>,
        Result<Incoming<TestHostJudge>, ConnectError>,
    )
    where
        A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tokio::join!(
            postern_ssh::accept(relay_end, peer(), server, Arc::clone(&self.judge)),
            postern_ssh::connect(gateway_end, client, Arc::clone(&self.host_judge)),
        )
    }

    /// An open tunnel with nothing wrong.
    pub(crate) async fn tunnel(&self) -> (Tunnel<String>, Incoming<TestHostJudge>) {
        let (tunnel, incoming) = self.meet(self.server(), &self.client()).await;
        (tunnel.unwrap(), incoming.unwrap())
    }
}

pub(crate) fn wire() -> (DuplexStream, DuplexStream) {
    duplex(256 * 1024)
}

pub(crate) fn host_spec(key: &PrivateKey) -> CertificateSpec {
    CertificateSpec {
        kind: CertificateKind::Host,
        key: key.public_key().clone(),
        serial: 1,
        key_id: "relay:1".to_owned(),
        principals: vec![HOST.to_owned()],
        valid_after: 1,
        valid_before: FAR,
        critical_options: Vec::new(),
    }
}

pub(crate) fn user_spec(key: &PrivateKey) -> CertificateSpec {
    CertificateSpec {
        kind: CertificateKind::User,
        principals: vec![GATEWAY.to_owned()],
        key_id: "gateway:1".to_owned(),
        critical_options: Vec::new(),
        ..host_spec(key)
    }
}

/// Opens a stream and takes it on the other side.
pub(crate) async fn stream(
    tunnel: &Tunnel<String>,
    incoming: &mut Incoming<TestHostJudge>,
) -> (TunnelStream, TunnelStream) {
    let (ours, event) = tokio::join!(tunnel.open(client()), incoming.next());
    match event {
        Some(IncomingEvent::Stream(theirs)) => (ours.unwrap(), theirs),
        other => panic!("no stream but {other:?}"),
    }
}

/// Waits for something that must happen, and fails when it does not.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it should have happened by now")
}
