//! Clients, at the TLS port: judged, counted, put on record, told one status byte, and copied to and from the
//! tunnel of the gateway that their certificate names. What is copied is sealed for the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use postern_audit::{Durability, Event, Hop, Recorder, Source};
use postern_domain::{GatewayId, OrganizationId, Reason, RelayId};
use postern_pki::VerifiedPeer;
use postern_ssh::TunnelStream;
use postern_transport::{
    AcceptError, Clock, CopyEnd, Drain, MutualAcceptor, Quota, RelayStatus, Slot, Standing, Taken, WithReset,
    copy_two_way,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use crate::reports::{Reports, note};
use crate::routes::Routes;
use crate::tunnels::TunnelRoute;

/// What a client attempts here.
const ACTION: &str = "connection.open";
/// How long a client has for the handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a gateway has to confirm a channel.
const OPEN_TIME: Duration = Duration::from_secs(10);
/// How long the status byte may take to leave.
const STATUS_TIME: Duration = Duration::from_secs(5);

/// All that a client's connection is judged and served by.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) relay: RelayId,
    pub(crate) acceptor: MutualAcceptor,
    pub(crate) standing: Standing,
    pub(crate) routes: Routes<TunnelRoute>,
    pub(crate) organizations: Quota<OrganizationId>,
    pub(crate) gateways: Quota<GatewayId>,
    pub(crate) recorder: Recorder,
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
    pub(crate) drain: Drain,
}

/// A client whose certificate passed every check, and the gateway it names.
struct Visitor {
    peer: VerifiedPeer,
    organization: OrganizationId,
    gateway: GatewayId,
    source: SocketAddr,
}

/// The places of one connection among its organization's and its gateway's; dropped, they are free again.
type Places = (Taken<OrganizationId>, Taken<GatewayId>);

impl Clients {
    /// Serves one connection until it ends.
    pub(crate) async fn serve(&self, tcp: TcpStream, source: SocketAddr, slot: Slot) {
        let deadline = Instant::now() + HANDSHAKE_TIME;
        let judged = match self.acceptor.handshake(tcp, deadline).await {
            Ok(judged) => judged,
            Err(error) => return self.note_handshake(&error, source).await,
        };
        let mut tls = judged.stream;
        let visitor = match judged.peer.map(|peer| Visitor::new(peer, source)) {
            Ok(Some(visitor)) => visitor,
            Ok(None) => {
                let event = Event::refused(Hop::RelayTls, ACTION, Reason::WrongName, self.clock.now());
                let event = event.with_relay(self.relay).with_source(Source::seen(source));
                self.reports.note(&self.recorder, event).await;
                return finish(tls, RelayStatus::Refused).await;
            }
            Err(error) => {
                self.note_handshake(&error, source).await;
                return finish(tls, RelayStatus::Refused).await;
            }
        };
        // From here on it is counted with its organization, no longer with its source.
        slot.release();
        match self.open(&visitor).await {
            Ok((tunnel, _places)) => {
                if send(&mut tls, RelayStatus::Open).await.is_err() {
                    tunnel.reset();
                    return self.note_end(&visitor, None, Some(Reason::ConnectionLost)).await;
                }
                let mut why = None;
                let lost = async { why = Some(self.standing.lost(&visitor.peer).await) };
                let copied = copy_two_way(tls, WithReset::new(tunnel, TunnelStream::reset), lost).await;
                self.note_end(&visitor, Some(copied), why).await;
            }
            Err(reason) => finish(tls, RelayStatus::for_reason(reason)).await,
        }
    }

    /// Admits a client, puts that on record, and opens a stream to its gateway.
    async fn open(&self, visitor: &Visitor) -> Result<(TunnelStream, Places), Reason> {
        let admitted = self.admit(visitor);
        let (route, places) = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                let event = Event::refused(Hop::RelayTls, ACTION, reason, self.clock.now());
                note(&self.recorder, self.describe(visitor, event)).await;
                return Err(reason);
            }
        };
        let event = self.describe(visitor, Event::allowed(Hop::RelayTls, ACTION, self.clock.now()));
        let route = match self.recorder.record(route, event, Durability::Synced).await {
            Ok(recorded) => recorded.into_inner(),
            Err(error) => {
                tracing::error!(%error, "connection refused");
                return Err(Reason::NotRecorded);
            }
        };
        let failed = match timeout_at(Instant::now() + OPEN_TIME, route.open(visitor.source)).await {
            Ok(Ok(stream)) => return Ok((stream, places)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the gateway did not confirm the channel in time".into(),
        };
        let event = Event::failed(
            Hop::RelayTls,
            "connection.tunnel",
            Reason::GatewayOffline,
            self.clock.now(),
        );
        note(&self.recorder, self.describe(visitor, event.with_detail(&failed))).await;
        Err(Reason::GatewayOffline)
    }

    /// Finds the tunnel and counts the connection. The organization of the client's certificate must be that of
    /// the certificate which proved the tunnel.
    fn admit(&self, visitor: &Visitor) -> Result<(TunnelRoute, Places), Reason> {
        let route = self.routes.find(visitor.gateway, visitor.organization)?;
        if self.drain.is_draining() {
            return Err(Reason::Draining);
        }
        let places = (
            self.organizations.take(visitor.organization)?,
            self.gateways.take(visitor.gateway)?,
        );
        Ok((route, places))
    }

    fn describe(&self, visitor: &Visitor, event: Event) -> Event {
        event
            .with_organization(visitor.organization)
            .with_gateway(visitor.gateway)
            .with_session(visitor.peer.session())
            .with_certificate(visitor.peer.serial().clone())
            .with_relay(self.relay)
            .with_source(Source::seen(visitor.source))
    }

    async fn note_handshake(&self, error: &AcceptError, source: SocketAddr) {
        let event = Event::refused(Hop::RelayTls, ACTION, error.reason, self.clock.now())
            .with_detail(&error.detail)
            .with_organization(error.claimed.organization)
            .with_gateway(error.claimed.gateway)
            .with_session(error.claimed.session)
            .with_certificate(error.claimed.serial.clone())
            .with_relay(self.relay)
            .with_source(Source::seen(source));
        self.reports.note(&self.recorder, event).await;
    }

    async fn note_end(&self, visitor: &Visitor, copied: Option<CopyEnd>, why: Option<Reason>) {
        let mut event = Event::ended(Hop::RelayTls, "connection.close", self.clock.now());
        event.reason = why;
        if let Some(copied) = copied {
            event = event.with_bytes(copied.a_to_b, copied.b_to_a);
        }
        note(&self.recorder, self.describe(visitor, event)).await;
    }
}

impl Visitor {
    fn new(peer: VerifiedPeer, source: SocketAddr) -> Option<Self> {
        let (organization, gateway) = (peer.organization()?, peer.gateway()?);
        Some(Self {
            peer,
            organization,
            gateway,
            source,
        })
    }
}

async fn send(tls: &mut TlsStream<TcpStream>, status: RelayStatus) -> std::io::Result<()> {
    let sent = timeout_at(Instant::now() + STATUS_TIME, status.write(tls)).await;
    sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Says why not, and closes. A client that is gone already has nothing to hear.
async fn finish(mut tls: TlsStream<TcpStream>, status: RelayStatus) {
    if send(&mut tls, status).await.is_ok() {
        tokio::time::timeout(STATUS_TIME, tls.shutdown()).await.ok();
    }
}
